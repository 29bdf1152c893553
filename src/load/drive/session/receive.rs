//! Receiving: replies are read, matched with their messages, and compared.

use std::io::{ErrorKind, Read};

use super::{InFlight, Session, SessionStatus, failure_of};
use crate::load::measure::failure::Failure;
use crate::load::measure::message::Observer;
use crate::load::measure::metrics::Corruption;
use crate::load::plan::payload;

/// The most reads of one run. Other connections have their turn afterwards.
const READS: usize = 16;

impl Session {
    /// Reads until the socket is empty or [`READS`] is reached.
    pub(super) fn read(
        &mut self,
        socket: &mut impl Read,
        buffer: &mut [u8],
        observer: &mut impl Observer,
    ) -> SessionStatus {
        if !self.readiness.is_readable() {
            return SessionStatus::Waiting;
        }
        observer.reading(observer.now());
        for _ in 0..READS {
            match socket.read(buffer) {
                Ok(0) if self.readiness.is_reset() => return SessionStatus::Failed(Failure::Reset),
                Ok(0) => return SessionStatus::Failed(Failure::Closed),
                Ok(length) => {
                    if length < buffer.len() {
                        self.readiness.read_came_short();
                    }
                    let at = observer.now();
                    if let Err(corruption) = self.handle_bytes(&buffer[..length], observer, at) {
                        return SessionStatus::Corrupted(corruption);
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.readiness.read_would_block(),
                    ErrorKind::Interrupted => {}
                    kind => return SessionStatus::Failed(failure_of(kind)),
                },
            }
            if !self.readiness.is_readable() {
                break;
            }
        }
        SessionStatus::Waiting
    }

    fn handle_bytes(
        &mut self,
        bytes: &[u8],
        observer: &mut impl Observer,
        at: u64,
    ) -> Result<(), Corruption> {
        let (greeting, mut bytes) = bytes.split_at(self.greeting_left.min(bytes.len()));
        self.greeting_left -= greeting.len();
        if !greeting.is_empty() && self.greeting_left == 0 {
            self.sendable_since = at - self.connect_lag;
        }
        observer.received(bytes.len(), at);
        while !bytes.is_empty() {
            let Some(oldest) = self.in_flight.front().copied() else {
                return Err(self.unexpected_bytes(self.next_offset, bytes));
            };
            let sent = match self.in_flight.len() {
                1 => oldest.size - self.unwritten,
                _ => oldest.size,
            };
            let expected = sent - self.received;
            let (reply, rest) = bytes.split_at(expected.min(bytes.len()));
            if reply.is_empty() {
                let offset = oldest.offset + self.received as u64;
                return Err(self.unexpected_bytes(offset, bytes));
            }
            if self.settings.verify {
                self.verify(reply, &oldest)?;
            }
            self.received += reply.len();
            if self.received == oldest.size {
                self.complete_reply(observer, at);
            }
            bytes = rest;
        }
        if self.received > 0 || self.greeting_left > 0 {
            self.progressed_at = at;
        }
        Ok(())
    }

    /// Ends the oldest message, whose reply is complete.
    ///
    /// Not inlined: if it is, the loop over the replies of a read loads all its fields first, and a read with one reply
    /// takes 30 more instructions.
    #[inline(never)]
    fn complete_reply(&mut self, observer: &mut impl Observer, at: u64) {
        // Each reply makes room for one message. As long as the pipeline was never full, no message waited for room.
        if self.in_flight.len() == self.settings.pipeline {
            self.was_full = true;
            self.sendable_since = at;
        } else if self.was_full {
            self.room_since.push_back(at);
        }
        self.received = 0;
        if let Some(oldest) = self.in_flight.pop_front() {
            observer.answered(&oldest.times, oldest.size, at);
        }
    }

    fn verify(&self, reply: &[u8], message: &InFlight) -> Result<(), Corruption> {
        let sent = self.bytes_of(message);
        match sent.first_difference(self.received, reply) {
            None => Ok(()),
            Some(at) => Err(Corruption {
                connection: self.number,
                offset: message.offset + at as u64,
                expected: sent.sample(at),
                got: payload::sample(reply, at - self.received),
            }),
        }
    }

    /// Describes `bytes` that the peer sent although no message asked for them.
    #[cold]
    fn unexpected_bytes(&self, offset: u64, bytes: &[u8]) -> Corruption {
        Corruption {
            connection: self.number,
            offset,
            expected: Vec::new(),
            got: payload::sample(bytes, 0),
        }
    }
}
