//! The events that a run reports to its caller while it goes on.
//!
//! The caller passes a callback. The callback runs on the thread that called [`prepare`](super::prepare::prepare) or
//! [`ReadyRun::run`](super::prepare::ReadyRun::run), never on a worker's thread. Signals and the workers' events wait
//! until the callback returns, so a callback must not block on the reader of its output.

use std::time::Duration;

use crate::load::measure::interval::Interval;

/// An event of a run.
#[derive(Clone, Debug)]
pub enum RunEvent<'a> {
    /// A phase began.
    PhaseBegan(RunPhase),
    /// The current phase goes on. The duration counts from the start of the phase. Sent at most twice a second.
    Tick(Duration),
    /// An interval of the window ended.
    IntervalFinished(&'a Interval),
    /// A message for the user, one line without a line feed.
    Note(String),
}

/// A phase of a run, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// Connections are opened.
    Connecting,
    /// All connections were tried, and the load starts after this duration.
    Waiting(Duration),
    /// The load runs for this duration and is not measured.
    WarmUp(Duration),
    /// The window: the load is measured for this duration, or, without a duration, until the requested number of
    /// messages is answered.
    Measuring(Option<Duration>),
    /// No new message starts. The last replies may still arrive.
    Finishing,
}
