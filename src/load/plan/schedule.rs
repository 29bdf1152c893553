//! The times at which the messages of a connection are due.
//!
//! The schedule of an open loop depends on the settings alone. No reply and no delay changes it, and a late message keeps
//! its time. Due messages are not queued: a connection that cannot send leaves its schedule where it is, and takes the old
//! times from the schedule as soon as it can send. Late messages therefore take no memory. In a closed loop, a reply (or,
//! with a connection per message, the end of the connection before) makes the next message due.

use super::random::{RngStream, random};
use super::settings::{Arrival, Load, RunSettings};

/// From how many expected messages on the number of messages of a Poisson process is drawn at once.
const MANY: f64 = 16.0;

/// The schedule of one connection.
#[derive(Clone, Debug, Default)]
pub enum Schedule {
    /// Closed loop: a message is due as soon as there is room for it.
    #[default]
    Closed,
    /// Closed loop with a connection per message: the message is due when its connect may start. The connector sets that
    /// time when the connection before has ended.
    ClosedChurn {
        /// When the connect may start.
        due: u64,
    },
    /// Open loop: the messages of all connections are spread evenly, one connection after another.
    Constant {
        /// When the load starts.
        start: u64,
        /// The number of the connection's next message among the messages of all connections, from 0.
        number: u64,
        /// The number of connections of all shards.
        connections: u64,
        /// Nanoseconds between two messages of the whole load.
        gap: f64,
    },
    /// Open loop: the messages of each connection are a Poisson process.
    Poisson {
        /// When the next message is due.
        next: f64,
        /// The mean number of nanoseconds between two messages of this connection.
        mean_gap: f64,
        /// The generator of the gaps.
        random: fastrand::Rng,
    },
}

impl Schedule {
    /// Creates the schedule of a connection in a load that starts at `start`. `connection` is the number of the
    /// connection among the connections of all shards, from 0.
    pub fn new(settings: &RunSettings, connection: u64, start: u64) -> Self {
        let connections = settings.connections as u64;
        let Load::Open { rate, arrival } = settings.load else {
            return match settings.churn {
                true => Self::ClosedChurn { due: start },
                false => Self::Closed,
            };
        };
        let gap = 1e9 / rate;
        match arrival {
            Arrival::Constant => Self::Constant {
                start,
                number: connection,
                connections,
                gap,
            },
            Arrival::Poisson => {
                let mut random = random(settings.seed, RngStream::Gaps, connection);
                let mean_gap = gap * connections as f64;
                Self::Poisson {
                    next: start as f64 + exponential(&mut random, mean_gap),
                    mean_gap,
                    random,
                }
            }
        }
    }

    /// Returns when the next message is due, in nanoseconds of the monotonic clock. Returns `None` in a closed loop
    /// without churn.
    pub fn next_due(&self) -> Option<u64> {
        match self {
            Self::Closed => None,
            Self::ClosedChurn { due } => Some(*due),
            Self::Constant {
                start, number, gap, ..
            } => Some(start + (*number as f64 * gap) as u64),
            Self::Poisson { next, .. } => Some(*next as u64),
        }
    }

    /// Returns when the next message of an open loop is due. Returns `None` in a closed loop.
    pub fn next_of_open_loop(&self) -> Option<u64> {
        match self {
            Self::Closed | Self::ClosedChurn { .. } => None,
            Self::Constant { .. } | Self::Poisson { .. } => self.next_due(),
        }
    }

    /// Takes the messages that are due before `end` off the schedule, but at most `limit`, and returns their number.
    ///
    /// The time that this takes does not depend on the number. If a Poisson process has [`MANY`] messages or more before
    /// `end`, their number is drawn, and not their times.
    pub fn take_before(&mut self, end: u64, limit: u64) -> u64 {
        let mut taken = self.take_many_before(end).min(limit);
        while taken < limit && self.next_of_open_loop().is_some_and(|due| due < end) {
            self.advance();
            taken += 1;
        }
        taken
    }

