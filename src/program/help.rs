//! Help and version on standard output.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use super::exit_code;
use super::failure::{cannot, fail};
use super::standard_streams::stdout;

/// Prints `text`. A closed pipe is no failure: `mio-echo --help | head` may close it.
pub fn print(text: &str) -> ExitCode {
    let printed = stdout().and_then(|mut output| {
        output.write_all(text.as_bytes())?;
        output.flush()
    });
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            fail(&cannot("write standard output", error))
        }
        Ok(()) | Err(_) => exit_code::FINISHED.into(),
    }
}
