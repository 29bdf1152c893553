//! Directories for the files of a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

/// A directory that is removed, with its files, when this value is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// Creates a directory. `test` must be unique among the tests of a program.
    #[track_caller]
    pub fn new(test: &str) -> Self {
        let name = format!("{test}-{}", process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("creating a directory");
        Self(path)
    }

    /// Returns the path of the file `name`, which need not exist.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes the file `name` and returns its path.
    #[track_caller]
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, bytes).expect("writing a file");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A directory that cannot be removed stays in the target directory, where it does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
