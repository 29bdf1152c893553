//! A connected socket of the client and its readiness. All reads and writes of the client are here. Each method makes at
//! most one system call.
//!
//! A socket that can send nothing more is still read to its end: bytes that the server sent before are still there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};

use crate::conn::Readiness;
use crate::net::outbound::Connected;
use crate::net::poll::readiness_of;
use crate::net::registration::Registration;

/// A connected socket.
pub(super) struct ClientSocket {
    socket: TcpStream,
    token: Token,
    registration: Registration,
    readiness: Readiness,
    /// True if our FIN was sent.
    fin_sent: bool,
    /// The first error of sending. Nothing can be sent after it.
    send_error: Option<io::Error>,
}

impl ClientSocket {
    /// Takes over an established connection whose events carry `token`.
    pub(super) fn new(connected: Connected, token: Token) -> Self {
        let mut this = Self {
            socket: connected.socket,
            token,
            registration: connected.registration,
            readiness: connected.readiness,
            fin_sent: false,
            send_error: None,
        };
        this.assume_readable_if_reset();
        this
    }

    /// Records what an event reported.
    pub(super) fn handle_event(&mut self, event: &Event) {
        self.readiness.record(readiness_of(event));
        self.assume_readable_if_reset();
    }

    /// Returns true if the socket is believed to be readable.
    pub(super) fn can_read(&self) -> bool {
        self.readiness.is_readable()
    }

    /// Returns true if the socket is believed to be writable.
    pub(super) fn can_write(&self) -> bool {
        self.readiness.is_writable() && !self.is_broken()
    }

    /// Returns true if nothing can be sent any more.
    pub(super) fn is_broken(&self) -> bool {
        self.send_error.is_some() || self.readiness.is_reset()
    }

    /// Assumes that the socket is readable. The next read tells.
    pub(super) fn assume_readable(&mut self) {
        self.readiness.assume_readable();
    }

    /// Reads once. Returns `None` if nothing is there, and `Some(0)` if the server has sent its FIN.
    ///
    /// # Errors
    ///
    /// Returns the error of the read. At the end of a broken connection, returns the error that broke it.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.socket.read(into) {
            // This is no FIN: a write has returned the error of the connection already, or an event has reported it.
            Ok(0) if self.is_broken() => Err(self.take_send_error()),
            Ok(0) => Ok(Some(0)),
            Ok(got) => {
                if got < into.len() {
                    self.readiness.read_came_short();
                }
                Ok(Some(got))
            }
            Err(error) => match error.kind() {
                // No further event will report the end of a broken connection.
                ErrorKind::WouldBlock if self.is_broken() => Err(self.take_send_error()),
                ErrorKind::WouldBlock => {
                    self.readiness.read_would_block();
                    Ok(None)
                }
                ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Writes once. Returns how many bytes the kernel took. An error is kept for the read that reaches the end.
    pub(super) fn write(&mut self, from: &[u8]) -> usize {
        match self.socket.write(from) {
            Ok(taken) => taken,
            Err(error) => {
                match error.kind() {
                    ErrorKind::WouldBlock => self.readiness.write_would_block(),
                    ErrorKind::Interrupted => {}
                    _ => self.fail_sending(error),
                }
                0
            }
        }
    }

    /// Sends our FIN, unless it was sent before.
    pub(super) fn send_fin(&mut self) {
        if self.fin_sent || self.is_broken() {
            return;
        }
        self.fin_sent = true;
        match self.socket.shutdown(Shutdown::Write) {
            Ok(()) => self.readiness.record_fin_sent(),
            // The connection was reset, and no call has reported that yet.
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                self.fail_sending(ErrorKind::ConnectionReset.into());
            }
            Err(error) => self.fail_sending(error),
        }
    }

    /// Registers WRITABLE if `wanted`, and removes it otherwise.
    pub(super) fn arm_write(&mut self, wanted: bool, registry: &Registry) {
        let (registration, socket) = (&mut self.registration, &mut self.socket);
        // An error means that the poll has dropped the socket, because it is dead.
        if let Err(error) = registration.arm_write(wanted, socket, registry, self.token) {
            self.fail_sending(error);
        }
    }

    fn assume_readable_if_reset(&mut self) {
        if self.readiness.is_reset() {
            self.readiness.assume_readable();
        }
    }

    fn fail_sending(&mut self, error: io::Error) {
        self.send_error = Some(error);
        self.readiness.assume_readable();
    }

    fn take_send_error(&mut self) -> io::Error {
        let reset = || ErrorKind::ConnectionReset.into();
        self.send_error.take().unwrap_or_else(reset)
    }
}
