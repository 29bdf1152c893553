//! Events, and what a connection asks for after a run, in the words of the worked traces.

use super::super::connection::{Connection, Progress};
use super::super::readiness::Ready;

/// The nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// What the loop registers for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Armed {
    ReadOnly,
    Write,
    /// The connection has asked for write events, and the rule that arms them is broken.
    WriteNotThoughWanted,
}

impl Armed {
    /// Returns what a sound loop registers for.
    pub(crate) fn asked_by(connection: &Connection) -> Self {
        if connection.wants_write() {
            Self::Write
        } else {
            Self::ReadOnly
        }
    }
}

/// Returns what `connection` asks for, and whether the loop arms write events: `Wait | WRITABLE armed | Write timer since
/// 1 s`.
pub(crate) fn outcome(progress: Progress, armed: Armed, connection: &Connection) -> String {
    let mut outcome = format!("{progress:?}");
    match armed {
        Armed::Write => outcome += " | WRITABLE armed",
        Armed::WriteNotThoughWanted => outcome += " | WRITABLE wanted, not armed",
        Armed::ReadOnly => {}
    }
    if let Some(timer) = connection.timer() {
        let since = connection.timer_started() / SECOND;
        outcome += &format!(" | {timer:?} timer since {since} s");
    }
    outcome
}

/// Returns what an event reports: `readable`, `read closed`.
pub(crate) fn parts(ready: Ready) -> Vec<&'static str> {
    let parts = [
        (ready.readable, "readable"),
        (ready.writable, "writable"),
        (ready.read_closed, "read closed"),
        (ready.write_closed, "write closed"),
        (ready.priority, "urgent mark"),
        (ready.error, "error"),
    ];
    let reported = parts.into_iter().filter(|(is_reported, _)| *is_reported);
    reported.map(|(_, name)| name).collect()
}
