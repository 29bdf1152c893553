//! What happens in a world, in its order: system calls, changes of state, and what caused them.
//!
//! The connection tells its changes of state to the logger of the process. So the journal is that logger, and a thread
//! that wants a journal starts one. On other threads, and before, nothing is recorded.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::ErrorKind;

use super::super::connection::Progress;
use super::super::readiness::Ready;

/// One entry of a journal. As text, it is a line of the worked traces in `conn/mod.rs`.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// What happens to the connection, or to the world around it.
    Happening(String),
    Event(String, Ready),
    Call(Call),
    /// A line of the connection's log: its change of state.
    Log(String),
    /// What the connection asks for after a run.
    Outcome(Progress, String),
}

/// A system call with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) call: &'static str,
    /// The size of the buffer.
    pub(crate) size: usize,
    pub(crate) answer: Result<usize, ErrorKind>,
    /// The bytes that were read or taken.
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Happening(text) | Self::Event(text, _) => f.write_str(text),
            Self::Call(call) => write!(f, "    {call}"),
            Self::Log(line) => write!(f, "    {line}"),
            Self::Outcome(_, text) => write!(f, "-> {text}"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.answer {
            Ok(n) => write!(f, "{}({}) = {n}", self.call, self.size),
            Err(kind) => write!(f, "{}({}) = {kind:?}", self.call, self.size),
        }
    }
}

thread_local! {
    /// True if this thread keeps a journal. Most worlds keep none, and there are millions.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    static JOURNAL: RefCell<Vec<Entry>> = const { RefCell::new(vec![]) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, line: &log::Record) {
        record(|| Entry::Log(line.args().to_string()));
    }

    fn flush(&self) {}
}

/// Starts an empty journal on this thread.
pub(crate) fn start_journal() {
    // A second call fails and changes nothing.
    let _ = log::set_logger(&Logger);
    log::set_max_level(log::LevelFilter::Trace);
    JOURNAL.set(vec![]);
    IS_KEPT.set(true);
}

/// Ends the journal of this thread, and returns its entries.
pub(crate) fn end_journal() -> Vec<Entry> {
    IS_KEPT.set(false);
    JOURNAL.take()
}

/// Adds an entry, if this thread keeps a journal.
pub(super) fn record(entry: impl FnOnce() -> Entry) {
    if IS_KEPT.get() {
        let entry = entry();
        JOURNAL.with_borrow_mut(|entries| entries.push(entry));
    }
}
