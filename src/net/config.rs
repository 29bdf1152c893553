//! The configuration of a server.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;
use std::time::Duration;

#[cfg(feature = "proxy")]
use ipnet::IpNet;

use super::scope::LONGEST_ADDRESS;
use crate::conn::{Framing, Offload};

/// The configuration of a [`Server`](super::Server). The defaults are those of the command line.
#[derive(Debug)]
pub struct Config {
    /// The addresses to listen on, each with the framing of its connections. At least one, unless there are inherited
    /// listeners.
    pub listen: Vec<(Listen, Framing)>,
    /// Listening sockets that another process has opened and still holds, each with the framing of its connections.
    ///
    /// From the request to stop on, the server does not accept from them: clients that wait there are served by the next
    /// process that gets the socket. The backlog of such a socket is what that process has set.
    pub inherited: Vec<(std::net::TcpListener, Framing)>,
    /// The number of loops, at least 1. The first one runs on the thread of [`Server::run`](super::Server::run) and accepts
    /// all clients, each other one has a thread of its own. All limits are those of the server as a whole.
    #[cfg(feature = "threads")]
    pub threads: usize,
    /// The text sent to each client on connect, at most 4 KiB. `{peer}` stands for the client's address and `{id}` for the
    /// number of the connection. An empty text sends nothing.
    pub banner: String,
    /// The most connections at once. `None` means 65,536, or the descriptor limit less 32, whichever is less. Each
    /// listener over 16 takes one more descriptor, and so does each descriptor that the process has inherited, where the
    /// system tells that (Linux), and each of `other_descriptors`. Each thread after the first takes four more.
    pub max_connections: Option<usize>,
    /// The descriptors that the program opens beside those of the server.
    pub other_descriptors: usize,
    /// What happens to a client that connects while all slots are taken.
    pub when_full: WhenFull,
    /// The most connections from one IPv4 address or IPv6 /64, or with link-local addresses from one interface, at least
    /// 1. `None` means no limit.
    pub max_per_ip: Option<u32>,
    /// The networks of proxies. A connection from there must begin with a PROXY header, which tells the address of the
    /// client and has to be complete within the frame timeout.
    #[cfg(feature = "proxy")]
    pub proxy_networks: Vec<IpNet>,
    /// Closes a connection on which no byte moves for this long. `None` disables the limit.
    pub idle_timeout: Option<Duration>,
    /// Resets a connection whose peer takes no pending byte for this long. `None` disables the limit.
    pub write_timeout: Option<Duration>,
    /// Closes a connection whose message stays incomplete for this long. `None` disables the limit.
    pub frame_timeout: Option<Duration>,
    /// Ends the session of a connection of this age. The peer then has 2 s to take what it is owed, or is reset. `None`
    /// disables the limit.
    pub session_timeout: Option<Duration>,
    /// How long the server goes on accepting after a stop request.
    pub stop_delay: Duration,
    /// How long pending echoes may take after the stop delay.
    pub drain_timeout: Duration,
    /// Probes a connection after this much idle time: three times, a quarter of the time apart. The kernel counts whole
    /// seconds, at least one. A dead peer is gone after this time and three probes, also if it owes an acknowledgement
    /// (on Linux, and with a write timeout). `None` disables probes.
    pub keepalive: Option<Duration>,
    /// The most clients that the kernel queues for a listener. The system may clamp it.
    pub backlog: u32,
    /// The size of the read buffer in bytes, at least 1. All connections of a loop share one. With workers it is no longer than the
    /// longest message or 16 KiB, whichever is more.
    pub read_buffer: usize,
    /// The server stops reading from a peer that has this many bytes pending.
    pub high_water: usize,
    /// The most bytes of a message, header or terminator included.
    pub max_message: usize,
    /// The number of threads that process messages before they are echoed. With 0 the loop echoes messages itself.
    pub workers: usize,
    /// How long a worker sleeps for each message. It simulates a call that blocks.
    pub simulated_work: Duration,
    /// Which messages go to the workers.
    pub offload: OffloadPolicy,
    /// The most memory in bytes that connections hold in the process: pending bytes, unfinished messages, jobs and
    /// replies. The kernel's buffers come on top. `None` means the [default of the
    /// system](super::MemoryLimit::default_of_system).
    pub max_memory: Option<usize>,
    /// SO_SNDBUF and SO_RCVBUF in bytes. `None` leaves them to the system's autotuning.
    pub socket_buffer: Option<usize>,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// One address and port. `[::]` accepts IPv4 too where the system can, unless the configuration has an IPv4 listener
    /// of the same port. Port 0 lets the system choose a port.
    At(SocketAddr),
    /// Every address of both families on this port, or of IPv4 alone on a system without IPv6.
    Wildcard(u16),
}

