//! The way back: replies are read, matched with what was sent, and compared.

use std::io::{ErrorKind, Read};

use super::{InFlight, Observer, Session, SessionSettings, SessionStatus, lost};
use crate::load::measure::failure::Failure;
use crate::load::measure::metrics::Corruption;
use crate::load::plan::payload;

/// Reads in one run, before others have their turn.
const READS: usize = 16;

impl Session {
    pub(super) fn read(
        &mut self,
        socket: &mut impl Read,
        settings: &SessionSettings,
        buffer: &mut [u8],
        observer: &mut impl Observer,
    ) -> SessionStatus {
        if !self.readiness.is_readable() {
            return SessionStatus::Wait;
        }
        observer.reading((settings.clock)());
        for _ in 0..READS {
            match socket.read(buffer) {
                Ok(0) if self.readiness.is_reset() => return SessionStatus::Lost(Failure::Reset),
                Ok(0) => return SessionStatus::Lost(Failure::Closed),
                Ok(length) => {
                    if length < buffer.len() {
                        self.readiness.read_came_short();
                    }
                    let at = (settings.clock)();
                    if let Err(corruption) = self.receive(&buffer[..length], settings, observer, at)
                    {
                        return SessionStatus::Corrupted(corruption);
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.readiness.read_would_block(),
                    ErrorKind::Interrupted => {}
                    _ => return SessionStatus::Lost(lost(error.kind())),
                },
            }
            if !self.readiness.is_readable() {
                break;
            }
        }
        SessionStatus::Wait
    }

    fn receive(
        &mut self,
        bytes: &[u8],
        settings: &SessionSettings,
        observer: &mut impl Observer,
        at: u64,
    ) -> Result<(), Corruption> {
        let (greeting, mut bytes) = bytes.split_at(self.greeting.min(bytes.len()));
        self.greeting -= greeting.len();
        if !greeting.is_empty() && self.greeting == 0 {
            self.sendable_since = at - self.dial_lag;
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
            if settings.verify {
                self.verify(reply, &oldest, settings)?;
            }
            self.received += reply.len();
            if self.received == oldest.size {
                self.complete(&oldest, settings, observer, at);
            }
            bytes = rest;
        }
        Ok(())
    }

    fn complete(
        &mut self,
        oldest: &InFlight,
        settings: &SessionSettings,
        observer: &mut impl Observer,
        at: u64,
    ) {
        // Each reply makes room for one message. Where there was always room, nobody waited for it.
        if self.in_flight.len() == settings.pipeline {
            self.was_full = true;
            self.sendable_since = at;
        } else if self.was_full {
            self.rooms.push_back(at);
        }
        self.in_flight.pop_front();
        self.received = 0;
        observer.answered(&oldest.times, oldest.size, at);
    }

    fn verify(
        &self,
        reply: &[u8],
        message: &InFlight,
        settings: &SessionSettings,
    ) -> Result<(), Corruption> {
        let sent = self.message(message, settings);
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
}
