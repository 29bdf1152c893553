//! Who gets in: all listeners of a server, its free slots, and what to do while there are none.
//!
//! Nothing here stops listening. A listener whose clients must wait simply keeps its belief that somebody is waiting,
//! and is asked again when a connection has closed or the retry timer runs out.

use std::io;

use log::{debug, warn};

use super::connections::Connections;
use super::listener::{AcceptError, Listener};
use super::log_throttle::LogThrottle;
use super::timers::{NEVER, nanoseconds};
use super::{ACCEPT_RETRY, WhenFull};

/// The listeners of a server.
#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    when_full: WhenFull,
    /// Whether somebody may be waiting at any of them.
    ready: bool,
    /// Whose turn it is: a free slot goes to the listeners one after the other.
    next: usize,
    pause: Option<AcceptPause>,
    failures: LogThrottle,
}

/// The process had no descriptor or memory for another socket.
#[derive(Clone, Copy, Debug)]
struct AcceptPause {
    retry_at: u64,
    /// Connections that had ended by then. One more, and there may be a descriptor again.
    ended: u64,
}

impl Acceptor {
    pub(super) fn new(listeners: Vec<Listener>, when_full: WhenFull) -> Self {
        Self {
            listeners,
            when_full,
            ready: false,
            next: 0,
            pause: None,
            failures: LogThrottle::default(),
        }
    }

    /// Somebody may be waiting at this listener.
    pub(super) fn mark_ready(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.mark_ready();
            self.ready = true;
        }
    }

    /// Lets in who is waiting, within every listener's budget, one of each listener in turn.
    pub(super) fn run(&mut self, connections: &mut Connections, now: u64) {
        if !self.is_runnable(connections, now) {
            return;
        }
        self.pause = None;
        self.listeners.iter_mut().for_each(Listener::refill);
        // Who could not be taken in has not had its turn.
        while self.takes_clients(connections)
            && let Some(index) = self.next_listener()
        {
            let listener = &mut self.listeners[index];
            match listener.accept() {
                Ok((socket, peer)) if connections.are_full() => {
                    connections.reject(socket, peer, "all slots are taken", now);
                }
                Ok((socket, peer)) => connections.admit(socket, peer, &listener.settings, now),
                Err((AcceptError::Empty, _)) => {}
                Err((AcceptError::Transient, error)) => {
                    debug!("a client had gone before it was accepted: {error}")
                }
                Err((AcceptError::Exhausted, error)) => {
                    return self.pause(&error, connections, now);
                }
            }
        }
    }

    /// Whether another accept can be tried without waiting for an event.
    pub(super) fn is_runnable(&self, connections: &Connections, now: u64) -> bool {
        self.ready
            && self.takes_clients(connections)
            && self
                .pause
                .is_none_or(|then| now >= then.retry_at || connections.ended() > then.ended)
    }

    /// When to try again after the process ran out of descriptors, or [`NEVER`].
    pub(super) fn next_deadline(&self) -> u64 {
        self.pause.map_or(NEVER, |then| then.retry_at)
    }

    /// Takes in everybody who has queued, then stops listening. Those who find no slot get a FIN: closing the listener
    /// on them would be a reset.
    pub(super) fn close(&mut self, connections: &mut Connections, now: u64) {
        for mut listener in std::mem::take(&mut self.listeners) {
            // Linux queues one more than it is asked to, and those who have gone count here. There is a bound, so that
            // who goes on connecting cannot put off the stop.
            for _ in 0..2 * (u64::from(listener.backlog()) + 1) {
                match listener.accept() {
                    Ok((socket, peer)) if connections.are_full() => {
                        connections.close_gracefully(&socket, peer)
                    }
                    Ok((socket, peer)) => connections.admit(socket, peer, &listener.settings, now),
                    Err((AcceptError::Transient, _)) => {}
                    Err((AcceptError::Empty, _)) => break,
                    Err((AcceptError::Exhausted, error)) => {
                        warn!("stopped with clients still queued: {error}");
                        break;
                    }
                }
            }
        }
        self.pause = None;
    }

    #[cfg(test)]
    pub(super) fn replace_accept(&mut self, accept: super::listener::Accept) {
        self.listeners
            .iter_mut()
            .for_each(|listener| listener.replace_accept(accept));
    }

    /// Whether a client that is accepted now is of use, or at least turned away as asked for.
    fn takes_clients(&self, connections: &Connections) -> bool {
        !connections.are_full() || self.when_full == WhenFull::Close
    }

    fn next_listener(&mut self) -> Option<usize> {
        let count = self.listeners.len();
        let mut in_turn = (self.next..self.next + count).map(|place| place % count);
        let Some(index) = in_turn.find(|index| self.listeners[*index].may_accept()) else {
            self.ready = self.listeners.iter().any(Listener::is_ready);
            return None;
        };
        self.next = index + 1;
        Some(index)
    }

    fn pause(&mut self, error: &io::Error, connections: &Connections, now: u64) {
        let retry_at = now + nanoseconds(ACCEPT_RETRY);
        self.pause = Some(AcceptPause {
            retry_at,
            ended: connections.ended(),
        });
        if let Some(times) = self.failures.count(now) {
            warn!("cannot accept: {error}; clients wait ({times} times since the last such line)");
        }
    }
}
