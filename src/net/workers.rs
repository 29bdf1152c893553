//! Worker threads: messages go out, replies come back.
//!
//! The loop never waits for a worker. The number of jobs is bounded, and a worker puts its reply where the loop looks
//! before every wait. The worker then wakes the loop, unless another reply was there already: one wake serves a batch
//! of replies. No thread joins a worker, so a busy worker cannot hold up the end of the process.
//!
//! A worker gets a copy of the message, in one of as many buffers as there can be jobs. The buffers are allocated at the
//! start and used again and again.

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

/// The most jobs per worker: those in the queue and the one that the worker processes. A job whose reply the loop has not
/// taken counts, too.
const JOBS_PER_WORKER: usize = QUEUE_PER_WORKER + 1;

/// The function that workers apply to each message. The reply has as many bytes as the message, so it has room in the
/// message's place.
pub(super) type Work = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Worker threads and the queues to and from them.
pub(super) struct WorkerPool {
    state: Arc<PoolState>,
    /// Buffers without a job. Each has room for the longest message.
    free_buffers: Vec<Vec<u8>>,
    /// The list in which the loop takes replies.
    taken: Vec<Completion>,
}

/// A message of a connection on its way to a worker.
struct Job {
    /// The connection. It may have closed by the time of the reply.
    slot: SlotRef,
    message: Vec<u8>,
}

/// The result of a job.
pub(super) struct Completion {
    pub slot: SlotRef,
    /// The reply.
    pub message: Vec<u8>,
    pub outcome: Result<(), WorkerPanicked>,
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

/// Returns the most memory of the jobs of all workers, in bytes.
pub(super) fn memory_of_jobs(workers: usize, max_message: usize) -> usize {
    let places = size_of::<Vec<u8>>() + size_of::<Job>() + 2 * size_of::<Completion>();
    let job = max_message.saturating_add(places);
    workers.saturating_mul(JOBS_PER_WORKER).saturating_mul(job)
}

impl WorkerPool {
    /// Starts `workers` threads that apply `work` to messages of at most `max_message` bytes and wake the loop of `handle`
    /// for their replies.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread, or the memory for the jobs.
    pub(super) fn start(
        workers: usize,
        max_message: usize,
        work: &Work,
        handle: Handle,
    ) -> io::Result<Self> {
        let jobs = workers * JOBS_PER_WORKER;
        let mut free_buffers = with_capacity(jobs)?;
        for _ in 0..jobs {
            free_buffers.push(with_capacity(max_message)?);
        }
        let state = Arc::new(PoolState {
            jobs: Mutex::new(Jobs {
                queue: with_capacity(jobs)?.into(),
                is_closed: false,
            }),
            changed: Condvar::new(),
            completions: Mutex::new(with_capacity(jobs)?),
            handle,
        });
        let pool = Self {
            state,
            free_buffers,
            taken: with_capacity(jobs)?,
        };
        for number in 1..=workers {
            let (state, work) = (Arc::clone(&pool.state), Arc::clone(work));
            threads::spawn(&format!("worker {number}"), move || state.run_jobs(&work))?;
        }
        Ok(pool)
    }

    /// Returns true if there is room for another job.
    pub(super) fn has_room(&self) -> bool {
        !self.free_buffers.is_empty()
    }

    /// Adds a job to the queue. The caller has checked that there is [room](Self::has_room).
    pub(super) fn submit(&mut self, slot: SlotRef, message: &[u8]) {
        let mut buffer = self.free_buffers.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(message);
        let job = Job {
            slot,
            message: buffer,
        };
        lock(&self.state.jobs).queue.push_back(job);
        self.state.changed.notify_one();
    }

    /// Removes the job of connection `id`, if no worker has started it.
    pub(super) fn withdraw(&mut self, id: u64) {
        let queue = &mut lock(&self.state.jobs).queue;
        let place = queue.iter().position(|job| job.slot.id == id);
        let job = place.and_then(|place| queue.remove(place));
        self.free_buffers.extend(job.map(|job| job.message));
    }

    /// Returns true if there are replies.
    pub(super) fn has_completions(&self) -> bool {
        !lock(&self.state.completions).is_empty()
    }

    /// Takes all replies. They go to [`recycle`](Self::recycle) afterwards.
    pub(super) fn take_completions(&mut self) -> Vec<Completion> {
        let mut taken = mem::take(&mut self.taken);
        mem::swap(&mut taken, &mut *lock(&self.state.completions));
        taken
    }

    /// Makes the buffers of replies free again.
    pub(super) fn recycle(&mut self, mut completions: Vec<Completion>) {
        let messages = completions.drain(..).map(|completion| completion.message);
        self.free_buffers.extend(messages);
        self.taken = completions;
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
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| work(&mut message)));
            self.complete(Completion {
                slot,
                message,
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

/// Returns an empty list with room for `capacity` items.
///
/// # Errors
///
/// Fails if the system refuses the memory.
fn with_capacity<T>(capacity: usize) -> io::Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(capacity)?;
    Ok(list)
}

/// Locks `mutex`. The lock cannot be poisoned in the middle of a change: no code that could panic runs under a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
