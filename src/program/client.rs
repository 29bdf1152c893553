//! `mio-echo client`: the standard streams, and what its end means to the shell.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use mio_echo::client::{self, ExchangeSummary, Failure, Messages};
use mio_echo::patient::RetryingWriter;

use super::exit_code;
use super::standard_streams::is_readable_at_once;
use crate::cli::Client;

/// Runs it to its end. Threads that read or write the standard streams may still be blocked there: nobody waits for them.
pub fn run(options: Client) -> ExitCode {
    let result = match &options.messages {
        Some(messages) => exchange(&options, messages),
        None => pipe(&options).map(|()| exit_code::FINISHED.into()),
    };
    result.unwrap_or_else(|failure| tell(&failure))
}

fn pipe(options: &Client) -> Result<(), Failure> {
    let (config, input) = (&options.config, io::stdin());
    let is_readable = || is_readable_at_once(&io::stdin());
    if options.quiet {
        client::pipe(config, input, io::sink(), is_readable)
    } else {
        client::pipe(config, input, io::stdout(), is_readable)
    }
}

fn exchange(options: &Client, messages: &Messages) -> Result<ExitCode, Failure> {
    let mut output: Box<dyn Write> = if options.quiet {
        Box::new(io::sink())
    } else {
        Box::new(BufWriter::new(RetryingWriter(io::stdout().lock())))
    };
    let mut report = client::exchange(&options.config, messages, &mut output)?;
    for (connection, failure) in &report.failures {
        let _ = writeln!(io::stderr(), "mio-echo: connection {connection}: {failure}");
    }
    let lines = report.output_error.take().map_or(Ok(()), Err);
    let printed = lines
        .and_then(|()| writeln!(output, "{report}"))
        .and_then(|()| output.flush())
        .map_err(|error| tell(&Failure::Output(error)));
    Ok(exit_code_of(&report, printed))
}

fn exit_code_of(report: &ExchangeSummary, printed: Result<(), ExitCode>) -> ExitCode {
    match printed {
        _ if report.differs() => exit_code::WRONG_BYTES.into(),
        Err(code) => code,
        Ok(()) if report.failures.is_empty() => exit_code::FINISHED.into(),
        Ok(()) => exit_code::FAILED.into(),
    }
}

/// That nobody reads standard output any longer is no news to whoever is there.
fn tell(failure: &Failure) -> ExitCode {
    match failure.is_broken_pipe() {
        true => exit_code::FAILED.into(),
        false => super::fail(failure),
    }
}
