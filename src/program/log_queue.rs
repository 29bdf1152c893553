//! The log of `mio-echo serve`, which never blocks its caller.
//!
//! Standard error may be a pipe that is full or closed. So a record is only formatted into a bounded queue, and one thread
//! writes the lines (`log_sink.rs`).
//!
//! The thread starts with the first line after the start of the server, or at the start if standard error may block: a
//! terminal, a full pipe. A server that logs nothing stays a process of one thread, in which the C library makes system
//! calls without preparing for a cancellation. A second thread costs each echo 90 to 100 instructions in user space (350
//! instead of 250, counted by callgrind with glibc 2.36).

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::bounded_writer::{BoundedWriter, Flushed};
use super::log_format::LineFormat;
use super::log_line::{LogLine, TARGET};
use super::log_sink::Stderr;
use super::whole_lines::{LineSink, WholeLines};

/// Lines that may wait. The thread may hold as many more.
const CAPACITY: usize = 1024;

/// Further lines that may wait if their level is `info` or above: the lines of single connections must not crowd out
/// the last line of the server.
const RESERVED: usize = 64;

/// The log.
pub struct LogQueue {
    level: LevelFilter,
    format: LineFormat,
    lines: Arc<BoundedWriter<LogLine>>,
}

impl LogQueue {
    /// Installs a log to standard error in `format`, of `level` and above. Other crates are logged from warnings up.
    ///
    /// # Errors
    ///
    /// When the process has a logger already.
    pub fn install(level: LevelFilter, format: LineFormat) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self::new(level, format, Stderr::new(format)));
        log::set_boxed_logger(Box::new(Arc::clone(&queue))).map_err(io::Error::other)?;
        log::set_max_level(level);
        Ok(queue)
    }

    fn new(
        level: LevelFilter,
        format: LineFormat,
        sink: impl LineSink<Line = LogLine> + Send + 'static,
    ) -> Self {
        let lines = Mutex::new(WholeLines::new(sink));
        let write = move |line: LogLine| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.write(&line, line.records);
        };
        Self {
            level,
            format,
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
            let line = LogLine::new(record, self.format);
            self.lines.push(line, capacity(record.level()));
        }
    }

    fn flush(&self) {
        let _ = Self::flush(self);
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

#[cfg(test)]
mod tests;
