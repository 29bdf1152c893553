//! Worker threads: messages go out, replies come back.
//!
//! The loop never waits for a worker. The number of jobs is bounded, and a worker sends its reply to the mailbox of the
//! loop (`net/mailbox.rs`). No thread joins a worker, so a busy worker cannot hold up the end of the process.
//!
//! A worker gets a copy of the message, in one of as many buffers as there can be jobs. The buffers are allocated at the
//! start and used again and again.
//!
//! All loops share the threads and their queue. Each loop has buffers of its own, and gets the replies of its own jobs.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use super::Handle;
use super::job_queue::JobQueue;
use super::mailbox::{Mailbox, Sender};
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

/// The worker threads, and the queue of their jobs. The threads end after the drop of the pool.
pub(super) struct WorkerPool {
    queue: Arc<JobQueue<Job>>,
}

/// The workers as one loop uses them.
pub(super) struct Workers {
    pool: Arc<WorkerPool>,
    /// Buffers without a job. Each has room for the longest message.
    free_buffers: Vec<Vec<u8>>,
    completions: Mailbox<Completion>,
    /// The other end of `completions`, for each job.
    sender: Arc<Sender<Completion, Handle>>,
}

/// A message of a connection on its way to a worker.
struct Job {
    /// The connection. It may have closed by the time of the reply.
    slot: SlotRef,
    message: Vec<u8>,
    /// Takes the reply to the loop of the connection.
    sender: Arc<Sender<Completion, Handle>>,
}

/// The result of a job.
pub(super) struct Completion {
    pub slot: SlotRef,
    /// The reply.
    pub message: Vec<u8>,
    pub outcome: Result<(), WorkerPanicked>,
}

/// Returns the most jobs that each of `loops` loops has with `workers` workers at once.
pub(super) fn jobs_of_loop(workers: usize, loops: usize) -> usize {
    workers.saturating_mul(JOBS_PER_WORKER).div_ceil(loops)
}

/// Returns the most memory of `jobs` jobs, in bytes.
pub(super) fn memory_of_jobs(jobs: usize, max_message: usize) -> usize {
    let places = size_of::<Vec<u8>>() + size_of::<Job>() + 2 * size_of::<Completion>();
    jobs.saturating_mul(max_message.saturating_add(places))
}

impl WorkerPool {
    /// Starts `workers` threads that apply `work` to the messages of at most `jobs` jobs at once.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread, or the memory for the queue.
    pub(super) fn start(workers: usize, jobs: usize, work: &Work) -> io::Result<Arc<Self>> {
        let queue = Arc::new(JobQueue::new(with_capacity(jobs)?));
        let pool = Arc::new(Self { queue });
        for number in 1..=workers {
            let (queue, work) = (Arc::clone(&pool.queue), Arc::clone(work));
            threads::spawn(&format!("worker {number}"), move || run_jobs(&queue, &work))?;
        }
        Ok(pool)
    }
}

impl Workers {
    /// Reserves the memory for `jobs` jobs with messages of at most `max_message` bytes. Their replies wake the loop of
    /// `handle`.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory.
    pub(super) fn new(
        pool: Arc<WorkerPool>,
        jobs: usize,
        max_message: usize,
        handle: Handle,
    ) -> io::Result<Self> {
        let mut free_buffers = with_capacity(jobs)?;
        for _ in 0..jobs {
            free_buffers.push(with_capacity(max_message)?);
        }
        let completions = Mailbox::new([with_capacity(jobs)?, with_capacity(jobs)?]);
        Ok(Self {
            pool,
            free_buffers,
            sender: Arc::new(completions.sender(handle)),
            completions,
        })
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
            sender: Arc::clone(&self.sender),
        };
        self.pool.queue.add(job);
    }

    /// Removes the job of connection `id`, if no worker has started it.
    pub(super) fn withdraw(&mut self, id: u64) {
        let job = self.pool.queue.withdraw(|job| job.slot.id == id);
        self.free_buffers.extend(job.map(|job| job.message));
    }

    /// Returns true if there are replies.
    pub(super) fn has_completions(&self) -> bool {
        !self.completions.is_empty()
    }

    /// Takes all replies. They go to [`recycle`](Self::recycle) afterwards.
    pub(super) fn take_completions(&mut self) -> Vec<Completion> {
        self.completions.take()
    }

    /// Makes the buffers of replies free again.
    pub(super) fn recycle(&mut self, mut completions: Vec<Completion>) {
        let messages = completions.drain(..).map(|completion| completion.message);
        self.free_buffers.extend(messages);
        self.completions.recycle(completions);
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Works on jobs until the pool is dropped.
fn run_jobs(queue: &JobQueue<Job>, work: &Work) {
    while let Some(job) = queue.next() {
        let mut message = job.message;
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| work(&mut message)));
        let completion = Completion {
            slot: job.slot,
            message,
            outcome: outcome.map_err(|_reported_by_the_hook| WorkerPanicked),
        };
        // The mailbox of replies is never closed.
        let _ = job.sender.send([completion]);
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
