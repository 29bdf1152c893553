//! When the messages of a connection are due.
//!
//! A schedule is a function of the configuration alone: no answer and no delay changes it, and nothing that is late is
//! forgiven. What is due is not kept in a queue: a connection that cannot send leaves its schedule where it is, and takes
//! the old times from it as soon as it can. So debt takes no memory.

use super::random::{RngStream, random};
use super::settings::{Arrival, Load, RunSettings};

/// The messages of one connection.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Each when there is room for it.
    Closed,
    /// One on each connection, due when that was begun.
    Dialed {
        /// When it was.
        at: u64,
    },
    /// Evenly: message `number` of all.
    Constant {
        /// When the load begins.
        begin: u64,
        /// Of the next message, among those of all connections.
        number: u64,
        /// Connections, over all shards.
        connections: u64,
        /// Nanoseconds between two messages, over all connections.
        distance: f64,
    },
    /// At random.
    Poisson {
        /// When the next message is due.
        next: f64,
        /// Nanoseconds between two messages of this connection, on average.
        mean: f64,
        /// Decides how far apart they are.
        random: fastrand::Rng,
    },
}

impl Schedule {
    /// The schedule of `connection`, from 0, over all shards, of a load that begins at `begin`.
    pub fn new(settings: &RunSettings, connection: u64, begin: u64) -> Self {
        let connections = settings.connections as u64;
        let Load::Open { rate, arrival } = settings.load else {
            return match settings.churn {
                true => Self::Dialed { at: begin },
                false => Self::Closed,
            };
        };
        let distance = 1e9 / rate;
        match arrival {
            Arrival::Constant => Self::Constant {
                begin,
                number: connection,
                connections,
                distance,
            },
            Arrival::Poisson => {
                let mut random = random(settings.seed, RngStream::Gaps, connection);
                let mean = distance * connections as f64;
                Self::Poisson {
                    next: begin as f64 + gap(&mut random, mean),
                    mean,
                    random,
                }
            }
        }
    }

    /// When the next message is due, in nanoseconds of the loop's clock; none in a closed loop.
    pub fn next(&self) -> Option<u64> {
        match self {
            Self::Closed => None,
            Self::Dialed { at } => Some(*at),
            Self::Constant {
                begin,
                number,
                distance,
                ..
            } => Some(begin + (*number as f64 * distance) as u64),
            Self::Poisson { next, .. } => Some(*next as u64),
        }
    }

    /// Goes on to the message after the next.
    pub fn advance(&mut self) {
        match self {
            Self::Closed | Self::Dialed { .. } => {}
            Self::Constant {
                number,
                connections,
                ..
            } => *number += *connections,
            Self::Poisson { next, mean, random } => *next += gap(random, *mean),
        }
    }
}

/// Exponentially distributed.
fn gap(random: &mut fastrand::Rng, mean: f64) -> f64 {
    -(1.0 - random.f64()).ln() * mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::open_loop;

    const SECOND: u64 = 1_000_000_000;

    /// The times of `connection`, up to `end`.
    fn times(mut schedule: Schedule, end: u64) -> Vec<u64> {
        let mut times = Vec::new();
        while let Some(next) = schedule.next().filter(|next| *next < end) {
            times.push(next);
            schedule.advance();
        }
        times
    }

    fn constant(connection: u64) -> Schedule {
        Schedule::Constant {
            begin: SECOND,
            number: connection,
            connections: 4,
            distance: 1e9 / 1000.0,
        }
    }

    #[test]
    fn constant_arrivals_are_one_even_stream_over_all_connections() {
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
    fn a_schedule_does_not_drift_in_a_day() {
        let day = 24 * 3600;
        let mut schedule = Schedule::Constant {
            begin: 0,
            number: 0,
            connections: 1,
            distance: 1e9 / 3.0,
        };
        if let Schedule::Constant { number, .. } = &mut schedule {
            *number = 3 * day;
        }
        assert_eq!(schedule.next(), Some(day * SECOND));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_that_was_asked_for_and_are_repeatable() {
        let poisson = || Schedule::Poisson {
            next: 0.0,
            mean: 1e6,
            random: fastrand::Rng::with_seed(7),
        };
        let arrivals = times(poisson(), 100 * SECOND);
        assert_eq!(arrivals, times(poisson(), 100 * SECOND));
        // Of 100,000 expected, five times the square root of that to either side.
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
            "{share} are over the mean"
        );
    }

    #[test]
    fn poisson_arrivals_of_many_connections_scatter_as_those_of_one_would() {
        let mut settings = open_loop().settings;
        settings.connections = 64;
        settings.load = Load::Open {
            rate: 1_000.0,
            arrival: Arrival::Poisson,
        };
        let mut count = |seed| {
            settings.seed = seed;
            let of_one = |connection| times(Schedule::new(&settings, connection, 0), 2 * SECOND);
            (0..64).map(of_one).map(|times| times.len()).sum::<usize>()
        };
        let counts: Vec<_> = (0..400).map(|seed| count(seed) as f64).collect();
        let mean = counts.iter().sum::<f64>() / 400.0;
        let squares = counts.iter().map(|count| (count - mean).powi(2));
        let dispersion = squares.sum::<f64>() / 399.0 / mean;
        // One for a Poisson process; of 400 measurements five times its standard error to either side.
        assert!((dispersion - 1.0).abs() < 0.35, "{dispersion}");
    }
}
