//! A bounded queue of items, and a thread that writes the items to a stream that may block.
//!
//! The reader of a stream may stop: a pager that waits, a terminal after Ctrl-S, a full pipe. The thread that runs the
//! event loop or a measurement must not wait for that reader. So that thread queues an item and goes on, and a second
//! thread writes the items in order. A full queue refuses an item. The caller chooses what a refusal means: the item
//! is counted as lost and the loss is reported in its place ([`push_or_count`](BoundedWriter::push_or_count)), or the
//! caller handles the refusal itself ([`push`](BoundedWriter::push)).

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The queue and its thread.
pub struct BoundedWriter<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// An element of the queue, as the thread writes it.
#[derive(Debug, PartialEq, Eq)]
pub enum Queued<T> {
    /// An item.
    Item(T),
    /// This many items were refused after the item before and before the item that follows.
    Lost(u64),
}

/// The queue as the thread sees it: an iterator that waits for the next item, and ends when the queue is closed.
pub struct QueuedItems<T> {
    writer: Arc<BoundedWriter<T>>,
    taken: VecDeque<T>,
    lost: u64,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Items refused since the thread last took the waiting ones.
    lost: u64,
    /// Items that the thread has started to write.
    started: u64,
    /// The thread has taken items, and has not written all of them.
    is_writing: bool,
    is_closed: bool,
    has_thread: bool,
    /// The result of the thread, once the thread has ended.
    result: Option<io::Result<()>>,
}

impl<T: Send + 'static> BoundedWriter<T> {
    /// Creates an empty queue without a thread.
    pub fn new() -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            lost: 0,
            started: 0,
            is_writing: false,
            is_closed: false,
            has_thread: false,
            result: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Starts the thread, unless it runs already. The thread calls `write`, whose result ends the queue.
    ///
    /// # Errors
    ///
    /// When the system has no thread left. The items stay in the queue, and a later call may try again.
    pub fn start_thread(
        self: &Arc<Self>,
        name: &str,
        write: impl FnOnce(QueuedItems<T>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        if mem::replace(&mut self.lock().has_thread, true) {
            return Ok(());
        }
        let writer = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name(name.into())
            .spawn(move || writer.run(write));
        self.lock().has_thread = spawned.is_ok();
        spawned.map(drop)
    }

    fn run(self: Arc<Self>, write: impl FnOnce(QueuedItems<T>) -> io::Result<()>) {
        let items = QueuedItems {
            writer: Arc::clone(&self),
            taken: VecDeque::new(),
            lost: 0,
        };
        let result = panic::catch_unwind(AssertUnwindSafe(|| write(items)));
        let panicked = |_| Err(io::Error::other("its thread has panicked; this is a bug"));
        self.lock().result = Some(result.unwrap_or_else(panicked));
        self.changed.notify_all();
    }

    /// Returns true if items wait and no thread has been started.
    pub fn needs_thread(&self) -> bool {
        let state = self.lock();
        !state.has_thread && !state.waiting.is_empty()
    }

    /// Queues `item`, or counts the item as lost if `limit` items wait already. The thread reports the loss where the
    /// item would have been.
    pub fn push_or_count(&self, item: T, limit: usize) {
        if let Err(mut state) = self.try_push(item, limit) {
            state.lost += 1;
        }
    }

    /// Takes the items that wait away from the thread.
    pub fn take_waiting(&self) -> VecDeque<T> {
        mem::take(&mut self.lock().waiting)
    }

    /// Waits until all items are written, but no longer than `timeout`. Returns true if all are written.
    pub fn wait_until_written(&self, timeout: Duration) -> bool {
        self.wait(timeout, State::is_written).is_written()
    }
}

#[cfg(feature = "bench")]
impl<T> BoundedWriter<T> {
    /// Queues `item`. Returns false if the thread has ended or `limit` items wait already.
    pub fn push(&self, item: T, limit: usize) -> bool {
        self.try_push(item, limit).is_ok()
    }

