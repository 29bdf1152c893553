//! One connection under load, from its first byte to its last: what is sent, what must come back, and when.
//!
//! ```text
//!   intended ---------> sendable ---------> sent ---------------------> answered
//!            wait               send lag         service
//!            (the peer's)       (ours)
//!   |<---------------------------- response --------------------------->|
//! ```
//!
//! A message is *intended* when its schedule says so; in a closed loop, when there is room for it. It is *sendable* when
//! the connection is up, has room under the pipeline's depth and its socket takes bytes; *sent* when its first byte is
//! handed over; *answered* when its last byte is back. Replies are read before anything is sent.
//!
//! Like a connection of the server it drives a transport while it believes in it and wants to, and only `WouldBlock`
//! disproves the belief. Its clock is an argument.

mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::collections::{VecDeque, vec_deque};
use std::io::{ErrorKind, Read, Write};

use crate::conn::{Readiness, Ready};
use crate::load::measure::failure::Failure;
use crate::load::measure::metrics::Corruption;
use crate::load::plan::payload::{Message, Payload};
use crate::load::plan::random::{RngStream, random};
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::Sizes;

/// What all sessions of a loop share.
pub struct SessionSettings<'a> {
    /// What is sent.
    pub payload: &'a Payload,
    /// How large the messages are.
    pub sizes: &'a Sizes,
    /// Most unanswered messages.
    pub pipeline: usize,
    /// Whether replies are compared.
    pub verify: bool,
    /// Decides the sizes.
    pub seed: u64,
    /// The monotonic clock.
    pub clock: fn() -> u64,
}

/// Who is told what happened to each message.
pub trait Observer {
    /// May another message, intended at this time, be begun?
    fn may_begin(&mut self, intended: u64) -> bool;
    /// A message is on its way.
    fn sent(&mut self, times: &Timestamps);
    /// A reply of `size` bytes is complete.
    fn answered(&mut self, times: &Timestamps, size: usize, at: u64);
    /// Bytes of replies have come.
    fn received(&mut self, bytes: usize, at: u64);
    /// The connection is about to be read for the first time in this turn.
    fn reading(&mut self, at: u64);
}

/// When a message was intended, sendable and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// When its schedule wanted it.
    pub intended: u64,
    /// When nothing but us was in its way.
    pub sendable: u64,
    /// When its first byte was handed over.
    pub sent: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// Nothing can be done before the next event or the next due time.
    Wait,
    /// There is more to read.
    Again,
    /// The connection is lost.
    Lost(Failure),
    /// A reply differs from what was sent.
    Corrupted(Corruption),
}

/// A message whose reply is due.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    times: Timestamps,
    /// Of its first byte, in the bytes of the connection.
    offset: u64,
    size: usize,
}

/// One established connection.
pub struct Session {
    readiness: Readiness,
    /// The number of the connection, from 1.
    number: u64,
    /// Of its first byte, in the table.
    start: usize,
    /// Bytes of a greeting that are still to come.
    greeting: usize,
    in_flight: VecDeque<InFlight>,
    /// How much of the oldest message is back.
    received: usize,
    /// How much of the youngest message is handed over.
    written: usize,
    /// Where the next message begins, in the bytes of the connection.
    offset: u64,
    /// Since when nothing but us is in the way of the next message.
    sendable_since: u64,
    /// Whether the pipeline was full once, and since when there is room for the messages after the next.
    was_full: bool,
    rooms: VecDeque<u64>,
    /// How much earlier the first message could have been sent but for us.
    dial_lag: u64,
    /// Since when the socket has taken no bytes.
    blocked_since: Option<u64>,
    /// Messages that may still be begun on this connection.
    left: u64,
    random: fastrand::Rng,
}

impl Session {
    /// Connection `number` of a payload, established at `now`, which may carry `left` messages and begins with
    /// `greeting` bytes that are not ours. All of that was `dial_lag` later than it could have been, because of us.
    pub(crate) fn new(
        settings: &SessionSettings,
        number: u64,
        greeting: usize,
        left: u64,
        readiness: Readiness,
        now: u64,
        dial_lag: u64,
    ) -> Self {
        Self {
            readiness,
            number,
            start: settings.payload.start(number),
            greeting,
            in_flight: VecDeque::new(),
            received: 0,
            written: 0,
            offset: 0,
            sendable_since: now - dial_lag,
            was_full: false,
            rooms: VecDeque::new(),
            dial_lag,
            blocked_since: None,
            left,
            random: random(settings.seed, RngStream::Sizes, number),
        }
    }

    /// Notes what the poll reported at `now`.
    pub fn handle_ready(&mut self, ready: Ready, now: u64) {
        self.readiness.record(ready);
        if ready.writable && self.blocked_since.take().is_some() {
            self.sendable_since = now;
        }
    }

    /// The load begins at `now`: before it nothing was wanted.
    pub fn handle_begin(&mut self, now: u64) {
        self.sendable_since = self.sendable_since.max(now);
    }

    /// Reads what has come and sends what is due, until the socket or the schedule says wait.
    pub fn drive(
        &mut self,
        socket: &mut (impl Read + Write),
        schedule: &mut Schedule,
        settings: &SessionSettings,
        buffer: &mut [u8],
        observer: &mut impl Observer,
    ) -> SessionStatus {
        match self.read(socket, settings, buffer, observer) {
            SessionStatus::Wait => {}
            progress => return progress,
        }
        if self.readiness.is_reset() {
            return SessionStatus::Lost(Failure::Reset);
        }
        if let Err(failure) = self.write(socket, schedule, settings, observer) {
            return SessionStatus::Lost(failure);
        }
        match self.readiness.is_readable() {
            true => SessionStatus::Again,
            false => SessionStatus::Wait,
        }
    }

    /// Whether an event for writing is wanted.
    pub fn wants_write(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// Since when the socket has taken no bytes, if it does not.
    pub fn blocked_since(&self) -> Option<u64> {
        self.blocked_since
    }

    /// Whether another message could be sent at once.
    pub fn can_send(&self, settings: &SessionSettings) -> bool {
        self.left > 0
            && self.greeting == 0
            && self.readiness.is_writable()
            && !self.is_writing()
            && self.in_flight.len() < settings.pipeline
    }

    /// Whether it may carry another message.
    pub fn has_more(&self) -> bool {
        self.left > 0
    }

    /// Whether every message that it may carry has been answered.
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.in_flight.is_empty()
    }

    /// Since when the peer owes something: its greeting, or the reply to the oldest message.
    pub fn awaited_since(&self) -> Option<u64> {
        match self.greeting {
            0 => self.in_flight.front().map(|message| message.times.sent),
            _ => Some(self.sendable_since),
        }
    }

    /// Ends the session; the messages whose replies are due, the oldest first.
    pub fn into_unanswered(self) -> vec_deque::IntoIter<Timestamps> {
        let times = self.in_flight.into_iter().map(|message| message.times);
        times.collect::<VecDeque<_>>().into_iter()
    }

    fn is_writing(&self) -> bool {
        let youngest = self.in_flight.back();
        youngest.is_some_and(|message| self.written < message.size)
    }

    /// Bytes that nobody compares are always the same, which a cache holds: a walk through the whole table is a part of
    /// what verifying costs.
    fn message<'a>(&self, message: &InFlight, settings: &SessionSettings<'a>) -> Message<'a> {
        let (start, offset) = match settings.verify {
            true => (self.start, message.offset),
            false => (0, 0),
        };
        settings.payload.message(start, offset, message.size)
    }
}

fn lost(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Failure::Reset
        }
        _ => Failure::Other,
    }
}
