//! The report on standard output, and the exit code that follows from it.

use std::io::{self, IsTerminal, Write};

use mio_echo::load::Outcome;
use terminal_size::{Width, terminal_size_of};

use super::wrap::wrap;
use crate::cli::ReportOptions;
use crate::program::exit_code;
use crate::program::failure::cannot;
use crate::program::standard_streams::stdout;

/// Returns standard output, for the report.
///
/// # Errors
///
/// When standard output cannot be opened.
pub fn report_output() -> io::Result<impl Write> {
    stdout().map_err(cannot_print)
}

/// Returns a report for standard output: with its long lines wrapped, if that is a terminal.
pub fn for_terminal(text: String) -> String {
    match io::stdout()
        .is_terminal()
        .then(|| terminal_size_of(io::stdout()))
    {
        Some(Some((Width(columns), _))) => wrap(&text, columns.into()),
        Some(None) | None => text,
    }
}

/// Prints the report.
///
/// # Errors
///
/// When standard output cannot be written.
pub fn print(text: &str, mut output: impl Write) -> io::Result<()> {
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(cannot_print)
}

fn cannot_print(error: io::Error) -> io::Error {
    cannot("print the report", error)
}

/// Returns the exit code of a measurement, or of several, with this outcome.
pub fn code_of(outcome: Outcome, options: &ReportOptions) -> u8 {
    match outcome {
        Outcome::WrongBytes => exit_code::WRONG_BYTES,
        Outcome::ObjectiveMissed => exit_code::OBJECTIVE_MISSED,
        Outcome::Interrupted(signal) => exit_code::of_signal(signal),
        Outcome::NothingAnswered => exit_code::FAILED,
        Outcome::Suspect if options.strict => exit_code::SUSPECT,
        Outcome::Suspect | Outcome::Finished => exit_code::FINISHED,
    }
}
