//! What the kernel has been told about one socket, so that system calls are made only for changes.
//!
//! READABLE stays registered for the life of a socket: only a registered socket reports a FIN or a reset while its
//! connection is idle or paused. WRITABLE is registered exactly while bytes are pending, so ping-pong traffic makes no
//! epoll_ctl(2) call at all. There is no `deregister`: closing the socket does it on every back end.

use std::io;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::platform;

/// The registration of one socket with the poll.
#[derive(Debug)]
pub(crate) struct Registration {
    write_armed: bool,
}

impl Registration {
    /// Registers `socket` for READABLE.
    pub(crate) fn new(
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(socket, token, platform::base_interest())?;
        Ok(Self { write_armed: false })
    }

    /// Registers a `socket` that is connecting. It becomes writable when the connection is established or has failed.
    #[cfg(any(feature = "client", feature = "bench"))]
    pub(crate) fn connecting(
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(socket, token, interest(true))?;
        Ok(Self { write_armed: true })
    }

    /// Returns true if WRITABLE is registered.
    pub(super) fn is_write_armed(&self) -> bool {
        self.write_armed
    }

    /// Registers WRITABLE if `wanted`, and removes it otherwise. Makes a system call only on a change.
    ///
    /// # Errors
    ///
    /// An error means that the socket is dead. After POLLHUP or POLLERR mio's poll(2) back end has dropped a socket by
    /// itself, and answers `NotFound`.
    pub(crate) fn arm_write(
        &mut self,
        wanted: bool,
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        if wanted == self.write_armed {
            Ok(())
        } else {
            self.reregister(wanted, socket, registry, token)
        }
    }

    /// Registers the socket again, also without a change: on poll(2) and Windows an event disarms its direction.
    ///
    /// WRITABLE may be armed this way: every back end reports it if the socket is writable already. READABLE must not be
    /// re-armed this way.
    #[cold]
    pub(super) fn reregister(
        &mut self,
        with_write: bool,
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        registry.reregister(socket, token, interest(with_write))?;
        self.write_armed = with_write;
        Ok(())
    }
}

fn interest(with_write: bool) -> Interest {
    match with_write {
        true => platform::base_interest() | Interest::WRITABLE,
        false => platform::base_interest(),
    }
}
