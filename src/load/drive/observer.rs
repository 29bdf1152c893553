//! What a measurement tells while it runs.

use std::time::Duration;

use crate::load::measure::results::Interval;

/// Whoever shows how a measurement goes. Called on the thread that called [`prepare`](super::prepare()) or
/// [`ReadyRun::run`](super::Prepared::run()), never from a loop that measures. What loops report, and signals, wait until
/// it returns: it must do so at once, whoever reads what it shows.
pub trait RunObserver {
    /// A phase begins.
    fn phase(&mut self, phase: RunPhase);

    /// The current phase goes on; `elapsed` since it began. At most twice a second.
    fn tick(&mut self, elapsed: Duration);

    /// An interval of the window is over.
    fn interval(&mut self, interval: &Interval);

    /// Something that whoever measures should know, on one line without an end: a server that was started, a lack of
    /// ports that is to come, a peer that does not read.
    fn note(&mut self, line: &str);
}

/// What a measurement is about, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// Connections are opened.
    Connecting,
    /// The moment is awaited at which the load is to begin; so long from now.
    Waiting(Duration),
    /// There is load that is not measured, for so long.
    WarmUp(Duration),
    /// The window, for so long; none: until the messages that were asked for are answered.
    Measuring(Option<Duration>),
    /// No message is begun; the last replies are awaited.
    Finishing,
}
