//! The raw figures of a measurement: latency histograms and counts.
//!
//! A worker fills one [`Metrics`] per interval and hands the value over. The total is the sum of all of them: figures
//! are added, never averaged. A message is recorded once.

use std::ops::AddAssign;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::failure::Failures;
use super::latency_histogram::LatencyHistogram;

/// The raw figures of an interval, or of the whole window.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// From the intended send to the last byte of the reply.
    pub response: LatencyHistogram,
    /// From the intended send until the connection could take the message: the part of a delay that the peer causes.
    pub wait: LatencyHistogram,
    /// From the send to the last byte of the reply.
    pub service: LatencyHistogram,
    /// From the moment at which the message could be sent to the send: the part of a delay that the generator causes.
    pub send_lag: LatencyHistogram,
    /// From the first SYN to the established connection.
    pub connect: LatencyHistogram,
    /// From the poll's return to the read of the connection. The generator causes this delay; `service` includes it.
    pub turn: LatencyHistogram,
    /// How much later than asked the loops of the workers went on, at least every 20 ms.
    pub stalls: LatencyHistogram,
    /// The counts.
    pub counts: Counts,
    /// The number of unanswered messages, integrated over the window, in messages times nanoseconds.
    pub in_flight: u128,
    /// The nanoseconds that the workers spent waiting in the poll.
    pub polling: u64,
    /// The nanoseconds that the workers spent polling without waiting, because a send was due soon.
    pub spinning: u64,
    /// The nanoseconds of all stalls that are longer than 10 ms, added over all workers.
    pub stalled: u64,
    /// The nanoseconds that passed, added over all workers. A worker that neither polls nor spins is busy.
    pub elapsed: u64,
}

/// The raw figures of a batch that does not end an interval: those that are needed of each batch.
#[derive(Clone, Debug, Default)]
pub struct BatchMetrics {
    /// As in [`Metrics`].
    pub response: LatencyHistogram,
    /// The counts.
    pub counts: Counts,
}

/// The counts of a part of the window, or of the whole window. Reports show them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The number of replies that arrived in the window. They are verified, unless verification is off.
    pub messages: u64,
    /// The payload received in the window, in bytes.
    pub bytes: u64,
    /// The number of messages of the window that failed, by name: `refused`, `unreachable`, `unresolved`,
    /// `connect_timeout`, `no_source_port`, `descriptors`, `self_connect`, `reset`, `closed`, `timeout`, `lost`, `other`. A name
    /// that did not occur is left out. With churn, a failed connect is a failed message.
    #[serde(rename = "errors")]
    pub failures: Failures,
    /// The number of connections that failed or were closed while no message was due, and of connects that failed, by
    /// the same names. They failed before the load or in the window. No message failed with them.
    pub connections: Failures,
    /// The number of replies that differed from what was sent, in the window and outside.
    pub corrupted: u64,
    /// The first reply that differed; null if there was none.
    pub corruption: Option<Corruption>,
    /// The number of messages of the window that were sent and neither answered nor timed out at the end.
    pub unanswered: u64,
    /// The number of messages that were due in the window and never sent.
    pub unsent: u64,
    /// The number of attempts to replace a connection.
    pub reconnects: u64,
}

/// The place at which a reply differed from what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corruption {
    /// The number of the connection, from 1.
    pub connection: u64,
    /// The offset of the first wrong byte among the bytes that the connection echoed, from 0.
    pub offset: u64,
    /// The first few bytes that were expected there. In JSON: hexadecimal digits.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub expected: Vec<u8>,
    /// The first few bytes that arrived there. In JSON: hexadecimal digits.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub got: Vec<u8>,
}

impl Metrics {
    /// Returns the histograms with their names in reports and files.
    pub fn histograms(&self) -> [(&'static str, &LatencyHistogram); 7] {
        [
            ("response", &self.response),
            ("wait", &self.wait),
            ("service", &self.service),
            ("send_lag", &self.send_lag),
            ("connect", &self.connect),
            ("turn", &self.turn),
            ("stalls", &self.stalls),
        ]
    }

    /// Sets all figures to 0, and keeps the memory.
    pub fn reset(&mut self) {
        let mut empty = Self::default();
        for (mine, kept) in [
            (&mut self.response, &mut empty.response),
            (&mut self.wait, &mut empty.wait),
            (&mut self.service, &mut empty.service),
            (&mut self.send_lag, &mut empty.send_lag),
            (&mut self.connect, &mut empty.connect),
            (&mut self.turn, &mut empty.turn),
            (&mut self.stalls, &mut empty.stalls),
        ] {
            std::mem::swap(mine, kept);
            kept.reset();
        }
        *self = empty;
    }

    /// Returns the share of the time in which the workers were busy; `None` if no time passed.
    pub fn busy(&self) -> Option<f64> {
        busy(self.polling.saturating_add(self.spinning), self.elapsed)
    }
}

/// Returns the share of `elapsed` nanoseconds that was not `idle`, which is polling or spinning; `None` if no time
/// passed.
pub fn busy(idle: u64, elapsed: u64) -> Option<f64> {
    (elapsed > 0).then(|| 1.0 - (idle as f64 / elapsed as f64).min(1.0))
}

impl BatchMetrics {
    /// Sets all figures to 0, and keeps the memory.
    pub fn reset(&mut self) {
        self.response.reset();
        self.counts = Counts::default();
    }
}

impl AddAssign<&BatchMetrics> for Metrics {
    fn add_assign(&mut self, other: &BatchMetrics) {
        self.response += &other.response;
        self.counts += &other.counts;
    }
}

impl AddAssign<&Metrics> for Metrics {
    fn add_assign(&mut self, other: &Metrics) {
        self.response += &other.response;
        self.wait += &other.wait;
        self.service += &other.service;
        self.send_lag += &other.send_lag;
        self.connect += &other.connect;
        self.turn += &other.turn;
        self.stalls += &other.stalls;
        self.counts += &other.counts;
        self.in_flight += other.in_flight;
        self.polling += other.polling;
        self.spinning += other.spinning;
        self.stalled += other.stalled;
        self.elapsed += other.elapsed;
    }
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.failures += &other.failures;
        self.connections += &other.connections;
        self.corrupted += other.corrupted;
        if self.corruption.is_none() {
            self.corruption.clone_from(&other.corruption);
        }
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.reconnects += other.reconnects;
    }
}

/// Returns two hexadecimal digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn to_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(bytes))
}

/// Reads hexadecimal digits up to the first other character.
fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits: Vec<_> = text.chars().map_while(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| (pair[0] << 4 | pair[1]) as u8;
    Ok(digits.chunks_exact(2).map(byte).collect())
}
