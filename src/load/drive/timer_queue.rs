//! Times of clients, the earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::net::timers::NEVER;

/// A priority queue of times, each with the key of a client. Times are nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct TimerQueue {
    entries: BinaryHeap<Reverse<(u64, u32)>>,
}

impl TimerQueue {
    /// Adds `time` for the client `key`. A client may have several times.
    pub fn push(&mut self, time: u64, key: usize) {
        self.entries.push(Reverse((time, key as u32)));
    }

    /// Returns the earliest time, or [`NEVER`].
    pub fn next_time(&self) -> u64 {
        self.entries
            .peek()
            .map_or(NEVER, |Reverse((time, _))| *time)
    }

    /// Removes and returns the earliest entry if its time is not after `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<(u64, usize)> {
        if self.next_time() > now {
            return None;
        }
        let Reverse((time, key)) = self.entries.pop()?;
        Some((time, key as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_time_comes_first_and_no_time_comes_early() {
        let mut queue = TimerQueue::default();
        for (time, key) in [(30, 1), (10, 2), (20, 3), (10, 1)] {
            queue.push(time, key);
        }
        assert_eq!(queue.next_time(), 10);
        assert_eq!(queue.pop_due(9), None);
        assert_eq!(queue.pop_due(20), Some((10, 1)));
        assert_eq!(queue.pop_due(20), Some((10, 2)));
        assert_eq!(queue.pop_due(20), Some((20, 3)));
        assert_eq!(queue.pop_due(20), None);
        assert_eq!(queue.pop_due(30), Some((30, 1)));
        assert_eq!(queue.next_time(), NEVER);
    }
}
