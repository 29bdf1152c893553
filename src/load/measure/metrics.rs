//! What was measured: rows of times, and counts. Tallies are added, never averaged.
//!
//! A thread fills one tally an interval and hands it over; the total is their sum. A time is recorded once.

use std::ops::{AddAssign, Index, IndexMut};

use hdrhistogram::Histogram;

use crate::net::ConnectFailure;

/// The longest time that a histogram tells apart: an hour, in nanoseconds. Longer ones are counted as this.
pub const LONGEST: u64 = 3_600_000_000_000;

/// Significant decimal digits of a time.
pub const DIGITS: u8 = 3;

/// Times in nanoseconds.
#[derive(Clone, Debug)]
pub struct LatencyHistogram {
    /// From 1 ns to [`LONGEST`], to [`DIGITS`] digits.
    pub histogram: Histogram<u64>,
    /// The exact greatest, also over [`LONGEST`].
    pub max: u64,
    /// How many were over [`LONGEST`].
    pub overflow: u64,
    /// The least of those that are only known to be at least as long: messages that had no answer when it was
    /// recorded. A percentile from here on is a lower bound.
    pub bounded_from: Option<u64>,
}

/// What can go wrong with a connection or a message, as reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// The name has no address.
    Unresolved,
    /// No answer to a connect in time.
    ConnectTimeout,
    /// No port is left on the source address.
    NoSourcePort,
    /// No descriptor is left.
    Descriptors,
    /// A socket was connected to itself.
    SelfConnect,
    /// The peer reset the connection.
    Reset,
    /// The peer closed the connection while replies were due.
    Closed,
    /// A reply did not come in time.
    Timeout,
    /// Anything else.
    Other,
}

/// How often each failure was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures([u64; Failure::ALL.len()]);

/// What was measured in some interval, or in all of them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Intended until answered.
    pub response: LatencyHistogram,
    /// Intended until the connection could take it: the peer's part of a delay.
    pub wait: LatencyHistogram,
    /// Sent until answered.
    pub service: LatencyHistogram,
    /// Could be sent until sent: our own part of a delay.
    pub send_lag: LatencyHistogram,
    /// Connects, from the first SYN until established.
    pub connect: LatencyHistogram,
    /// From the poll's return until the connection was read: our own, and inside `service`.
    pub turn: LatencyHistogram,
    /// Replies that came in the window, verified.
    pub messages: u64,
    /// Bytes of replies that came in the window.
    pub bytes: u64,
    /// Messages of the window that were sent and had no answer at the end.
    pub unanswered: u64,
    /// Messages of the window that were never sent.
    pub unsent: u64,
    /// Attempts to replace a connection.
    pub reconnects: u64,
    /// By name.
    pub failures: Failures,
    /// Replies that differed from what was sent, in the window or outside.
    pub corrupted: u64,
    /// The first of them.
    pub corruption: Option<Corruption>,
    /// Unanswered messages, integrated over the window: messages times nanoseconds.
    pub in_flight: u128,
    /// Nanoseconds in the poll, waiting.
    pub polling: u64,
    /// Nanoseconds of looking again and again because something was due soon.
    pub spinning: u64,
    /// Nanoseconds in all, over all threads: the rest is busy.
    pub elapsed: u64,
}

/// Where a reply differed from what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The number of the connection, from 1.
    pub connection: u64,
    /// Of the first wrong byte, in the bytes echoed on that connection, from 0.
    pub offset: u64,
    /// The bytes that were due there, a few.
    pub expected: Vec<u8>,
    /// The bytes that came, a few.
    pub got: Vec<u8>,
}

impl LatencyHistogram {
    /// Adds a time.
    pub fn record(&mut self, nanoseconds: u64) {
        self.max = self.max.max(nanoseconds);
        self.overflow += u64::from(nanoseconds > LONGEST);
        self.histogram.saturating_record(nanoseconds);
    }

