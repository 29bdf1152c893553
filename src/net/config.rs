//! What a server is told before it starts.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use crate::conn::{Framing, Offload};

/// No address of a client is longer as text.
const LONGEST_PEER: SocketAddr = SocketAddr::V6(SocketAddrV6::new(
    Ipv6Addr::from_bits(u128::MAX),
    u16::MAX,
    0,
    0,
));

/// Everything that can be set on a [`Server`](super::Server). The defaults are the ones of the command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, and how what comes there is cut into messages. At least one.
    pub listen: Vec<(Listen, Framing)>,
    /// Sent to each client on connect; at most 4 KiB. `{peer}` and `{id}` stand for the client's address and the
    /// connection's number. Empty: nothing is sent.
    pub banner: String,
    /// Most connections at once. None: 65,536, or the descriptor limit less 32, whichever is less. Of
    /// listeners over 16, each takes one more descriptor.
    pub max_connections: Option<usize>,
    /// What happens to a client that comes when all slots are taken.
    pub when_full: WhenFull,
    /// Most connections from one IPv4 address or IPv6 /64, at least 1. None: no limit.
    pub max_per_ip: Option<u32>,
    /// Ends a session in which nothing came or went for so long. None: never.
    pub idle_timeout: Option<Duration>,
    /// Resets a peer that is owed bytes and takes none for so long. None: never.
    pub write_timeout: Option<Duration>,
    /// Ends a session in which a message began and did not end for so long, however its bytes drip. None: never.
    pub frame_timeout: Option<Duration>,
    /// How long to go on accepting after a request to stop.
    pub stop_delay: Duration,
    /// After that, how long pending echoes may take.
    pub drain_timeout: Duration,
    /// Probes a connection that was idle for so long: three times, a quarter of it apart. None: never.
    pub keepalive: Option<Duration>,
    /// Clients that the kernel queues for us, at most what the system allows.
    pub backlog: u32,
    /// Size of the loop's scratch buffer in bytes, at least 1.
    pub read_buffer: usize,
    /// Stop reading from a peer that has this many bytes pending.
    pub high_water: usize,
    /// The most bytes a message may have, header or terminator included.
    pub max_message: usize,
    /// Threads that work on messages before they are echoed. 0: the loop echoes them itself.
    pub workers: usize,
    /// What a worker spends on each message: it stands for a call that blocks.
    pub simulated_work: Duration,
    /// Which messages the workers get.
    pub offload: OffloadPolicy,
    /// SO_SNDBUF and SO_RCVBUF in bytes. None: the system's autotuning.
    pub socket_buffer: Option<usize>,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// This address and port. `[::]` is dual-stack where the system can, unless an IPv4 listener of the same port is
    /// given too. Port 0 lets the system choose.
    At(SocketAddr),
    /// Every address of both families, or of IPv4 alone where there is no IPv6, on this port.
    Wildcard(u16),
}

/// Which messages the workers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadPolicy {
    /// Every one.
    All,
    /// Those larger than the read buffer.
    Large,
}

/// What happens to a client that comes when all slots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits in the kernel's queue until a slot frees.
    Wait,
    /// It is accepted and reset at once.
    Close,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![(
                Listen::At(SocketAddr::from(([127, 0, 0, 1], 7007))),
                Framing::Raw,
            )],
            banner: String::new(),
            max_connections: None,
            when_full: WhenFull::Wait,
            max_per_ip: None,
            idle_timeout: None,
            write_timeout: Some(Duration::from_secs(30)),
            frame_timeout: Some(Duration::from_secs(30)),
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
            socket_buffer: None,
        }
    }
}

impl Config {
    /// The most bytes that wait for one peer to read, but for a greeting: nothing is read from one who has the high-water
    /// mark pending, and then it is one read or one message.
    pub(super) fn max_pending(&self) -> usize {
        let at_once = self.read_buffer.max(self.most_of_a_message());
        self.high_water.saturating_add(at_once)
    }

    /// What the client at `peer` is sent, as connection number `id`.
    pub(super) fn greeting(&self, peer: SocketAddr, id: u64) -> String {
        let greeting = self.banner.replace("{peer}", &peer.to_string());
        greeting.replace("{id}", &id.to_string())
    }

    /// The most bytes of that. They are pending whatever the high-water mark is.
    pub(super) fn most_of_a_greeting(&self) -> usize {
        self.greeting(LONGEST_PEER, u64::MAX).len()
    }

    /// The most bytes that a message may have; none where no listener carries any.
    pub(super) fn most_of_a_message(&self) -> usize {
        if self.has_messages() {
            self.max_message
        } else {
            0
        }
    }

    /// Whether any listener carries messages.
    pub(super) fn has_messages(&self) -> bool {
        self.listen
            .iter()
            .any(|(_, framing)| framing.has_messages())
    }

    /// What the connections of a listener are told to give to the workers.
    pub(super) fn offload(&self) -> Offload {
        match self.offload {
            _ if self.workers == 0 => Offload::Nothing,
            OffloadPolicy::All => Offload::All,
            OffloadPolicy::Large => Offload::LargerThan(self.read_buffer),
        }
    }
}