    /// Takes all messages that are due before `end` off the schedule, except for a few, and returns their number.
    fn take_many_before(&mut self, end: u64) -> u64 {
        match self {
            Self::Closed | Self::ClosedChurn { .. } => 0,
            Self::Constant {
                start,
                number,
                connections,
                gap,
            } => {
                let numbers = end.saturating_sub(*start) as f64 / *gap - *number as f64;
                // The quotient is rounded, so the last few are left.
                let taken = (numbers / *connections as f64 - 2.0).max(0.0) as u64;
                *number += taken * *connections;
                taken
            }
            Self::Poisson {
                next,
                mean_gap,
                random,
            } => {
                let expected = (end as f64 - *next) / *mean_gap;
                if expected < MANY {
                    return 0;
                }
                // The process has no memory, so it may go on at `end`.
                *next = end as f64 + exponential(random, *mean_gap);
                1 + poisson(random, expected)
            }
        }
    }

    /// Takes the next message off the schedule.
    pub fn advance(&mut self) {
        match self {
            Self::Closed | Self::ClosedChurn { .. } => {}
            Self::Constant {
                number,
                connections,
                ..
            } => *number += *connections,
            Self::Poisson {
                next,
                mean_gap,
                random,
            } => *next += exponential(random, *mean_gap),
        }
    }
}

/// Draws how many messages of a Poisson process are due in a time in which `expected` are, at least [`MANY`]. The normal
/// distribution is close enough.
fn poisson(random: &mut fastrand::Rng, expected: f64) -> u64 {
    let radius = (2.0 * exponential(random, 1.0)).sqrt();
    let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
    (expected + expected.sqrt() * normal).round().max(0.0) as u64
}

