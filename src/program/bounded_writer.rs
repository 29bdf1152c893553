//! A bounded queue of items, and a thread that writes the items to a stream that may block.
//!
//! The reader of a stream may stop: a pager that waits, a terminal after Ctrl-S, a full pipe. The thread that runs the
//! event loop or a measurement must not wait for that reader. So that thread queues an item and goes on, and a second
//! thread writes the items in order. An item that finds the queue full is lost. An item about the loss follows the items
//! that wait in the queue: a line for a person, or an error that ends a file.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, mem};

use mio_echo::net::threads;

use super::standard_streams::FLUSH_TIMEOUT;

/// The queue and its thread. The thread lives until the process ends.
pub struct BoundedWriter<T> {
    thread_name: &'static str,
    write: Box<dyn Fn(T) + Send + Sync>,
    /// Creates the item about the number of lost items.
    about_lost: fn(u64) -> T,
    state: Mutex<State<T>>,
    changed: Condvar,
    /// The number of items that the thread has written.
    written: AtomicU64,
}

/// The result of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// All items are written.
    Written,
    /// Time ran out, and some items were written in that time.
    Slow,
    /// Time ran out, and no item was written in that time.
    Stalled,
}

struct State<T> {
    waiting: Vec<T>,
    /// Items that were lost after the waiting ones.
    lost: u64,
    /// The thread has taken items, and has not written all of them.
    is_writing: bool,
    /// Items need not wait for [`BoundedWriter::begin`].
    has_begun: bool,
    has_thread: bool,
}

impl<T: Send + 'static> BoundedWriter<T> {
    /// Creates an empty queue without a thread.
    pub fn new(
        thread_name: &'static str,
        write: impl Fn(T) + Send + Sync + 'static,
        about_lost: fn(u64) -> T,
    ) -> Arc<Self> {
        let state = State {
            waiting: Vec::new(),
            lost: 0,
            is_writing: false,
            has_begun: false,
            has_thread: false,
        };
        Arc::new(Self {
            thread_name,
            write: Box::new(write),
            about_lost,
            state: Mutex::new(state),
            changed: Condvar::new(),
            written: AtomicU64::new(0),
        })
    }

    /// Queues `item`, or counts the item as lost if `limit` items wait already. Returns true if the item was queued.
    pub fn push(self: &Arc<Self>, item: T, limit: usize) -> bool {
        let mut state = self.lock();
        let has_room = state.waiting.len() < limit;
        if has_room {
            state.waiting.push(item);
        } else {
            state.lost += 1;
        }
        self.start_thread_if_needed(&mut state);
        drop(state);
        self.changed.notify_all();
        has_room
    }

    /// Returns true if `limit` items wait.
    #[cfg(feature = "bench")]
    pub fn is_full(&self, limit: usize) -> bool {
        self.lock().waiting.len() >= limit
    }

    /// Writes the items that wait. For the time before [`begin`](Self::begin).
    pub fn write_waiting(&self) {
        let waiting = mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(&self.write);
    }

    /// Lets the thread start with the first item. Until then all items wait.
    pub fn begin(self: &Arc<Self>) {
        let mut state = self.lock();
        state.has_begun = true;
        self.start_thread_if_needed(&mut state);
    }

    /// Starts the thread before there are items. There must be no thread yet.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the thread.
    #[cfg(feature = "bench")]
    pub fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        self.spawn(&mut self.lock())
    }

    /// Begins if needed, and waits until all items are written, for [`FLUSH_TIMEOUT`] at most.
    pub fn flush(self: &Arc<Self>) -> Flushed {
        self.begin();
        let before = self.written.load(Ordering::Relaxed);
        let must_wait = |state: &mut State<T>| state.has_thread && !state.is_written();
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), FLUSH_TIMEOUT, must_wait);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match state.is_written() {
            true => Flushed::Written,
            false if self.written.load(Ordering::Relaxed) > before => Flushed::Slow,
            false => Flushed::Stalled,
        }
    }

    /// If the system has no thread left, the items stay in the queue, and the next call tries again.
    fn start_thread_if_needed(self: &Arc<Self>, state: &mut State<T>) {
        if state.has_begun && !state.has_thread && !state.waiting.is_empty() {
            let _ = self.spawn(state);
        }
    }

    fn spawn(self: &Arc<Self>, state: &mut State<T>) -> io::Result<()> {
        let writer = Arc::clone(self);
        // The thread waits for the lock of `state` before it takes items.
        let never_joined = threads::spawn(self.thread_name, move || writer.run());
        state.has_thread = never_joined.is_ok();
        never_joined.map(drop)
    }

    fn run(&self) {
        loop {
            let (items, lost) = self.take();
            let report = (lost > 0).then(|| (self.about_lost)(lost));
            for item in items.into_iter().chain(report) {
                (self.write)(item);
                self.written.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits for items, and takes them. Returns also how many items were lost after these.
    fn take(&self) -> (Vec<T>, u64) {
        let mut state = self.lock();
        state.is_writing = false;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        (mem::take(&mut state.waiting), mem::take(&mut state.lost))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn is_written(&self) -> bool {
        self.waiting.is_empty() && !self.is_writing
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_loss_is_reported_between_the_items_before_and_after_it() {
        let (written, items) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let write = move |item| {
            written.send(item).expect("a test");
            let _ = gate.lock().expect("one thread").recv();
        };
        let writer = BoundedWriter::new("writer", write, |lost| format!("{lost} lost"));
        writer.begin();
        let push = |item: &str| writer.push(item.into(), 2);
        push("1");
        assert_eq!(items.recv().as_deref(), Ok("1"));
        for item in ["2", "3", "4", "5"] {
            push(item);
        }
        drop(open);
        assert_eq!(writer.flush(), Flushed::Written);
        push("6");
        assert_eq!(writer.flush(), Flushed::Written);
        let rest: Vec<_> = items.try_iter().collect();
        assert_eq!(rest, ["2", "3", "2 lost", "6"]);
    }

    #[test]
    fn waiting_items_are_written_without_a_thread() {
        let (written, items) = mpsc::channel();
        let write = move |item| written.send(item).expect("a test");
        let writer = BoundedWriter::new("writer", write, |_| 0);
        writer.push(1, 1);
        writer.write_waiting();
        assert_eq!(writer.flush(), Flushed::Written);
        assert_eq!(items.try_iter().collect::<Vec<_>>(), [1]);
    }
}
