//! A queue of connections that wait for the same thing, first come, first served.
//!
//! A connection can close while it is queued, and its key can then belong to another connection. So an entry holds key
//! and id. Entries of closed connections are skipped, and removed when the queue would grow otherwise.

use std::collections::VecDeque;

use slab::Slab;

use super::slot::Slot;

/// The most entries of a queue for each connection: its own, and that of a closed connection in the same slot.
const ENTRIES_PER_CONNECTION: usize = 2;

/// The memory of a queue per connection, in bytes. A page of it takes no memory before it is used.
pub(super) const RUN_QUEUE_BYTES: usize = ENTRIES_PER_CONNECTION * size_of::<SlotRef>();

/// Queued connections. A slot has a flag for each queue, so a connection is in a queue at most once.
#[derive(Debug)]
pub(super) struct RunQueue {
    entries: VecDeque<SlotRef>,
}

/// A reference to a connection that may have closed since. The key of a closed connection is reused, its id never.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotRef {
    pub key: usize,
    pub id: u64,
}

impl SlotRef {
    /// Returns the slot of the connection, or `None` if the connection has closed.
    pub(super) fn resolve(self, slots: &mut Slab<Slot>) -> Option<&mut Slot> {
        self.is_current(slots).then(|| &mut slots[self.key])
    }

    fn is_current(self, slots: &Slab<Slot>) -> bool {
        slots
            .get(self.key)
            .is_some_and(|slot| slot.connection.id() == self.id)
    }
}

impl RunQueue {
    /// Creates a queue for at most `connections` connections.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            entries: VecDeque::with_capacity(ENTRIES_PER_CONNECTION * connections),
        }
    }

    /// Returns true if the queue has no entries. Entries of closed connections count.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the connection at `key` to the end.
    pub(super) fn push(&mut self, key: usize, slots: &Slab<Slot>) {
        if self.entries.len() == self.entries.capacity() {
            self.remove_closed(slots);
        }
        let id = slots[key].connection.id();
        self.entries.push_back(SlotRef { key, id });
    }

    /// Removes the entries of closed connections. The others take half of the places at most, so this happens seldom.
    #[cold]
    fn remove_closed(&mut self, slots: &Slab<Slot>) {
        self.entries.retain(|entry| entry.is_current(slots));
    }

    /// Removes the connection that has waited for the longest time, and returns its key.
    pub(super) fn pop(&mut self, slots: &Slab<Slot>) -> Option<usize> {
        while let Some(entry) = self.entries.pop_front() {
            if entry.is_current(slots) {
                return Some(entry.key);
            }
        }
        // The next entries are stored in the first places again, whose pages are in memory.
        self.entries.clear();
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use mio::net::TcpStream;
    use mio::{Poll, Token};

    use super::super::registration::Registration;
    use super::super::slot::{CoarseTime, Places};
    use super::super::timers::{NEVER, TimerNode};
    use super::*;
    use crate::conn::{Connection, Settings, ShortRead};

    /// Creates a slot for a connection with this id.
    fn slot(id: u64, poll: &Poll, listener: &TcpListener) -> Slot {
        let address = listener.local_addr().expect("an address");
        let mut socket = TcpStream::connect(address).expect("a socket");
        let settings = Arc::new(Settings::raw(1, ShortRead::ProvesEmpty));
        Slot {
            connection: Connection::new(id, settings, 0),
            registration: Registration::new(&mut socket, poll.registry(), Token(0))
                .expect("a poll"),
            socket,
            peer: address.into(),
            timer_node: TimerNode::default(),
            session_end: CoarseTime::not_before(NEVER),
            places: Places::default(),
        }
    }

    #[test]
    fn fault_w3_fault_w6_closed_connections_do_not_make_a_queue_larger() {
        const CONNECTIONS: usize = 5;
        let poll = Poll::new().expect("a poll");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (mut slots, mut queue) = (Slab::new(), RunQueue::new(CONNECTIONS));
        assert!(queue.is_empty());
        let reserved = queue.entries.capacity();
        assert_eq!(RUN_QUEUE_BYTES, 2 * size_of::<SlotRef>());
        for id in 0..CONNECTIONS as u64 {
            let key = slots.insert(slot(id, &poll, &listener));
            queue.push(key, &slots);
        }
        assert!(!queue.is_empty());
        // While there is room, nobody looks for entries of closed connections.
        slots[1] = slot(CONNECTIONS as u64, &poll, &listener);
        queue.push(1, &slots);
        assert_eq!(queue.entries.len(), CONNECTIONS + 1);
        // All but one close again and again, and other connections with their keys are queued.
        for id in CONNECTIONS as u64 + 1..100 {
            let key = 1 + id as usize % (CONNECTIONS - 1);
            slots[key] = slot(id, &poll, &listener);
            queue.push(key, &slots);
            assert_eq!(queue.entries.capacity(), reserved);
        }
        let mut served = Vec::new();
        while let Some(key) = queue.pop(&slots) {
            served.push(slots[key].connection.id());
        }
        assert_eq!(served, [0, 96, 97, 98, 99]);
        assert!(queue.is_empty());
    }
}
