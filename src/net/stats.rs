//! The statistics of a server, and the log line that shows them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::conn::{CloseReason, Framing};

/// Counters since the start, summed over all listeners, and what the server holds now. `accepted` always equals `active`
/// plus the sum of `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Clients that were accepted and given a slot.
    pub accepted: u64,
    /// Clients that were refused, because no slot was free, their address had too many connections, their socket could not
    /// be registered with the poll, or their PROXY header was bad, late or incomplete at the end.
    pub refused: u64,
    /// Connections that are open now.
    pub active: u64,
    /// Echoed bytes that the kernel has taken for delivery. Banners do not count.
    pub echoed: u64,
    /// Bytes that were read and discarded, because their session had ended for a reason on our side: a stop, a timeout, a
    /// NUL or a bad frame. Bytes that came in the same read as the end of the session do not count.
    pub discarded: u64,
    /// Closed connections by [`CloseReason::index`].
    pub closed: [u64; CloseReason::COUNT],
    /// The time since the start.
    pub uptime: Duration,
    /// The parts of the listeners, in their order at the start. A listener that was closed keeps its place.
    pub listeners: Vec<ListenerStats>,
    /// Turns of the loops. The first loop counts its turns only while there is an [`Observer`](super::Observer).
    pub turns: u64,
    /// Events that the waits of these turns have returned.
    pub events: u64,
    /// Connections in the backlog of the loop: the budget of their last run did not suffice.
    pub backlog: usize,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most memory that connections may hold in the process, in bytes.
    pub memory_bound: usize,
    /// The memory of that bound which is in use, in bytes: the read buffer, the jobs of the workers, and the slots and the
    /// blocks of the connections that are open.
    pub memory_used: usize,
}

/// The part of one listener in [`Stats`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStats {
    /// The address that the listener is bound to.
    pub address: SocketAddr,
    /// How the connections of the listener split bytes into messages.
    pub framing: Framing,
    /// As [`Stats::accepted`].
    pub accepted: u64,
    /// As [`Stats::refused`].
    pub refused: u64,
    /// As [`Stats::active`].
    pub active: u64,
    /// As [`Stats::echoed`].
    pub echoed: u64,
    /// As [`Stats::discarded`].
    pub discarded: u64,
    /// Bytes of echoes that the kernel has not taken yet.
    pub pending: u64,
    /// How often accepting was paused, because accept(2) failed for want of descriptors or memory, or failed for every
    /// client of a turn.
    pub accept_pauses: u64,
    /// As [`Stats::closed`].
    pub closed: [u64; CloseReason::COUNT],
}

impl ListenerStats {
    /// Creates the statistics of a listener that has accepted no client.
    pub(super) fn new(address: SocketAddr, framing: Framing) -> Self {
        Self {
            address,
            framing,
            accepted: 0,
            refused: 0,
            active: 0,
            echoed: 0,
            discarded: 0,
            pending: 0,
            accept_pauses: 0,
            closed: [0; CloseReason::COUNT],
        }
    }

    /// Adds the part of the same listener in another loop.
    fn plus(mut self, other: &Self) -> Self {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.active += other.active;
        self.echoed += other.echoed;
        self.discarded += other.discarded;
        self.pending += other.pending;
        self.accept_pauses += other.accept_pauses;
        add_each(&mut self.closed, &other.closed);
        self
    }
}

impl Stats {
    /// Adds up `listeners`.
    pub(super) fn sum_of(listeners: Vec<ListenerStats>) -> Self {
        let mut sum = Self::default();
        for listener in &listeners {
            sum.accepted += listener.accepted;
            sum.refused += listener.refused;
            sum.active += listener.active;
            sum.echoed += listener.echoed;
            sum.discarded += listener.discarded;
            add_each(&mut sum.closed, &listener.closed);
        }
        Self { listeners, ..sum }
    }

    /// Adds the statistics of another loop of the same server. The time since the start is that of `self`.
    pub(super) fn plus(self, other: &Self) -> Self {
        let pairs = self.listeners.into_iter().zip(&other.listeners);
        Self {
            uptime: self.uptime,
            turns: self.turns + other.turns,
            events: self.events + other.events,
            backlog: self.backlog + other.backlog,
            max_connections: self.max_connections + other.max_connections,
            memory_bound: self.memory_bound + other.memory_bound,
            memory_used: self.memory_used + other.memory_used,
            ..Self::sum_of(pairs.map(|(own, other)| own.plus(other)).collect())
        }
    }
}

/// Adds each of `counts` to the sum in its place.
fn add_each(sums: &mut [u64], counts: &[u64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = CloseReason::ALL.map(|reason| {
            let count = self.closed[reason.index()];
            format!("{} {count}", reason.explain())
        });
        // Whole numbers alone: the code that prints floating-point numbers takes 13 kB of a server.
        let tenths = (self.uptime.as_millis() + 50) / 100;
        write!(
            f,
            "accepted {}, refused {}, active {}, echoed {} bytes, discarded {} bytes, closed: {}; {}.{} s",
            self.accepted,
            self.refused,
            self.active,
            self.echoed,
            self.discarded,
            closed.join(", "),
            tenths / 10,
            tenths % 10
        )
    }
}
