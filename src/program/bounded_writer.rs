//! A bounded queue of items, and a thread that writes the items to a stream that may block.
//!
//! The reader of a stream may stop: a pager that waits, a terminal after Ctrl-S, a full pipe. The thread that runs the
//! event loop or a measurement must not wait for that reader. So that thread queues an item and goes on, and a second
//! thread writes the items in order. An item that finds the queue full is lost. The loss is reported
//! after the items that wait in the queue.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mio_echo::net::threads;

use super::standard_streams::FLUSH_TIMEOUT;

/// The queue and its thread. The thread lives until the process ends.
pub struct BoundedWriter<T> {
    thread_name: &'static str,
    write: Box<dyn Fn(T) + Send + Sync>,
    /// Creates the item that reports how many items were lost.
    about_lost: fn(u64) -> T,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: Vec<T>,
    /// Items that were lost after the waiting ones.
    lost: u64,
    /// The thread has taken items, and has not written all of them.
    is_writing: bool,
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
            has_thread: false,
        };
        Arc::new(Self {
            thread_name,
            write: Box::new(write),
            about_lost,
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Queues `item`, or counts the item as lost if `limit` items wait already. Starts no thread.
    pub fn push(&self, item: T, limit: usize) {
        let mut state = self.lock();
        if state.waiting.len() < limit {
            state.waiting.push(item);
        } else {
            state.lost += 1;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Returns true if `limit` items wait.
    #[cfg(feature = "bench")]
    pub fn is_full(&self, limit: usize) -> bool {
        self.lock().waiting.len() >= limit
    }

    /// Starts the thread, if items wait and there is no thread yet. If the system has no thread left, the items stay
    /// in the queue, and the next call tries again.
    pub fn start_thread_if_needed(self: &Arc<Self>) {
        let mut state = self.lock();
        if !state.has_thread && !state.waiting.is_empty() {
            let writer = Arc::clone(self);
            state.has_thread = threads::spawn(self.thread_name, move || writer.run()).is_ok();
        }
    }

    /// Writes the items that wait. For the time before the thread is started.
    pub fn write_waiting(&self) {
        let waiting = mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(&self.write);
    }

    /// Starts the thread if needed, and waits until all items are written, for [`FLUSH_TIMEOUT`] at most. Returns true
    /// if all items are written.
    pub fn flush(self: &Arc<Self>) -> bool {
        self.start_thread_if_needed();
        self.changed
            .wait_timeout_while(self.lock(), FLUSH_TIMEOUT, |state| {
                state.has_thread && !state.is_written()
            })
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .is_written()
    }

    fn run(&self) {
        loop {
            let (items, lost) = self.take();
            let report = (lost > 0).then(|| (self.about_lost)(lost));
            items.into_iter().chain(report).for_each(&self.write);
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
        let push = |item: &str| {
            writer.push(item.into(), 2);
            writer.start_thread_if_needed();
        };
        push("1");
        assert_eq!(items.recv().as_deref(), Ok("1"));
        for item in ["2", "3", "4", "5"] {
            push(item);
        }
        drop(open);
        assert!(writer.flush());
        push("6");
        assert!(writer.flush());
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
        assert!(writer.flush());
        assert_eq!(items.try_iter().collect::<Vec<_>>(), [1]);
    }
}
