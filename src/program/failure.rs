//! How a command that failed says so: one line on standard error, and an exit code.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use super::exit_code;
use super::standard_streams::write_stderr_bounded;
use crate::cli::escape_control;

/// Reports what the user should know of a command that goes on.
#[cfg(feature = "bench")]
pub fn note(text: &str) {
    report(text);
}

/// Reports why the command could not run.
pub fn fail(error: &dyn Error) -> ExitCode {
    report(&error.to_string());
    exit_code::FAILED.into()
}

/// Reports why the command line was refused.
pub fn refuse(reason: &str) -> ExitCode {
    report(reason);
    exit_code::USAGE.into()
}

/// Adds to `error` what could not be done, such as "write report.json".
pub fn cannot(action: impl Display, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {action}: {error}"))
}

/// The text may quote input with line breaks. They must not break the line.
fn report(text: &str) {
    write_stderr_bounded(&format!("mio-echo: {}", escape_control(text)));
}
