//! The handle by which other threads stop or wake a loop. Every wake of this crate is made here.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

/// A handle that stops a running [`Server`](super::Server) from any thread. Clones refer to the same server.
#[derive(Clone, Debug)]
pub struct Handle {
    state: Arc<HandleState>,
}

#[derive(Debug)]
struct HandleState {
    stop: AtomicBool,
    waker: Waker,
}

impl Handle {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            state: Arc::new(HandleState {
                stop: AtomicBool::new(false),
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
        self.state.stop.store(true, Ordering::Release);
        self.wake()
    }

    /// Ends the loop's wait. The caller must have published its request before.
    ///
    /// A write that a signal interrupts (`EINTR`) is repeated: a lost wake would leave the request until another event.
    pub(crate) fn wake(&self) -> io::Result<()> {
        loop {
            match self.state.waker.wake() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Returns true if a stop was requested. The loop looks before every wait, because a wake is only a hint.
    pub(crate) fn stop_requested(&self) -> bool {
        self.state.stop.load(Ordering::Acquire)
    }
}
