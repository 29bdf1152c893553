//! Adds the parts of the window up to batches.

use super::part_collector::CollectedPart;
use super::part_sum::PartSum;
use crate::load::measure::batch::Batch;
use crate::load::measure::interference::Interference;
use crate::load::plan::parts::{BATCHES, Parts};

/// The batches of a run. A batch that does not fit makes all batches twice as long: neighbours are added.
pub struct Batches {
    parts: Parts,
    sum: PartSum,
    batches: Vec<Batch>,
    /// The planned batches that one batch consists of.
    planned_per_batch: usize,
    /// The planned batches in the last batch.
    planned_in_last: usize,
}

impl Batches {
    /// Creates the batches of a window that is divided into `parts`.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            sum: PartSum::default(),
            batches: Vec::new(),
            planned_per_batch: 1,
            planned_in_last: 0,
        }
    }

    /// Adds the next part. If a batch is complete, `interference` returns that of the batch.
    pub fn add(&mut self, part: &CollectedPart, interference: impl FnOnce() -> Interference) {
        let parts = self.parts;
        if let Some(planned) = self.sum.add(part, |start| parts.batch_end(start)) {
            self.push(Batch::new(planned, interference()));
        }
    }

    /// Returns the batches in order. The interference is that of the last one. A last batch that is shorter than half of the one before is added to that one: it
    /// would vary more than the others.
    pub fn finish(mut self, interference: Interference) -> Vec<Batch> {
        if let Some(rest) = self.sum.take() {
            self.push(Batch::new(rest, interference));
        }
        if let [.., before, last] = &mut self.batches[..]
            && last.length < before.length / 2
        {
            before.append(last);
            self.batches.pop();
        }
        self.batches
    }

    fn push(&mut self, planned: Batch) {
        match self.batches.last_mut() {
            Some(last) if self.planned_in_last < self.planned_per_batch => {
                last.append(&planned);
                self.planned_in_last += 1;
            }
            Some(_) | None => {
                self.make_room();
                self.batches.push(planned);
                self.planned_in_last = 1;
            }
        }
    }

    fn make_room(&mut self) {
        if self.batches.len() as u64 == BATCHES {
            let mut single = std::mem::take(&mut self.batches).into_iter();
            while let Some(mut batch) = single.next() {
                if let Some(neighbour) = single.next() {
                    batch.append(&neighbour);
                }
                self.batches.push(batch);
            }
            self.planned_per_batch *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::testing::closed_loop;

    const MS: u64 = 1_000_000;

    /// Returns the batches of a run without a duration that ends after `ms`, with a message in each part of 100 ms.
    fn batches(ms: u64) -> Vec<Batch> {
        let mut settings = closed_loop().settings;
        settings.stop.duration = None;
        let mut batches = Batches::new(Parts::new(&settings));
        let mut part = CollectedPart::default();
        part.counts.messages = 1;
        for end in (100..ms).step_by(100).chain([ms]) {
            part.end = end * MS;
            batches.add(&part, Interference::default);
        }
        batches.finish(Interference::default())
    }

    #[test]
    fn full_batches_are_added_to_their_neighbours() {
        for (ms, count, length) in [
            (6_400, 64, 100),
            (6_500, 32, 200),
            (12_800, 64, 200),
            (12_900, 32, 400),
            (1_000_000, 40, 25_600),
        ] {
            let batches = batches(ms);
            assert_eq!(batches[0].length, Duration::from_millis(length), "{ms}");
            assert!(
                batches.len().abs_diff(count) <= 1,
                "{ms}: {}",
                batches.len()
            );
            let messages: u64 = batches.iter().map(|batch| batch.messages).sum();
            assert_eq!(messages, ms / 100, "nothing is lost");
            let mut end = Duration::ZERO;
            for batch in &batches {
                assert_eq!(batch.start, end, "the batches follow one another");
                end += batch.length;
            }
            assert_eq!(end, Duration::from_millis(ms));
        }
    }

    #[test]
    fn a_short_rest_is_added_to_the_batch_before() {
        let lengths = |ms| {
            let batches = batches(ms).into_iter();
            batches.map(|b| b.length.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(249), [100, 149]);
        assert_eq!(lengths(250), [100, 100, 50]);
        assert_eq!(lengths(30), [30]);
    }
}
