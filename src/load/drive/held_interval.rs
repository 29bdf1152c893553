//! Adds a rest of the window that is too short for an interval to the interval before.
//!
//! A run may end at any time: with its last message, or at a signal. Each interval is therefore held back until it is
//! known that more than a rest follows.

use std::time::Duration;

use crate::load::measure::interval::Interval;
use crate::load::plan::settings::RunSettings;

/// An interval that is shorter than the interval of the settings by this factor is a rest.
const REST: u32 = 10;

/// Returns the length of the shortest interval that is reported, unless the window itself is shorter.
pub fn shortest_interval(settings: &RunSettings) -> Duration {
    settings.interval / REST
}

/// The latest interval, while a rest may follow.
pub struct HeldInterval {
    shortest: Duration,
    interval: Option<Interval>,
}

impl HeldInterval {
    /// Creates a holder of no interval.
    pub fn new(settings: &RunSettings) -> Self {
        Self {
            shortest: shortest_interval(settings),
            interval: None,
        }
    }

    /// Holds `next`, and returns the interval before, which is now known to be whole. If `next` is a rest, it is added to
    /// the interval before.
    pub fn replace(&mut self, next: Interval) -> Option<Interval> {
        match &mut self.interval {
            Some(interval) if next.length < self.shortest => {
                interval.length += next.length;
                interval.response += &next.response;
                interval.counts += &next.counts;
                None
            }
            Some(_) | None => self.interval.replace(next),
        }
    }

    /// Returns when the interval is known to be whole, if the window goes on: a time from the start of the window.
    pub fn due(&self) -> Option<Duration> {
        let interval = self.interval.as_ref()?;
        Some(interval.start + interval.length + self.shortest)
    }

    /// Returns the interval, which is known to be whole.
    pub fn take(&mut self) -> Option<Interval> {
        self.interval.take()
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
        let mut held = HeldInterval::new(&closed_loop().settings);
        // The first interval is reported, however short it is.
        assert!(held.replace(next(0, 100)).is_none());
        let first = held.replace(next(0, 1_000_000_000)).expect("the first");
        assert_eq!(first.length, Duration::from_nanos(100));
        assert_eq!(held.due(), Some(Duration::from_millis(1_100)));
        assert!(held.replace(next(1_000, 99_999_999)).is_none(), "a rest");
        let whole = held.take().expect("an interval");
        assert_eq!(whole.length, Duration::from_nanos(1_099_999_999));
        assert_eq!(whole.counts.messages, 4_000, "the sum of both");
        assert!(held.due().is_none());

        assert!(held.replace(next(0, 1_000_000_000)).is_none());
        assert!(held.replace(next(1_000, 100_000_000)).is_some(), "no rest");
    }
}
