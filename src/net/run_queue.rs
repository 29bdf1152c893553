//! A line of connections that wait for the same thing, first come, first served.
//!
//! A connection can end while it waits, and its key be given to another, so a place is held by key and id. Those whose
//! holder has gone are passed over, and cleared away where they would make the line grow.

use std::collections::VecDeque;

use slab::Slab;

use super::slot::Slot;

/// What a line costs a connection at most, in bytes: two places, and two more while it grows and is copied.
pub(super) const RUN_QUEUE_BYTES: usize = 4 * size_of::<SlotRef>();

/// How many can wait before a line allocates, in 1 KiB. How many find themselves there at once is chance.
const RESERVED: usize = 32;

/// Connections that wait. Whoever joins remembers it, and has one place at most.
#[derive(Debug)]
pub(super) struct RunQueue {
    entries: VecDeque<SlotRef>,
}

/// A place in a line, or with a worker. A connection can end while it waits there, and its key be given to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotRef {
    pub key: usize,
    pub id: u64,
}

impl SlotRef {
    /// The connection that has this place, if it has not ended.
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
    /// A line for some of `connections`, the most there can be.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            entries: VecDeque::with_capacity(2 * connections.min(RESERVED)),
        }
    }

    /// Whether nobody waits. There may be places of those who have gone.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The last place is that of the connection at `key`.
    pub(super) fn push(&mut self, key: usize, slots: &Slab<Slot>) {
        if self.entries.len() == self.entries.capacity() {
            self.make_room(slots);
        }
        let id = slots[key].connection.id();
        self.entries.push_back(SlotRef { key, id });
    }

    /// Half of the places are free afterwards, so that this is seldom, and there are no more than two for each of those who
    /// wait and for the one who joins them.
    #[cold]
    fn make_room(&mut self, slots: &Slab<Slot>) {
        self.entries.retain(|entry| entry.is_current(slots));
        self.entries.reserve_exact(self.entries.len() + 2);
    }

    /// Whose turn it is.
    pub(super) fn pop(&mut self, slots: &Slab<Slot>) -> Option<usize> {
        while let Some(entry) = self.entries.pop_front() {
            if entry.is_current(slots) {
                return Some(entry.key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, TcpListener};
    use std::sync::Arc;

    use mio::net::TcpStream;
    use mio::{Poll, Token};

    use super::super::registration::Registration;
    use super::super::timers::TimerNode;
    use super::*;
    use crate::conn::{Connection, Settings, ShortRead};

    /// A slot of a connection with this id.
    fn slot(id: u64, poll: &Poll, listener: &TcpListener) -> Slot {
        let address = listener.local_addr().expect("an address");
        let mut socket = TcpStream::connect(address).expect("a socket");
        let settings = Arc::new(Settings::raw(1, ShortRead::ProvesEmpty));
        Slot {
            connection: Connection::new(id, settings, 0),
            registration: Registration::new(&mut socket, poll.registry(), Token(0))
                .expect("a poll"),
            socket,
            peer: (IpAddr::V4(Ipv4Addr::LOCALHOST), 1),
            timer_node: TimerNode::new(),
            in_backlog: false,
            in_waiting: false,
            in_pool: false,
        }
    }

    #[test]
    fn fault_w6_who_waits_with_few_others_finds_room_that_was_reserved() {
        let poll = Poll::new().expect("a poll");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        for connections in [1, RESERVED] {
            let (mut slots, mut line) = (Slab::new(), RunQueue::new(connections));
            let reserved = line.entries.capacity();
            for id in 0..10 * connections as u64 {
                let key = id as usize % connections;
                if slots.contains(key) {
                    slots.remove(key);
                }
                let key = slots.insert(slot(id, &poll, &listener));
                line.push(key, &slots);
                assert_eq!(line.entries.capacity(), reserved);
            }
        }
    }

    #[test]
    fn fault_w3_those_who_have_gone_do_not_make_a_line_longer_than_two_places_a_connection() {
        const CONNECTIONS: usize = 5;
        let poll = Poll::new().expect("a poll");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (mut slots, mut line) = (Slab::new(), RunQueue::new(0));
        for id in 0..CONNECTIONS as u64 {
            let key = slots.insert(slot(id, &poll, &listener));
            line.push(key, &slots);
        }
        // All but one leave again and again, and others with their keys wait in their place.
        for id in CONNECTIONS as u64..100 {
            let key = 1 + id as usize % (CONNECTIONS - 1);
            slots[key] = slot(id, &poll, &listener);
            line.push(key, &slots);
            let places = line.entries.capacity();
            assert!(places <= 2 * CONNECTIONS, "{places} places");
        }
        let mut served = Vec::new();
        while let Some(key) = line.pop(&slots) {
            served.push(slots[key].connection.id());
        }
        assert_eq!(served, [0, 96, 97, 98, 99]);
        assert!(line.is_empty());
    }
}
