//! How many clients a loop has, as another loop sees it.
//!
//! The loop that hands out clients counts those that it has handed over. The loop that serves them counts those that it
//! has released, and publishes that number here. The difference is never less than the number of its connections.
//!
//! A loop that waits for a free slot first asks for a wake and then looks at the number again. The other loop first
//! publishes the number and then takes the request. Both swap the same flag. The loop whose swap comes second sees what
//! the other has written before: either the request, or the number. `tests/loom` plays all orders of both threads.

use super::mailbox::Wake;
use super::sync::{AtomicBool, AtomicUsize, Ordering};

/// What the two loops share.
pub(super) struct Occupancy<W> {
    released: AtomicUsize,
    is_awaited: AtomicBool,
    /// Wakes the loop that hands out clients.
    waker: W,
}

impl<W: Wake> Occupancy<W> {
    /// Creates the counter of a loop without clients.
    pub(super) fn new(waker: W) -> Self {
        Self {
            released: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
            waker,
        }
    }

    /// Publishes how many clients have been released so far. Wakes the other loop if it waits for that.
    pub(super) fn set_released(&self, count: usize) {
        self.released.store(count, Ordering::Release);
        if self.is_awaited.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Returns how many clients have been released so far.
    pub(super) fn released(&self) -> usize {
        self.released.load(Ordering::Acquire)
    }

    /// Asks for one wake at the next release. The caller then looks at [`released`](Self::released) before it waits.
    pub(super) fn await_release(&self) {
        self.is_awaited.swap(true, Ordering::AcqRel);
    }
}
