//! Accepting: as sticky as reading.
//!
//! An event only says that somebody may be waiting; `accept_ready` stays set until the socket answers `WouldBlock`.
//! A full house or a process without descriptors leaves it set, and the next closed connection or the retry timer
//! tries again: no edge is lost, and no client has to knock twice.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::platform;
use crate::conn::Settings;

/// Accepts a listener may make in one turn, so that a flood of clients does not starve those who are in.
const ACCEPT_BUDGET: usize = 64;

/// What a failed accept means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcceptError {
    /// Nobody is waiting.
    Empty,
    /// One client has gone; the next may be there.
    Transient,
    /// There is no descriptor or memory for another socket, or it is not known what is wrong: try again later.
    Exhausted,
}

/// One listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    accept: Accept,
    accept_ready: bool,
    budget: usize,
    backlog: u32,
    /// What its connections have in common.
    pub settings: Arc<Settings>,
}

/// The system call, behind a pointer so that tests can make it fail.
pub(super) type Accept = fn(&TcpListener) -> io::Result<(TcpStream, SocketAddr)>;

impl Listener {
    /// Registers `socket` for life.
    pub(super) fn new(
        mut socket: TcpListener,
        settings: Arc<Settings>,
        backlog: u32,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self {
            socket,
            accept: TcpListener::accept,
            accept_ready: false,
            budget: 0,
            backlog,
            settings,
        })
    }

    /// Somebody may be waiting.
    pub(super) fn mark_ready(&mut self) {
        self.accept_ready = true;
    }

    /// A new turn of the loop begins.
    pub(super) fn refill(&mut self) {
        self.budget = ACCEPT_BUDGET;
    }

    /// Whether somebody may be waiting.
    pub(super) fn is_ready(&self) -> bool {
        self.accept_ready
    }

    /// Whether somebody may be waiting and this turn has not had its share of them.
    pub(super) fn may_accept(&self) -> bool {
        self.accept_ready && self.budget > 0
    }

    /// One accept. An `Empty` queue is remembered; an `Interrupted` call counts as one client.
    pub(super) fn accept(&mut self) -> Result<(TcpStream, SocketAddr), (AcceptError, io::Error)> {
        self.budget = self.budget.saturating_sub(1);
        (self.accept)(&self.socket).map_err(|error| {
            let meaning = classify(&error);
            self.accept_ready &= meaning != AcceptError::Empty;
            (meaning, error)
        })
    }

    /// Most clients the kernel may hold for it.
    pub(super) fn backlog(&self) -> u32 {
        self.backlog
    }

    /// The address it listens on.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    #[cfg(test)]
    pub(super) fn replace_accept(&mut self, accept: Accept) {
        self.accept = accept;
    }
}

/// What a failed accept means. An error that nobody expects must neither end the loop nor spin in it.
pub(super) fn classify(error: &io::Error) -> AcceptError {
    match error {
        error if error.kind() == ErrorKind::WouldBlock => AcceptError::Empty,
        error if platform::is_transient_accept_error(error) || is_without_address(error) => {
            AcceptError::Transient
        }
        _ => AcceptError::Exhausted,
    }
}

/// Whether accept(2) succeeded and told no address of the peer. Darwin does so for a client that has reset its IPv6
/// connection by then; mio drops the socket and says `InvalidInput`, with no number of the system's.
fn is_without_address(error: &io::Error) -> bool {
    error.kind() == ErrorKind::InvalidInput && error.raw_os_error().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_a5_each_error_of_accept_has_one_meaning() {
        use AcceptError::{Empty, Exhausted, Transient};
        #[cfg(unix)]
        let table = [
            (libc::EAGAIN, Empty),
            (libc::ECONNABORTED, Transient),
            (libc::ECONNRESET, Transient),
            (libc::EPROTO, Transient),
            (libc::ENETDOWN, Transient),
            (libc::ENETUNREACH, Transient),
            (libc::EHOSTDOWN, Transient),
            (libc::EHOSTUNREACH, Transient),
            (libc::EOPNOTSUPP, Transient),
            (libc::EINTR, Transient),
            (libc::EPERM, Transient),
            (libc::EMFILE, Exhausted),
            (libc::ENFILE, Exhausted),
            (libc::ENOBUFS, Exhausted),
            (libc::ENOMEM, Exhausted),
            (libc::EINVAL, Exhausted),
            (libc::EBADF, Exhausted),
        ];
        // WSAEWOULDBLOCK, WSAEINTR, WSAENETDOWN, WSAECONNABORTED, WSAECONNRESET,
        // WSAENOTCONN; WSAEMFILE, WSAENOBUFS, WSAEINVAL.
        #[cfg(windows)]
        let table = [
            (10_035, Empty),
            (10_004, Transient),
            (10_050, Transient),
            (10_053, Transient),
            (10_054, Transient),
            (10_057, Transient),
            (10_024, Exhausted),
            (10_055, Exhausted),
            (10_022, Exhausted),
        ];
        for (errno, meaning) in table {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(classify(&error), meaning, "{error}");
        }
    }

    #[test]
    fn fault_a6_fault_a7_a_client_without_an_address_is_one_client_and_no_other_error_of_mio_is() {
        use AcceptError::{Empty, Exhausted, Transient};
        for (kind, meaning) in [
            (ErrorKind::InvalidInput, Transient),
            (ErrorKind::WouldBlock, Empty),
            // The poll has dropped the listener: to accept again at once would spin.
            (ErrorKind::NotFound, Exhausted),
            (ErrorKind::Other, Exhausted),
        ] {
            assert_eq!(classify(&kind.into()), meaning, "{kind}");
        }
    }
}
