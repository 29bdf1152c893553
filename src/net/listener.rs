//! One listening socket, and the meaning of each error of accept(2).
//!
//! An event only says that a client may be waiting. `accept_ready` stays set until accept(2) answers `WouldBlock`, so a
//! client that is not accepted now (no free slot, no descriptor) needs no further event.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use log::debug;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::poll::explain;
use super::scope::ScopedAddress;
use super::stats::ListenerStats;
use super::{Config, bind, platform};
use crate::conn::Settings;

/// Accepts of one listener in one turn, so that a flood of new clients does not starve the connections.
const ACCEPT_BUDGET: usize = 64;

/// The meaning of a failed accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcceptError {
    /// No client is waiting.
    Empty,
    /// One client is gone. The next one may be waiting.
    Transient,
    /// There is no descriptor or memory for another socket, or the error is unknown. Try again later.
    Exhausted,
    /// The listener itself is unusable, and stays so.
    Permanent,
}

/// Where a listening socket comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// This server has bound the socket. Its last clients are accepted before the socket is closed.
    Bound {
        /// The most clients that the kernel queues.
        backlog: u32,
    },
    /// Another process holds the socket too, and passes it to the next server, which accepts the clients that wait.
    Inherited {
        /// The configuration with the options of accepted sockets.
        config: Arc<Config>,
    },
}

/// One listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    pub origin: Origin,
    /// The address, for messages. A listener that has failed cannot be asked any more.
    pub address: SocketAddr,
    /// True if this is the IPv6 address of all interfaces, and clients of IPv4 are accepted too.
    pub takes_both_families: bool,
    accept: Accept,
    accept_ready: bool,
    budget: usize,
    has_accepted: bool,
    /// The settings that all connections of this listener share.
    pub settings: Arc<Settings>,
}

/// The type of accept(2). Tests replace the function with one that fails.
pub(super) type Accept = fn(&TcpListener) -> io::Result<(TcpStream, SocketAddr)>;

impl Listener {
    /// Registers `socket` for its whole life.
    pub(super) fn new(
        mut socket: TcpListener,
        origin: Origin,
        settings: Arc<Settings>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let address = socket
            .local_addr()
            .map_err(explain("cannot read the address of a listener"))?;
        registry
            .register(&mut socket, token, Interest::READABLE)
            .map_err(|error| {
                let hint = platform::register_hint(&error);
                let address = ScopedAddress(address);
                let text = format!(
                    "cannot register the listener on {address} with the poll: {error}{hint}"
                );
                io::Error::new(error.kind(), text)
            })?;
        let only_v6 = || SockRef::from(&socket).only_v6();
        let is_ipv6_wildcard = address.is_ipv6() && address.ip().is_unspecified();
        Ok(Self {
            address,
            takes_both_families: is_ipv6_wildcard && only_v6().is_ok_and(|only_v6| !only_v6),
            socket,
            origin,
            accept: TcpListener::accept,
            accept_ready: false,
            budget: 0,
            has_accepted: false,
            settings,
        })
    }

    /// Returns the statistics of this listener before it has accepted a client.
    pub(super) fn statistics(&self) -> ListenerStats {
        ListenerStats::new(self.address, self.settings.framing)
    }

    /// Records that a client may be waiting.
    pub(super) fn mark_ready(&mut self) {
        self.accept_ready = true;
    }

    /// Starts a new turn with a full budget.
    pub(super) fn reset_budget(&mut self) {
        self.budget = ACCEPT_BUDGET;
        self.has_accepted = false;
    }

    /// Returns true if a client may be waiting.
    pub(super) fn is_ready(&self) -> bool {
        self.accept_ready
    }

    /// Returns true if a client may be waiting and the budget of this turn is not spent.
    pub(super) fn can_accept(&self) -> bool {
        self.accept_ready && self.budget > 0
    }

