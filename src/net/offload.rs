//! Messages on their way from connections to the workers.
//!
//! A connection has at most one message with the workers. While the workers' queue is full, the connection waits here in
//! order of arrival. So the order of messages within a connection holds, and a slow reply holds up only its own
//! connection.

use slab::Slab;

use super::run_queue::{RunQueue, SlotRef};
use super::slot::{Place, Slot};
use super::workers::Workers;
use crate::conn::Buffers;

/// The worker threads and the connections that wait for room in their queue.
pub(super) struct OffloadQueue {
    pub workers: Workers,
    waiting: RunQueue,
}

impl OffloadQueue {
    /// Creates a queue for at most `capacity` connections.
    pub(super) fn new(workers: Workers, capacity: usize) -> Self {
        Self {
            workers,
            waiting: RunQueue::new(capacity),
        }
    }

    /// Adds a connection that has a message for a worker.
    pub(super) fn push(&mut self, key: usize, slots: &mut Slab<Slot>, buffers: &Buffers) {
        slots[key].places.insert(Place::OffloadQueue);
        self.waiting.push(key, slots);
        self.submit_jobs(slots, buffers);
    }

    /// Gives the workers as many messages as their queue has room for, first come, first served.
    pub(super) fn submit_jobs(&mut self, slots: &mut Slab<Slot>, buffers: &Buffers) {
        while self.workers.has_room()
            && let Some(key) = self.waiting.pop(slots)
        {
            let slot = &mut slots[key];
            slot.places.remove(Place::OffloadQueue);
            let id = slot.connection.id();
            if let Some(message) = slot.connection.poll_job(buffers) {
                slot.places.insert(Place::WorkerPool);
                self.workers.submit(SlotRef { key, id }, message);
            }
        }
    }

    /// Returns true if there is a reply, or room for the message of a waiting connection. Room can appear without a
    /// reply and so without a wake, when a connection closes and withdraws its job.
    pub(super) fn is_runnable(&self) -> bool {
        self.workers.has_completions() || !self.waiting.is_empty() && self.workers.has_room()
    }
}
