//! The metrics that a worker fills in turn.
//!
//! A worker has two [`Metrics`] of 1.7 MB each: one that it fills, and one that the coordinator adds up and returns. If
//! the coordinator has not returned it in time, the interval is merged into the next one. The memory of a run is therefore
//! bounded by the number of threads, however short the intervals are and however slow the coordinator is.

use std::sync::mpsc::{self, Receiver, Sender};

use crate::load::measure::metrics::Metrics;

/// The metrics of one worker that it does not fill now.
pub struct Tallies {
    returned: Receiver<Box<Metrics>>,
    /// Returns metrics to this worker.
    pub sender: Sender<Box<Metrics>>,
    /// The second metrics, until they are needed for the first time.
    unused: Option<Box<Metrics>>,
}

impl Tallies {
    /// Creates the second metrics of a worker. The first are in its recorder.
    pub fn new() -> Self {
        let (sender, returned) = mpsc::channel();
        Self {
            returned,
            sender,
            unused: Some(Box::default()),
        }
    }

    /// Returns empty metrics; `None` if the coordinator has not returned them yet.
    pub fn take(&mut self) -> Option<Box<Metrics>> {
        self.unused.take().or_else(|| self.returned.try_recv().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_b7_a_worker_has_two_tallies_and_reuses_them() {
        let mut tallies = Tallies::new();
        let mut second = tallies.take().expect("the second");
        assert!(tallies.take().is_none(), "both are in use");
        second.response.record(5);
        second.counts.messages = 1;
        second.reset();
        assert!(second.response.histogram.is_empty() && second.response.max == 0);
        assert_eq!(second.counts.messages, 0);
        tallies.sender.send(second).expect("the worker runs");
        assert!(tallies.take().is_some() && tallies.take().is_none());
    }
}
