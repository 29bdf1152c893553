//! The settings of a run.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::cpu_list::CpuList;
use super::launcher::Launcher;
use super::share::WorkerShare;
use crate::conn::Framing;
use crate::net::IpFamily;

/// The settings of a run. The values are not checked here: the command line has checked them.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The server to measure.
    pub target: Target,
    /// The address family that the target's name resolves to.
    pub family: IpFamily,
    /// Connections at the same time, over all threads and shards.
    pub connections: usize,
    /// Worker threads, which share the connections. At most as many as connections.
    pub threads: usize,
    /// When the run ends. Without a condition, the run ends when it is stopped.
    pub stop: StopCondition,
    /// The sizes of the messages.
    pub sizes: Sizes,
    /// The most unanswered messages of a connection.
    pub pipeline: usize,
    /// When messages are due.
    pub load: Load,
    /// How long the load runs before the window, not measured.
    pub warmup: Duration,
    /// How often metrics are shown, and the length of the intervals in the results.
    pub interval: Duration,
    /// How long a connect, a reply, or a part of a reply or of a message may take.
    pub timeout: Duration,
    /// Connects per second before the load. `None`: as fast as they are answered, 256 at a time.
    pub connect_rate: Option<f64>,
    /// True if each message has a connection of its own.
    pub churn: bool,
    /// How connections are closed.
    pub close: Close,
    /// True if every byte of a reply is compared with the message.
    pub verify: bool,
    /// The seed of the bytes, the sizes and the Poisson arrivals.
    pub seed: u64,
    /// Source addresses with port 0, used in turn. Empty: the system chooses.
    pub sources: Vec<SocketAddr>,
    /// SO_SNDBUF and SO_RCVBUF in bytes. `None` leaves them to the system's autotuning.
    pub socket_buffer: Option<usize>,
    /// Bytes of a greeting, discarded before the first message of a connection.
    pub skip: usize,
    /// The framing of the messages. Not NUL.
    pub framing: Framing,
    /// The share of the load that this process carries, if several processes make one load.
    pub shard: Option<Shard>,
    /// When the load starts. `None`: as soon as all connections were tried.
    pub start_at: Option<SystemTime>,
    /// The process of a server that runs already, if it runs on this machine and its process is known.
    pub server_pid: Option<u32>,
    /// The CPUs of the generator. `None`: all that the process may use.
    pub pin: Option<CpuList>,
    /// The CPUs of the server that the run starts. `None`: all that the process may use.
    pub server_pin: Option<CpuList>,
    /// A text of the user that the report repeats. It has no control characters.
    pub label: Option<String>,
}

/// The server to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A server that the run starts and ends itself.
    OwnServer,
    /// A server that runs already: `HOST:PORT`.
    Remote(String),
}

/// When a run ends. If both conditions are set, the first one that is met ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopCondition {
    /// The length of the window.
    pub duration: Option<Duration>,
    /// The number of messages, over all connections.
    pub messages: Option<u64>,
}

/// When messages are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// A message is due as soon as there is room for it in the pipeline of its connection.
    Closed,
    /// Messages follow a schedule that does not depend on the server's replies.
    Open {
        /// Messages per second, over all connections.
        rate: f64,
        /// How the messages are spread over time.
        arrival: Arrival,
    },
}

/// How the messages of an open loop are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Evenly, one connection after another.
    Constant,
    /// At random: the messages of each connection are a Poisson process.
    Poisson,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Close {
    /// With a FIN.
    Fin,
    /// With a reset. The port is free at once, because no TIME_WAIT follows.
    Rst,
}

/// Sizes of messages, header or terminator included. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes(pub Vec<SizeRange>);

/// A range of message sizes. Sizes in the range are equally likely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRange {
    /// The smallest size.
    pub from_bytes: usize,
    /// The largest size.
    pub to_bytes: usize,
    /// The weight of this range: its share of all messages is this number divided by the sum of all weights.
    pub weight: u64,
}

/// The position of this process among the processes that make one load together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The number of the process, from 0.
    pub index: usize,
    /// The number of processes.
    pub count: usize,
    /// What told this process its shard; null if it was typed.
    pub launcher: Option<Launcher>,
}

impl StopCondition {
    /// The run ends when it is stopped.
    pub const NEVER: Self = Self {
        duration: None,
        messages: None,
    };
}

impl RunSettings {
    /// Returns the share of worker `thread` of `threads` in this process.
    pub fn share(&self, thread: usize, threads: usize) -> WorkerShare {
        let (index, count) = self
            .shard
            .map_or((0, 1), |shard| (shard.index, shard.count));
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

impl Sizes {
    /// Creates the sizes of a run whose messages all have `size` bytes.
    pub fn one(size: usize) -> Self {
        Self(vec![SizeRange::new(size..=size, 1)])
    }

    /// Draws the size of the next message.
    pub(crate) fn draw(&self, random: &mut fastrand::Rng) -> usize {
        if let [size] = &self.0[..] {
            return size.draw(random);
        }
        let total: u64 = self.0.iter().map(|size| size.weight).sum();
        let mut place = random.u64(..total);
        for size in &self.0 {
            match place.checked_sub(size.weight) {
                Some(left) => place = left,
                None => return size.draw(random),
            }
        }
        unreachable!("the place is below the sum of the weights")
    }

    /// Returns the largest size.
    pub fn largest(&self) -> usize {
        let ends = self.0.iter().map(|size| size.to_bytes);
        ends.max().unwrap_or(0)
    }

    /// Returns the smallest size.
    pub fn smallest(&self) -> usize {
        let starts = self.0.iter().map(|size| size.from_bytes);
        starts.min().unwrap_or(0)
    }
}

impl SizeRange {
    /// Creates a range with its weight.
    pub fn new(range: RangeInclusive<usize>, weight: u64) -> Self {
        Self {
            from_bytes: *range.start(),
            to_bytes: *range.end(),
            weight,
        }
    }

    fn draw(&self, random: &mut fastrand::Rng) -> usize {
        match self.from_bytes == self.to_bytes {
            true => self.to_bytes,
            false => random.usize(self.from_bytes..=self.to_bytes),
        }
    }
}

/// Formats the name in reports.
impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
