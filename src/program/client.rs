//! `mio-echo client`: connects the standard streams to the client, and turns its result into an exit code.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use mio_echo::client::{self, ExchangeSummary, Failure, Messages};

use super::exit_code;
use super::failure::fail;
use super::standard_streams::{can_read_without_blocking, stdin, stdout, write_stderr_bounded};
use super::text_lines::TextLines;
use super::warnings;
use super::whole_lines::WholeLines;
use crate::cli::ClientOptions;

/// Runs the client to its end. Threads that read or write the standard streams may still be blocked there. The exit of
/// the process ends them.
pub fn run(options: ClientOptions) -> ExitCode {
    warnings::pass_to(|line| write_stderr_bounded(&format!("mio-echo: {line}")));
    let result = match &options.messages {
        Some(messages) => exchange(&options, messages),
        None => pipe(&options).map(|()| exit_code::FINISHED.into()),
    };
    result.unwrap_or_else(|failure| fail_unless_broken_pipe(&failure))
}

fn pipe(options: &ClientOptions) -> Result<(), Failure> {
    let input = stdin().map_err(Failure::Input)?;
    let can_read = || can_read_without_blocking(&io::stdin());
    client::pipe(&options.config, input, output(options)?, can_read)
}

/// Returns standard output, or a sink with `--quiet`.
fn output(options: &ClientOptions) -> Result<Box<dyn Write + Send>, Failure> {
    if options.quiet {
        Ok(Box::new(io::sink()))
    } else {
        Ok(Box::new(stdout().map_err(Failure::Output)?))
    }
}

fn exchange(options: &ClientOptions, messages: &Messages) -> Result<ExitCode, Failure> {
    let mut output = BufWriter::new(output(options)?);
    let mut summary = client::exchange(&options.config, messages, &mut output)?;
    let mut errors = WholeLines::new(TextLines::new(io::stderr(), "mio-echo: "));
    for (connection, failure) in &summary.failures {
        let line = format!("mio-echo: connection {connection}: {failure}");
        errors.write(&line, 1);
    }
    let replies_written = summary.output_error.take().map_or(Ok(()), Err);
    let written = replies_written
        .and_then(|()| writeln!(output, "{summary}"))
        .and_then(|()| output.flush())
        .map_err(|error| fail_unless_broken_pipe(&Failure::Output(error)));
    Ok(exit_code(&summary, written))
}

/// A reply that differed counts more than output that failed, and both count more than a failed connection.
fn exit_code(summary: &ExchangeSummary, written: Result<(), ExitCode>) -> ExitCode {
    match written {
        _ if summary.differs() => exit_code::WRONG_BYTES.into(),
        Err(code) => code,
        Ok(()) if summary.failures.is_empty() => exit_code::FINISHED.into(),
        Ok(()) => exit_code::FAILED.into(),
    }
}

/// Reports `failure`, unless standard output was closed by its reader: `mio-echo client | head` is no error to report.
fn fail_unless_broken_pipe(failure: &Failure) -> ExitCode {
    if failure.is_broken_pipe() {
        exit_code::FAILED.into()
    } else {
        fail(failure)
    }
}
