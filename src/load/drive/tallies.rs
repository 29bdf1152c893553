//! The metrics that a worker fills in turn.
//!
//! A worker has two [`Metrics`] of 2 MB each: one that it fills, and one that the coordinator adds up and returns. It has
//! two [`BatchMetrics`] of 0.3 MB in the same way. If the coordinator has not returned one in time, a part of the window is
//! merged into the next one. The memory of a run is therefore bounded by the number of threads, however short the parts are
//! and however slow the coordinator is.

use std::sync::mpsc::{self, Receiver, Sender};

use crate::load::measure::metrics::{BatchMetrics, Metrics};

/// The metrics of a part of the window, with the way back to the worker.
#[derive(Debug)]
pub enum Tally {
    /// The part ended with a batch. The other metrics follow at the end of the interval.
    Batch(Box<BatchMetrics>, Sender<Box<BatchMetrics>>),
    /// The part ended with an interval.
    Interval(Box<Metrics>, Sender<Box<Metrics>>),
    /// The metrics will be those of the next part.
    Later,
}

/// The metrics of one worker that it does not fill now.
#[derive(Default)]
pub struct Tallies {
    /// Those that are exchanged at the end of a batch.
    pub batch: Second<BatchMetrics>,
    /// Those that are exchanged at the end of an interval.
    pub interval: Second<Metrics>,
}

/// The second of two values. The first is in the recorder of the worker.
pub struct Second<T> {
    returned: Receiver<Box<T>>,
    /// Returns the value to this worker.
    pub sender: Sender<Box<T>>,
    /// The value, until it is needed for the first time.
    unused: Option<Box<T>>,
}

impl<T> Second<T> {
    /// Returns the value, empty; `None` if the coordinator has not returned it yet.
    pub fn take(&mut self) -> Option<Box<T>> {
        self.unused.take().or_else(|| self.returned.try_recv().ok())
    }
}

impl<T: Default> Default for Second<T> {
    fn default() -> Self {
        let (sender, returned) = mpsc::channel();
        Self {
            returned,
            sender,
            unused: Some(Box::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_b7_a_worker_has_two_tallies_and_reuses_them() {
        let mut tallies = Tallies::default();
        let mut second = tallies.interval.take().expect("the second");
        assert!(tallies.interval.take().is_none(), "both are in use");
        second.response.record(5);
        second.counts.messages = 1;
        second.reset();
        assert!(second.response.histogram.is_empty() && second.response.max == 0);
        assert_eq!(second.counts.messages, 0);
        let sender = &tallies.interval.sender;
        sender.send(second).expect("the worker runs");
        assert!(tallies.interval.take().is_some() && tallies.interval.take().is_none());
        assert!(tallies.batch.take().is_some() && tallies.batch.take().is_none());
    }
}