/// Draws an exponentially distributed number.
fn exponential(random: &mut fastrand::Rng, mean: f64) -> f64 {
    -(1.0 - random.f64()).ln() * mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::open_loop;

    const SECOND: u64 = 1_000_000_000;

    /// Returns the times of `schedule` before `end`.
    fn times(mut schedule: Schedule, end: u64) -> Vec<u64> {
        let mut times = Vec::new();
        while let Some(next) = schedule.next_due().filter(|next| *next < end) {
            times.push(next);
            schedule.advance();
        }
        times
    }

    fn constant(connection: u64) -> Schedule {
        Schedule::Constant {
            start: SECOND,
            number: connection,
            connections: 4,
            gap: 1e9 / 1000.0,
        }
    }

    #[test]
    fn constant_arrivals_are_spread_evenly_over_all_connections() {
        let mut all: Vec<_> = (0..4)
            .flat_map(|connection| times(constant(connection), 2 * SECOND))
            .collect();
        all.sort_unstable();
        assert_eq!(all.len(), 1000);
        for (number, time) in all.into_iter().enumerate() {
            assert_eq!(time, SECOND + number as u64 * 1_000_000);
        }
    }

    #[test]
    fn a_constant_schedule_does_not_drift_in_a_day() {
        let day = 24 * 3600;
        let mut schedule = Schedule::Constant {
            start: 0,
            number: 0,
            connections: 1,
            gap: 1e9 / 3.0,
        };
        if let Schedule::Constant { number, .. } = &mut schedule {
            *number = 3 * day;
        }
        assert_eq!(schedule.next_due(), Some(day * SECOND));
    }

    #[test]
    fn poisson_arrivals_have_the_requested_rate_and_are_repeatable() {
        let poisson = || Schedule::Poisson {
            next: 0.0,
            mean_gap: 1e6,
            random: fastrand::Rng::with_seed(7),
        };
        let arrivals = times(poisson(), 100 * SECOND);
        assert_eq!(arrivals, times(poisson(), 100 * SECOND));
        // 100,000 arrivals are expected; the bound is five standard deviations (five times the square root).
        assert!(
            arrivals.len().abs_diff(100_000) < 1_600,
            "{}",
            arrivals.len()
        );

        let gaps = arrivals.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
        let long = gaps.filter(|gap| *gap > 1e6).count() as f64;
        let share = long / arrivals.len() as f64;
        assert!(
            (share - (-1.0_f64).exp()).abs() < 0.01,
            "the share {share} of gaps is longer than the mean"
        );
    }

    #[test]
    fn fault_b3_messages_are_taken_off_a_constant_schedule_at_once_and_exactly() {
        for gap in [1e9 / 3.0, 1e9 / 7_919.0, 0.7] {
            let schedule = Schedule::Constant {
                start: SECOND,
                number: 3,
                connections: 4,
                gap,
            };
            for end in [0, SECOND, SECOND + 1, SECOND + 12_345, 3 * SECOND / 2] {
                let mut one_by_one = schedule.clone();
                let mut at_once = schedule.clone();
                let mut count = 0;
                while count < 100_000 && one_by_one.next_due().is_some_and(|due| due < end) {
                    one_by_one.advance();
                    count += 1;
                }
                if count < 100_000 {
                    assert_eq!(at_once.take_before(end, u64::MAX), count, "{gap} {end}");
                    assert_eq!(at_once.next_due(), one_by_one.next_due(), "{gap} {end}");
                }
                let limit = count / 2;
                assert_eq!(schedule.clone().take_before(end, limit), limit);
            }
        }
        let mut long = constant(0);
        assert_eq!(
            long.take_before(1_000_000 * SECOND, u64::MAX),
            250 * 999_999
        );
    }

    #[test]
    fn fault_b3_messages_are_taken_off_a_poisson_schedule_at_once_with_the_right_spread() {
        // In each millisecond 40 messages are expected.
        let mut schedule = Schedule::Poisson {
            next: 0.0,
            mean_gap: 25_000.0,
            random: fastrand::Rng::with_seed(7),
        };
        let count = |end: u64| schedule.take_before(end * 1_000_000, u64::MAX) as f64;
        let counts: Vec<_> = (1..=10_000).map(count).collect();
        let mean = counts.iter().sum::<f64>() / 10_000.0;
        // Five standard errors: each count has the variance 40.
        assert!(
            (mean - 40.0).abs() < 5.0 * (40.0_f64 / 10_000.0).sqrt(),
            "{mean}"
        );
        let squares = counts.iter().map(|count| (count - mean).powi(2));
        let dispersion = squares.sum::<f64>() / 9_999.0 / mean;
        assert!((dispersion - 1.0).abs() < 0.1, "{dispersion}");
        // Times of few messages are those that the schedule had anyway.
        let mut few = schedule.clone();
        let mut one_by_one = times(schedule, 10_000_300_000).len() as u64;
        assert_eq!(few.take_before(10_000_300_000, u64::MAX), one_by_one);
        one_by_one = 3;
        assert_eq!(few.take_before(20 * SECOND, one_by_one), 3, "the limit");
    }

    #[test]
    fn poisson_arrivals_of_many_connections_scatter_like_one_poisson_process() {
        let mut settings = open_loop().settings;
        settings.connections = 64;
        settings.load = Load::Open {
            rate: 1_000.0,
            arrival: Arrival::Poisson,
        };
        let mut count = |seed| {
            settings.seed = seed;
            let of_connection =
                |connection| times(Schedule::new(&settings, connection, 0), 2 * SECOND);
            (0..64)
                .map(of_connection)
                .map(|times| times.len())
                .sum::<usize>()
        };
        let counts: Vec<_> = (0..400).map(|seed| count(seed) as f64).collect();
        let mean = counts.iter().sum::<f64>() / 400.0;
        let squares = counts.iter().map(|count| (count - mean).powi(2));
        let dispersion = squares.sum::<f64>() / 399.0 / mean;
        // A Poisson process has dispersion 1. The bound is five standard errors of 400 samples.
        assert!((dispersion - 1.0).abs() < 0.35, "{dispersion}");
    }
}
