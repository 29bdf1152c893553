//! How the window is divided into parts.
//!
//! The window is divided twice: into the intervals that reports show, and into the batches from which the uncertainty of
//! the figures is computed. A part ends where an interval or a batch ends. The workers report their metrics part by part,
//! and the coordinator adds the parts up to both. All times are nanoseconds from the start of the window.

use super::settings::RunSettings;
use crate::net::timers::{NEVER, nanoseconds};

/// The number of batches of a window: three for each of the 20 sections of a confidence interval, and more than the 40
/// that the search for a change of speed needs.
pub const BATCHES: u64 = 64;

/// The shortest batch: 10 ms. A worker hands over 2 MB of metrics with each part, which is negligible 100 times a second.
const SHORTEST_BATCH: u64 = 10_000_000;

/// The length of a batch if the length of the window is not known: 100 ms, the shortest interval that a user can ask for.
/// Longer runs add neighbouring batches.
const FIRST_BATCH: u64 = 100_000_000;

/// An interval that is shorter than the interval of the settings by this factor is a rest, which belongs to the interval
/// before.
const REST: u64 = 10;

/// The division of a window.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    interval: u64,
    /// The length of the window, or [`NEVER`] if it is not known.
    window: u64,
}

impl Parts {
    /// Returns the division of the window of a run.
    pub fn new(settings: &RunSettings) -> Self {
        Self {
            interval: nanoseconds(settings.interval).max(1),
            window: settings.stop.duration.map_or(NEVER, nanoseconds),
        }
    }

    /// Returns the length of the shortest interval that is reported, unless the window itself is shorter.
    pub fn shortest_interval(&self) -> u64 {
        self.interval / REST
    }

    /// Returns when the part that contains `time` ends, or [`NEVER`] if the window ends first.
    pub fn part_end(&self, time: u64) -> u64 {
        self.interval_end(time).min(self.batch_end(time))
    }

    /// Returns when the interval that contains `time` ends, or [`NEVER`] if the window ends first. A rest belongs to the
    /// interval before.
    pub fn interval_end(&self, time: u64) -> u64 {
        let end = (time / self.interval + 1).saturating_mul(self.interval);
        let longest_rest = self.shortest_interval().max(1);
        self.unless_over(end, longest_rest)
    }

    /// Returns when the batch that contains `time` ends, or [`NEVER`] if the window ends first.
    pub fn batch_end(&self, time: u64) -> u64 {
        let end = match self.window {
            NEVER => (time / FIRST_BATCH + 1).saturating_mul(FIRST_BATCH),
            window => {
                let count = u128::from(BATCHES.min(window / SHORTEST_BATCH).max(1));
                let window = u128::from(window.max(1));
                // The number of the first batch that ends later. Ends are rounded down to whole nanoseconds.
                let batch = ((u128::from(time) + 1) * count).div_ceil(window);
                (window * batch / count) as u64
            }
        };
        self.unless_over(end, 1)
    }

    /// Returns `end` if at least `rest` nanoseconds of the window follow, or else [`NEVER`].
    fn unless_over(&self, end: u64, rest: u64) -> u64 {
        match end.saturating_add(rest) <= self.window {
            true => end,
            false => NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the ends that `end` finds one after the other.
    fn ends(end: impl Fn(u64) -> u64) -> Vec<u64> {
        let next = |time: &u64| Some(end(*time)).filter(|end| *end != NEVER);
        std::iter::successors(Some(0), next).skip(1).collect()
    }

    #[test]
    fn a_window_of_known_length_has_64_batches_of_equal_length() {
        for window in [
            640_000_000,
            1_000_000_000,
            10_000_000_001,
            3_599_999_999_999,
        ] {
            let parts = Parts {
                interval: window,
                window,
            };
            let ends = ends(|time| parts.batch_end(time));
            assert_eq!(ends.len(), 63, "the last one ends with the window");
            for (end, batch) in ends.iter().zip(1..) {
                assert_eq!(*end, (u128::from(window) * batch / 64) as u64);
                assert_eq!(parts.batch_end(end - 1), *end, "the time before the end");
            }
        }
    }

    #[test]
    fn a_batch_is_never_shorter_than_10_ms() {
        let of = |window| Parts {
            interval: window,
            window,
        };
        assert_eq!(ends(|time| of(50_000_000).batch_end(time)).len(), 4);
        assert_eq!(ends(|time| of(9_000_000).batch_end(time)).len(), 0);
    }

    #[test]
    fn without_a_duration_batches_begin_with_100_ms() {
        let parts = Parts {
            interval: 1_000_000_000,
            window: NEVER,
        };
        assert_eq!(parts.batch_end(0), 100_000_000);
        assert_eq!(parts.batch_end(99_999_999), 100_000_000);
        assert_eq!(parts.batch_end(100_000_000), 200_000_000);
    }

    #[test]
    fn a_part_ends_where_an_interval_or_a_batch_ends() {
        let parts = Parts {
            interval: 300_000_000,
            window: 6_400_000_000,
        };
        let first = ends(|time| parts.part_end(time));
        assert_eq!(
            first[..5],
            [100, 200, 300, 400, 500].map(|ms| ms * 1_000_000)
        );
        let uneven = Parts {
            interval: 250_000_000,
            ..parts
        };
        let first = ends(|time| uneven.part_end(time));
        assert_eq!(first[..4], [100, 200, 250, 300].map(|ms| ms * 1_000_000));
    }

    #[test]
    fn fault_b4_a_rest_of_the_window_belongs_to_the_interval_before() {
        for (window, intervals) in [(3_000, 2), (3_099, 2), (3_100, 3), (1, 0)] {
            let parts = Parts {
                interval: 1_000,
                window,
            };
            let ends = ends(|time| parts.interval_end(time));
            assert_eq!(ends.len(), intervals, "{window}");
        }
    }
}
