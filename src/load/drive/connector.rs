//! Opens connections: when, from which source address, and under which number.
//!
//! Before the load every client connects once. These first connects are limited by a rate, or by the number of connects
//! that are under way. Later connects are started by their clients: reconnects, and with churn one per message.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::{Registry, Token};

use super::client::{Client, SocketState};
use super::control::WorkerSetup;
use crate::load::measure::failure::Failure;
use crate::load::plan::settings::RunSettings;
use crate::load::plan::share::WorkerShare;
use crate::net::outbound::{ConnectOptions, ConnectStatus, Connected, Connecting};
use crate::net::platform;
use crate::net::timers::NEVER;

/// The most first connects that are under way at a time, over all threads, unless the settings have a rate.
const FIRST_CONNECTS: usize = 256;

/// The connector of one worker.
pub struct Connector {
    settings: Arc<RunSettings>,
    address: SocketAddr,
    share: WorkerShare,
    /// When the first connect may start.
    started: u64,
    /// The number of clients, and the number of clients whose first connect has started.
    clients: usize,
    tried: usize,
    /// First connects that are under way, and first connects that have succeeded.
    pending: usize,
    established: usize,
    /// Connects so far.
    connects: u64,
}

impl Connector {
    /// Creates the connector of a worker that starts to connect at `now`.
    pub fn new(setup: &WorkerSetup, share: WorkerShare, now: u64) -> Self {
        Self {
            settings: Arc::clone(&setup.settings),
            address: setup.address,
            clients: share.connections(setup.settings.connections).len(),
            share,
            started: now,
            tried: 0,
            pending: 0,
            established: 0,
            connects: 0,
        }
    }

    /// Returns when the next first connect is due, or [`NEVER`] if all are started or must wait for another to end.
    pub fn next_first_connect(&self) -> u64 {
        if self.tried == self.clients {
            return NEVER;
        }
        match self.settings.connect_rate {
            Some(rate) => {
                let gap = 1e9 * self.share.workers() as f64 / rate;
                self.started + (self.tried as f64 * gap) as u64
            }
            None if self.pending < self.most_at_once() => 0,
            None => NEVER,
        }
    }

    /// Returns the most connects of this worker that are under way at a time.
    pub fn most_at_once(&self) -> usize {
        (FIRST_CONNECTS / self.share.threads).max(1)
    }

    /// Returns the key of the client whose first connect is due at `now`, and counts the connect.
    pub fn pop_first_connect(&mut self, now: u64) -> Option<usize> {
        (self.next_first_connect() <= now).then(|| {
            self.pending += 1;
            self.tried += 1;
            self.tried - 1
        })
    }

    /// Counts a first connect that has failed.
    pub fn first_connect_failed(&mut self) {
        self.pending -= 1;
    }

    /// Counts a first connect that has succeeded.
    pub fn first_connect_succeeded(&mut self) {
        self.pending -= 1;
        self.established += 1;
    }

    /// Returns true if every first connect has ended.
    pub fn have_all_tried(&self) -> bool {
        self.tried == self.clients && self.pending == 0
    }

    /// Returns the number of first connects that have succeeded.
    pub fn established(&self) -> usize {
        self.established
    }

    /// Starts a connect of `client`.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the connect at once.
    pub fn connect(&mut self, client: &mut Client, registry: &Registry) -> Result<(), Failure> {
        self.connects += 1;
        client.connection_number = self.share.connection_number(self.connects);
        client.connect_started = platform::monotonic_now();
        client.reconnect_at = NEVER;
        let options = ConnectOptions {
            source: self.source(),
            socket_buffer: self.settings.socket_buffer,
        };
        let connecting = Connecting::start(self.address, options, registry, Token(client.key))
            .map_err(|error| error.failure)?;
        client.socket = SocketState::Connecting(connecting);
        Ok(())
    }

    /// Returns the source address of the latest connect. The threads start at different addresses.
    fn source(&self) -> Option<SocketAddr> {
        let sources = &self.settings.sources;
        let turn = self.connects * self.share.threads as u64 + self.share.thread as u64;
        (!sources.is_empty()).then(|| sources[(turn % sources.len() as u64) as usize])
    }
}

/// Asks the socket of `client` whether its connect has ended. Returns the connection if it is established.
///
/// # Errors
///
/// Fails if the connect has failed.
pub fn finish_connect(
    client: &mut Client,
    registry: &Registry,
) -> Result<Option<Connected>, Failure> {
    let connecting = match std::mem::take(&mut client.socket) {
        SocketState::Connecting(connecting) => connecting,
        socket @ (SocketState::Down | SocketState::Up(_)) => {
            client.socket = socket;
            return Ok(None);
        }
    };
    match connecting.finish(registry).map_err(|error| error.failure)? {
        ConnectStatus::Connected(connected) => Ok(Some(connected)),
        ConnectStatus::Pending(connecting) => {
            client.socket = SocketState::Connecting(connecting);
            Ok(None)
        }
    }
}
