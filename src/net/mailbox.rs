//! A mailbox: other threads put items in, and the loop takes them out.
//!
//! A sender first publishes its items and then wakes the loop once, unless other items are there already. The loop looks
//! at its mailbox before every wait. In the other order, a loop that looks between the wake and the items would wait for a
//! wake that never comes. `tests/loom` plays all orders of both threads.

use super::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};

/// The receiving end, which belongs to one loop.
pub(super) struct Mailbox<T> {
    shared: Arc<Shared<T>>,
    /// A list without items, whose memory is used again.
    spare: Vec<T>,
}

/// A sending end, for any thread.
pub(super) struct Sender<T, W> {
    shared: Arc<Shared<T>>,
    waker: W,
}

/// Ends the wait of a loop.
pub(super) trait Wake {
    /// Lets the next wait of the loop, or the wait that it is in, end at once.
    fn wake(&self);
}

struct Shared<T> {
    /// `None` after the mailbox was closed.
    items: Mutex<Option<Vec<T>>>,
    /// True if there are items. It changes under the lock, and the loop looks at it without one.
    has_items: AtomicBool,
}

impl<T> Mailbox<T> {
    /// Creates a mailbox that uses the memory of two lists. It grows if more items arrive than the lists have room for.
    pub(super) fn new(lists: [Vec<T>; 2]) -> Self {
        let [items, spare] = lists;
        Self {
            shared: Arc::new(Shared {
                items: Mutex::new(Some(items)),
                has_items: AtomicBool::new(false),
            }),
            spare,
        }
    }

    /// Returns a sender that wakes the loop of this mailbox with `waker`.
    pub(super) fn sender<W: Wake>(&self, waker: W) -> Sender<T, W> {
        Sender {
            shared: Arc::clone(&self.shared),
            waker,
        }
    }

    /// Returns true if there are no items.
    pub(super) fn is_empty(&self) -> bool {
        !self.shared.has_items.load(Ordering::Acquire)
    }

    /// Takes all items, in the order in which they were sent. The list goes back with [`recycle`](Self::recycle).
    pub(super) fn take(&mut self) -> Vec<T> {
        let mut items = self.shared.lock();
        self.shared.has_items.store(false, Ordering::Release);
        let spare = std::mem::take(&mut self.spare);
        let list = items.as_mut();
        list.map_or_else(Vec::new, |list| std::mem::replace(list, spare))
    }

    /// Takes all items. Later ones stay with their senders.
    #[cfg(feature = "threads")]
    pub(super) fn close(&mut self) -> Vec<T> {
        let mut items = self.shared.lock();
        self.shared.has_items.store(false, Ordering::Release);
        items.take().unwrap_or_default()
    }

    /// Gives back the list of [`take`](Self::take), so that its memory is used again.
    pub(super) fn recycle(&mut self, mut list: Vec<T>) {
        list.clear();
        self.spare = list;
    }
}

impl<T, W: Wake> Sender<T, W> {
    /// Puts `batch` into the mailbox and wakes its loop, if no earlier item has done so.
    ///
    /// # Errors
    ///
    /// Returns `batch` if the mailbox was closed.
    pub(super) fn send<B: IntoIterator<Item = T>>(&self, batch: B) -> Result<(), B> {
        let mut items = self.shared.lock();
        let Some(list) = &mut *items else {
            return Err(batch);
        };
        let was_empty = list.is_empty();
        list.extend(batch);
        self.shared.has_items.store(true, Ordering::Release);
        drop(items);
        if was_empty {
            self.waker.wake();
        }
        Ok(())
    }
}

impl<T> Shared<T> {
    /// Locks the list. The lock cannot be poisoned in the middle of a change: no code that could panic runs under it.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<T>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
