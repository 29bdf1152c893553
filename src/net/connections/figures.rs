//! What the connections of a loop have counted.

use std::time::Duration;

use super::Connections;
use crate::net::Stats;
use crate::net::slot::Place;

impl Connections {
    /// Returns the number of connections that have closed since the start.
    pub(in crate::net) fn closed_count(&self) -> u64 {
        let accepted = self.listeners.iter().map(|listener| listener.accepted);
        accepted.sum::<u64>() - self.slots.len() as u64
    }

    /// Returns the number of clients that this loop has got and has no longer.
    #[cfg(feature = "threads")]
    pub(in crate::net) fn released_count(&self) -> usize {
        let refused = self.listeners.iter().map(|listener| listener.refused);
        (self.closed_count() + refused.sum::<u64>()) as usize
    }

    /// Counts a pause of accepting that `listener` has caused.
    pub(in crate::net) fn count_accept_pause(&mut self, listener: usize) {
        self.listeners[listener].accept_pauses += 1;
    }

    /// Returns the statistics since the start of the server, which was `uptime` ago.
    ///
    /// A connection's own figures are added to its listener's when it closes. So an echo costs nothing, and this function
    /// looks at every open connection.
    pub(in crate::net) fn stats(&self, uptime: Duration) -> Stats {
        let mut listeners = self.listeners.clone();
        for (number, listener) in listeners.iter_mut().enumerate() {
            listener.discarded = self.buffers.discarded(number);
        }
        let mut backlog = 0;
        for (_, slot) in &self.slots {
            backlog += usize::from(slot.places.contains(Place::Backlog));
            let connection = &slot.connection;
            let listener = &mut listeners[connection.listener()];
            listener.active += 1;
            listener.echoed += connection.echoed();
            listener.pending += connection.pending() as u64;
        }
        Stats {
            uptime,
            backlog,
            max_connections: self.limits.connections,
            memory_bound: self.limits.memory,
            memory_used: self.limits.memory_used(self.slots.len(), &self.buffers),
            ..Stats::sum_of(listeners)
        }
    }
}
