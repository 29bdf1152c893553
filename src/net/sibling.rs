//! Another loop of the server, as the first loop sees it.
//!
//! A sibling is a [`Server`](super::Server) like the first loop, on a thread of its own, without listeners and signals.
//! No echo touches what the two share:
//!
//! | what | how | which way |
//! |------|-----|-----------|
//! | clients | a mailbox (`arrivals.rs`) | to the sibling |
//! | the number of clients that it has released | an atomic (`occupancy.rs`) | to the first loop |
//! | a turn or the statistics, when the first loop asks | `requests.rs` | to the first loop |
//! | a stop, or the end at once | the [`Handle`] | to the sibling |
//! | its end | a flag and a wake; if it fails, the first loop ends too | to the first loop |

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::vec::Drain;

use super::arrivals::Arrival;
use super::mailbox::Sender;
use super::occupancy::Occupancy;
use super::requests::Requests;
use super::{Handle, Stats};

/// The first loop's end of a sibling. Its drop ends the sibling at once.
pub(super) struct Sibling {
    state: Arc<SiblingState>,
    arrivals: Sender<Arrival, Handle>,
    /// The clients of this turn, which are not sent yet.
    batch: Vec<Arrival>,
    /// The number of clients that were handed over.
    handed_over: usize,
    handle: Handle,
    /// `None` after the thread was joined.
    thread: Option<JoinHandle<()>>,
}

/// What a sibling tells the first loop.
pub(super) struct SiblingState {
    pub occupancy: Occupancy<Handle>,
    pub requests: Requests,
    has_ended: AtomicBool,
    /// Why the sibling has ended, if it has failed. The result of the thread would be a second type of result, and a second
    /// copy of the standard library's code for threads: 10 kB.
    error: Mutex<Option<io::Error>>,
    /// The handle of the first loop.
    first: Handle,
}

/// Tells the first loop that a sibling has ended, also if the sibling panics.
pub(super) struct EndNotice {
    pub state: Arc<SiblingState>,
    /// True if the sibling has ended because it was told to.
    pub is_regular: bool,
}

impl Sibling {
    /// Creates the first loop's end of the sibling with this handle. Tests have siblings without a thread.
    pub(super) fn new(
        state: Arc<SiblingState>,
        arrivals: Sender<Arrival, Handle>,
        handle: Handle,
        thread: Option<JoinHandle<()>>,
    ) -> Self {
        Self {
            state,
            arrivals,
            batch: Vec::new(),
            handed_over: 0,
            handle,
            thread,
        }
    }

    /// Hands a client over to the sibling, with the next [`deliver`](Self::deliver).
    pub(super) fn admit(&mut self, arrival: Arrival) {
        self.handed_over += 1;
        self.batch.push(arrival);
    }

    /// Sends the clients of this turn, with one wake for all.
    ///
    /// # Errors
    ///
    /// Returns the clients if the sibling does not take them, because it has failed.
    pub(super) fn deliver(&mut self) -> Result<(), Drain<'_, Arrival>> {
        match self.batch.is_empty() {
            true => Ok(()),
            false => self.arrivals.send(self.batch.drain(..)),
        }
    }

    /// Returns the number of clients that the sibling may still have.
    pub(super) fn active(&self) -> usize {
        self.handed_over - self.released()
    }

    /// Returns the number of clients that the sibling has released.
    pub(super) fn released(&self) -> usize {
        self.state.occupancy.released()
    }

    /// Asks for one wake of the first loop when the sibling releases a client.
    pub(super) fn await_release(&self) {
        self.state.occupancy.await_release();
    }

    /// Returns true if the sibling has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state.has_ended()
    }

    /// Asks the sibling for a turn. The sibling wakes the first loop when it has answered.
    pub(super) fn request_turn(&self, request: u64) {
        self.state.requests.ask_for_turn(request);
        // If the wake fails, the sibling finds the request at its next event.
        let _ = self.handle.wake();
    }

    /// Returns true if the sibling has turned since `request`.
    pub(super) fn has_turned(&self, request: u64) -> bool {
        self.state.requests.is_answered(request)
    }

    /// Asks the sibling for its statistics. The sibling wakes the first loop when it has answered.
    pub(super) fn request_stats(&self, request: u64) {
        self.state.requests.ask_for_stats(request);
        // As in `request_turn`.
        let _ = self.handle.wake();
    }

    /// Returns the statistics that the sibling has told since `request`.
    pub(super) fn stats(&self, request: u64) -> Option<Stats> {
        self.state.requests.stats(request)
    }

    /// Lets the sibling end once it has delivered what is pending. No client may be handed over afterwards.
    pub(super) fn stop(&self) {
        // As in `request_turn`.
        let _ = self.handle.stop();
    }

    /// Lets the sibling close its connections and end at once.
    pub(super) fn abort(&self) {
        // As in `request_turn`.
        let _ = self.handle.abort();
    }

    /// Ends the sibling at once, unless it has ended already, and waits for the end of its thread.
    ///
    /// # Errors
    ///
    /// Returns the error of the sibling. A panic is an error, too.
    pub(super) fn join(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        self.abort();
        let name = thread.thread().name().unwrap_or("a loop").to_owned();
        match (thread.join(), self.state.take_error()) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(error)) => Err(error),
            (Err(_reported_by_the_hook), _) => {
                Err(io::Error::other(format!("the thread of {name} panicked")))
            }
        }
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        // Its error is of no use here: the server was dropped before its end, or is ending with a panic.
        let _ = self.join();
    }
}

impl SiblingState {
    /// Creates the state of a sibling that is about to start. The first loop is that of `first`.
    pub(super) fn new(first: Handle) -> Self {
        Self {
            occupancy: Occupancy::new(first.clone()),
            requests: Requests::new(),
            has_ended: AtomicBool::new(false),
            error: Mutex::new(None),
            first,
        }
    }

    /// Answers all requests up to `request`.
    pub(super) fn answer(&self, request: u64, stats: Option<Stats>) {
        self.requests.answer(request, stats);
        // If the wake fails, the first loop looks again at its next event.
        let _ = self.first.wake();
    }

    /// Returns true if the sibling has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Stores the error that the sibling ends with.
    pub(super) fn set_error(&self, error: io::Error) {
        *self.lock_error() = Some(error);
    }

    fn take_error(&self) -> Option<io::Error> {
        self.lock_error().take()
    }

    fn lock_error(&self) -> MutexGuard<'_, Option<io::Error>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::Release);
        let first = &self.state.first;
        // If the wake fails, the first loop looks again at its next event.
        let _ = match self.is_regular {
            true => first.wake(),
            false => first.abort(),
        };
    }
}
