//! The handle by which other threads stop or wake a loop. Every wake of this crate is made here.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use log::warn;
use mio::Waker;

use super::mailbox::Wake;
use super::stop_flag::StopFlag;

/// A handle that stops a running [`Server`](super::Server) from any thread. Clones refer to the same server.
#[derive(Clone, Debug)]
pub struct Handle {
    state: Arc<HandleState>,
}

#[derive(Debug)]
struct HandleState {
    stop: StopFlag,
    waker: Waker,
}

impl Handle {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            state: Arc::new(HandleState {
                stop: StopFlag::new(),
                waker,
            }),
        }
    }

    /// Requests a stop, like a first signal. Further calls change nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the loop cannot be woken. The request stands, and the loop sees it at its next event.
    pub fn stop(&self) -> io::Result<()> {
        self.state.stop.request_stop(|| self.wake())
    }

    /// Requests the end at once, with connections closed as after the drain timeout.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    #[cfg(feature = "threads")]
    pub(crate) fn abort(&self) -> io::Result<()> {
        self.state.stop.request_abort(|| self.wake())
    }

    /// Ends the loop's wait. The caller must have published its request before.
    ///
    /// A write that a signal interrupts (`EINTR`) is repeated: a lost wake would leave the request until another event.
    ///
    /// # Errors
    ///
    /// Returns an error if the loop cannot be woken.
    pub fn wake(&self) -> io::Result<()> {
        loop {
            match self.state.waker.wake() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Returns true if a stop was requested. The loop looks before every wait, because a wake is only a hint.
    pub(crate) fn stop_requested(&self) -> bool {
        self.state.stop.is_set()
    }

    /// Returns true once if the end was requested. Such a request is a request to stop, too.
    pub(crate) fn take_abort(&self) -> bool {
        self.state.stop.take_abort()
    }
}

impl Wake for Handle {
    fn wake(&self) {
        if let Err(error) = Self::wake(self) {
            warn!("a thread could not wake a loop: {error}");
        }
    }
}