/// Which messages go to the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadPolicy {
    /// All messages.
    All,
    /// Messages larger than the read buffer.
    Large,
}

/// What happens to a client that connects while all slots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The client waits in the kernel's queue until a slot is free.
    Wait,
    /// The client is accepted and reset at once.
    Close,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![(
                Listen::At(SocketAddr::from(([127, 0, 0, 1], 7007))),
                Framing::Raw,
            )],
            inherited: Vec::new(),
            #[cfg(feature = "threads")]
            threads: 1,
            banner: String::new(),
            max_connections: None,
            other_descriptors: 0,
            when_full: WhenFull::Wait,
            max_per_ip: None,
            #[cfg(feature = "proxy")]
            proxy_networks: Vec::new(),
            idle_timeout: None,
            write_timeout: Some(Duration::from_secs(30)),
            frame_timeout: Some(Duration::from_secs(30)),
            session_timeout: None,
            stop_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(5),
            keepalive: Some(Duration::from_secs(60)),
            backlog: 4096,
            read_buffer: 256 * 1024,
            high_water: 64 * 1024,
            max_message: 64 * 1024,
            workers: 0,
            simulated_work: Duration::ZERO,
            offload: OffloadPolicy::All,
            max_memory: None,
            socket_buffer: None,
        }
    }
}

impl Config {
    /// Replaces `text` by the banner for the client at `peer` on connection number `id`.
    pub(super) fn write_banner(
        &self,
        text: &mut String,
        peer: &dyn Display,
        id: u64,
    ) -> fmt::Result {
        text.clear();
        let mut rest = self.banner.as_str();
        while let Some(at) = rest.find('{') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{peer}") {
                write!(text, "{peer}")?;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("{id}") {
                write!(text, "{id}")?;
                rest = after;
            } else {
                text.push('{');
                rest = &rest[1..];
            }
        }
        text.push_str(rest);
        Ok(())
    }

    /// Returns the number of loops.
    pub(super) fn loops(&self) -> usize {
        #[cfg(feature = "threads")]
        return self.threads;
        #[cfg(not(feature = "threads"))]
        1
    }

    /// Returns the most bytes of a banner. They may all be pending, whatever the high-water mark is.
    pub(super) fn max_banner_len(&self) -> usize {
        let mut longest = String::new();
        // A string takes every text.
        let _ = self.write_banner(&mut longest, &LONGEST_ADDRESS, u64::MAX);
        longest.len()
    }

    /// Returns the framing of each listener, those of the inherited listeners last.
    pub fn framings(&self) -> impl Iterator<Item = Framing> {
        let bound = self.listen.iter().map(|(_, framing)| *framing);
        bound.chain(self.inherited.iter().map(|(_, framing)| *framing))
    }

    /// Returns the most bytes of a message, or 0 if no listener carries messages.
    pub(super) fn max_message_len(&self) -> usize {
        match self.framings().any(Framing::has_messages) {
            true => self.max_message,
            false => 0,
        }
    }

    /// Returns which messages the connections give to the workers.
    pub(super) fn offload(&self) -> Offload {
        match self.offload {
            OffloadPolicy::All | OffloadPolicy::Large if self.workers == 0 => Offload::Nothing,
            OffloadPolicy::All => Offload::All,
            OffloadPolicy::Large => Offload::LargerThan(self.read_buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_names_the_client_and_the_connection() {
        let peer = SocketAddr::from(([10, 0, 0, 1], 7));
        for (template, expected) in [
            ("", ""),
            ("hello", "hello"),
            ("{id}: {peer}, {peer}{id}", "9: 10.0.0.1:7, 10.0.0.1:79"),
            ("{}{ID}{peer{id}}{", "{}{ID}{peer9}{"),
        ] {
            let config = Config {
                banner: template.into(),
                ..Config::default()
            };
            let mut text = String::from("an earlier banner");
            config
                .write_banner(&mut text, &peer, 9)
                .expect("a string takes every text");
            assert_eq!(text, expected);
        }
    }
}
