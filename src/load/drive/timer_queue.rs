//! What is due when: a queue of times, the earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::net::timers::NEVER;

/// Seats with a time each, in nanoseconds of the loop's clock.
#[derive(Debug, Default)]
pub struct TimerQueue {
    entries: BinaryHeap<Reverse<(u64, u32)>>,
}

impl TimerQueue {
    /// Adds `seat` at `time`.
    pub fn add(&mut self, time: u64, seat: usize) {
        self.entries.push(Reverse((time, seat as u32)));
    }

    /// The earliest time, or [`NEVER`].
    pub fn next(&self) -> u64 {
        self.entries
            .peek()
            .map_or(NEVER, |Reverse((time, _))| *time)
    }

    /// Takes out one entry that is due at `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<(u64, usize)> {
        if self.next() > now {
            return None;
        }
        let Reverse((time, seat)) = self.entries.pop()?;
        Some((time, seat as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_nothing_before_its_time() {
        let mut agenda = TimerQueue::default();
        for (time, seat) in [(30, 1), (10, 2), (20, 3), (10, 1)] {
            agenda.add(time, seat);
        }
        assert_eq!(agenda.next(), 10);
        assert_eq!(agenda.pop_due(9), None);
        assert_eq!(agenda.pop_due(20), Some((10, 1)));
        assert_eq!(agenda.pop_due(20), Some((10, 2)));
        assert_eq!(agenda.pop_due(20), Some((20, 3)));
        assert_eq!(agenda.pop_due(20), None);
        assert_eq!((agenda.pop_due(30), agenda.next()), (Some((30, 1)), NEVER));
    }
}
