//! One established connection under load: its messages, their times, and the check of their replies.
//!
//! ```text
//!   intended ---------> sendable ---------> sent ---------------------> answered
//!            wait               send lag         service
//!            (the peer's)       (ours)
//!   |<---------------------------- response --------------------------->|
//! ```
//!
//! - *intended*: the schedule wants the message sent. In a closed loop: there is room for the message.
//! - *sendable*: the message is intended, the connection is up, its greeting has arrived, fewer messages than the
//!   pipeline's depth are unanswered, and the socket accepts bytes.
//! - *sent*: the socket has accepted the first byte.
//! - *answered*: the last byte of the reply is back.
//!
//! [`Session::drive`] reads replies before it sends. Like a connection of the server, a session calls the socket while
//! [`Readiness`] says that the socket is ready, and only `WouldBlock` disproves that (on epoll, a short read too). The
//! [`Observer`] has the clock, so tests set the time. `receive.rs` reads and compares, `send.rs` writes.

mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use super::admission::Admission;
use crate::conn::{Readiness, Ready};
use crate::load::measure::failure::Failure;
use crate::load::measure::message::{Message, Observer, Stage, Timestamps};
use crate::load::measure::metrics::Corruption;
use crate::load::plan::payload::{MessageBytes, Payload};
use crate::load::plan::random::{RngStream, random};
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::RunSettings;

/// How many messages a session carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionLoad {
    /// Any number. [`Admission`] decides on each message.
    Unlimited,
    /// With churn: exactly one message. The message was admitted when its connect started.
    OneMessage,
    /// No more: the one message was sent.
    NoMessage,
}

/// The state in which [`Session::drive`] leaves a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// The session waits for an event of its socket or for the next time of its schedule.
    Waiting,
    /// There may be more to read. Another run must follow.
    MoreToRead,
    /// The connection has failed.
    Failed(Failure),
    /// A reply differs from its message.
    Corrupted(Corruption),
}

/// A message without a complete reply.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    times: Timestamps,
    /// The offset of the first byte in the byte stream of the connection.
    offset: u64,
    size: usize,
}

/// An established connection under load.
pub struct Session {
    settings: Arc<RunSettings>,
    payload: Arc<Payload>,
    readiness: Readiness,
    /// The number of the connection, from 1.
    number: u64,
    /// Where the byte stream of the connection starts in the payload table.
    start: usize,
    /// Bytes of the greeting that have not arrived.
    greeting_left: usize,
    in_flight: VecDeque<InFlight>,
    /// Bytes of the oldest message that are back.
    received: usize,
    /// Bytes of the newest message that the socket has not accepted yet.
    unwritten: usize,
    /// The offset of the next message in the byte stream of the connection.
    next_offset: u64,
    /// The time since which the next message is sendable, apart from its intended time: from then on, only the load
    /// generator delays it.
    sendable_since: u64,
    /// True if the pipeline was full at least once.
    was_full: bool,
    /// The times at which replies made room in a pipeline that had been full: the first is for the message after the next
    /// one.
    room_since: VecDeque<u64>,
    /// The delay of the connect that the load generator itself caused.
    connect_lag: u64,
    /// The time since which the socket has accepted no bytes, if the latest write was blocked.
    blocked_since: Option<u64>,
    /// When a part of the greeting or of the oldest message was transferred that was not its end.
    progressed_at: u64,
    load: SessionLoad,
    random: fastrand::Rng,
}

impl Session {
    /// Creates the session of connection `number`, which was established at `now`.
    ///
    /// `connect_lag` is the delay of the connect that the load generator itself caused. The first message could have
    /// been sent that much earlier.
    pub(crate) fn new(
        settings: &Arc<RunSettings>,
        payload: &Arc<Payload>,
        number: u64,
        load: SessionLoad,
        readiness: Readiness,
        now: u64,
        connect_lag: u64,
    ) -> Self {
        Self {
            settings: Arc::clone(settings),
            payload: Arc::clone(payload),
            readiness,
            number,
            start: payload.start(number),
            greeting_left: settings.skip,
            in_flight: VecDeque::new(),
            received: 0,
            unwritten: 0,
            next_offset: 0,
            sendable_since: now - connect_lag,
            was_full: false,
            room_since: VecDeque::new(),
            connect_lag,
            blocked_since: None,
            progressed_at: 0,
            load,
            random: random(settings.seed, RngStream::Sizes, number),
        }
    }

