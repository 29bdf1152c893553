//! A socket of ours and what is believed of it. All its system calls are here, one a call, and only when one is believed
//! to succeed.
//!
//! A link that breaks is read to its end all the same: what came before is still there, and somebody may want it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};

use crate::conn::Readiness;
use crate::net::outbound::Connected;
use crate::net::poll::readiness_of;
use crate::net::registration::Registration;

/// A socket on its way to a connection, or connected.
pub(super) struct Link {
    socket: TcpStream,
    token: Token,
    registration: Registration,
    readiness: Readiness,
    /// Whether our FIN has gone out.
    is_finished: bool,
    /// Why nothing can be sent any more.
    broken: Option<io::Error>,
}

impl Link {
    /// Takes over an established connection whose events carry `token`.
    pub(super) fn new(connected: Connected, token: Token) -> Self {
        let Connected {
            socket,
            registration,
            readiness,
        } = connected;
        let mut link = Self {
            socket,
            token,
            registration,
            readiness,
            is_finished: false,
            broken: None,
        };
        link.expect_end();
        link
    }

    /// Records what an event reported.
    pub(super) fn note(&mut self, event: &Event) {
        self.readiness.record(readiness_of(event));
        self.expect_end();
    }

    /// Lets a reset connection be read: what came before the reset is still there.
    fn expect_end(&mut self) {
        if self.readiness.is_reset() {
            self.readiness.assume_readable();
        }
    }

    pub(super) fn can_read(&self) -> bool {
        self.readiness.is_readable()
    }

    pub(super) fn can_write(&self) -> bool {
        self.readiness.is_writable() && !self.is_broken()
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some() || self.readiness.is_reset()
    }

    /// Believes in a read without an event: the next one will tell.
    pub(super) fn assume_readable(&mut self) {
        self.readiness.assume_readable();
    }

    /// One read. None: there is nothing. Some(0): the peer has finished, in order.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.socket.read(into) {
            // A write has had the error that tells this end from a FIN, or an event has told of it.
            Ok(0) if self.is_broken() => Err(self.why_broken()),
            Ok(0) => Ok(Some(0)),
            Ok(got) => {
                if got < into.len() {
                    self.readiness.read_came_short();
                }
                Ok(Some(got))
            }
            Err(error) => match error.kind() {
                // No event will tell of the end that a broken link still owes.
                ErrorKind::WouldBlock if self.is_broken() => Err(self.why_broken()),
                ErrorKind::WouldBlock => {
                    self.readiness.read_would_block();
                    Ok(None)
                }
                ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// One write. Returns how many bytes the kernel took.
    pub(super) fn write(&mut self, from: &[u8]) -> usize {
        match self.socket.write(from) {
            Ok(taken) => taken,
            Err(error) => {
                match error.kind() {
                    ErrorKind::WouldBlock => self.readiness.write_would_block(),
                    ErrorKind::Interrupted => {}
                    _ => self.breaks(error),
                }
                0
            }
        }
    }

    /// Sends our FIN, once.
    pub(super) fn finish(&mut self) {
        if self.is_finished || self.is_broken() {
            return;
        }
        self.is_finished = true;
        match self.socket.shutdown(Shutdown::Write) {
            Ok(()) => self.readiness.record_fin_sent(),
            // A connection that is gone by now was reset, and no call has told of it.
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                self.breaks(ErrorKind::ConnectionReset.into());
            }
            Err(error) => self.breaks(error),
        }
    }

    /// Has WRITABLE reported, or no longer.
    pub(super) fn arm_write(&mut self, wanted: bool, registry: &Registry) {
        let Self {
            socket,
            registration,
            token,
            ..
        } = self;
        // An error: the poll has dropped the socket, because it is dead.
        if let Err(error) = registration.arm_write(wanted, socket, registry, *token) {
            self.breaks(error);
        }
    }

    fn breaks(&mut self, error: io::Error) {
        self.broken = Some(error);
        self.readiness.assume_readable();
    }

    fn why_broken(&mut self) -> io::Error {
        let reset = || ErrorKind::ConnectionReset.into();
        self.broken.take().unwrap_or_else(reset)
    }
}
