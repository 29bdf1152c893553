//! The files that results are written to. They are opened before a measurement, so that no result is lost because a
//! file cannot be written.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// A file to be written. Its contents stay until they are replaced.
pub struct OutputFile {
    path: PathBuf,
    file: File,
}

/// A file could not be created or written.
#[derive(Debug)]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl OutputFile {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing.
    pub fn create(path: PathBuf) -> Result<Self, WriteError> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(WriteError { path, source }),
        }
    }

    /// Replaces the contents by what `write` writes.
    ///
    /// # Errors
    ///
    /// When the file cannot be truncated or written.
    pub fn write(
        self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        let (written, path) = (self.replace(write), self.path);
        written.map_err(|source| WriteError { path, source })
    }

    fn replace(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        truncate(&self.file)?;
        let mut output = BufWriter::new(&self.file);
        write(&mut output)?;
        output.flush()
    }

    /// Returns the path and the open file.
    pub fn into_parts(self) -> (PathBuf, File) {
        (self.path, self.file)
    }
}

impl WriteError {
    /// Creates the error of the file at `path`.
    pub fn new(path: PathBuf, source: io::Error) -> Self {
        Self { path, source }
    }
}

/// Truncates `file` to no bytes. Does nothing for a pipe or a terminal, which has no length.
pub fn truncate(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(())
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}", self.path.display(), self.source)
    }
}

impl Error for WriteError {}

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