    /// Records what an event at `now` reported about the socket.
    pub fn handle_ready(&mut self, ready: Ready, now: u64) {
        self.readiness.record(ready);
        if ready.writable && self.blocked_since.take().is_some() {
            self.sendable_since = now;
        }
    }

    /// Believes that a reply has come whose event was not seen, as after a stall of this process.
    pub fn assume_unread(&mut self) {
        self.readiness.assume_unread();
    }

    /// Records that the load starts at `now`. No message was sendable before.
    pub fn handle_load_start(&mut self, now: u64) {
        self.sendable_since = self.sendable_since.max(now);
    }

    /// Reads replies and sends messages that are due, until the socket or the schedule makes the session wait.
    pub fn drive(
        &mut self,
        socket: &mut (impl Read + Write),
        schedule: &mut Schedule,
        buffer: &mut [u8],
        admission: &mut Admission,
        observer: &mut impl Observer,
    ) -> SessionStatus {
        match self.read(socket, buffer, observer) {
            SessionStatus::Waiting => {}
            status => return status,
        }
        if self.readiness.is_reset() {
            return SessionStatus::Failed(Failure::Reset);
        }
        if let Err(failure) = self.write(socket, schedule, admission, observer) {
            return SessionStatus::Failed(failure);
        }
        match self.readiness.is_readable() {
            true => SessionStatus::MoreToRead,
            false => SessionStatus::Waiting,
        }
    }

    /// Returns the time since which the socket has accepted no bytes, if the latest write was blocked. The session then
    /// needs an event when the socket accepts bytes again.
    pub fn blocked_since(&self) -> Option<u64> {
        self.blocked_since
    }

    /// Returns true if the session could send another message now.
    pub fn can_send(&self) -> bool {
        self.in_flight.len() < self.settings.pipeline
            && self.unwritten == 0
            && self.greeting_left == 0
            && self.readiness.is_writable()
            && !self.has_sent_all()
    }

    /// Returns true if the one message of [`SessionLoad::OneMessage`] was sent.
    pub fn has_sent_all(&self) -> bool {
        self.load == SessionLoad::NoMessage
    }

    /// Returns true if the one message of [`SessionLoad::OneMessage`] was answered.
    pub fn is_complete(&self) -> bool {
        self.has_sent_all() && self.in_flight.is_empty()
    }

    /// Returns the time since which the peer makes no progress that it owes: with the greeting, or with the oldest message,
    /// of which bytes are accepted or come back. A large message on a slow network takes long, and does not time out.
    pub fn awaited_since(&self) -> Option<u64> {
        let since = match self.greeting_left {
            0 => self.in_flight.front().map(|message| message.times.sent),
            _ => Some(self.sendable_since),
        };
        since.map(|since| since.max(self.progressed_at))
    }

    /// Returns when a part of the greeting or of the oldest message was transferred that was not its end; 0 if never.
    pub fn progressed_at(&self) -> u64 {
        self.progressed_at
    }

    /// Ends the session. Returns the messages without a complete reply, the oldest first.
    pub fn into_unanswered(self) -> impl ExactSizeIterator<Item = Message> {
        let messages = self.in_flight.into_iter();
        messages.map(|InFlight { times, .. }| Message {
            intended: times.intended,
            stage: Stage::Sent(times.sent),
        })
    }

    /// Returns the bytes of `message`. Without verification all messages have the same bytes, which stay in the CPU's
    /// cache: reading through the whole table is a part of the cost of verification.
    fn bytes_of(&self, message: &InFlight) -> MessageBytes<'_> {
        let (start, offset) = match self.settings.verify {
            true => (self.start, message.offset),
            false => (0, 0),
        };
        self.payload.message(start, offset, message.size)
    }
}

fn failure_of(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Failure::Reset
        }
        _ => Failure::Other,
    }
}
