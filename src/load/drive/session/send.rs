//! Sending: messages start when they are due, and are written as far as the socket accepts them.

use std::io::{ErrorKind, IoSlice, Write};

use super::{InFlight, Session, SessionLoad, failure_of};
use crate::load::drive::admission::Admission;
use crate::load::measure::failure::Failure;
use crate::load::measure::message::{Observer, Timestamps};
use crate::load::plan::schedule::Schedule;

impl Session {
    /// Sends messages until the socket blocks, the pipeline is full, or no message is due.
    pub(super) fn write(
        &mut self,
        socket: &mut impl Write,
        schedule: &mut Schedule,
        admission: &mut Admission,
        observer: &mut impl Observer,
    ) -> Result<(), Failure> {
        loop {
            let newest = self.in_flight.back().filter(|_| self.unwritten > 0);
            if let Some(message) = newest.copied() {
                if !self.readiness.is_writable() {
                    return Ok(());
                }
                match self.write_some(socket, &message, message.size - self.unwritten, observer)? {
                    Some(length) => {
                        self.unwritten -= length;
                        if self.in_flight.len() == 1 {
                            self.progressed_at = observer.now();
                        }
                    }
                    None => return Ok(()),
                }
            } else if !self.can_send() || !self.send_next(socket, schedule, admission, observer)? {
                return Ok(());
            }
        }
    }

    /// Sends the first bytes of the next message, if the message is due. Returns true if bytes were sent.
    fn send_next(
        &mut self,
        socket: &mut impl Write,
        schedule: &mut Schedule,
        admission: &mut Admission,
        observer: &mut impl Observer,
    ) -> Result<bool, Failure> {
        let sent = observer.now();
        let intended = schedule.next_due().unwrap_or(self.sendable_since);
        let is_admitted = match self.load {
            SessionLoad::Unlimited => admission.admits(intended),
            SessionLoad::OneMessage => true,
            SessionLoad::NoMessage => false,
        };
        if intended > sent || !is_admitted {
            return Ok(false);
        }
        let message = InFlight {
            times: Timestamps {
                intended,
                sendable: intended.max(self.sendable_since),
                sent,
            },
            offset: self.next_offset,
            size: self.settings.sizes.draw(&mut self.random),
        };
        let Some(length) = self.write_some(socket, &message, 0, observer)? else {
            return Ok(false);
        };
        self.in_flight.push_back(message);
        self.unwritten = message.size - length;
        self.next_offset += message.size as u64;
        if let Some(since) = self.room_since.pop_front() {
            self.sendable_since = self.sendable_since.max(since);
        }
        schedule.advance();
        match self.load {
            SessionLoad::Unlimited => {
                admission.take(intended);
                observer.started(intended);
            }
            SessionLoad::OneMessage | SessionLoad::NoMessage => self.load = SessionLoad::NoMessage,
        }
        observer.sent(&message.times);
        Ok(true)
    }

    /// Writes bytes of `message` from offset `from` on. Returns `None` if the socket accepts no bytes.
    fn write_some(
        &mut self,
        socket: &mut impl Write,
        message: &InFlight,
        from: usize,
        observer: &impl Observer,
    ) -> Result<Option<usize>, Failure> {
        loop {
            let bytes = self.bytes_of(message);
            let written = match bytes.pieces(from) {
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
                        self.blocked_since = Some(observer.now());
                        return Ok(None);
                    }
                    kind => return Err(failure_of(kind)),
                },
            }
        }
    }
}
