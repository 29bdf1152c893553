//! Clients of proxies: accepted connections whose header is not complete yet.
//!
//! Such a client has no [`Connection`](crate::conn::Connection), because the header is no part of the echo. The client
//! waits here, with a key and a range of tokens of its own. Once its header is complete, [`Loops::admit`] takes the
//! client like every other accepted one, with the address from the header. A slot stays free for each client that waits,
//! so `--max-connections` counts both.
//!
//! # Reading no byte too many
//!
//! What follows the header belongs to the echo, and must stay in the kernel. So a client is read in two steps: a peek
//! shows what has arrived, and a read takes the part of it that belongs to the header. An incomplete header is taken
//! whole, and the next peek answers `WouldBlock`, which arms the event of the next arrival on every back end. If the bytes
//! were only peeked at, poll(2) and Windows would either report nothing more or report the same bytes again and again.
//!
//! Before its admission, a client is deregistered. The registration of its connection then reports what is queued after
//! the header, a FIN included, as for every accepted client that has sent something already.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use log::debug;
use mio::Token;
use mio::net::TcpStream;
use slab::Slab;

use super::FIRST_INDEX;
use super::header::{BadHeader, LONGEST_HEADER, ProxyHeader, decode};
use crate::conn::{CloseReason, OutOfMemory, Settings, SocketCall, SocketError, Timer};
use crate::net::Config;
use crate::net::connections::KEYS_END;
use crate::net::loops::Loops;
use crate::net::platform;
use crate::net::registration::Registration;
use crate::net::scope::ScopedAddress;
use crate::net::socket::reset_on_close;
use crate::net::timers::{HasTimerNode, NEVER, TimerNode, Timers};

/// The clients of proxies whose header is not complete yet.
#[derive(Debug)]
pub(in crate::net) struct ProxiedClients {
    networks: Vec<IpNet>,
    clients: Slab<ProxiedClient>,
    timers: Timers,
    /// The keys of the clients with an event. A client has at most one place here.
    ready: Vec<usize>,
    /// The header of the client that is read.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct ProxiedClient {
    socket: TcpStream,
    /// The address of the proxy.
    peer: SocketAddr,
    /// The settings of the listener.
    settings: Arc<Settings>,
    /// The bytes of the header that have been read. Most headers arrive whole, and take no memory here.
    header: Vec<u8>,
    is_ready: bool,
    timer_node: TimerNode,
}

impl HasTimerNode for ProxiedClient {
    fn timer_node(&self) -> &TimerNode {
        &self.timer_node
    }
    fn timer_node_mut(&mut self) -> &mut TimerNode {
        &mut self.timer_node
    }
}

/// Why a client is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    BadHeader(BadHeader),
    /// The header was not complete in time.
    Late,
    /// The client closed or reset its connection within the header.
    Truncated,
    /// The client closed or reset its connection without a byte, as a check of a load balancer does.
    Silent,
    /// The server stopped before the header was complete.
    Stopped,
    Read(SocketError),
    NoMemory,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadHeader(bad) => write!(f, "its PROXY header is {bad}"),
            Self::Late => f.write_str("its PROXY header was not complete within --frame-timeout"),
            Self::Truncated => f.write_str("it closed within its PROXY header"),
            Self::Silent => f.write_str("it closed without a PROXY header"),
            Self::Stopped => f.write_str("the server stopped before its PROXY header was complete"),
            Self::Read(error) => write!(f, "cannot read its PROXY header: {error}"),
            Self::NoMemory => f.write_str("no memory for its PROXY header"),
        }
    }
}

impl ProxiedClients {
    /// Reserves room for at most `capacity` clients at once, of the proxies that `config` names.
    pub(in crate::net) fn new(config: &Config, capacity: usize) -> Self {
        let networks = config.proxy_networks.clone();
        let capacity = if networks.is_empty() { 0 } else { capacity };
        Self {
            networks,
            clients: Slab::with_capacity(capacity),
            timers: Timers::new(|_| config.frame_timeout),
            ready: Vec::with_capacity(capacity),
            scratch: vec![0; if capacity > 0 { LONGEST_HEADER } else { 0 }],
        }
    }

