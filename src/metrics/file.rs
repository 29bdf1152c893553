//! The file of metrics, which is replaced as a whole, so that a reader never finds a part of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use log::{info, warn};

/// The time between two writes, in nanoseconds. Prometheus' node_exporter reads such files at every scrape, usually every
/// 15 s or more.
pub(super) const INTERVAL: u64 = 10_000_000_000;

/// A file that is written every [`INTERVAL`].
#[derive(Debug)]
pub(super) struct MetricsFile {
    path: PathBuf,
    /// The new contents, until they are complete. The name does not end with `.prom`, so node_exporter ignores the file.
    temporary: PathBuf,
    next_write: u64,
    /// True if the last write has failed.
    is_failing: bool,
}

impl MetricsFile {
    /// Creates no file yet: the first write is due at once.
    pub(super) fn new(path: PathBuf) -> Self {
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        Self {
            path,
            temporary: temporary.into(),
            next_write: 0,
            is_failing: false,
        }
    }

    /// Returns when the next write is due, as a time of the loop.
    pub(super) fn next_write(&self) -> u64 {
        self.next_write
    }

    /// Replaces the contents by `text` at `now`. Of several failures in a row, the first is logged.
    pub(super) fn write(&mut self, text: &str, now: u64) {
        self.next_write = now.saturating_add(INTERVAL);
        let path = self.path.display();
        let replaced = self.replace(text);
        match &replaced {
            Ok(()) if self.is_failing => info!("metrics are written to {path} again"),
            Err(error) if !self.is_failing => {
                warn!("cannot write metrics to {path}: {error}; trying again every 10 s");
            }
            Ok(()) | Err(_) => {}
        }
        self.is_failing = replaced.is_err();
    }

    /// Replaces a file. Anything else, such as a device or a link, stays as it is.
    fn replace(&self, text: &str) -> io::Result<()> {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("not a regular file"));
        }
        let replaced = self
            .write_temporary(text)
            .and_then(|()| fs::rename(&self.temporary, &self.path));
        if replaced.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&self.temporary);
        }
        replaced
    }

    /// Writes the temporary file. A file of its name is removed first, and not opened: in a directory that others can
    /// write to, the file could be a link.
    fn write_temporary(&self, text: &str) -> io::Result<()> {
        // Usually there is no such file.
        let _ = fs::remove_file(&self.temporary);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .open(&self.temporary)?;
        file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that is removed with its files.
    struct Dir(PathBuf);

    impl Dir {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{test}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a directory");
            Self(path)
        }

        /// Returns the names of its files.
        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("a directory");
            let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
            let names = entries.map(|entry| name(entry).to_string_lossy().into_owned());
            names.collect()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn fault_e4_the_file_is_replaced_and_leaves_no_other_file() {
        let dir = Dir::new("mio-echo-metrics-file");
        let path = dir.0.join("echo.prom");
        let mut file = MetricsFile::new(path.clone());
        assert_eq!(file.next_write(), 0);
        for (text, now) in [("a 1\n", 5), ("b 2\n", 7)] {
            // What an earlier process has left.
            fs::write(dir.0.join("echo.prom.tmp"), "half").expect("a file");
            file.write(text, now);
            assert_eq!(fs::read_to_string(&path).expect("the file"), text);
            assert_eq!(dir.names(), ["echo.prom"]);
            assert_eq!(file.next_write(), now + INTERVAL);
        }
    }

    #[test]
    fn fault_e4_a_write_that_fails_is_tried_again_and_leaves_no_file() {
        let dir = Dir::new("mio-echo-metrics-file-fails");
        let path = dir.0.join("echo.prom");
        let mut file = MetricsFile::new(path.clone());
        // A directory cannot be replaced by a file.
        fs::create_dir(&path).expect("a directory");
        file.write("a 1\n", 5);
        assert!(file.is_failing);
        assert_eq!(dir.names(), ["echo.prom"]);
        assert_eq!(file.next_write(), 5 + INTERVAL);
        fs::remove_dir(&path).expect("removing a directory");
        file.write("a 1\n", 6);
        assert!(!file.is_failing);
        assert_eq!(fs::read_to_string(&path).expect("the file"), "a 1\n");
    }

    #[cfg(unix)]
    #[test]
    fn fault_e4_a_link_in_place_of_the_temporary_file_is_not_followed() {
        let dir = Dir::new("mio-echo-metrics-file-link");
        let (path, victim) = (dir.0.join("echo.prom"), dir.0.join("victim"));
        fs::write(&victim, "precious").expect("a file");
        std::os::unix::fs::symlink(&victim, dir.0.join("echo.prom.tmp")).expect("a link");
        MetricsFile::new(path.clone()).write("a 1\n", 5);
        assert_eq!(fs::read_to_string(&victim).expect("the file"), "precious");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "a 1\n");
    }

    #[cfg(unix)]
    #[test]
    fn fault_e4_a_link_or_a_device_in_place_of_the_file_stays() {
        let dir = Dir::new("mio-echo-metrics-file-device");
        let (link, target) = (dir.0.join("link"), dir.0.join("target"));
        fs::write(&target, "precious").expect("a file");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        let socket = dir.0.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        for path in [&link, &socket] {
            let kind = |path| fs::symlink_metadata(path).expect("a file").file_type();
            let before = kind(path);
            let mut file = MetricsFile::new(path.clone());
            file.write("a 1\n", 5);
            assert!(file.is_failing);
            assert_eq!(kind(path), before);
        }
        assert_eq!(fs::read_to_string(&target).expect("the file"), "precious");
    }
}
