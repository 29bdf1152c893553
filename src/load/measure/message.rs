//! A message of the load: its timestamps, how far it got, and how it ended.

use super::failure::Failure;

/// The times of a message that was sent, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// When the schedule wanted the message sent. In a closed loop: when there was room for the message.
    pub intended: u64,
    /// When only the load generator itself could still delay the message.
    pub sendable: u64,
    /// When the socket accepted the first byte.
    pub sent: u64,
}

/// A message that ends without a reply that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// When the message was intended.
    pub intended: u64,
    /// How far the message got.
    pub stage: Stage,
}

/// How far a message got before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// With churn: a connect was started for the message, and the message was not sent.
    Connecting,
    /// The socket accepted at least one byte of the message, the first one at this time.
    Sent(u64),
}

/// How a message ended without a reply that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The connection failed.
    Failed(Failure),
    /// The reply was wrong. [`Corruption`](super::metrics::Corruption)s are counted apart.
    Corrupted,
    /// The run ended first. The message is unanswered if it was sent, and unsent otherwise.
    Unfinished,
}

/// Receives what happens to the messages of a session, and has the clock of the session.
pub trait Observer {
    /// Returns the time of the monotonic clock in nanoseconds.
    fn now(&self) -> u64;
    /// A message starts that is intended at `intended`. With churn the connect is the start.
    fn started(&mut self, intended: u64);
    /// The socket accepted the first byte of a started message.
    fn sent(&mut self, times: &Timestamps);
    /// At `at` the last byte of a reply of `size` bytes arrived.
    fn answered(&mut self, times: &Timestamps, size: usize, at: u64);
    /// At `at` some bytes of replies arrived.
    fn received(&mut self, bytes: usize, at: u64);
    /// At `at` the connection is about to be read for the first time in this turn.
    fn reading(&mut self, at: u64);
}
