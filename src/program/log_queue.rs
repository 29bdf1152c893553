//! The log that never blocks its caller.
//!
//! Standard error may be a pipe that is full or closed: simple_logger blocks on the one and panics on the other. So a
//! record is only formatted into a bounded queue, and one thread hands the lines to simple_logger, which stamps them
//! with the time at which it gets them.
//!
//! The thread begins with the first line after the start. A server that has nothing to say stays a process of one
//! thread, in which the C library makes its system calls without preparing for a cancellation: a fourth of all
//! instructions of an echo (350 instead of 250, counted by callgrind with glibc 2.36).

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use super::standard_streams::{PAGE, PATIENCE, takes_at_once};

/// Lines that may wait; as many more may be with the thread that writes them.
const CAPACITY: usize = 1024;

/// As many more if they are of the level `info` or above: those of single connections must not crowd out the last line.
const RESERVED: usize = 64;

const THREAD: &str = "log";

const TARGET: &str = "mio_echo";

/// A handle to the queue.
#[derive(Clone)]
pub struct LogQueue {
    level: LevelFilter,
    state: Arc<QueueState>,
}

impl LogQueue {
    /// Logs to standard error from now on: `level` and above, of other crates warnings at most.
    pub fn install(level: LevelFilter) -> io::Result<Self> {
        let queue = Self::new(level, SimpleLogger::new().with_utc_timestamps());
        log::set_boxed_logger(Box::new(queue.clone())).map_err(io::Error::other)?;
        log::set_max_level(level);
        keep_panics_of_the_log_quiet();
        Ok(queue)
    }

    /// The start is over: from now on a line is written by the thread. Those so far are written here, unless standard
    /// error would keep us waiting.
    pub fn end_start(&self) {
        // Two or three lines are less than a page.
        let lines = self.state.end_start(takes_at_once(&io::stderr(), PAGE));
        for line in lines {
            line.write(&*self.state.sink);
        }
        self.start_thread_if_needed();
    }

    /// Waits until all lines are written, for [`PATIENCE`] at most; says whether they are.
    pub fn flush(&self) -> bool {
        self.state.end_start(false);
        self.start_thread_if_needed();
        let (backlog, _) = self
            .state
            .changed
            .wait_timeout_while(self.state.lock(), PATIENCE, |backlog| !backlog.is_written())
            .unwrap_or_else(PoisonError::into_inner);
        backlog.is_written()
    }

    fn new(level: LevelFilter, sink: impl Log + 'static) -> Self {
        let state = QueueState {
            backlog: Mutex::default(),
            changed: Condvar::new(),
            sink: Box::new(sink),
        };
        Self {
            level,
            state: Arc::new(state),
        }
    }

    /// Without a thread, for want of resources, the lines stay where they are, and the next one tries again.
    fn start_thread_if_needed(&self) {
        if !self.state.claim_thread() {
            return;
        }
        let writer = Arc::clone(&self.state);
        let thread = thread::Builder::new().name(THREAD.into());
        if thread.spawn(move || writer.write_for_ever()).is_err() {
            self.state.lock().has_thread = false;
        }
    }
}

impl Log for LogQueue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
            && (metadata.level() <= Level::Warn || is_ours(metadata.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.state.push(Line {
                level: record.level(),
                target: record.target().to_owned(),
                text: record.args().to_string(),
            });
            self.start_thread_if_needed();
        }
    }

    fn flush(&self) {
        Self::flush(self);
    }
}

struct QueueState {
    backlog: Mutex<Backlog>,
    changed: Condvar,
    sink: Box<dyn Log>,
}

#[derive(Default)]
struct Backlog {
    lines: Vec<Line>,
    lost: u64,
    is_writing: bool,
    is_started: bool,
    has_thread: bool,
}

struct Line {
    level: Level,
    target: String,
    text: String,
}

impl QueueState {
    fn push(&self, line: Line) {
        let mut backlog = self.lock();
        if backlog.lines.len() < room(line.level) {
            backlog.lines.push(line);
        } else {
            backlog.lost += 1;
        }
        drop(backlog);
        self.changed.notify_all();
    }

    /// Takes the lines of the start if `here`.
    fn end_start(&self, here: bool) -> Vec<Line> {
        let mut backlog = self.lock();
        backlog.is_started = true;
        if here {
            mem::take(&mut backlog.lines)
        } else {
            Vec::new()
        }
    }

    /// True, once: there is something to write, and nobody who does.
    fn claim_thread(&self) -> bool {
        let mut backlog = self.lock();
        let is_needed = backlog.is_started && !backlog.has_thread && !backlog.is_written();
        backlog.has_thread |= is_needed;
        is_needed
    }

    fn write_for_ever(&self) {
        let sink = &*self.sink;
        let mut lines = Vec::new();
        loop {
            let lost = self.take(&mut lines);
            for line in lines.drain(..) {
                line.write(sink);
            }
            if lost > 0 {
                Line::about_lost(lost).write(sink);
            }
        }
    }

    /// Swaps the full queue for the empty `lines`, and returns how many lines were lost after those.
    fn take(&self, lines: &mut Vec<Line>) -> u64 {
        let mut backlog = self.lock();
        backlog.is_writing = false;
        self.changed.notify_all();
        let mut backlog = self
            .changed
            .wait_while(backlog, |backlog| backlog.is_written())
            .unwrap_or_else(PoisonError::into_inner);
        backlog.is_writing = true;
        mem::swap(&mut backlog.lines, lines);
        mem::take(&mut backlog.lost)
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backlog {
    fn is_written(&self) -> bool {
        self.lines.is_empty() && !self.is_writing
    }
}

impl Line {
    fn about_lost(lost: u64) -> Self {
        Self {
            level: Level::Warn,
            target: TARGET.into(),
            text: format!("{lost} log lines lost"),
        }
    }

    fn write(&self, sink: &dyn Log) {
        let write = || {
            sink.log(
                &Record::builder()
                    .level(self.level)
                    .target(&self.target)
                    .args(format_args!("{}", self.text))
                    .build(),
            );
        };
        // A line that cannot be written is no reason to give up those that follow.
        let _ = panic::catch_unwind(AssertUnwindSafe(write));
    }
}

/// How many lines may wait before one of `level`.
fn room(level: Level) -> usize {
    match level {
        Level::Error | Level::Warn | Level::Info => CAPACITY + RESERVED,
        Level::Debug | Level::Trace => CAPACITY,
    }
}

fn is_ours(target: &str) -> bool {
    target
        .strip_prefix(TARGET)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn keep_panics_of_the_log_quiet() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name() != Some(THREAD) {
            report(panic);
        }
    }));
}

#[cfg(test)]
mod tests;
