//! How other threads reach the loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

/// Stops a running [`Server`](super::Server) from any thread. Clones reach the same server.
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

    /// Asks the server to stop as it would on a first signal. Asking again changes nothing.
    ///
    /// # Errors
    ///
    /// When the loop could not be woken. The request stands, and is seen at its next event.
    pub fn stop(&self) -> io::Result<()> {
        self.state.stop.store(true, Ordering::Release);
        self.wake()
    }

    /// Ends the loop's wait. What it is to see must have been published before.
    pub(crate) fn wake(&self) -> io::Result<()> {
        self.state.waker.wake()
    }

    /// Whether somebody asked for a stop. The loop looks before every wait, because a wake is only a hint.
    pub(crate) fn stop_requested(&self) -> bool {
        self.state.stop.load(Ordering::Acquire)
    }
}