    /// Adds a time of which only this much is known to have passed.
    pub fn record_unfinished(&mut self, nanoseconds: u64) {
        self.record(nanoseconds);
        let least = self.bounded_from.unwrap_or(u64::MAX).min(nanoseconds);
        self.bounded_from = Some(least);
    }
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, LONGEST, DIGITS)
                .expect("bounds that are in order"),
            max: 0,
            overflow: 0,
            bounded_from: None,
        }
    }
}

impl AddAssign<&LatencyHistogram> for LatencyHistogram {
    fn add_assign(&mut self, other: &LatencyHistogram) {
        self.histogram
            .add(&other.histogram)
            .expect("histograms of the same bounds");
        self.max = self.max.max(other.max);
        self.overflow += other.overflow;
        self.bounded_from = [self.bounded_from, other.bounded_from]
            .into_iter()
            .flatten()
            .min();
    }
}

impl Failure {
    /// All, in the order of reports.
    pub const ALL: [Self; 11] = [
        Self::Refused,
        Self::Unreachable,
        Self::Unresolved,
        Self::ConnectTimeout,
        Self::NoSourcePort,
        Self::Descriptors,
        Self::SelfConnect,
        Self::Reset,
        Self::Closed,
        Self::Timeout,
        Self::Other,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Unresolved => "unresolved",
            Self::ConnectTimeout => "connect_timeout",
            Self::NoSourcePort => "no_source_port",
            Self::Descriptors => "descriptors",
            Self::SelfConnect => "self_connect",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }
}

impl Failures {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that were seen at all, in the order of reports.
    pub fn seen(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::ALL
            .into_iter()
            .map(|failure| (failure, self[failure]))
            .filter(|(_, count)| *count > 0)
    }
}

impl Index<Failure> for Failures {
    type Output = u64;
    fn index(&self, failure: Failure) -> &u64 {
        &self.0[failure as usize]
    }
}

impl IndexMut<Failure> for Failures {
    fn index_mut(&mut self, failure: Failure) -> &mut u64 {
        &mut self.0[failure as usize]
    }
}

impl Metrics {
    /// The rows with the names that files give them, in the order of reports.
    pub fn rows(&self) -> [(&'static str, &LatencyHistogram); 6] {
        [
            ("response", &self.response),
            ("wait", &self.wait),
            ("service", &self.service),
            ("send_lag", &self.send_lag),
            ("connect", &self.connect),
            ("turn", &self.turn),
        ]
    }

    /// The share of the time in which the loops neither waited nor looked again; none where no time passed.
    pub fn busy(&self) -> Option<f64> {
        busy(self.polling.saturating_add(self.spinning), self.elapsed)
    }
}

/// The share of the time in which a loop neither waited nor looked again; none where no time passed.
pub fn busy(idle: u64, elapsed: u64) -> Option<f64> {
    (elapsed > 0).then(|| 1.0 - (idle as f64 / elapsed as f64).min(1.0))
}

impl AddAssign<&Metrics> for Metrics {
    fn add_assign(&mut self, other: &Metrics) {
        self.response += &other.response;
        self.wait += &other.wait;
        self.service += &other.service;
        self.send_lag += &other.send_lag;
        self.connect += &other.connect;
        self.turn += &other.turn;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.reconnects += other.reconnects;
        for failure in Failure::ALL {
            self.failures[failure] += other.failures[failure];
        }
        self.corrupted += other.corrupted;
        if self.corruption.is_none() {
            self.corruption.clone_from(&other.corruption);
        }
        self.in_flight += other.in_flight;
        self.polling += other.polling;
        self.spinning += other.spinning;
        self.elapsed += other.elapsed;
    }
}

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Self {
        match failure {
            ConnectFailure::Refused => Self::Refused,
            ConnectFailure::Unreachable => Self::Unreachable,
            ConnectFailure::Unresolved => Self::Unresolved,
            ConnectFailure::TimedOut => Self::ConnectTimeout,
            ConnectFailure::NoSourcePort => Self::NoSourcePort,
            ConnectFailure::Descriptors => Self::Descriptors,
            ConnectFailure::SelfConnect => Self::SelfConnect,
            ConnectFailure::Reset => Self::Reset,
            ConnectFailure::Other => Self::Other,
        }
    }
}
