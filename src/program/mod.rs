//! What only the program has: its commands, its standard streams, its log.

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "client")]
pub mod client;
mod exit_code;
pub mod log_queue;
pub mod serve;
pub mod standard_streams;

use std::error::Error;
use std::process::ExitCode;

use standard_streams::write_stderr_bounded;

use crate::cli;

/// Says why, on one line: what was typed, or read, may hold line breaks.
fn fail(error: &dyn Error) -> ExitCode {
    write_stderr_bounded(format!("mio-echo: {}", cli::printable(&error.to_string())));
    exit_code::FAILED.into()
}
