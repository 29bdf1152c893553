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
//! disproves the belief. It reads no clock: that is an argument.

use std::collections::{VecDeque, vec_deque};
use std::io::{ErrorKind, IoSlice, Read, Write};

use super::payload::{self, Message, Payload};
use super::{Corruption, Failure, Schedule, Sizes};
use crate::conn::{Readiness, Ready, ShortRead};

/// Reads in one run, before others have their turn.
const READS: usize = 16;

/// What all sessions of a loop share.
pub struct Shared<'a> {
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
    fn sent(&mut self, times: &Times);
    /// A reply is complete.
    fn answered(&mut self, times: &Times, at: u64);
    /// Bytes of replies have come.
    fn received(&mut self, bytes: usize, at: u64);
    /// The connection is about to be read for the first time in this turn.
    fn reading(&mut self, at: u64);
}

/// When a message was intended, sendable and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When its schedule wanted it.
    pub intended: u64,
    /// When nothing but us was in its way.
    pub sendable: u64,
    /// When its first byte was handed over.
    pub sent: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
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
    times: Times,
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
    able_since: u64,
    /// Since when the socket has taken no bytes.
    blocked_since: Option<u64>,
    /// Messages that may still be begun on this connection.
    left: u64,
    random: fastrand::Rng,
}

impl Session {
    /// Connection `number` of a payload, able to send since `able_since`, which may carry `left` messages and begins
    /// with `greeting` bytes that are not ours.
    pub fn new(
        shared: &Shared,
        number: u64,
        greeting: usize,
        left: u64,
        short_read: ShortRead,
        able_since: u64,
    ) -> Self {
        Self {
            readiness: Readiness::new(short_read),
            number,
            start: shared.payload.start(number),
            greeting,
            in_flight: VecDeque::new(),
            received: 0,
            written: 0,
            offset: 0,
            able_since,
            blocked_since: None,
            left,
            random: fastrand::Rng::with_seed(shared.seed ^ number),
        }
    }

    /// Notes what the poll reported at `now`.
    pub fn handle_ready(&mut self, ready: Ready, now: u64) {
        self.readiness.note(ready);
        if ready.writable && self.blocked_since.take().is_some() {
            self.able_since = now;
        }
    }

    /// The load begins at `now`: before it nothing was wanted.
    pub fn handle_begin(&mut self, now: u64) {
        self.able_since = self.able_since.max(now);
    }

