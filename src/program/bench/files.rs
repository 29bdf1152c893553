//! Files that results are written to: created before a measurement, so that none is lost for want of one.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// A file that is to be filled. Until then it keeps what is in it.
pub struct OutputFile {
    path: PathBuf,
    file: File,
}

/// A file that could not be created, or not be filled.
#[derive(Debug)]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl OutputFile {
    /// Opens the file, and creates it where there is none.
    pub fn create(path: PathBuf) -> Result<Self, WriteError> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(WriteError { path, source }),
        }
    }

    /// Empties it, and fills it by `write`.
    pub fn write(
        self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        let (written, path) = (self.fill(write), self.path);
        written.map_err(|source| WriteError { path, source })
    }

    fn fill(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        empty(&self.file)?;
        let mut output = BufWriter::new(&self.file);
        write(&mut output)?;
        output.flush()
    }

    /// Its path, and the file to fill it by.
    pub fn into_parts(self) -> (PathBuf, File) {
        (self.path, self.file)
    }
}

impl WriteError {
    /// What kept the file at `path` from being filled.
    pub fn new(path: PathBuf, source: io::Error) -> Self {
        Self { path, source }
    }
}

/// Empties `file`. A pipe or a terminal is always empty.
pub fn empty(file: &File) -> io::Result<()> {
    match file.metadata()?.is_file() {
        true => file.set_len(0),
        false => Ok(()),
    }
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
    fn a_file_that_cannot_be_written_is_named() {
        let nowhere = PathBuf::from("no-such-directory/report.json");
        let error = OutputFile::create(nowhere.clone())
            .map(|_| ())
            .expect_err("no directory");
        let line = error.to_string();
        assert!(
            line.starts_with(&format!("cannot write {}: ", nowhere.display())),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }
}
