//! The log of `mio-echo serve`, which never blocks its caller.
//!
//! Standard error may be a pipe that is full or closed: simple_logger blocks on a full pipe and panics on a closed one.
//! So a record is only formatted into a bounded queue. One thread hands the lines to simple_logger, which stamps a line
//! with the time at which the thread hands it over.
//!
//! simple_logger panics too if standard error is non-blocking and full, or a file on a full disk. So the thread waits until
//! standard error is writable, and a line with a panic counts as lost. simple_logger writes a line with one call and its line
//! feed with another, so a part of a lost line may be written. [`WholeLines`] begins the next line on a line of its own.
//!
//! The thread starts with the first line after the start of the server, or at the start if standard error may block: a
//! terminal, a full pipe. A server that logs nothing stays a process of one thread, in which the C library makes system
//! calls without preparing for a cancellation. A second thread costs each echo 90 to 100 instructions in user space (350
//! instead of 250, counted by callgrind with glibc 2.36).

use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use super::bounded_writer::{BoundedWriter, Flushed};
use super::retrying_stream::RetryingStream;
use super::standard_streams::{can_write_without_blocking, wait_until_writable};
use super::whole_lines::{LineSink, WholeLines};

/// Lines that may wait. The thread may hold as many more.
const CAPACITY: usize = 1024;

/// Further lines that may wait if their level is `info` or above: the lines of single connections must not crowd out
/// the last line of the server.
const RESERVED: usize = 64;

/// The most bytes of a written line beside its target and its text: the time, the level and punctuation, and a line about
/// lost lines before it.
const LINE_OVERHEAD: usize = 160;

/// The log target of this crate.
const TARGET: &str = "mio_echo";

thread_local! {
    /// True while this thread writes a line.
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

/// The log.
pub struct LogQueue {
    level: LevelFilter,
    lines: Arc<BoundedWriter<LogLine>>,
}

impl LogQueue {
    /// Installs a log to standard error, of `level` and above. Other crates are logged from warnings up.
    ///
    /// # Errors
    ///
    /// When the process has a logger already.
    pub fn install(level: LevelFilter) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self::new(
            level,
            Stderr(SimpleLogger::new().with_utc_timestamps()),
        ));
        log::set_boxed_logger(Box::new(Arc::clone(&queue))).map_err(io::Error::other)?;
        log::set_max_level(level);
        silence_panics_of_writes();
        Ok(queue)
    }

    fn new(level: LevelFilter, sink: impl LineSink<Line = LogLine> + Send + 'static) -> Self {
        let lines = Mutex::new(WholeLines::new(sink));
        let write = move |line: LogLine| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.write(&line, line.records);
        };
        Self {
            level,
            lines: BoundedWriter::new("log", write, LogLine::can_be_written, LogLine::about_lost),
        }
    }

    /// Ends the start of the server: from now on the thread writes the lines. The lines so far are written here, unless
    /// standard error may block.
    pub fn end_start(&self) {
        self.lines.begin();
    }

    /// Waits until all lines are written, as long as [`BoundedWriter::flush`] waits.
    pub fn flush(&self) -> Flushed {
        self.lines.flush()
    }
}

impl Log for LogQueue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_logged_for_all = metadata.level() <= Level::Warn;
        metadata.level() <= self.level && (is_logged_for_all || is_ours(metadata.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = LogLine {
                level: record.level(),
                target: record.target().to_owned(),
                text: record.args().to_string(),
                records: 1,
            };
            self.lines.push(line, capacity(record.level()));
        }
    }

    fn flush(&self) {
        let _ = Self::flush(self);
    }
}

/// A formatted record.
struct LogLine {
    level: Level,
    target: String,
    text: String,
    /// The number of records that are lost with this line. A line about lost records stands for all of them.
    records: u64,
}

impl LogLine {
    fn about_lost(lost: u64) -> Self {
        Self {
            level: Level::Warn,
            target: TARGET.into(),
            text: format!("{lost} log lines lost"),
            records: lost,
        }
    }

    /// Returns true if standard error takes the line without blocking.
    fn can_be_written(&self) -> bool {
        let length = self.target.len() + self.text.len() + LINE_OVERHEAD;
        can_write_without_blocking(&io::stderr(), length)
    }

    /// Writes the line with `logger`.
    ///
    /// # Errors
    ///
    /// Fails if the logger panics.
    fn write(&self, logger: &dyn Log) -> io::Result<()> {
        let write = || {
            logger.log(
                &Record::builder()
                    .level(self.level)
                    .target(&self.target)
                    .args(format_args!("{}", self.text))
                    .build(),
            );
        };
        IS_WRITING.set(true);
        let written = panic::catch_unwind(AssertUnwindSafe(write));
        IS_WRITING.set(false);
        written.map_err(|_| io::Error::other("the logger panicked"))
    }
}

/// Standard error, to which this logger writes.
struct Stderr<L>(L);

impl<L: Log> LineSink for Stderr<L> {
    type Line = LogLine;

    fn write_line(&mut self, line: &LogLine) -> io::Result<()> {
        wait_until_writable(&io::stderr());
        line.write(&self.0)
    }

    fn end_line(&mut self) -> io::Result<()> {
        RetryingStream(io::stderr()).write_all(b"\n")
    }

    fn about_lost(&self, lost: u64) -> LogLine {
        LogLine::about_lost(lost)
    }
}

/// Returns how many lines may wait when a line of `level` is added.
fn capacity(level: Level) -> usize {
    match level {
        Level::Error | Level::Warn | Level::Info => CAPACITY + RESERVED,
        Level::Debug | Level::Trace => CAPACITY,
    }
}

/// Returns true if `target` belongs to this crate.
fn is_ours(target: &str) -> bool {
    target
        .strip_prefix(TARGET)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
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
mod tests;
