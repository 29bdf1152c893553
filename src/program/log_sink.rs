//! Standard error as the stream that gets the lines of the log.
//!
//! simple_logger writes text. It blocks on a full pipe, and panics on a closed one, on a non-blocking stream that is full,
//! and on a file on a full disk. So a write waits until standard error is writable, and a line with a panic counts as lost.
//! simple_logger writes a line with one call and its line feed with another, so a part of a lost line may be written.
//! `WholeLines` begins the next line on a line of its own.
//!
//! Lines of the other formats are written here, with one call.

use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};

use log::{Log, Record};
use simple_logger::SimpleLogger;

use super::log_format::LineFormat;
use super::log_line::LogLine;
use super::retrying_stream::RetryingStream;
use super::standard_streams::wait_until_writable;
use super::whole_lines::LineSink;

thread_local! {
    /// True while this thread writes a line with simple_logger.
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

type WriteLine = dyn Fn(&LogLine) -> io::Result<()> + Send;

/// Standard error.
pub struct Stderr {
    write: Box<WriteLine>,
}

impl Stderr {
    /// Creates the sink of lines in `format`.
    pub fn new(format: LineFormat) -> Self {
        match format {
            LineFormat::Text => {
                silence_panics_of_writes();
                let logger = SimpleLogger::new().with_utc_timestamps();
                Self::with(move |line| log_with(&logger, line))
            }
            LineFormat::Json => Self::with(|line| write_line(line.to_json())),
            LineFormat::Systemd => Self::with(|line| write_line(line.to_systemd())),
        }
    }

    fn with(write: impl Fn(&LogLine) -> io::Result<()> + Send + 'static) -> Self {
        Self {
            write: Box::new(write),
        }
    }
}

impl LineSink for Stderr {
    type Line = LogLine;

    fn write_line(&mut self, line: &LogLine) -> io::Result<()> {
        wait_until_writable(&io::stderr());
        (self.write)(line)
    }

    fn end_line(&mut self) -> io::Result<()> {
        RetryingStream(io::stderr()).write_all(b"\n")
    }

    fn about_lost(&self, lost: u64) -> LogLine {
        LogLine::about_lost(lost)
    }
}

fn write_line(mut text: String) -> io::Result<()> {
    text.push('\n');
    RetryingStream(io::stderr()).write_all(text.as_bytes())
}

/// Writes `line` with `logger`.
///
/// # Errors
///
/// Fails if the logger panics.
fn log_with(logger: &dyn Log, line: &LogLine) -> io::Result<()> {
    let write = || {
        logger.log(
            &Record::builder()
                .level(line.level)
                .target(&line.target)
                .args(format_args!("{}", line.text))
                .build(),
        );
    };
    IS_WRITING.set(true);
    let written = panic::catch_unwind(AssertUnwindSafe(write));
    IS_WRITING.set(false);
    written.map_err(|_| io::Error::other("the logger panicked"))
}

/// Drops the message of a panic while a line is written: the message would go to the stream that caused the panic.
fn silence_panics_of_writes() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !IS_WRITING.get() {
            report(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use log::Metadata;

    use super::*;

    /// A logger that panics, as simple_logger does on a closed pipe.
    struct Panicking;

    impl Log for Panicking {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, _: &Record<'_>) {
            panic!("a test");
        }

        fn flush(&self) {}
    }

    #[test]
    fn fault_s17_a_panic_of_the_logger_is_a_line_that_is_not_written() {
        let mut sink = Stderr::with(|line| log_with(&Panicking, line));
        assert!(sink.write_line(&LogLine::about_lost(1)).is_err());
    }
}