    /// Returns the bytes that are reserved at the start for each connection, and the most bytes of a header.
    pub(in crate::net) fn memory_per_connection(config: &Config) -> (usize, usize) {
        if config.proxy_networks.is_empty() {
            return (0, 0);
        }
        // An entry of the slab takes a word beside the client.
        let entry = size_of::<ProxiedClient>() + size_of::<usize>();
        (entry + size_of::<usize>(), LONGEST_HEADER)
    }

    /// Returns the number of clients.
    pub(in crate::net) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Returns true if a connection from `peer` must begin with a header.
    pub(in crate::net) fn takes(&self, peer: SocketAddr) -> bool {
        let ip = peer.ip();
        let names_it =
            |network: &IpNet| network.contains(&ip) || network.contains(&ip.to_canonical());
        self.networks.iter().any(names_it)
    }

    /// Takes an accepted client. Most clients have sent their header by now, and are admitted at once. The caller has
    /// checked that a slot is free.
    pub(in crate::net) fn add(
        &mut self,
        socket: TcpStream,
        peer: SocketAddr,
        settings: &Arc<Settings>,
        loops: &mut Loops,
        now: u64,
    ) {
        let mut client = ProxiedClient {
            socket,
            peer,
            settings: Arc::clone(settings),
            header: Vec::new(),
            is_ready: false,
            timer_node: TimerNode::default(),
        };
        match client.receive(&mut self.scratch) {
            Ok(None) => self.wait_for(client, loops, now),
            Ok(Some(header)) => client.admit(header, loops, now),
            Err(failure) => client.reject(failure, loops, now),
        }
    }

    /// Records that the client at `key` has an event. A key without a client belongs to a stale event.
    pub(in crate::net) fn mark_ready(&mut self, key: usize) {
        if let Some(client) = self.clients.get_mut(key)
            && !client.is_ready
        {
            client.is_ready = true;
            self.ready.push(key);
        }
    }

    /// Returns true if a client is ready, or if a header is late at `now`.
    pub(in crate::net) fn is_runnable(&self, now: u64) -> bool {
        !self.ready.is_empty() || self.next_deadline() <= now
    }

    /// Returns when the next header is late, or [`NEVER`].
    pub(in crate::net) fn next_deadline(&self) -> u64 {
        self.timers.next_deadline(&self.clients)
    }

    /// Reads the headers of clients with events. Admits clients whose header is complete, and rejects those whose header
    /// is bad or late.
    pub(in crate::net) fn run(&mut self, loops: &mut Loops, now: u64) {
        while let Some(key) = self.ready.pop() {
            self.clients[key].is_ready = false;
            self.advance(key, None, loops, now);
        }
        // After a stall of this process, a header that came in time may still be unread.
        while let Some(key) = self.timers.pop_due(&mut self.clients, now) {
            self.advance(key, Some(Failure::Late), loops, now);
        }
    }

    /// Ends the wait of every client, because the server stops: admits those whose whole header has arrived, and rejects
    /// the others.
    pub(in crate::net) fn finish(&mut self, loops: &mut Loops, now: u64) {
        for key in 0..self.clients.capacity() {
            if self.clients.contains(key) {
                self.advance(key, Some(Failure::Stopped), loops, now);
            }
        }
        self.ready.clear();
    }

    /// Reads what has arrived of a header. A client whose header is still incomplete is rejected for `otherwise`, or
    /// waits on if there is no such reason.
    fn advance(&mut self, key: usize, otherwise: Option<Failure>, loops: &mut Loops, now: u64) {
        let received = self.clients[key].receive(&mut self.scratch);
        let received = match (received, otherwise) {
            (Ok(None), None) => return,
            (Ok(None), Some(failure)) => Err(failure),
            (Ok(Some(header)), _) => Ok(header),
            (Err(failure), _) => Err(failure),
        };
        self.timers.set(&mut self.clients, key, None, NEVER);
        let mut client = self.clients.remove(key);
        match received {
            Ok(header) => {
                // An error means that the poll has dropped the socket by itself, as poll(2) does for a dead connection.
                let _ = loops.registry().deregister(&mut client.socket);
                client.admit(header, loops, now);
            }
            Err(failure) => client.reject(failure, loops, now),
        }
    }

