//! The observers of a server with several loops: a sibling tells the first loop what it has released and counted, and the
//! first loop logs the statistics once all siblings have told theirs.

#[cfg(feature = "threads")]
use std::sync::Arc;

use log::info;

use super::observer::{Observation, Observer};
#[cfg(feature = "threads")]
use super::sibling::SiblingState;
use super::timers::NEVER;

/// Observes a sibling, for the first loop.
#[cfg(feature = "threads")]
pub(super) struct Reporter {
    state: Arc<SiblingState>,
    /// The number of released clients that was published.
    released: usize,
    /// The number of the latest request that was answered.
    answered: u64,
}

/// Observes the first loop.
pub(super) struct StatsLog;

#[cfg(feature = "threads")]
impl Reporter {
    pub(super) fn new(state: Arc<SiblingState>) -> Self {
        Self {
            state,
            released: 0,
            answered: 0,
        }
    }
}

#[cfg(feature = "threads")]
impl Observer for Reporter {
    fn observe(&mut self, observation: &Observation<'_>) {
        let own = &observation.loops.own;
        let released = own.released_count();
        if released != self.released {
            self.released = released;
            self.state.occupancy.set_released(released);
        }
        let request = match observation.has_ended {
            // The last statistics answer every request.
            true => u64::MAX,
            false => self.state.requests.latest(),
        };
        if request != self.answered {
            let are_stats_wanted =
                observation.has_ended || self.state.requests.latest_for_stats() > self.answered;
            let uptime = observation.started.elapsed();
            let stats = are_stats_wanted.then(|| observation.loops.own_stats(uptime));
            self.state.answer(request, stats);
            self.answered = request;
        }
    }

    fn next_deadline(&self) -> u64 {
        NEVER
    }
}

impl Observer for StatsLog {
    fn observe(&mut self, observation: &Observation<'_>) {
        let uptime = observation.started.elapsed();
        if let Some(stats) = observation.loops.take_log(uptime) {
            info!("{stats}");
        }
    }

    fn next_deadline(&self) -> u64 {
        NEVER
    }
}
