//! The files that results are written to. They are opened before a measurement, so that no result is lost because a
//! file cannot be written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::program::failure::cannot;

/// A file to be written. Its contents stay until they are replaced.
pub struct OutputFile {
    path: PathBuf,
    file: File,
}

impl OutputFile {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let file = options
            .open(&path)
            .map_err(|error| cannot_write(&path, error))?;
        Ok(Self { path, file })
    }

    /// Replaces the contents by what `write` writes.
    ///
    /// # Errors
    ///
    /// When the file cannot be truncated or written.
    pub fn write(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let replace = || {
            truncate(&self.file)?;
            let mut output = BufWriter::new(&self.file);
            write(&mut output)?;
            output.flush()
        };
        replace().map_err(|error| cannot_write(&self.path, error))
    }

    /// Returns the path and the open file.
    pub fn into_parts(self) -> (PathBuf, File) {
        (self.path, self.file)
    }
}

/// Adds to `error` the path of the file that could not be written.
pub fn cannot_write(path: &Path, error: io::Error) -> io::Error {
    cannot(format!("write {}", path.display()), error)
}

/// Truncates `file` to no bytes. Does nothing for a pipe or a terminal, which has no length.
pub fn truncate(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(())
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
