//! Directories for the files of a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::{env, process};

/// A directory that is removed, with its files, when this value is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// Creates a directory. `test` must be unique among the tests of a program.
    #[track_caller]
    pub fn new(test: &str) -> Self {
        Self::new_in(Path::new(env!("CARGO_TARGET_TMPDIR")), test)
    }

    /// Creates a directory that every user can read. The target directory may be closed to other users.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn public(test: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = Self::new_in(&env::temp_dir(), &format!("mio-echo-{test}"));
        fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).expect("a public directory");
        dir
    }

    #[track_caller]
    fn new_in(parent: &Path, test: &str) -> Self {
        let path = parent.join(format!("{test}-{}", process::id()));
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
