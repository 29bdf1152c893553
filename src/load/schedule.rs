//! When the messages of a connection are due.
//!
//! A schedule is a function of the configuration alone: no answer and no delay changes it, and nothing that is late is
//! forgiven. What is due is not kept in a queue: a connection that cannot send leaves its schedule where it is, and takes
//! the old times from it as soon as it can. So debt takes no memory.

use super::{Arrival, Config, Load};

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
    pub fn new(config: &Config, connection: u64, begin: u64) -> Self {
        let connections = config.connections as u64;
        let Load::Open { rate, arrival } = config.load else {
            return match config.churn {
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
                let mut random = fastrand::Rng::with_seed(config.seed.wrapping_add(connection));
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
