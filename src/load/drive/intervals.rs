//! Adds the parts of the window up to the intervals that are reported.
//!
//! A run may end at any time: with its last message, or at a signal. A rest that is too short for an interval is added to
//! the interval before. Each interval is therefore held back until it is known that more than a rest follows.

use std::time::Duration;

use super::part_collector::CollectedPart;
use super::part_sum::PartSum;
use crate::load::measure::interval::Interval;
use crate::load::plan::parts::Parts;

/// The intervals of a run that have not been reported.
pub struct Intervals {
    parts: Parts,
    sum: PartSum,
    /// The latest interval, while a rest may follow.
    held: Option<Interval>,
}

impl Intervals {
    /// Creates the intervals of a window that is divided into `parts`.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            sum: PartSum::default(),
            held: None,
        }
    }

    /// Adds the next part. Returns an interval if it is now known to be whole.
    pub fn add(&mut self, part: &CollectedPart) -> Option<Interval> {
        let parts = self.parts;
        let next = self.sum.add(part, |start| parts.interval_end(start))?;
        self.hold(next)
    }

    /// Returns true if `interval` is longer than planned, because the coordinator could not add up the figures in time.
    pub fn is_late(&self, interval: &Interval) -> bool {
        let start = interval.start.as_nanos() as u64;
        let end = start + interval.length.as_nanos() as u64;
        end > self.parts.interval_end(start)
    }

    /// Returns when the held interval is known to be whole, if the window goes on: a time from the start of the window.
    pub fn due(&self) -> Option<Duration> {
        let held = self.held.as_ref()?;
        Some(held.start + held.length + self.shortest())
    }

    /// Returns the held interval, which is known to be whole.
    pub fn take_held(&mut self) -> Option<Interval> {
        self.held.take()
    }

    /// Returns the intervals that are left at the end of the window.
    pub fn finish(&mut self) -> [Option<Interval>; 2] {
        let whole = self.sum.take().and_then(|last| self.hold(last));
        [whole, self.held.take()]
    }

    /// Holds `next`, and returns the interval before, which is now known to be whole. If `next` is a rest, it is added to
    /// the interval before.
    fn hold(&mut self, next: Interval) -> Option<Interval> {
        let shortest = self.shortest();
        match &mut self.held {
            Some(held) if next.length < shortest => {
                *held += &next;
                None
            }
            Some(_) | None => self.held.replace(next),
        }
    }

    fn shortest(&self) -> Duration {
        Duration::from_nanos(self.parts.shortest_interval())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::{closed_loop, interval};

    #[test]
    fn fault_b4_a_rest_is_added_to_the_interval_before() {
        let next = |start, length| Interval {
            start: Duration::from_millis(start),
            length: Duration::from_nanos(length),
            ..interval()
        };
        let mut held = Intervals::new(Parts::new(&closed_loop().settings));
        // The first interval is reported, however short it is.
        assert!(held.hold(next(0, 100)).is_none());
        let first = held.hold(next(0, 1_000_000_000)).expect("the first");
        assert_eq!(first.length, Duration::from_nanos(100));
        assert_eq!(held.due(), Some(Duration::from_millis(1_100)));
        assert!(held.hold(next(1_000, 99_999_999)).is_none(), "a rest");
        let whole = held.take_held().expect("an interval");
        assert_eq!(whole.length, Duration::from_nanos(1_099_999_999));
        assert_eq!(whole.counts.messages, 4_000, "the sum of both");
        assert!(held.due().is_none());

        assert!(held.hold(next(0, 1_000_000_000)).is_none());
        assert!(held.hold(next(1_000, 100_000_000)).is_some(), "no rest");
    }

    #[test]
    fn parts_are_added_up_to_intervals_and_the_last_one_ends_with_the_run() {
        let mut settings = closed_loop().settings;
        settings.stop.duration = Some(Duration::from_millis(6_400));
        settings.interval = Duration::from_millis(1_000);
        let mut intervals = Intervals::new(Parts::new(&settings));
        let mut part = CollectedPart::default();
        part.counts.messages = 5;
        let mut reported = Vec::new();
        for end in (100..=2_600).step_by(100) {
            part.end = end * 1_000_000;
            reported.extend(intervals.add(&part));
        }
        reported.extend(intervals.finish().into_iter().flatten());
        let found = reported
            .iter()
            .map(|i| (i.start, i.length, i.counts.messages));
        let ms = Duration::from_millis;
        assert!(found.eq([
            (ms(0), ms(1_000), 50),
            (ms(1_000), ms(1_000), 50),
            (ms(2_000), ms(600), 30),
        ]));
        assert!(!reported.iter().any(|interval| intervals.is_late(interval)));
    }

    #[test]
    fn fault_b7_an_interval_whose_end_came_late_is_longer_than_planned() {
        let mut settings = closed_loop().settings;
        settings.stop.duration = Some(Duration::from_secs(10));
        let mut intervals = Intervals::new(Parts::new(&settings));
        let mut part = CollectedPart::default();
        part.end = 1_200_000_000;
        assert!(intervals.add(&part).is_none(), "held");
        part.end = 2_000_000_000;
        let late = intervals.add(&part).expect("whole");
        assert_eq!(late.length, Duration::from_millis(1_200));
        assert!(intervals.is_late(&late));
    }
}
