//! Worker threads: messages out, replies back, one wake a batch.
//!
//! The loop never waits for a worker. It hands out at most as many jobs as the queue holds, and a worker that is done
//! first puts its reply where the loop looks before every wait, and then wakes it; only the first of a batch does.
//! Nobody joins a worker: one that is busy must not hold up the end of the process.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, mem, thread};

use log::warn;

use super::Handle;
use crate::conn::WorkerPanicked;

/// Jobs that may wait, for each worker: enough to keep it busy while the loop is, few enough to bound the memory.
const QUEUE_PER_WORKER: usize = 16;

/// What each worker costs in the queue of jobs, in bytes, beside their messages.
pub(super) const QUEUE_BYTES: usize = QUEUE_PER_WORKER * size_of::<Job>();

/// What a job costs at most in the lists of replies, in bytes: two places in one that is handed out, and three in the next,
/// which grows by doubling and is copied.
pub(super) const REPLY_BYTES: usize = 5 * size_of::<Completion>();

/// What a worker does to a message.
pub(super) type Work = Arc<dyn Fn(&mut Vec<u8>) + Send + Sync>;

/// Worker threads and the queues to and from them.
pub(super) struct Pool {
    state: Arc<PoolState>,
    capacity: usize,
}

/// A message of a connection, on its way to a worker.
pub(super) struct Job {
    /// The connection's key.
    pub key: usize,
    /// Its id: by the time the reply comes, the key may be another's.
    pub id: u64,
    /// The message.
    pub message: Vec<u8>,
}

/// What became of a job.
pub(super) struct Completion {
    /// The connection's key.
    pub key: usize,
    /// Its id.
    pub id: u64,
    /// The reply.
    pub outcome: Result<Vec<u8>, WorkerPanicked>,
}

struct PoolState {
    jobs: Mutex<Jobs>,
    more: Condvar,
    completions: Mutex<Vec<Completion>>,
    handle: Handle,
}

struct Jobs {
    queue: VecDeque<Job>,
    is_closed: bool,
}

impl Pool {
    /// Starts `workers` threads that do `work`, and wake the loop of `handle` when they are done.
    pub(super) fn start(workers: usize, work: &Work, handle: Handle) -> io::Result<Self> {
        let capacity = workers * QUEUE_PER_WORKER;
        let state = Arc::new(PoolState {
            jobs: Mutex::new(Jobs {
                queue: VecDeque::with_capacity(capacity),
                is_closed: false,
            }),
            more: Condvar::new(),
            completions: Mutex::default(),
            handle,
        });
        let pool = Self { state, capacity };
        for number in 1..=workers {
            let (state, work) = (Arc::clone(&pool.state), Arc::clone(work));
            thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn(move || state.run_jobs(&work))?;
        }
        Ok(pool)
    }

    /// Whether another job can wait.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.state.jobs).queue.len() < self.capacity
    }

    /// Hands out a job.
    pub(super) fn submit(&self, job: Job) {
        lock(&self.state.jobs).queue.push_back(job);
        self.state.more.notify_one();
    }

    /// Skips a job of a connection that has gone, if no worker has it yet.
    pub(super) fn withdraw(&self, id: u64) {
        lock(&self.state.jobs).queue.retain(|job| job.id != id);
    }

    /// Whether there are replies.
    pub(super) fn has_completions(&self) -> bool {
        !lock(&self.state.completions).is_empty()
    }

    /// Takes all replies at once.
    pub(super) fn take_completions(&self) -> Vec<Completion> {
        mem::take(&mut *lock(&self.state.completions))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.state.jobs).is_closed = true;
        self.state.more.notify_all();
    }
}

impl PoolState {
    fn run_jobs(&self, work: &Work) {
        while let Some(Job {
            key,
            id,
            mut message,
        }) = self.next()
        {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
                work(&mut message);
                message
            }));
            self.complete(Completion {
                key,
                id,
                outcome: outcome.map_err(|_reported_by_the_hook| WorkerPanicked),
            });
        }
    }

    fn next(&self) -> Option<Job> {
        let jobs = lock(&self.jobs);
        let mut jobs = self
            .more
            .wait_while(jobs, |jobs| jobs.queue.is_empty() && !jobs.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        if jobs.is_closed {
            None
        } else {
            jobs.queue.pop_front()
        }
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

/// No lock is held while anything that could panic runs.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
