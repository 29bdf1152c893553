//! A bounded queue of items, and a thread that writes the items to a stream that may block.
//!
//! The reader of a stream may stop: a pager that waits, a terminal after Ctrl-S, a full pipe. The thread that runs the
//! event loop or a measurement must not wait for that reader. So that thread queues an item and goes on, and a second
//! thread writes the items in order. An item that finds the queue full is lost. An item about the loss follows the items
//! that wait in the queue: a line for a person, or an error that ends a file.
//!
//! The system may refuse the second thread. Then the first thread writes the items that the stream takes without blocking.
//! The other items wait in the queue, and the start of the thread is tried again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, mem};

use mio_echo::net::threads;

use super::standard_streams::FLUSH_TIMEOUT;

/// The pause after the system has refused the thread. A failed start costs some system calls, and may leave a thread
/// behind that never runs.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The queue and its thread. The thread lives until the process ends.
pub struct BoundedWriter<T> {
    thread_name: &'static str,
    write: Box<dyn Fn(T) + Send + Sync>,
    /// Returns true if `write` does not block.
    can_write: fn(&T) -> bool,
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
    /// The system refuses the thread, and the stream may block. This number of items is lost.
    Lost(u64),
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Items that were lost after the waiting ones.
    lost: u64,
    /// The thread has taken items, and has not written all of them.
    is_writing: bool,
    /// Items need not wait for [`BoundedWriter::begin`].
    has_begun: bool,
    has_thread: bool,
    /// The time at which the system last refused the thread.
    refused_at: Option<Instant>,
}

impl<T: Send + 'static> BoundedWriter<T> {
    /// Creates an empty queue without a thread.
    pub fn new(
        thread_name: &'static str,
        write: impl Fn(T) + Send + Sync + 'static,
        can_write: fn(&T) -> bool,
        about_lost: fn(u64) -> T,
    ) -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            lost: 0,
            is_writing: false,
            has_begun: false,
            has_thread: false,
            refused_at: None,
        };
        Arc::new(Self {
            thread_name,
            write: Box::new(write),
            can_write,
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
            state.waiting.push_back(item);
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

    /// Writes the items so far that the stream takes without blocking. From then on, the thread starts when items wait.
    /// Until this call all items wait.
    pub fn begin(self: &Arc<Self>) {
        let mut state = self.lock();
        state.has_begun = true;
        if !state.has_thread {
            self.write_without_blocking(&mut state);
        }
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
        self.lock().refused_at = None;
        self.begin();
        let before = self.written.load(Ordering::Relaxed);
        let must_wait = |state: &mut State<T>| state.has_thread && !state.is_written();
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), FLUSH_TIMEOUT, must_wait);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match state.is_written() {
            true => Flushed::Written,
            false if !state.has_thread => Flushed::Lost(state.discard()),
            false if self.written.load(Ordering::Relaxed) > before => Flushed::Slow,
            false => Flushed::Stalled,
        }
    }

    fn start_thread_if_needed(self: &Arc<Self>, state: &mut State<T>) {
        if !state.has_begun || state.has_thread || state.is_empty() {
            return;
        }
        let is_pause = state
            .refused_at
            .is_some_and(|at| at.elapsed() < RETRY_PAUSE);
        if is_pause || self.spawn(state).is_err() {
            self.write_without_blocking(state);
        }
    }

    fn spawn(self: &Arc<Self>, state: &mut State<T>) -> io::Result<()> {
        let writer = Arc::clone(self);
        // The thread waits for the lock of `state` before it takes items.
        let never_joined = threads::spawn(self.thread_name, move || writer.run());
        match never_joined {
            Ok(_) => state.has_thread = true,
            Err(_) => state.refused_at = Some(Instant::now()),
        }
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
    fn take(&self) -> (VecDeque<T>, u64) {
        let mut state = self.lock();
        state.is_writing = false;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        (mem::take(&mut state.waiting), mem::take(&mut state.lost))
    }

    fn write_without_blocking(&self, state: &mut State<T>) {
        while state.waiting.front().is_some_and(self.can_write)
            && let Some(item) = state.waiting.pop_front()
        {
            (self.write)(item);
        }
        if state.waiting.is_empty() && state.lost > 0 {
            let report = (self.about_lost)(state.lost);
            if (self.can_write)(&report) {
                state.lost = 0;
                (self.write)(report);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Returns true if there is nothing to write: neither an item, nor a loss to report.
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    fn is_written(&self) -> bool {
        self.is_empty() && !self.is_writing
    }

    /// Discards the waiting items. Returns the number of lost items.
    fn discard(&mut self) -> u64 {
        let waiting = mem::take(&mut self.waiting).len() as u64;
        waiting + mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// A writer that sends each item to a channel, and then blocks until the gate opens. An item of more than one
    /// character may block its stream.
    fn gated() -> (Arc<BoundedWriter<String>>, Receiver<String>, Sender<()>) {
        let (written, items) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let write = move |item| {
            written.send(item).expect("a test");
            let _ = gate.lock().expect("one thread").recv();
        };
        let fits = |item: &String| item.len() == 1;
        let writer = BoundedWriter::new("writer", write, fits, |lost| format!("{lost} lost"));
        (writer, items, open)
    }

    /// A writer whose thread was refused a moment ago, and whose gate is open.
    fn refused() -> (Arc<BoundedWriter<String>>, Receiver<String>) {
        let (writer, items, _) = gated();
        writer.lock().refused_at = Some(Instant::now());
        (writer, items)
    }

    fn push(writer: &Arc<BoundedWriter<String>>, items: &[&str]) {
        for item in items {
            writer.push((*item).into(), 2);
        }
    }

    #[test]
    fn a_loss_is_reported_between_the_items_before_and_after_it() {
        let (writer, items, open) = gated();
        writer.begin();
        push(&writer, &["long"]);
        assert_eq!(items.recv().as_deref(), Ok("long"));
        push(&writer, &["2", "3", "4", "5"]);
        drop(open);
        assert_eq!(writer.flush(), Flushed::Written);
        push(&writer, &["6"]);
        assert_eq!(writer.flush(), Flushed::Written);
        let rest: Vec<_> = items.try_iter().collect();
        assert_eq!(rest, ["2", "3", "2 lost", "6"]);
    }

    #[test]
    fn items_wait_for_the_beginning() {
        let (writer, items) = refused();
        push(&writer, &["1", "2"]);
        assert_eq!(items.try_iter().count(), 0);
        writer.begin();
        assert_eq!(items.try_iter().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_refused_thread_leaves_the_items_that_may_block_waiting() {
        let (writer, items) = refused();
        writer.begin();
        push(&writer, &["1", "long", "2", "3", "4"]);
        assert_eq!(items.try_iter().collect::<Vec<_>>(), ["1"]);
        // A flush tries to start the thread again.
        assert_eq!(writer.flush(), Flushed::Written);
        let rest: Vec<_> = items.try_iter().collect();
        assert_eq!(rest, ["long", "2", "2 lost"]);
    }

    #[test]
    fn a_refused_thread_is_started_after_a_pause() {
        let (writer, items) = refused();
        writer.begin();
        push(&writer, &["long"]);
        assert_eq!(items.try_iter().count(), 0);
        let at = Instant::now().checked_sub(RETRY_PAUSE);
        writer.lock().refused_at = Some(at.expect("the system runs for a second"));
        push(&writer, &["2"]);
        assert_eq!(items.recv().as_deref(), Ok("long"));
    }
}
