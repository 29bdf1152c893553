//! Files that results are written to: created before a measurement, so that none is lost for want of one.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// A file that is to be filled.
pub struct OutputFile {
    path: PathBuf,
    file: File,
}

/// A file that could not be created, or not be filled.
#[derive(Debug)]
pub struct Unwritten {
    path: PathBuf,
    source: io::Error,
}

impl OutputFile {
    /// Creates the file, or empties it.
    pub fn create(path: PathBuf) -> Result<Self, Unwritten> {
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(Unwritten { path, source }),
        }
    }

    /// Fills it by `write`.
    pub fn write<T>(
        self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> Result<T, Unwritten> {
        let mut output = BufWriter::new(self.file);
        write(&mut output)
            .and_then(|result| output.flush().map(|()| result))
            .map_err(|source| Unwritten {
                path: self.path,
                source,
            })
    }
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}", self.path.display(), self.source)
    }
}

impl Error for Unwritten {}

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