    /// Reads what has come and sends what is due, until the socket or the schedule says wait.
    pub fn drive(
        &mut self,
        socket: &mut (impl Read + Write),
        schedule: &mut Schedule,
        shared: &Shared,
        buffer: &mut [u8],
        observer: &mut impl Observer,
    ) -> Progress {
        match self.read(socket, shared, buffer, observer) {
            Progress::Wait => {}
            progress => return progress,
        }
        if self.readiness.reset() {
            return Progress::Lost(Failure::Reset);
        }
        if let Err(failure) = self.write(socket, schedule, shared, observer) {
            return Progress::Lost(failure);
        }
        match self.readiness.readable() {
            true => Progress::Again,
            false => Progress::Wait,
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
    pub fn is_able(&self, shared: &Shared) -> bool {
        self.left > 0
            && self.greeting == 0
            && self.readiness.writable()
            && !self.is_writing()
            && self.in_flight.len() < shared.pipeline
    }

    /// Whether every message that it may carry has been answered.
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.in_flight.is_empty()
    }

    /// When the oldest unanswered message was sent.
    pub fn oldest(&self) -> Option<u64> {
        self.in_flight.front().map(|message| message.times.sent)
    }

    /// Ends the session; the messages whose replies are due, the oldest first.
    pub fn into_unanswered(self) -> vec_deque::IntoIter<Times> {
        let times = self.in_flight.into_iter().map(|message| message.times);
        times.collect::<VecDeque<_>>().into_iter()
    }

    fn read(
        &mut self,
        socket: &mut impl Read,
        shared: &Shared,
        buffer: &mut [u8],
        observer: &mut impl Observer,
    ) -> Progress {
        if !self.readiness.readable() {
            return Progress::Wait;
        }
        observer.reading((shared.clock)());
        for _ in 0..READS {
            match socket.read(buffer) {
                Ok(0) if self.readiness.reset() => return Progress::Lost(Failure::Reset),
                Ok(0) => return Progress::Lost(Failure::Closed),
                Ok(length) => {
                    if length < buffer.len() {
                        self.readiness.read_came_short();
                    }
                    let at = (shared.clock)();
                    if let Err(corruption) = self.receive(&buffer[..length], shared, observer, at) {
                        return Progress::Corrupted(corruption);
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.readiness.read_would_block(),
                    ErrorKind::Interrupted => {}
                    _ => return Progress::Lost(lost(error.kind())),
                },
            }
            if !self.readiness.readable() {
                break;
            }
        }
        Progress::Wait
    }

    fn receive(
        &mut self,
        bytes: &[u8],
        shared: &Shared,
        observer: &mut impl Observer,
        at: u64,
    ) -> Result<(), Corruption> {
        let (greeting, mut bytes) = bytes.split_at(self.greeting.min(bytes.len()));
        self.greeting -= greeting.len();
        if !greeting.is_empty() && self.greeting == 0 {
            self.able_since = at;
        }
        observer.received(bytes.len(), at);
        while !bytes.is_empty() {
            let Some(oldest) = self.in_flight.front().copied() else {
                return Err(self.unasked(self.offset, bytes));
            };
            let due = match self.in_flight.len() {
                1 => self.written,
                _ => oldest.size,
            } - self.received;
            let (reply, rest) = bytes.split_at(due.min(bytes.len()));
            if reply.is_empty() {
                return Err(self.unasked(oldest.offset + self.received as u64, bytes));
            }
            if shared.verify {
                self.verify(reply, &oldest, shared)?;
            }
            self.received += reply.len();
            if self.received == oldest.size {
                self.complete(&oldest, shared, observer, at);
            }
            bytes = rest;
        }
        Ok(())
    }

    fn complete(
        &mut self,
        oldest: &InFlight,
        shared: &Shared,
        observer: &mut impl Observer,
        at: u64,
    ) {
        if self.in_flight.len() == shared.pipeline {
            self.able_since = at;
        }
        self.in_flight.pop_front();
        self.received = 0;
        observer.answered(&oldest.times, at);
    }

    fn verify(&self, reply: &[u8], message: &InFlight, shared: &Shared) -> Result<(), Corruption> {
        let sent = self.message(message, shared);
        match sent.difference(self.received, reply) {
            None => Ok(()),
            Some(at) => Err(Corruption {
                connection: self.number,
                offset: message.offset + at as u64,
                expected: sent.sample(at),
                got: payload::sample(reply, at - self.received),
            }),
        }
    }

    /// More came than was sent.
    #[cold]
    fn unasked(&self, offset: u64, bytes: &[u8]) -> Corruption {
        Corruption {
            connection: self.number,
            offset,
            expected: Vec::new(),
            got: payload::sample(bytes, 0),
        }
    }

    fn write(
        &mut self,
        socket: &mut impl Write,
        schedule: &mut Schedule,
        shared: &Shared,
        observer: &mut impl Observer,
    ) -> Result<(), Failure> {
        loop {
            if self.is_writing() {
                if !self.readiness.writable() {
                    return Ok(());
                }
                let message = self.in_flight[self.in_flight.len() - 1];
                match self.write_some(socket, &message, self.written, shared)? {
                    Some(length) => self.written += length,
                    None => return Ok(()),
                }
            } else if !self.is_able(shared) || !self.begin(socket, schedule, shared, observer)? {
                return Ok(());
            }
        }
    }

    /// Sends the begin of the next message, if one is due. False: nothing was sent.
    fn begin(
        &mut self,
        socket: &mut impl Write,
        schedule: &mut Schedule,
        shared: &Shared,
        observer: &mut impl Observer,
    ) -> Result<bool, Failure> {
        let sent = (shared.clock)();
        let intended = schedule.next().unwrap_or(self.able_since);
        if intended > sent || !observer.may_begin(intended) {
            return Ok(false);
        }
        let message = InFlight {
            times: Times {
                intended,
                sendable: intended.max(self.able_since),
                sent,
            },
            offset: self.offset,
            size: shared.sizes.draw(&mut self.random),
        };
        let Some(length) = self.write_some(socket, &message, 0, shared)? else {
            return Ok(false);
        };
        self.in_flight.push_back(message);
        self.written = length;
        self.offset += message.size as u64;
        self.left -= 1;
        schedule.advance();
        observer.sent(&message.times);
        Ok(true)
    }

    /// None: the socket takes nothing.
    fn write_some(
        &mut self,
        socket: &mut impl Write,
        message: &InFlight,
        from: usize,
        shared: &Shared,
    ) -> Result<Option<usize>, Failure> {
        loop {
            let sent = self.message(message, shared);
            let written = match sent.pieces(from) {
                [[], body, []] => socket.write(body),
                pieces => socket.write_vectored(&pieces.map(IoSlice::new)),
            };
            match written {
                Ok(0) => return Err(Failure::Other),
                Ok(length) => return Ok(Some(length)),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        self.readiness.write_would_block();
                        self.blocked_since = Some((shared.clock)());
                        return Ok(None);
                    }
                    kind => return Err(lost(kind)),
                },
            }
        }
    }

    fn is_writing(&self) -> bool {
        let youngest = self.in_flight.back();
        youngest.is_some_and(|message| self.written < message.size)
    }

    /// Bytes that nobody compares are always the same, which a cache holds: a walk through the whole table is a part of
    /// what verifying costs.
    fn message<'a>(&self, message: &InFlight, shared: &Shared<'a>) -> Message<'a> {
        let (start, offset) = match shared.verify {
            true => (self.start, message.offset),
            false => (0, 0),
        };
        shared.payload.message(start, offset, message.size)
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

#[cfg(test)]
mod tests;
