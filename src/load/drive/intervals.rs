//! Adds up the intervals of all workers.
//!
//! Every worker reports every interval of the window. A worker that finishes early, because its messages have ended,
//! reports fewer. An interval is complete when every worker has reported it or has finished before it. An interval that a
//! worker could not report with its figures is merged into the next one.

use std::collections::BTreeMap;

use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::measure::metrics::{Counts, Metrics};

/// The most intervals with figures that wait for a late worker.
const MOST_WAITING: usize = 8;

/// The intervals that some workers have reported and others have not.
#[derive(Default)]
pub struct IntervalCollector {
    /// For each worker that has finished, the number of intervals that it has reported.
    finished: Vec<usize>,
    incomplete: BTreeMap<usize, CollectedInterval>,
    /// Complete intervals that are merged into the next one, with the number of the first.
    carried: Option<(usize, CollectedInterval)>,
}

/// The sum of an interval over the workers that have reported it.
#[derive(Default)]
pub struct CollectedInterval {
    reports: usize,
    /// When the interval ended for the last of these workers, in nanoseconds of the monotonic clock.
    pub end: u64,
    /// The sum of the response times; `None` before the first.
    pub response: Option<LatencyHistogram>,
    /// The sum of the counts.
    pub counts: Counts,
    /// True if an earlier interval is part of this one.
    pub is_merged: bool,
    merges_into_next: bool,
}

impl CollectedInterval {
    fn add(&mut self, response: &LatencyHistogram, counts: &Counts) {
        *self.response.get_or_insert_default() += response;
        self.counts += counts;
    }
}

impl IntervalCollector {
    /// Adds the interval `index` of one worker, which ended at `end`. Without `metrics`, the figures follow with the next
    /// interval.
    pub fn add(&mut self, index: usize, end: u64, metrics: Option<&Metrics>) {
        let interval = self.incomplete.entry(index).or_default();
        interval.reports += 1;
        interval.end = interval.end.max(end);
        let Some(metrics) = metrics else {
            interval.merges_into_next = true;
            return;
        };
        let first = self.first_to_merge(index);
        for (_, merged) in self.incomplete.range_mut(first..index) {
            merged.merges_into_next = true;
        }
        let interval = self.incomplete.entry(first).or_default();
        interval.add(&metrics.response, &metrics.counts);
    }

    /// Returns the interval that takes the figures of the interval `index`: an earlier one if a worker is so late that too
    /// many intervals wait for it, otherwise `index` itself.
    fn first_to_merge(&self, index: usize) -> usize {
        let with_figures = self.incomplete.iter().filter(|(_, i)| i.response.is_some());
        let numbers: Vec<_> = with_figures.map(|(number, _)| *number).collect();
        let earlier = numbers.iter().rfind(|number| **number <= index);
        match numbers.len() < MOST_WAITING {
            true => index,
            false => earlier.copied().unwrap_or(index),
        }
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
        loop {
            let (&index, interval) = self.incomplete.first_key_value()?;
            let absent = self.finished.iter().filter(|reported| **reported <= index);
            if interval.reports + absent.count() != workers {
                return None;
            }
            let (mut index, mut interval) = self.incomplete.pop_first()?;
            if let Some((first, carried)) = self.carried.take() {
                index = first;
                interval.is_merged = true;
                interval.counts += &carried.counts;
                if let Some(response) = &carried.response {
                    *interval.response.get_or_insert_default() += response;
                }
            }
            match interval.merges_into_next {
                true => self.carried = Some((index, interval)),
                false => return Some((index, interval)),
            }
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
        intervals.add(0, 100, Some(&metrics(1)));
        assert!(intervals.pop_complete(2).is_none());
        intervals.add(0, 103, Some(&metrics(2)));
        let (index, interval) = intervals.pop_complete(2).expect("both reported it");
        assert_eq!((index, interval.end, interval.counts.messages), (0, 103, 3));

        intervals.worker_finished(1);
        intervals.add(1, 200, Some(&metrics(4)));
        intervals.add(2, 300, Some(&metrics(5)));
        for expected in [(1, 4), (2, 5)] {
            let (index, interval) = intervals.pop_complete(2).expect("the other has finished");
            assert_eq!((index, interval.counts.messages), expected);
        }
        assert!(intervals.pop_complete(2).is_none());
        assert_eq!(intervals.finished_workers(), 1);
    }

    #[test]
    fn fault_b7_an_interval_without_the_figures_of_a_worker_is_merged_into_the_next() {
        let mut intervals = IntervalCollector::default();
        intervals.add(0, 100, Some(&metrics(1)));
        intervals.add(0, 100, None);
        assert!(intervals.pop_complete(2).is_none(), "the figures follow");
        intervals.add(1, 200, Some(&metrics(2)));
        intervals.add(1, 200, Some(&metrics(4)));
        let (index, interval) = intervals.pop_complete(2).expect("both reported it");
        let found = (index, interval.end, interval.counts.messages);
        assert_eq!((found, interval.is_merged), ((0, 200, 7), true));
        intervals.add(2, 300, Some(&metrics(1)));
        intervals.add(2, 300, Some(&metrics(1)));
        let (index, interval) = intervals.pop_complete(2).expect("both reported it");
        assert_eq!((index, interval.is_merged), (2, false));
    }

    #[test]
    fn fault_b7_intervals_that_wait_for_a_late_worker_are_merged() {
        let mut intervals = IntervalCollector::default();
        for index in 0..100 {
            intervals.add(index, index as u64, Some(&metrics(1)));
        }
        let with_figures = intervals.incomplete.values();
        let count = with_figures.filter(|i| i.response.is_some()).count();
        assert_eq!(count, MOST_WAITING);
        for index in 0..100 {
            intervals.add(index, index as u64, Some(&metrics(1)));
        }
        let mut sum = 0;
        let mut last = 0;
        while let Some((index, interval)) = intervals.pop_complete(2) {
            assert!(index == 0 || index > last);
            (sum, last) = (sum + interval.counts.messages, index);
        }
        assert_eq!(sum, 200, "nothing is lost");
        assert!(intervals.carried.is_none() && intervals.incomplete.is_empty());
    }
}
