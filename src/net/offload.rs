//! Connections whose messages go through the worker pool.
//!
//! A connection has one message with the workers at a time, and waits in line where they have no room. So order holds
//! within a connection, and its own reply is what holds it back.

use super::connections::Connections;
use super::pool::{Completion, Job};
use super::run_queue::SlotRef;

impl Connections {
    /// Hands out what the workers have brought back, and their freed places to those who wait.
    pub(super) fn run_completed(&mut self, now: u64) {
        let Some(pool) = &self.pool else { return };
        for Completion { key, id, outcome } in pool.take_completions() {
            let entry = SlotRef { key, id };
            if let Some(slot) = entry.resolve(&mut self.slots) {
                slot.in_pool = false;
                slot.connection.handle_completion(outcome);
                self.drive(key, now);
            }
        }
        self.hand_out_jobs();
    }

    /// Puts a connection's message in line for a worker.
    pub(super) fn offload(&mut self, key: usize) {
        self.slots[key].in_waiting = true;
        self.waiting.push(key, &self.slots);
        self.hand_out_jobs();
    }

    /// Gives the workers as much as they have room for. Nobody overtakes whoever waits.
    fn hand_out_jobs(&mut self) {
        let Some(pool) = &self.pool else { return };
        while pool.has_room()
            && let Some(key) = self.waiting.pop(&self.slots)
        {
            let slot = &mut self.slots[key];
            slot.in_waiting = false;
            if let Some(message) = slot.connection.poll_job() {
                let id = slot.connection.id();
                slot.in_pool = true;
                pool.submit(Job { key, id, message });
            }
        }
    }
}
