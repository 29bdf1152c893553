//! What the kernel has been told about one socket, so that it is told only what changes.
//!
//! READABLE stays registered for life, because only a registered socket reports a FIN or a reset while it is idle or
//! paused. WRITABLE is toggled, exactly while bytes are pending. There is no `deregister`: closing the socket does it
//! on every back end.

use std::io;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::platform;

/// The registration of one connection.
#[derive(Debug)]
pub(crate) struct Registration {
    write_armed: bool,
}

impl Registration {
    /// Registers `socket` for reading.
    pub(crate) fn new(
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(socket, token, platform::base_interest())?;
        Ok(Self { write_armed: false })
    }

    /// Registers a `socket` that is connecting: it becomes writable when it is connected, or has failed to.
    #[cfg(any(feature = "client", feature = "bench"))]
    pub(crate) fn connecting(
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(
            socket,
            token,
            platform::base_interest() | Interest::WRITABLE,
        )?;
        Ok(Self { write_armed: true })
    }

    /// Reports WRITABLE from now on, or no longer. A system call only on a change. An error means that the socket is
    /// dead (mio's poll(2) back end has dropped it).
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
            self.change(wanted, socket, registry, token)
        }
    }

    /// Arms WRITABLE again, although it is armed already: on poll(2) and Windows an event disarms its direction.
    #[cfg(any(feature = "client", feature = "bench"))]
    pub(crate) fn rearm_write(
        &mut self,
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        self.change(true, socket, registry, token)
    }

    #[cold]
    fn change(
        &mut self,
        wanted: bool,
        socket: &mut impl Source,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        let interest = if wanted {
            platform::base_interest() | Interest::WRITABLE
        } else {
            platform::base_interest()
        };
        registry.reregister(socket, token, interest)?;
        self.write_armed = wanted;
        Ok(())
    }
}
