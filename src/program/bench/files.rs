//! The files and streams that results are read from and written to. Outputs are opened before a measurement, so that no
//! result is lost because a file cannot be written.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use mio_echo::load::{self, Report};

use crate::cli::descriptor_of;
use crate::program::failure::cannot;
use crate::program::retrying_stream::RetryingStream;

/// A file to be written, whose contents stay until they are replaced, or an open stream, to which results are added.
pub struct OutputFile {
    path: PathBuf,
    file: File,
    is_stream: bool,
}

impl OutputFile {
    /// Opens the file, or creates it. A path such as `/dev/fd/3` is the stream that this process has open there.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        let descriptor = descriptor_of(&path);
        let opened = match descriptor {
            Some(number) => open_stream(number, &path),
            None => {
                let mut options = File::options();
                options.write(true).create(true).truncate(false);
                options.open(&path)
            }
        };
        let file = opened.map_err(|error| cannot_write(&path, error))?;
        Ok(Self {
            path,
            file,
            is_stream: descriptor.is_some(),
        })
    }

    /// Replaces the contents by what `write` writes.
    ///
    /// # Errors
    ///
    /// When the file cannot be truncated or written.
    pub fn write(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let replace = || {
            self.truncate()?;
            let mut output = BufWriter::new(RetryingStream(&self.file));
            write(&mut output)?;
            output.flush()
        };
        replace().map_err(|error| cannot_write(&self.path, error))
    }

    /// Truncates the file, and returns its path and the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be truncated.
    pub fn into_emptied(self) -> io::Result<(PathBuf, File)> {
        match self.truncate() {
            Ok(()) => Ok((self.path, self.file)),
            Err(error) => Err(cannot_write(&self.path, error)),
        }
    }

    /// Truncates the file to no bytes. Does nothing for a stream, and for a pipe or a terminal, which has no length.
    fn truncate(&self) -> io::Result<()> {
        if !self.is_stream && self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        Ok(())
    }
}

/// Opens the stream of the descriptor `number`, which `path` names, so that both share one position. A file that is opened
/// anew would be written from its beginning.
fn open_stream(number: u32, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    const STDERR: u32 = 2;
    #[cfg(unix)]
    if number == STDERR {
        return Ok(io::stderr().as_fd().try_clone_to_owned()?.into());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Ok(descriptor) = duplicate(number) {
        return Ok(descriptor.into());
    }
    // BSD and macOS duplicate the descriptor. An old Linux opens the file anew.
    let _ = number;
    File::options().append(true).open(path)
}

/// Duplicates a descriptor of this process by its number.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn duplicate(number: u32) -> io::Result<std::os::fd::OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let number = number.try_into().map_err(io::Error::other)?;
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(this, number, PidfdGetfdFlags::empty())?)
}

/// Checks that no two of `outputs` and standard output are one file, pipe or socket. A device such as `/dev/null` may be
/// shared.
///
/// # Errors
///
/// The reason, on one line.
#[cfg(unix)]
pub fn refuse_shared(outputs: &[&OutputFile]) -> Result<(), String> {
    for (index, output) in outputs.iter().enumerate() {
        let identity = identity(output.file.as_fd());
        let is_same = |other| identity.is_some() && identity == other;
        let path = output.path.display();
        let expected = "expected a file of its own";
        if is_same(self::identity(io::stdout().as_fd())) {
            return Err(format!(
                "invalid value '{path}' for an output: {expected}, and the report is on standard output, which is the same file"
            ));
        }
        let mut earlier = outputs[..index].iter();
        if let Some(other) = earlier.find(|other| is_same(self::identity(other.file.as_fd()))) {
            let other = other.path.display();
            return Err(format!(
                "invalid value '{path}' for an output: {expected}, and '{other}' is the same file"
            ));
        }
    }
    Ok(())
}

/// Checks nothing: Windows has no number of a file that the standard library tells.
#[cfg(windows)]
pub fn refuse_shared(_: &[&OutputFile]) -> Result<(), String> {
    Ok(())
}

/// Returns what distinguishes the file, pipe or socket from every other one, or `None` for a device.
#[cfg(unix)]
fn identity(stream: BorrowedFd<'_>) -> Option<impl PartialEq + use<>> {
    use rustix::fs::{FileType, fstat};
    let status = fstat(stream).ok()?;
    let is_device = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    (!is_device).then_some((status.st_dev, status.st_ino))
}

/// Returns true if there is an empty file at `path`: `--output` creates it before the measurement.
pub fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0)
}

/// Reads the report of a run, with the name of its file.
///
/// # Errors
///
/// When the file cannot be read, or is not the report of a run.
pub fn read_report(path: &PathBuf) -> Result<(String, Report), Box<dyn Error>> {
    let name = path.display().to_string();
    let json = fs::read_to_string(path);
    let json = json.map_err(|error| cannot(format!("read {name}"), error))?;
    let report = load::read(&name, &json)?;
    Ok((name, report))
}

/// Adds to `error` the path of the file that could not be written.
pub fn cannot_write(path: &Path, error: io::Error) -> io::Error {
    cannot(format!("write {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_that_cannot_be_written() {
        let path = PathBuf::from("no-such-directory/report.json");
        let error = OutputFile::create(path.clone())
            .map(|_| ())
            .expect_err("no such directory");
        let line = error.to_string();
        let expected = format!("cannot write {}: ", path.display());
        assert!(line.starts_with(&expected), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
