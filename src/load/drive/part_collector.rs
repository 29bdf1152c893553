//! Adds up what all workers report of each part of the window.
//!
//! Every worker reports every part of the window. A worker that finishes early, because its messages have ended, reports
//! fewer. A part is complete when every worker has reported it or has finished before it. A part that a worker could not
//! report with its figures is merged into the next one.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::measure::metrics::Counts;

/// The most parts with figures that wait for a late worker: half of the batches of a window.
const MOST_WAITING: usize = 32;

/// The parts that some workers have reported and others have not.
#[derive(Default)]
pub struct PartCollector {
    /// For each worker that has finished, the number of parts that it has reported.
    finished: Vec<usize>,
    incomplete: BTreeMap<usize, CollectedPart>,
    /// Complete parts that are merged into the next one.
    carried: Option<CollectedPart>,
}

/// The sum of a part over the workers that have reported it.
#[derive(Default)]
pub struct CollectedPart {
    reports: usize,
    /// When the part ended for the last of these workers, in nanoseconds from the start of the window.
    pub end: u64,
    /// The sum of the response times; `None` before the first.
    pub response: Option<LatencyHistogram>,
    /// The sum of the counts.
    pub counts: Counts,
    merges_into_next: bool,
}

impl PartCollector {
    /// Adds the part `index` of one worker, which ended at `end`. Without `figures`, they follow with the next part.
    pub fn add(&mut self, index: usize, end: u64, figures: Option<(&LatencyHistogram, &Counts)>) {
        let part = self.incomplete.entry(index).or_default();
        part.reports += 1;
        part.end = part.end.max(end);
        let Some((response, counts)) = figures else {
            part.merges_into_next = true;
            return;
        };
        let first = self.first_to_merge(index);
        for (_, merged) in self.incomplete.range_mut(first..index) {
            merged.merges_into_next = true;
        }
        let part = self.incomplete.entry(first).or_default();
        *part.response.get_or_insert_default() += response;
        part.counts += counts;
    }

    /// Returns the part that takes the figures of the part `index`: an earlier one if a worker is so late that too
    /// many parts wait for it, otherwise `index` itself.
    fn first_to_merge(&self, index: usize) -> usize {
        let with_figures = self.incomplete.iter().filter(|(_, i)| i.response.is_some());
        let numbers: Vec<_> = with_figures.map(|(number, _)| *number).collect();
        let earlier = numbers.iter().rfind(|number| **number <= index);
        match numbers.len() < MOST_WAITING {
            true => index,
            false => earlier.copied().unwrap_or(index),
        }
    }

    /// Records that a worker has finished after so many parts.
    pub fn worker_finished(&mut self, parts: usize) {
        self.finished.push(parts);
    }

    /// Returns the number of workers that have finished.
    pub fn finished_workers(&self) -> usize {
        self.finished.len()
    }

    /// Removes and returns the first part if all `workers` have completed it. Parts are complete one after the other.
    pub fn pop_complete(&mut self, workers: usize) -> Option<CollectedPart> {
        loop {
            let (&index, part) = self.incomplete.first_key_value()?;
            let absent = self.finished.iter().filter(|reported| **reported <= index);
            if part.reports + absent.count() != workers {
                return None;
            }
            let (_, mut part) = self.incomplete.pop_first()?;
            if let Some(carried) = self.carried.take() {
                part += &carried;
            }
            match part.merges_into_next {
                true => self.carried = Some(part),
                false => return Some(part),
            }
        }
    }
}

/// Adds the figures of another part.
impl AddAssign<&CollectedPart> for CollectedPart {
    fn add_assign(&mut self, other: &CollectedPart) {
        self.end = self.end.max(other.end);
        self.counts += &other.counts;
        if let Some(response) = &other.response {
            *self.response.get_or_insert_default() += response;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a part with so many messages.
    fn add(parts: &mut PartCollector, index: usize, end: u64, messages: u64) {
        let counts = Counts {
            messages,
            ..Counts::default()
        };
        parts.add(index, end, Some((&LatencyHistogram::default(), &counts)));
    }

    #[test]
    fn an_part_is_complete_when_every_worker_reported_it_or_finished_before() {
        let mut parts = PartCollector::default();
        add(&mut parts, 0, 100, 1);
        assert!(parts.pop_complete(2).is_none());
        add(&mut parts, 0, 103, 2);
        let part = parts.pop_complete(2).expect("both reported it");
        assert_eq!((part.end, part.counts.messages), (103, 3));

        parts.worker_finished(1);
        add(&mut parts, 1, 200, 4);
        add(&mut parts, 2, 300, 5);
        for expected in [(200, 4), (300, 5)] {
            let part = parts.pop_complete(2).expect("the other has finished");
            assert_eq!((part.end, part.counts.messages), expected);
        }
        assert!(parts.pop_complete(2).is_none());
        assert_eq!(parts.finished_workers(), 1);
    }

    #[test]
    fn fault_b7_a_part_without_the_figures_of_a_worker_is_merged_into_the_next() {
        let mut parts = PartCollector::default();
        add(&mut parts, 0, 100, 1);
        parts.add(0, 100, None);
        assert!(parts.pop_complete(2).is_none(), "the figures follow");
        add(&mut parts, 1, 200, 2);
        add(&mut parts, 1, 200, 4);
        let part = parts.pop_complete(2).expect("both reported it");
        assert_eq!((part.end, part.counts.messages), (200, 7));
    }

    #[test]
    fn fault_b7_intervals_that_wait_for_a_late_worker_are_merged() {
        let mut parts = PartCollector::default();
        for index in 0..100 {
            add(&mut parts, index, index as u64, 1);
        }
        let with_figures = parts.incomplete.values();
        let count = with_figures.filter(|i| i.response.is_some()).count();
        assert_eq!(count, MOST_WAITING);
        for index in 0..100 {
            add(&mut parts, index, index as u64, 1);
        }
        let mut sum = 0;
        let mut last = 0;
        while let Some(part) = parts.pop_complete(2) {
            assert!(part.end >= last);
            (sum, last) = (sum + part.counts.messages, part.end);
        }
        assert_eq!(sum, 200, "nothing is lost");
        assert!(parts.carried.is_none() && parts.incomplete.is_empty());
    }
}
