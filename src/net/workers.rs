//! Worker threads: messages go out, replies come back.
//!
//! The loop never waits for a worker. The queue of jobs is bounded, and a worker puts its reply where the loop looks
//! before every wait. The worker then wakes the loop, unless another reply was there already: one wake serves a batch
//! of replies. No thread joins a worker, so a busy worker cannot hold up the end of the process.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, mem};

use log::warn;

use super::Handle;
use super::run_queue::SlotRef;
use super::threads;
use crate::conn::WorkerPanicked;

/// The most queued jobs per worker: enough to keep a worker busy during a turn of the loop, and few enough to bound the
/// memory.
const QUEUE_PER_WORKER: usize = 16;

/// The memory of the job queue per worker in bytes, without the messages.
pub(super) const QUEUE_BYTES: usize = QUEUE_PER_WORKER * size_of::<Job>();

/// The most memory of a reply in the lists of replies, in bytes: two places in the list that the loop has taken, and three
/// in the next list, which grows by doubling and is copied.
pub(super) const REPLY_BYTES: usize = 5 * size_of::<Completion>();

/// The function that workers apply to each message.
pub(super) type Work = Arc<dyn Fn(&mut Vec<u8>) + Send + Sync>;

/// Worker threads and the queues to and from them.
pub(super) struct WorkerPool {
    state: Arc<PoolState>,
    capacity: usize,
}

/// A message of a connection on its way to a worker.
pub(super) struct Job {
    /// The connection. It may have closed by the time of the reply.
    pub slot: SlotRef,
    pub message: Vec<u8>,
}

/// The result of a job.
pub(super) struct Completion {
    pub slot: SlotRef,
    /// The reply.
    pub outcome: Result<Vec<u8>, WorkerPanicked>,
}

struct PoolState {
    jobs: Mutex<Jobs>,
    changed: Condvar,
    completions: Mutex<Vec<Completion>>,
    handle: Handle,
}

struct Jobs {
    queue: VecDeque<Job>,
    is_closed: bool,
}

impl WorkerPool {
    /// Starts `workers` threads that apply `work` to messages and wake the loop of `handle` for their replies.
    pub(super) fn start(workers: usize, work: &Work, handle: Handle) -> io::Result<Self> {
        let capacity = workers * QUEUE_PER_WORKER;
        let state = Arc::new(PoolState {
            jobs: Mutex::new(Jobs {
                queue: VecDeque::with_capacity(capacity),
                is_closed: false,
            }),
            changed: Condvar::new(),
            completions: Mutex::default(),
            handle,
        });
        let pool = Self { state, capacity };
        for number in 1..=workers {
            let (state, work) = (Arc::clone(&pool.state), Arc::clone(work));
            threads::spawn(&format!("worker {number}"), move || state.run_jobs(&work))?;
        }
        Ok(pool)
    }

    /// Returns true if the queue has room for another job.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.state.jobs).queue.len() < self.capacity
    }

    /// Adds a job to the queue. The caller has checked that there is [room](Self::has_room).
    pub(super) fn submit(&self, job: Job) {
        lock(&self.state.jobs).queue.push_back(job);
        self.state.changed.notify_one();
    }

    /// Removes the job of connection `id`, if no worker has started it.
    pub(super) fn withdraw(&self, id: u64) {
        lock(&self.state.jobs).queue.retain(|job| job.slot.id != id);
    }

    /// Returns true if there are replies.
    pub(super) fn has_completions(&self) -> bool {
        !lock(&self.state.completions).is_empty()
    }

    /// Takes all replies.
    pub(super) fn take_completions(&self) -> Vec<Completion> {
        mem::take(&mut *lock(&self.state.completions))
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        let mut jobs = lock(&self.state.jobs);
        jobs.queue.clear();
        jobs.is_closed = true;
        self.state.changed.notify_all();
    }
}

impl PoolState {
    fn run_jobs(&self, work: &Work) {
        while let Some(Job { slot, mut message }) = self.next_job() {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
                work(&mut message);
                message
            }));
            self.complete(Completion {
                slot,
                outcome: outcome.map_err(|_reported_by_the_hook| WorkerPanicked),
            });
        }
    }

    /// Waits for a job. Returns `None` after the pool was dropped.
    fn next_job(&self) -> Option<Job> {
        let must_wait = |jobs: &mut Jobs| jobs.queue.is_empty() && !jobs.is_closed;
        let jobs = self.changed.wait_while(lock(&self.jobs), must_wait);
        let mut jobs = jobs.unwrap_or_else(PoisonError::into_inner);
        jobs.queue.pop_front()
    }

    fn complete(&self, completion: Completion) {
        let mut completions = lock(&self.completions);
        let is_first = completions.is_empty();
        completions.push(completion);
        drop(completions);
        if is_first && let Err(error) = self.handle.wake() {
            warn!("a worker could not wake the loop: {error}");
        }
    }
}

/// Locks `mutex`. The lock cannot be poisoned in the middle of a change: no code that could panic runs under a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
