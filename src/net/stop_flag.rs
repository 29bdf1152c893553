//! The request to stop a loop.
//!
//! Another thread first sets the flag and then wakes the loop, and the loop looks at the flag before every wait. In the
//! other order, a loop that looks between the wake and the flag would wait for a wake that never comes. `tests/loom` plays
//! all orders of both threads.

use super::sync::{AtomicBool, Ordering};

/// Whether a loop is to stop, and whether at once.
#[derive(Debug)]
pub(super) struct StopFlag {
    stop: AtomicBool,
    abort: AtomicBool,
}

impl StopFlag {
    pub(super) fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            abort: AtomicBool::new(false),
        }
    }

    /// Requests a stop, calls `wake`, which ends the wait of the loop, and returns its result.
    pub(super) fn request_stop<R>(&self, wake: impl FnOnce() -> R) -> R {
        self.stop.store(true, Ordering::Release);
        wake()
    }

    /// Requests the end at once. This is a request to stop, too.
    #[cfg(feature = "threads")]
    pub(super) fn request_abort<R>(&self, wake: impl FnOnce() -> R) -> R {
        self.abort.store(true, Ordering::Release);
        self.request_stop(wake)
    }

    /// Returns true if a stop was requested.
    pub(super) fn is_set(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Returns true once if the end was requested.
    pub(super) fn take_abort(&self) -> bool {
        self.abort.swap(false, Ordering::AcqRel)
    }
}
