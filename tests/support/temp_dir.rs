//! Where tests write their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

/// A folder that goes when this is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// `test` tells it from those of other tests.
    #[track_caller]
    pub fn new(test: &str) -> Self {
        let name = format!("{test}-{}", process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("making a folder");
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What is left there is in the target folder, and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