    /// Closes the queue, and waits until the thread has written all items and ended, but no longer than `timeout`.
    /// Returns the thread's result, once.
    pub fn close(&self, timeout: Duration) -> Option<io::Result<()>> {
        self.lock().is_closed = true;
        self.changed.notify_all();
        let has_ended = |state: &State<T>| !state.has_thread || state.result.is_some();
        self.wait(timeout, has_ended).result.take()
    }

    /// Returns how many items the thread has started to write.
    pub fn started(&self) -> u64 {
        self.lock().started
    }
}

impl<T> BoundedWriter<T> {
    /// Queues `item`, or returns the locked state if there is no room.
    fn try_push(&self, item: T, limit: usize) -> Result<(), MutexGuard<'_, State<T>>> {
        let mut state = self.lock();
        if state.result.is_some() || state.waiting.len() >= limit {
            return Err(state);
        }
        state.waiting.push_back(item);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for items, and swaps them with the empty `taken`, so that neither queue allocates again. Returns how many
    /// items were lost after these, or nothing when the queue is closed and empty.
    fn take(&self, taken: &mut VecDeque<T>) -> Option<u64> {
        let mut state = self.lock();
        state.is_writing = false;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.waiting.is_empty() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            return None;
        }
        state.is_writing = true;
        mem::swap(&mut state.waiting, taken);
        Some(mem::take(&mut state.lost))
    }

    fn wait(
        &self,
        timeout: Duration,
        is_done: impl Fn(&State<T>) -> bool,
    ) -> MutexGuard<'_, State<T>> {
        self.changed
            .wait_timeout_while(self.lock(), timeout, |state| !is_done(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Iterator for QueuedItems<T> {
    type Item = Queued<T>;

    fn next(&mut self) -> Option<Queued<T>> {
        if self.taken.is_empty() && self.lost == 0 {
            self.lost = self.writer.take(&mut self.taken)?;
        }
        let Some(item) = self.taken.pop_front() else {
            return Some(Queued::Lost(mem::take(&mut self.lost)));
        };
        self.writer.lock().started += 1;
        Some(Queued::Item(item))
    }
}

impl<T> State<T> {
    fn is_written(&self) -> bool {
        self.waiting.is_empty() && !self.is_writing
    }
}

#[cfg(test)]
#[cfg(feature = "bench")]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn collected(items: QueuedItems<u8>) -> Vec<Queued<u8>> {
        items.collect()
    }

    #[test]
    fn a_loss_is_reported_between_the_items_before_and_after_it() {
        let writer = BoundedWriter::new();
        let (started, has_started) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (done, result) = mpsc::channel();
        let write = move |mut items: QueuedItems<u8>| {
            let first = items.next();
            started.send(()).expect("a test");
            let _ = gate.recv();
            done.send((first, collected(items))).expect("a test");
            Ok(())
        };
        writer.start_thread("writer", write).expect("a thread");
        assert!(writer.push(1, 2));
        has_started.recv().expect("the thread has item 1");
        for item in 2..=5 {
            writer.push_or_count(item, 2);
        }
        assert!(!writer.push(6, 2), "the queue is full");
        drop(open);
        assert!(writer.wait_until_written(Duration::from_secs(20)));
        assert!(writer.push(7, 2));
        assert!(
            writer
                .close(Duration::from_secs(20))
                .is_some_and(|end| end.is_ok())
        );
        let (first, rest) = result.recv().expect("a test");
        assert_eq!(first, Some(Queued::Item(1)));
        use Queued::{Item, Lost};
        assert_eq!(rest, [Item(2), Item(3), Lost(2), Item(7)]);
    }

    #[test]
    fn a_wait_ends_at_its_timeout() {
        let writer = BoundedWriter::new();
        writer.push(1, 1);
        let start = Instant::now();
        assert!(!writer.wait_until_written(SOON));
        assert!(start.elapsed() >= SOON);
    }

    #[test]
    fn a_queue_that_has_failed_takes_nothing_more_and_returns_the_error() {
        let writer = BoundedWriter::<u8>::new();
        let fail = |_| Err(io::ErrorKind::StorageFull.into());
        writer.start_thread("writer", fail).expect("a thread");
        let result = writer.close(Duration::from_secs(20));
        assert!(result.is_some_and(|result| result.is_err()));
    }
}
