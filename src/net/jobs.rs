//! Connections whose messages go through the worker pool.
//!
//! A connection has one message with the workers at a time, and waits in line where they have no room. So order holds
//! within a connection, and its own reply is what holds it back.

use super::connections::{Connections, Ticket};
use super::pool::{Completion, Job};

impl Connections {
    /// Hands out what the workers have brought back, and their freed places to those who wait.
    pub(super) fn run_completed(&mut self, now: u64) {
        let Some(pool) = &self.pool else { return };
        for Completion { key, id, outcome } in pool.take_completions() {
            let ticket = Ticket { key, id };
            if let Some(slot) = ticket.holder(&mut self.slots) {
                slot.connection.handle_completion(outcome);
                self.drive(key, now);
            }
        }
        self.hand_out_jobs();
    }

    /// Puts a connection's message in line for a worker.
    pub(super) fn offload(&mut self, key: usize) {
        if self.waiting.len() >= 2 * self.capacity {
            self.forget_gone_waiters();
        }
        let slot = &mut self.slots[key];
        slot.in_waiting = true;
        self.waiting.push_back(Ticket {
            key,
            id: slot.connection.id(),
        });
        self.hand_out_jobs();
    }

    /// Gives the workers as much as they have room for. Nobody overtakes whoever waits.
    fn hand_out_jobs(&mut self) {
        let Some(pool) = &self.pool else { return };
        while pool.has_room()
            && let Some(Ticket { key, id }) = self.waiting.pop_front()
        {
            let ticket = Ticket { key, id };
            let Some(slot) = ticket.holder(&mut self.slots) else {
                continue;
            };
            slot.in_waiting = false;
            if let Some(message) = slot.connection.poll_job() {
                pool.submit(Job { key, id, message });
            }
        }
    }

    /// While the workers are stuck, clients that come and go must not make the line longer and longer.
    #[cold]
    fn forget_gone_waiters(&mut self) {
        let slots = &self.slots;
        self.waiting.retain(|ticket| ticket.is_held(slots));
    }
}
