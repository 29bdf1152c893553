//! The way out: messages are begun when they are due, and written as far as the socket takes them.

use std::io::{ErrorKind, IoSlice, Write};

use super::{InFlight, Observer, Session, SessionSettings, Timestamps, lost};
use crate::load::measure::failure::Failure;
use crate::load::plan::schedule::Schedule;

impl Session {
    pub(super) fn write(
        &mut self,
        socket: &mut impl Write,
        schedule: &mut Schedule,
        settings: &SessionSettings,
        observer: &mut impl Observer,
    ) -> Result<(), Failure> {
        loop {
            if self.is_writing() {
                if !self.readiness.is_writable() {
                    return Ok(());
                }
                let message = self.in_flight[self.in_flight.len() - 1];
                match self.write_some(socket, &message, self.written, settings)? {
                    Some(length) => self.written += length,
                    None => return Ok(()),
                }
            } else if !self.can_send(settings)
                || !self.begin(socket, schedule, settings, observer)?
            {
                return Ok(());
            }
        }
    }

    /// Sends the begin of the next message, if one is due. False: nothing was sent.
    fn begin(
        &mut self,
        socket: &mut impl Write,
        schedule: &mut Schedule,
        settings: &SessionSettings,
        observer: &mut impl Observer,
    ) -> Result<bool, Failure> {
        let sent = (settings.clock)();
        let intended = schedule.next().unwrap_or(self.sendable_since);
        if intended > sent || !observer.may_begin(intended) {
            return Ok(false);
        }
        let message = InFlight {
            times: Timestamps {
                intended,
                sendable: intended.max(self.sendable_since),
                sent,
            },
            offset: self.offset,
            size: settings.sizes.draw(&mut self.random),
        };
        let Some(length) = self.write_some(socket, &message, 0, settings)? else {
            return Ok(false);
        };
        self.in_flight.push_back(message);
        self.written = length;
        self.offset += message.size as u64;
        self.left -= 1;
        if let Some(room) = self.rooms.pop_front() {
            self.sendable_since = self.sendable_since.max(room);
        }
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
        settings: &SessionSettings,
    ) -> Result<Option<usize>, Failure> {
        loop {
            let sent = self.message(message, settings);
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
                        self.blocked_since = Some((settings.clock)());
                        return Ok(None);
                    }
                    kind => return Err(lost(kind)),
                },
            }
        }
    }
}
