//! The clients that the first loop has handed over to another loop, on their way there.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;

use super::Handle;
use super::connections::Connections;
use super::mailbox::{Mailbox, Sender};
use super::socket::reset_on_close;
use crate::conn::Settings;

/// An accepted client, which no poll knows.
pub(super) struct Arrival {
    pub socket: TcpStream,
    pub peer: SocketAddr,
    /// The settings of its listener.
    pub settings: Arc<Settings>,
}

/// The clients that a loop has not admitted yet. Its slots suffice for all of them: the first loop has counted.
pub(super) struct Arrivals(Mailbox<Arrival>);

impl Arrivals {
    /// Creates the mailbox of the loop of `handle`, and its sender.
    pub(super) fn new(handle: Handle) -> (Self, Sender<Arrival, Handle>) {
        let mailbox = Mailbox::new([Vec::new(), Vec::new()]);
        let sender = mailbox.sender(handle);
        (Self(mailbox), sender)
    }

    /// Returns true if no client waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives every client a slot.
    pub(super) fn admit(&mut self, connections: &mut Connections, now: u64) {
        let mut arrivals = self.0.take();
        for Arrival {
            socket,
            peer,
            settings,
        } in arrivals.drain(..)
        {
            connections.admit(socket, peer, &settings, now);
        }
        self.0.recycle(arrivals);
    }

    /// Refuses every client, because the loop cannot go on. Later clients stay with the first loop, which refuses them.
    pub(super) fn refuse(&mut self, connections: &mut Connections) {
        for arrival in self.0.close() {
            connections.refuse(&arrival.socket, arrival.settings.listener);
        }
    }
}

impl Drop for Arrivals {
    /// Resets the clients that are left when the loop panics: after a FIN, a client would take an empty echo for the whole.
    fn drop(&mut self) {
        for arrival in self.0.close() {
            reset_on_close(&arrival.socket);
        }
    }
}