    /// Returns true if the whole budget of this turn went to errors. A security filter may refuse every accept with the
    /// error of a single client (`EPERM`), so trying again at once would spin.
    pub(super) fn has_only_failed(&self) -> bool {
        self.budget == 0 && !self.has_accepted
    }

    /// Accepts one client. Each call takes one from the budget, also a call that fails or is interrupted.
    pub(super) fn accept(&mut self) -> Result<(TcpStream, SocketAddr), (AcceptError, io::Error)> {
        self.budget = self.budget.saturating_sub(1);
        let accepted = (self.accept)(&self.socket).map_err(|error| {
            let class = classify(&error);
            self.accept_ready &= class != AcceptError::Empty;
            (class, error)
        });
        if let Ok((socket, _)) = &accepted {
            self.has_accepted = true;
            if let Origin::Inherited { config } = &self.origin {
                bind::set_options_of_accepted(socket, config);
            }
        }
        accepted
    }

    /// Removes the socket from the poll, and closes this process's descriptor of it. The poll would go on reporting events
    /// of a socket that is only closed, because another process holds the socket too.
    pub(super) fn release(mut self, registry: &Registry) {
        if let Err(error) = registry.deregister(&mut self.socket) {
            debug!("cannot remove a listener from the poll: {error}");
        }
    }

    #[cfg(test)]
    pub(super) fn replace_accept(&mut self, accept: Accept) {
        self.accept = accept;
    }
}

/// Classifies an error of accept(2). An unexpected error must neither end the loop nor let it spin.
pub(super) fn classify(error: &io::Error) -> AcceptError {
    match error {
        error if error.kind() == ErrorKind::WouldBlock => AcceptError::Empty,
        error if platform::is_transient_accept_error(error) || is_without_address(error) => {
            AcceptError::Transient
        }
        error if platform::is_permanent_accept_error(error) => AcceptError::Permanent,
        _ => AcceptError::Exhausted,
    }
}

/// Returns true if accept(2) succeeded without an address of the peer. Darwin does so for a client that has already
/// reset its IPv6 connection. mio then drops the socket and returns `InvalidInput` without an errno.
fn is_without_address(error: &io::Error) -> bool {
    error.kind() == ErrorKind::InvalidInput && error.raw_os_error().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_a5_each_error_of_accept_has_a_class() {
        use AcceptError::{Empty, Exhausted, Permanent, Transient};
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
            (libc::ENOPROTOOPT, Transient),
            (libc::EINTR, Transient),
            (libc::EPERM, Transient),
            (libc::EMFILE, Exhausted),
            (libc::ENFILE, Exhausted),
            (libc::ENOBUFS, Exhausted),
            (libc::ENOMEM, Exhausted),
            (libc::EFAULT, Exhausted),
            (libc::EINVAL, Permanent),
            (libc::EBADF, Permanent),
            (libc::ENOTSOCK, Permanent),
            (libc::EOPNOTSUPP, Permanent),
        ];
        // WSAEWOULDBLOCK, WSAEINTR, WSAENETDOWN, WSAECONNABORTED, WSAECONNRESET,
        // WSAENOTCONN; WSAEMFILE, WSAENOBUFS; WSAEBADF, WSAEINVAL, WSAENOTSOCK, WSAEOPNOTSUPP.
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
            (10_009, Permanent),
            (10_022, Permanent),
            (10_038, Permanent),
            (10_045, Permanent),
        ];
        for (errno, expected) in table {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(classify(&error), expected, "{error}");
        }
    }

    #[test]
    fn fault_a6_fault_a7_a_client_without_an_address_is_transient_and_other_errors_of_mio_are_not()
    {
        use AcceptError::{Empty, Exhausted, Transient};
        for (kind, expected) in [
            (ErrorKind::InvalidInput, Transient),
            (ErrorKind::WouldBlock, Empty),
            // The poll has dropped the listener: accepting again at once would spin.
            (ErrorKind::NotFound, Exhausted),
            (ErrorKind::Other, Exhausted),
        ] {
            assert_eq!(classify(&kind.into()), expected, "{kind}");
        }
    }
}
