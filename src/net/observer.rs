//! Code outside of the loop that looks at the server once a turn: notifications of a service manager, and figures for
//! monitoring.
//!
//! The loop calls each [`Observer`] right before its wait, and once more when the server has ended. So an observer shows
//! that the loop itself goes on, which a thread of its own could not. Without observers, a turn only checks that there
//! are none.

use std::time::Instant;

use super::Stats;
use super::loops::{Loops, StatsRequest, TurnRequest};

/// Looks at a [`Server`](super::Server) once a turn of its loop. All connections wait meanwhile, so an observer must not
/// block.
///
/// Another thread that wants an observation publishes its request, and then calls
/// [`Handle::wake`](super::Handle::wake).
pub trait Observer: Send {
    /// Looks at the server. The loop waits next, at most until [`next_deadline`](Self::next_deadline).
    fn observe(&mut self, observation: &Observation<'_>);

    /// Returns when the loop must call the observer again, as a time of [`Observation::now`], even if nothing happens until
    /// then. [`NEVER`](super::timers::NEVER) leaves that to the events of the loop.
    fn next_deadline(&self) -> u64;
}

/// What an [`Observer`] sees.
pub struct Observation<'a> {
    /// The time of this turn: monotonic, in nanoseconds.
    pub now: u64,
    /// True from the request to stop on.
    pub is_stopping: bool,
    /// True if the server has ended. There is no further observation.
    pub has_ended: bool,
    pub(super) loops: &'a Loops,
    pub(super) started: Instant,
}

impl Observation<'_> {
    /// Returns the number of connections that are open now. This costs next to nothing.
    #[must_use]
    pub fn active(&self) -> usize {
        self.loops.active()
    }

    /// Lets the next connection that another loop closes call the observers. The caller then looks at
    /// [`active`](Self::active).
    pub fn await_close(&self) {
        self.loops.await_release();
    }

    /// Asks every loop to turn. The observer is called again when another loop has answered.
    #[must_use]
    pub fn request_turn(&self) -> TurnRequest {
        self.loops.request_turn()
    }

    /// Returns true if every loop has turned since `request`.
    #[must_use]
    pub fn have_turned(&self, request: TurnRequest) -> bool {
        self.loops.have_turned(request)
    }

    /// Asks every loop for its statistics. The observer is called again when another loop has answered.
    #[must_use]
    pub fn request_stats(&self) -> StatsRequest {
        self.loops.request_stats()
    }

    /// Returns the statistics since the start, not older than `request`. Returns `None` while another loop has not
    /// answered: with one loop, never. At the end, the result is `None` only if a loop has panicked.
    ///
    /// Each loop adds up a figure of every open connection.
    #[must_use]
    pub fn stats(&self, request: StatsRequest) -> Option<Stats> {
        self.loops.stats(request, self.started.elapsed())
    }
}
