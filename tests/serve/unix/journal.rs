//! The log of a service of systemd, whose standard error may be the journal's.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use crate::support::Server;
use crate::support::server::serve;
use crate::support::temp_dir::TempDir;

/// Starts and stops a server whose standard error is a file in `dir`. Returns the contents of the file. `JOURNAL_STREAM` names the file
/// with the inode number plus `off`.
#[track_caller]
fn log_with_journal(dir: &TempDir, format: &str, off: u64) -> String {
    let path = dir.file("log");
    let log = File::create(&path).expect("a file");
    let stream = log.metadata().expect("its inode");
    let mut command = serve();
    command.env(
        "JOURNAL_STREAM",
        format!("{}:{}", stream.dev(), stream.ino() + off),
    );
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--stop-on-eof",
        "--log-format",
        format,
    ]);
    command.stdout(Stdio::piped()).stderr(log);
    let server = Server::spawn_without_waiting(command);
    assert!(server.has_started());
    server.stop();
    fs::read_to_string(path).expect("the log")
}

#[test]
fn the_log_of_the_journal_has_levels_and_no_time() {
    let dir = TempDir::new("journal");
    for (format, off) in [("auto", 0), ("systemd", 0), ("systemd", 1)] {
        let log = log_with_journal(&dir, format, off);
        assert!(log.starts_with("<6>up to "), "{format} {off}: {log}");
        assert!(
            log.lines().all(|line| line.starts_with("<6>")),
            "{format} {off}: {log}"
        );
    }
}

#[test]
fn a_log_beside_the_journal_is_text() {
    let dir = TempDir::new("beside-journal");
    for (format, off) in [("auto", 1), ("text", 0), ("text", 1)] {
        let log = log_with_journal(&dir, format, off);
        assert!(
            log.lines().all(|line| line.contains("Z INFO  [mio_echo")),
            "{format} {off}: {log}"
        );
    }
}
