//! Accepting clients: all listeners of a server, and what happens while no slot or no descriptor is free.
//!
//! Accepting follows the rule of reading. A listener stays marked as ready until accept(2) answers `WouldBlock`
//! (`net/listener.rs`). While all slots are taken or the process has no descriptors left, the mark stays, and clients
//! wait in the kernel's queue. The acceptor tries again after the next connection has closed, or after
//! [`ACCEPT_RETRY`]. No listener is deregistered, so no event is lost and the loop never spins.
//!
//! A listener is closed if accept(2) says that the socket itself is unusable. The other listeners go on.

use std::io;
use std::time::Duration;

use log::{debug, error, warn};

use super::WhenFull;
use super::connections::Connections;
use super::listener::{AcceptError, Listener};
use super::log_throttle::LogThrottle;
use super::scope::ScopedAddress;
use super::timers::{NEVER, nanoseconds};

/// The pause after the process has run out of descriptors or memory, or after a turn in which every accept of a listener
/// failed. Four attempts a second cost nothing, and a waiting client does not notice a quarter of a second.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(250);

/// The listeners of a server.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// The listeners. An event tells the index of its listener. A listener that has failed leaves `None`.
    listeners: Vec<Option<Listener>>,
    when_full: WhenFull,
    /// True if any listener may have a waiting client.
    ready: bool,
    /// The index of the listener that accepts next. Listeners take turns, so a free slot goes to each in turn.
    next: usize,
    pause: Option<AcceptPause>,
    failures: LogThrottle,
}

/// A pause because accepting fails, and would fail again at once.
#[derive(Clone, Copy, Debug)]
struct AcceptPause {
    retry_at: u64,
    /// The number of closed connections at the start of the pause. Another closed connection may free a descriptor.
    closed_before: u64,
}

impl Acceptor {
    pub(super) fn new(listeners: Vec<Listener>, when_full: WhenFull) -> Self {
        Self {
            listeners: listeners.into_iter().map(Some).collect(),
            when_full,
            ready: false,
            next: 0,
            pause: None,
            failures: LogThrottle::default(),
        }
    }

    /// Records that the listener at `index` may have a waiting client.
    pub(super) fn mark_ready(&mut self, index: usize) {
        if let Some(Some(listener)) = self.listeners.get_mut(index) {
            listener.mark_ready();
            self.ready = true;
        }
    }

    /// Accepts waiting clients, one of each listener in turn, until every listener is empty or has spent its budget.
    pub(super) fn run(&mut self, connections: &mut Connections, now: u64) {
        self.pause = None;
        let listeners = self.listeners.iter_mut().flatten();
        listeners.for_each(Listener::reset_budget);
        // `next_listener` gives the turn to the following listener, so it is called only if a client can be taken.
        while self.takes_clients(connections)
            && let Some(listener) = self.next_listener()
        {
            match listener.accept() {
                Ok((socket, peer)) if connections.is_full() => {
                    connections.reject(socket, peer, "all slots are taken", now);
                }
                Ok((socket, peer)) => connections.admit(socket, peer, &listener.settings, now),
                Err((AcceptError::Empty, _)) => {}
                Err((AcceptError::Transient, error)) => {
                    debug!("a client was gone before it was accepted: {error}");
                    if listener.has_only_failed() {
                        return self.pause(&error, connections, now);
                    }
                }
                Err((AcceptError::Exhausted, error)) => {
                    return self.pause(&error, connections, now);
                }
                Err((AcceptError::Permanent, error)) => self.close_failed(&error),
            }
        }
    }

    /// Returns true if no listener is left.
    pub(super) fn is_empty(&self) -> bool {
        self.listeners.iter().all(Option::is_none)
    }

    /// Returns true if a client can be accepted without waiting for an event.
    pub(super) fn is_runnable(&self, connections: &Connections, now: u64) -> bool {
        let is_paused = |pause: AcceptPause| {
            now < pause.retry_at && connections.closed_count() <= pause.closed_before
        };
        self.ready && self.takes_clients(connections) && !self.pause.is_some_and(is_paused)
    }

    /// Returns when the pause of accepting ends, or [`NEVER`] if there is no pause.
    pub(super) fn next_deadline(&self) -> u64 {
        self.pause.map_or(NEVER, |pause| pause.retry_at)
    }

    /// Accepts the clients that the kernel has queued, as long as slots are free, then closes the listeners.
    ///
    /// A client that finds no free slot is not accepted. The kernel resets the client when its listener closes, so the
    /// client does not mistake a FIN for the end of its echo, and a load balancer tries another server.
    pub(super) fn close(&mut self, connections: &mut Connections, now: u64) {
        for mut listener in std::mem::take(&mut self.listeners).into_iter().flatten() {
            listener.reset_budget();
            // Linux queues one client more than the backlog, and clients that are gone count here too. The bound keeps
            // clients that go on connecting from putting off the stop.
            for _ in 0..2 * (u64::from(listener.backlog) + 1) {
                if connections.is_full() {
                    break;
                }
                match listener.accept() {
                    Ok((socket, peer)) => {
                        listener.reset_budget();
                        connections.admit(socket, peer, &listener.settings, now);
                    }
                    Err((AcceptError::Empty, _)) => break,
                    Err((AcceptError::Transient, _)) if !listener.has_only_failed() => {}
                    Err((AcceptError::Transient | AcceptError::Exhausted, error)) => {
                        warn!("stopped listening with clients still queued: {error}");
                        break;
                    }
                    Err((AcceptError::Permanent, error)) => {
                        log_failed(&listener, &error);
                        break;
                    }
                }
            }
        }
        self.pause = None;
    }

    #[cfg(test)]
    pub(super) fn replace_accept(&mut self, accept: super::listener::Accept) {
        let listeners = self.listeners.iter_mut().flatten();
        listeners.for_each(|listener| listener.replace_accept(accept));
    }

    /// Returns true if there is a free slot for the next client, or if clients without a slot are rejected.
    fn takes_clients(&self, connections: &Connections) -> bool {
        !connections.is_full() || self.when_full == WhenFull::Close
    }

    /// Returns the listener that accepts next. Its index is one less than `next` then.
    fn next_listener(&mut self) -> Option<&mut Listener> {
        let count = self.listeners.len();
        let can_accept = |index: &usize| {
            let listener = self.listeners[*index].as_ref();
            listener.is_some_and(Listener::can_accept)
        };
        let mut in_turn = (self.next..self.next + count).map(|index| index % count);
        let Some(index) = in_turn.find(can_accept) else {
            self.ready = self.listeners.iter().flatten().any(Listener::is_ready);
            return None;
        };
        self.next = index + 1;
        self.listeners[index].as_mut()
    }

    /// Closes the listener that has accepted last, because it is unusable.
    fn close_failed(&mut self, error: &io::Error) {
        if let Some(listener) = self.listeners[self.next - 1].take() {
            log_failed(&listener, error);
        }
    }

    fn pause(&mut self, error: &io::Error, connections: &Connections, now: u64) {
        self.pause = Some(AcceptPause {
            retry_at: now + nanoseconds(ACCEPT_RETRY),
            closed_before: connections.closed_count(),
        });
        if let Some(count) = self.failures.count(now) {
            warn!(
                "cannot accept clients: {error}; clients wait in the kernel's queue ({count} failures since the last such line)"
            );
        }
    }
}

fn log_failed(listener: &Listener, error: &io::Error) {
    let address = ScopedAddress(listener.address);
    error!("stopped listening on {address}: accept: {error}");
}
