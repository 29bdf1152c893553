//! Adds up the intervals of all workers.
//!
//! Every worker reports every interval of the window. A worker that finishes early, because its messages have ended,
//! reports fewer. An interval is complete when every worker has reported it or has finished before it.

use std::collections::BTreeMap;

use crate::load::measure::metrics::Metrics;

/// The intervals that some workers have reported and others have not.
#[derive(Default)]
pub struct IntervalCollector {
    /// For each worker that has finished, the number of intervals that it has reported.
    finished: Vec<usize>,
    incomplete: BTreeMap<usize, CollectedInterval>,
}

/// The sum of an interval over the workers that have reported it.
#[derive(Default)]
pub struct CollectedInterval {
    reports: usize,
    /// When the interval ended for the last of these workers, in nanoseconds of the monotonic clock.
    pub end: u64,
    /// The sum of the metrics.
    pub metrics: Metrics,
}

impl IntervalCollector {
    /// Adds the interval `index` of one worker, which ended at `end`.
    pub fn add(&mut self, index: usize, end: u64, metrics: &Metrics) {
        let interval = self.incomplete.entry(index).or_default();
        interval.reports += 1;
        interval.end = interval.end.max(end);
        interval.metrics += metrics;
    }

    /// Records that a worker has finished after so many intervals.
    pub fn worker_finished(&mut self, intervals: usize) {
        self.finished.push(intervals);
    }

    /// Returns the number of workers that have finished.
    pub fn finished_workers(&self) -> usize {
        self.finished.len()
    }

    /// Removes and returns the first interval with its number, if all `workers` have completed the interval. Intervals are
    /// complete one after the other.
    pub fn pop_complete(&mut self, workers: usize) -> Option<(usize, CollectedInterval)> {
        let (&index, interval) = self.incomplete.first_key_value()?;
        let absent = self.finished.iter().filter(|reported| **reported <= index);
        match interval.reports + absent.count() == workers {
            true => self.incomplete.pop_first(),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(messages: u64) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.counts.messages = messages;
        metrics
    }

    #[test]
    fn an_interval_is_complete_when_every_worker_reported_it_or_finished_before() {
        let mut intervals = IntervalCollector::default();
        intervals.add(0, 100, &metrics(1));
        assert!(intervals.pop_complete(2).is_none());
        intervals.add(0, 103, &metrics(2));
        let (index, interval) = intervals.pop_complete(2).expect("both reported it");
        assert_eq!(
            (index, interval.end, interval.metrics.counts.messages),
            (0, 103, 3)
        );

        intervals.worker_finished(1);
        intervals.add(1, 200, &metrics(4));
        intervals.add(2, 300, &metrics(5));
        for expected in [(1, 4), (2, 5)] {
            let (index, interval) = intervals.pop_complete(2).expect("the other has finished");
            assert_eq!((index, interval.metrics.counts.messages), expected);
        }
        assert!(intervals.pop_complete(2).is_none());
        assert_eq!(intervals.finished_workers(), 1);
    }
}
