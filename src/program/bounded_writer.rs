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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A handle to the queue and its thread. All clones share one queue.
#[derive(Debug)]
pub struct BoundedWriter<T>(Arc<Queue<T>>);

/// What the thread is to write next.
#[derive(Debug, PartialEq, Eq)]
pub enum Queued<T> {
    /// An item.
    Item(T),
    /// This many items were refused after the item before and before the item that follows.
    Lost(u64),
}

/// The queue as the thread sees it: an iterator that waits for the next item, and ends when the queue is closed.
#[derive(Debug)]
pub struct QueuedItems<T> {
    queue: Arc<Queue<T>>,
    taken: VecDeque<T>,
    lost: u64,
}

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Items that the thread has started to write.
    started: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Items refused since the thread last took the waiting ones.
    lost: u64,
    /// The thread is writing items that it has taken.
    is_writing: bool,
    is_closed: bool,
    has_thread: bool,
    /// The result of the thread, once the thread has ended.
    result: Option<io::Result<()>>,
}

impl<T: Send + 'static> BoundedWriter<T> {
    /// Creates an empty queue without a thread.
    pub fn new() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            lost: 0,
            is_writing: false,
            is_closed: false,
            has_thread: false,
            result: None,
        };
        Self(Arc::new(Queue {
            state: Mutex::new(state),
            changed: Condvar::new(),
            started: AtomicU64::new(0),
        }))
    }

    /// Starts the thread, unless it runs already. The thread calls `write`; its result ends the queue.
    ///
    /// # Errors
    ///
    /// When the system has no thread left. The items stay in the queue, and a later call may try again.
    pub fn start_thread(
        &self,
        name: &str,
        write: impl FnOnce(QueuedItems<T>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        if mem::replace(&mut self.0.lock().has_thread, true) {
            return Ok(());
        }
        let queue = Arc::clone(&self.0);
        let run = move || {
            let items = QueuedItems::new(Arc::clone(&queue));
            let result = panic::catch_unwind(AssertUnwindSafe(|| write(items)));
            let panicked = |_| {
                Err(io::Error::other(
                    "the writing thread panicked; this is a bug",
                ))
            };
            queue.end(result.unwrap_or_else(panicked));
        };
        let spawned = thread::Builder::new().name(name.into()).spawn(run);
        self.0.lock().has_thread = spawned.is_ok();
        spawned.map(drop)
    }

    /// Returns true if items wait and no thread has been started.
    pub fn needs_thread(&self) -> bool {
        let state = self.0.lock();
        !state.has_thread && !state.waiting.is_empty()
    }

    /// Queues `item`. Returns false if the queue has ended or `limit` items wait already.
    pub fn push(&self, item: T, limit: usize) -> bool {
        self.0.push(item, limit).is_ok()
    }

    /// Queues `item`, or counts the item as lost. The thread reports the loss where the item would have been.
    pub fn push_or_count(&self, item: T, limit: usize) {
        if let Err(mut state) = self.0.push(item, limit) {
            state.lost += 1;
        }
    }

    /// Takes the items that wait away from the thread.
    pub fn take_waiting(&self) -> VecDeque<T> {
        mem::take(&mut self.0.lock().waiting)
    }

    /// Ends the queue: the thread writes the items that wait, and then ends.
    pub fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }

    /// Waits until all items are written, but no longer than `timeout`. Returns true if all are written.
    pub fn wait_until_written(&self, timeout: Duration) -> bool {
        self.0.wait(timeout, State::is_written).is_written()
    }

    /// Waits until the thread has ended, but no longer than `timeout`. Returns the thread's result, once.
    pub fn wait_until_ended(&self, timeout: Duration) -> Option<io::Result<()>> {
        let has_ended = |state: &State<T>| !state.has_thread || state.result.is_some();
        self.0.wait(timeout, has_ended).result.take()
    }

    /// Returns how many items the thread has started to write.
    pub fn started(&self) -> u64 {
        self.0.started.load(Ordering::Relaxed)
    }
}

impl<T> Clone for BoundedWriter<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> QueuedItems<T> {
    fn new(queue: Arc<Queue<T>>) -> Self {
        Self {
            queue,
            taken: VecDeque::new(),
            lost: 0,
        }
    }
}

impl<T> Iterator for QueuedItems<T> {
    type Item = Queued<T>;

    fn next(&mut self) -> Option<Queued<T>> {
        if self.taken.is_empty() && self.lost == 0 {
            self.lost = self.queue.take(&mut self.taken)?;
        }
        let Some(item) = self.taken.pop_front() else {
            return Some(Queued::Lost(mem::take(&mut self.lost)));
        };
        self.queue.started.fetch_add(1, Ordering::Relaxed);
        Some(Queued::Item(item))
    }
}

impl<T> Queue<T> {
    /// Queues `item`, or returns the locked state if there is no room.
    fn push(&self, item: T, limit: usize) -> Result<(), MutexGuard<'_, State<T>>> {
        let mut state = self.lock();
        if state.result.is_some() || state.waiting.len() >= limit {
            return Err(state);
        }
        state.waiting.push_back(item);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for items, and swaps them with the empty `taken`: so neither queue allocates again and again. Returns how
    /// many items were lost after these, or nothing when the queue is closed and empty.
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

    fn end(&self, result: io::Result<()>) {
        let mut state = self.lock();
        state.is_writing = false;
        state.result = Some(result);
        drop(state);
        self.changed.notify_all();
    }

    fn wait(
        &self,
        timeout: Duration,
        is_done: impl Fn(&State<T>) -> bool,
    ) -> MutexGuard<'_, State<T>> {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |state| !is_done(state))
            .unwrap_or_else(PoisonError::into_inner);
        state
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
        writer.close();
        let (first, rest) = result.recv().expect("a test");
        assert_eq!(first, Some(Queued::Item(1)));
        use Queued::{Item, Lost};
        assert_eq!(rest, [Item(2), Item(3), Lost(2), Item(7)]);
        assert!(writer.wait_until_ended(SOON).is_some_and(|end| end.is_ok()));
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
        let result = writer.wait_until_ended(Duration::from_secs(20));
        assert!(result.is_some_and(|result| result.is_err()));
    }
}
