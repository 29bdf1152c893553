//! The figures that are computed from a measurement: what objectives are checked against and reports print.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::latency_summary::LatencySummary;
use super::results::Interval;

/// What was measured in the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Replies that came in the window, verified unless that was not wanted.
    pub messages: u64,
    /// The length of the window.
    pub seconds: f64,
    /// `messages` by `seconds`.
    pub messages_per_sec: Option<f64>,
    /// What an open loop was to reach (a shard its part of it); null: a closed loop.
    pub asked_per_sec: Option<f64>,
    /// `messages_per_sec` by `asked_per_sec`; where a number of messages was asked for, without the time until the first
    /// of them was back.
    pub achieved: Option<f64>,
    /// Payload received.
    pub bytes: u64,
    /// 10^6 bytes of payload received, by `seconds`.
    pub mb_per_sec: Option<f64>,
    /// Of this process.
    pub connections_asked: usize,
    /// That the server let us have, on average over the window. With churn each is many, one after the other, and is
    /// missing from a failure until another succeeds.
    pub connections_achieved: usize,
    /// How often what failed: `refused`, `unreachable`, `unresolved`, `connect_timeout`, `no_source_port`, `descriptors`,
    /// `self_connect`, `reset`, `closed`, `timeout`, `other`. What did not happen is left out.
    pub errors: BTreeMap<String, u64>,
    /// Replies that differed from what was sent.
    pub corrupted: u64,
    /// The first of them; null: there was none.
    pub corruption: Option<CorruptionReport>,
    /// Sent, and neither answered nor timed out at the end.
    pub unanswered: u64,
    /// Intended, and never sent.
    pub unsent: u64,
    /// Attempts to replace a connection.
    pub reconnects: u64,
    /// Unanswered messages, on average over the window.
    pub in_flight: Option<f64>,
    /// Intended until answered.
    pub response_us: LatencySummary,
    /// Intended until the connection could take it: the peer's part of a delay.
    pub wait_us: LatencySummary,
    /// Sent until answered.
    pub service_us: LatencySummary,
    /// Could be sent until sent: the generator's part of a delay.
    pub send_lag_us: LatencySummary,
    /// Connects.
    pub connect_us: LatencySummary,
    /// From the poll's return until the read: the generator's own, and part of `service_us`.
    pub turn_us: LatencySummary,
}

/// Where a reply differed from what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorruptionReport {
    /// The number of the connection, from 1.
    pub connection: u64,
    /// Of the first wrong byte among the bytes that the connection echoed, from 0.
    pub offset: u64,
    /// The bytes that were due there, a few, in hex.
    pub expected: String,
    /// The bytes that came, a few, in hex.
    pub got: String,
}

/// A part of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalSummary {
    /// Since the begin of the window.
    pub start_s: f64,
    /// Its length.
    pub seconds: f64,
    /// Answered in it.
    pub messages: u64,
    /// Failures in it, of all kinds. Wrong replies are none of them.
    pub errors: u64,
    /// Of messages of the window that ended in it. Those that ended behind the window are in the last interval.
    pub response_us: IntervalLatency,
}

/// Response times of an interval, in microseconds. See [`LatencySummary`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntervalLatency {
    /// The median.
    pub p50: Option<f64>,
    /// 99 % are not longer.
    pub p99: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// From here on these are lower bounds.
    pub bounded_from: Option<f64>,
}

impl Summary {
    /// Messages of the window that were answered, in it or behind it.
    pub fn answered(&self) -> u64 {
        self.service_us.count
    }

    /// Failures, unanswered, unsent and corrupted messages, as a share of all that ended; none if none did.
    pub fn error_share(&self) -> Option<f64> {
        let failures: u64 = self.errors.values().sum();
        let bad = failures + self.unanswered + self.unsent + self.corrupted;
        let all = bad + self.answered();
        (all > 0).then(|| bad as f64 / all as f64)
    }
}

impl IntervalSummary {
    /// Of a part of the window.
    pub fn of(interval: &Interval) -> Self {
        let times = LatencySummary::of(&interval.tally.response);
        Self {
            start_s: interval.start.as_secs_f64(),
            seconds: interval.length.as_secs_f64(),
            messages: interval.tally.messages,
            errors: interval.tally.failures.total(),
            response_us: IntervalLatency {
                p50: times.p50,
                p99: times.p99,
                max: times.max,
                bounded_from: times.bounded_from,
            },
        }
    }
}
