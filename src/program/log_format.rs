//! Which format the lines of the log have.

use crate::cli::LogFormat;

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// The time, the level, the module and the text, as simple_logger writes them.
    Text,
    /// A JSON object.
    Json,
    /// The level as a prefix for the journal, such as `<6>`, and the text (sd-daemon(3)). The journal has its own time.
    Systemd,
}

impl LineFormat {
    /// Returns the format that `--log-format` asks for.
    pub fn resolve(format: LogFormat) -> Self {
        match format {
            LogFormat::Auto if stderr_is_journal() => Self::Systemd,
            LogFormat::Auto | LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
            LogFormat::Systemd => Self::Systemd,
        }
    }
}

/// Returns true if standard error is the stream that systemd has connected to the journal.
///
/// `JOURNAL_STREAM` has the device and the inode of that stream (systemd.exec(5)). A process that a service has started
/// inherits the variable, and may have another standard error.
#[cfg(unix)]
fn stderr_is_journal() -> bool {
    let stream = std::env::var_os("JOURNAL_STREAM");
    let stderr = rustix::fs::fstat(std::io::stderr());
    stream
        .zip(stderr.ok())
        .is_some_and(|(stream, stderr)| *stream == *format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// Returns false: Windows has no systemd.
#[cfg(windows)]
fn stderr_is_journal() -> bool {
    false
}