    fn wait_for(&mut self, mut client: ProxiedClient, loops: &mut Loops, now: u64) {
        let token = Token(KEYS_END + FIRST_INDEX + self.clients.vacant_key());
        if let Err(error) = Registration::new(&mut client.socket, loops.registry(), token) {
            let failure = Failure::Read(SocketError::new(SocketCall::Register, &error));
            return client.reject(failure, loops, now);
        }
        let key = self.clients.insert(client);
        let deadline = self.timers.deadline(Timer::Frame, now);
        self.timers
            .set(&mut self.clients, key, Some(Timer::Frame), deadline);
    }
}

impl Drop for ProxiedClients {
    /// Resets the clients that are left when the server is interrupted or its poll fails: after a FIN, a client would take
    /// an empty echo for the whole.
    fn drop(&mut self) {
        for (_, client) in &self.clients {
            reset_on_close(&client.socket);
        }
    }
}

impl ProxiedClient {
    /// Reads the header as far as it has arrived, and no byte after it. Returns `None` if the header is incomplete.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<Option<ProxyHeader>, Failure> {
        let mut length = self.header.len();
        scratch[..length].copy_from_slice(&self.header);
        loop {
            let arrived = match self.socket.peek(&mut scratch[length..]) {
                Ok(0) if length == 0 => return Err(Failure::Silent),
                Ok(0) => return Err(Failure::Truncated),
                Ok(arrived) => arrived,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.keep(&scratch[..length])
                        .map_err(|OutOfMemory| Failure::NoMemory)?;
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed_read(error, length)),
            };
            let header = decode(&scratch[..length + arrived]).map_err(Failure::BadHeader)?;
            let end = header.map_or(length + arrived, |header| header.length);
            match self.socket.read(&mut scratch[length..end]) {
                Ok(read) => length += read,
                // The next peek tells what is left.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(failed_read(error, length)),
            }
            if header.is_some_and(|header| header.length == length) {
                return Ok(header);
            }
        }
    }

    /// Keeps the bytes of an incomplete header until more arrive.
    fn keep(&mut self, header: &[u8]) -> Result<(), OutOfMemory> {
        let more = &header[self.header.len()..];
        self.header
            .try_reserve_exact(more.len())
            .map_err(|_| OutOfMemory)?;
        self.header.extend_from_slice(more);
        Ok(())
    }

    fn admit(self, header: ProxyHeader, loops: &mut Loops, now: u64) {
        let client = header.client.unwrap_or(self.peer);
        loops.admit(self.socket, client, &self.settings, now);
    }

    fn reject(self, failure: Failure, loops: &mut Loops, now: u64) {
        match failure {
            // A check that connects and leaves, every second perhaps, must not fill the log.
            Failure::Silent => {
                let (peer, why) = (ScopedAddress(self.peer).to_string(), failure.to_string());
                debug!(peer = peer.as_str(), reason = why.as_str(); "refused {peer}: {why}");
                loops.own.refuse(&self.socket, self.settings.listener);
            }
            Failure::BadHeader(_)
            | Failure::Late
            | Failure::Truncated
            | Failure::Stopped
            | Failure::Read(_)
            | Failure::NoMemory => {
                let (why, listener) = (failure.to_string(), self.settings.listener);
                loops
                    .own
                    .reject(self.socket, self.peer, listener, &why, now);
            }
        }
    }
}

/// Returns why a client is not admitted whose header cannot be read, after `length` bytes of it.
fn failed_read(error: io::Error, length: usize) -> Failure {
    let error = SocketError::new(SocketCall::Read, &platform::normalize_error(error));
    match CloseReason::from(error) {
        CloseReason::Failed(error) => Failure::Read(error),
        _ if length == 0 => Failure::Silent,
        _ => Failure::Truncated,
    }
}
