//! Help and version on standard output.

use std::io::{self, Write};
use std::process::ExitCode;

use super::exit_code;

/// Prints `text`. Errors are ignored: `mio-echo --help | head` may close the pipe.
pub fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    exit_code::FINISHED.into()
}
