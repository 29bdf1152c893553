//! The queue between the loops and the worker threads.
//!
//! A loop adds a job and then wakes one worker. A worker looks for a job before it waits for one, both under the lock, so
//! no job is left in the queue while a worker waits. `tests/loom` plays all orders of the threads.

use std::collections::VecDeque;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs, which workers take in the order in which they were added.
pub(super) struct JobQueue<J> {
    jobs: Mutex<Jobs<J>>,
    changed: Condvar,
}

struct Jobs<J> {
    waiting: VecDeque<J>,
    is_closed: bool,
}

impl<J> JobQueue<J> {
    /// Creates a queue that uses the memory of `list`. It grows if more jobs wait than the list has room for.
    pub(super) fn new(list: Vec<J>) -> Self {
        Self {
            jobs: Mutex::new(Jobs {
                waiting: list.into(),
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds `job`.
    pub(super) fn add(&self, job: J) {
        self.lock().waiting.push_back(job);
        self.changed.notify_one();
    }

    /// Removes and returns the first job for which `is_wanted` returns true, or returns `None` if no such job waits. A worker
    /// may have taken the job already.
    pub(super) fn withdraw(&self, is_wanted: impl Fn(&J) -> bool) -> Option<J> {
        let waiting = &mut self.lock().waiting;
        let place = waiting.iter().position(is_wanted)?;
        waiting.remove(place)
    }

    /// Waits for a job. Returns `None` after the queue was closed.
    pub(super) fn next(&self) -> Option<J> {
        let mut jobs = self.lock();
        while jobs.waiting.is_empty() && !jobs.is_closed {
            let changed = self.changed.wait(jobs);
            jobs = changed.unwrap_or_else(PoisonError::into_inner);
        }
        jobs.waiting.pop_front()
    }

    /// Drops the jobs that wait, and lets every worker end.
    pub(super) fn close(&self) {
        let mut jobs = self.lock();
        jobs.waiting.clear();
        jobs.is_closed = true;
        self.changed.notify_all();
    }

    /// Locks the jobs. The lock cannot be poisoned in the middle of a change: no code that could panic runs under it.
    fn lock(&self) -> MutexGuard<'_, Jobs<J>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
