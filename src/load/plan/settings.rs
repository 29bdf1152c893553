//! What a measurement is to do.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use super::share::WorkerShare;
use serde::{Deserialize, Serialize};

use crate::conn::Framing;
use crate::net::IpFamily;

/// What a measurement is to do. The values are taken to be sensible: the command line checks them.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Against whom.
    pub target: Target,
    /// Which addresses of the target's name.
    pub family: IpFamily,
    /// Connections at once, over all threads.
    pub connections: usize,
    /// Loops, each on a thread of its own, that share the connections. At most as many as connections.
    pub threads: usize,
    /// When it ends. At least one of the two.
    pub stop: StopCondition,
    /// How large a message is.
    pub sizes: Sizes,
    /// Most unanswered messages a connection.
    pub pipeline: usize,
    /// When messages are due.
    pub load: Load,
    /// Load before the window that is measured.
    pub warmup: Duration,
    /// How often figures are shown, and the length of the intervals in the results.
    pub interval: Duration,
    /// How long a reply, or a connect, may take.
    pub timeout: Duration,
    /// Connects a second at the start; none: as fast as they are answered, 256 at once.
    pub connect_rate: Option<f64>,
    /// Connect, one message, close, again.
    pub churn: bool,
    /// How connections are closed.
    pub close: Close,
    /// Whether every byte of a reply is compared.
    pub verify: bool,
    /// Decides the bytes, the sizes and the Poisson arrivals.
    pub seed: u64,
    /// Addresses to come from, in turn; empty: the system's choice.
    pub sources: Vec<IpAddr>,
    /// SO_SNDBUF and SO_RCVBUF in bytes; none: the system's autotuning.
    pub socket_buffer: Option<usize>,
    /// Bytes of a greeting, discarded before the first message of a connection.
    pub skip: usize,
    /// How messages are cut; not NUL.
    pub framing: Framing,
    /// Which part of the load this process is, of several that run at once.
    pub shard: Option<Shard>,
    /// When the warm-up begins; none: as soon as all are connected.
    pub start_at: Option<SystemTime>,
}

/// Against whom to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A server that the run starts and ends itself.
    OwnServer,
    /// `HOST:PORT`.
    Remote(String),
}

/// When a measurement ends: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopCondition {
    /// After so much time.
    pub duration: Option<Duration>,
    /// After so many messages, over all connections.
    pub messages: Option<u64>,
}

/// When messages are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Each as soon as there is room for it.
    Closed,
    /// On a schedule that the server's answers do not change.
    Open {
        /// Messages a second, over all connections.
        rate: f64,
        /// How they are spread.
        arrival: Arrival,
    },
}

/// How the messages of an open loop are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Evenly, connection after connection.
    Constant,
    /// Each connection is a Poisson process of its own.
    Poisson,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Close {
    /// In order.
    Fin,
    /// With a reset, which leaves no TIME_WAIT behind.
    Rst,
}

/// Sizes of messages in bytes, header or terminator included, each range with its weight. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(pub Vec<(RangeInclusive<usize>, u64)>);

/// One of several processes that make one load together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Sizes {
    /// One size for all.
    pub fn one(size: usize) -> Self {
        Self(vec![(size..=size, 1)])
    }

    /// The size of another message.
    pub(crate) fn draw(&self, random: &mut fastrand::Rng) -> usize {
        if let [(range, _)] = &self.0[..] {
            return draw_from(range, random);
        }
        let total: u64 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut place = random.u64(..total);
        for (range, weight) in &self.0 {
            match place.checked_sub(*weight) {
                Some(left) => place = left,
                None => return draw_from(range, random),
            }
        }
        unreachable!("a place below the sum of the weights")
    }

    /// The largest.
    pub fn largest(&self) -> usize {
        self.0
            .iter()
            .map(|(range, _)| *range.end())
            .max()
            .unwrap_or(0)
    }

    /// The smallest.
    pub fn smallest(&self) -> usize {
        self.0
            .iter()
            .map(|(range, _)| *range.start())
            .min()
            .unwrap_or(0)
    }
}

impl RunSettings {
    /// Returns the share of worker `thread` of `threads` in this process.
    pub fn share(&self, thread: usize, threads: usize) -> WorkerShare {
        let Shard { index, count } = self.shard.unwrap_or(Shard { index: 0, count: 1 });
        WorkerShare::new(thread, threads, index, count)
    }

    /// Returns the number of connections of this process: the shard's share, or all of them without shards.
    pub fn shard_connections(&self) -> usize {
        self.share(0, 1).connections(self.connections).len()
    }

    /// Returns the messages per second of this process in an open loop, in proportion to its connections. Returns
    /// `None` in a closed loop.
    pub fn shard_rate(&self) -> Option<f64> {
        match self.load {
            Load::Closed => None,
            Load::Open { rate, .. } => {
                Some(rate * (self.shard_connections() as f64 / self.connections as f64))
            }
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        })
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
        })
    }
}

fn draw_from(range: &RangeInclusive<usize>, random: &mut fastrand::Rng) -> usize {
    match range.start() == range.end() {
        true => *range.start(),
        false => random.usize(range.clone()),
    }
}
