//! The listening sockets: their addresses and their options.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use log::info;
use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, Socket};

use super::scope::ScopedAddress;
use super::socket::{new_socket, set_buffer_sizes, tune};
use super::{Config, Listen, StartError, platform};
use crate::conn::Framing;

/// The number of unanswered keepalive probes after which the kernel gives up a peer.
const PROBES: u32 = 3;
/// The idle time divided by the time between probes.
const PROBE_INTERVAL: u32 = 4;

/// The kernel's timeout while bytes are pending here, divided by our write timeout. Ours expires first, even if the kernel
/// has taken a last byte in the meantime.
const USER_TIMEOUT_FACTOR: u32 = 2;

/// When keepalive sends its probes, in whole seconds, because Linux counts whole seconds.
struct Keepalive {
    idle: Duration,
    interval: Duration,
}

impl Keepalive {
    fn new(idle: Duration) -> Self {
        let seconds = idle.as_secs();
        Self {
            idle: Duration::from_secs(seconds),
            interval: Duration::from_secs((seconds / u64::from(PROBE_INTERVAL)).max(1)),
        }
    }

    /// Returns how long a dead peer is silent until the kernel gives it up.
    fn length(&self) -> Duration {
        self.idle + self.interval * PROBES
    }
}

/// How long a peer may acknowledge nothing until the kernel gives it up (TCP_USER_TIMEOUT). `None` leaves it to the
/// system, which takes 15 minutes or more.
///
/// Keepalive probes only an idle connection. While the peer owes an acknowledgement, this timeout finds a dead peer, in
/// the same time as keepalive would. A shorter or a longer timeout would overrule the number of probes (tcp(7)).
///
/// The kernel also gives up a live peer whose receive window stays closed for this long. While bytes are pending here,
/// our write timeout is the one that decides how long that may take, so the kernel's timeout must be longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UserTimeout {
    /// The timeout while no bytes are pending.
    pub usual: Option<Duration>,
    /// The timeout while bytes are pending.
    pub pending: Option<Duration>,
}

impl UserTimeout {
    pub(super) fn new(config: &Config) -> Self {
        let longest = |write_timeout: Duration| write_timeout.saturating_mul(USER_TIMEOUT_FACTOR);
        let pending = config.write_timeout.map(longest);
        let keepalive = config.keepalive.map(|idle| Keepalive::new(idle).length());
        let usual = pending.map(|pending| keepalive.unwrap_or(pending));
        Self {
            usual,
            pending: pending.max(usual),
        }
    }
}

/// Returns how many clients the system queues for a listener with this backlog, and logs a limit that clamps it.
pub(super) fn effective_backlog(backlog: u32) -> u32 {
    let limit = platform::backlog_limit().unwrap_or(u32::MAX);
    if limit < backlog {
        info!("the system clamps the backlog of {backlog} to {limit} (net.core.somaxconn)");
    }
    backlog.min(limit)
}

/// Sets the options of a connection's socket. Linux lets accepted sockets inherit them from their listener.
pub(super) fn set_connection_options(socket: SockRef<'_>, config: &Config) {
    tune("TCP_NODELAY", socket.set_tcp_nodelay(true));
    if let Some(idle) = config.keepalive {
        let Keepalive { idle, interval } = Keepalive::new(idle);
        for (option, set) in platform::set_keepalive(&socket, idle, interval, PROBES) {
            tune(option, set);
        }
    }
    if let Some(timeout) = UserTimeout::new(config).usual {
        let set = platform::set_user_timeout(&socket, timeout);
        tune("TCP_USER_TIMEOUT", set);
    }
}

/// Sets the options of a socket that was accepted from an inherited listener. The connection may be older than this
/// process, and then the listener had no options to pass on.
pub(super) fn set_options_of_accepted(socket: &TcpStream, config: &Config) {
    let socket = SockRef::from(socket);
    set_buffer_sizes(&socket, config.socket_buffer);
    set_connection_options(socket, config);
}

/// Describes the listener of one address of `config` like a start line, before the address is bound.
pub(super) fn describe(listen: Listen, framing: Framing, config: &Config) -> String {
    let address = match listen {
        Listen::At(address) => address,
        Listen::Wildcard(port) => (Ipv6Addr::UNSPECIFIED, port).into(),
    };
    let is_ipv6_wildcard = address.is_ipv6() && address.ip().is_unspecified();
    let coverage = match is_ipv6_wildcard && !takes_only_ipv6(listen, config) {
        true => " both-families",
        false => "",
    };
    format!("{} {framing}{coverage}", ScopedAddress(address))
}

/// Binds one address of `config`.
pub(crate) fn bind(listen: Listen, config: &Config) -> Result<TcpListener, StartError> {
    let only_v6 = takes_only_ipv6(listen, config);
    match listen {
        Listen::At(address) => bind_at(address, only_v6, config),
        Listen::Wildcard(port) => {
            match bind_at((Ipv6Addr::UNSPECIFIED, port).into(), only_v6, config) {
                Err(StartError::Listen { source, .. }) if platform::is_without_ipv6(&source) => {
                    bind_at((Ipv4Addr::UNSPECIFIED, port).into(), only_v6, config)
                }
                bound => bound,
            }
        }
    }
}

/// Returns true if the IPv6 socket for `listen` must not accept IPv4 too.
///
/// A socket of all IPv6 addresses accepts IPv4 too, unless the configuration has an IPv4 listener of the same port. `*`
/// promises both families, so beside `*` only the IPv4 wildcard counts. With another IPv4 listener some addresses would
/// be left out silently; now bind(2) fails, because the address is in use.
fn takes_only_ipv6(listen: Listen, config: &Config) -> bool {
    let port = match listen {
        Listen::At(address) => address.port(),
        Listen::Wildcard(port) => port,
    };
    let mut ipv4 = config.listen.iter().filter_map(|(other, _)| match other {
        Listen::At(SocketAddr::V4(other)) if other.port() == port && port != 0 => Some(other.ip()),
        Listen::At(_) | Listen::Wildcard(_) => None,
    });
    match listen {
        Listen::Wildcard(_) => ipv4.any(Ipv4Addr::is_unspecified),
        Listen::At(address) if address.ip().is_unspecified() => ipv4.next().is_some(),
        Listen::At(SocketAddr::V6(address)) => address.ip().to_ipv4_mapped().is_none(),
        Listen::At(SocketAddr::V4(_)) => false,
    }
}

fn bind_at(address: SocketAddr, only_v6: bool, config: &Config) -> Result<TcpListener, StartError> {
    let failed = |operation| {
        move |source| StartError::Listen {
            address,
            operation,
            source,
        }
    };
    let socket = new_socket(address).map_err(failed("socket"))?;
    if address.is_ipv6() {
        set_only_v6(&socket, address, only_v6).map_err(failed("setsockopt IPV6_V6ONLY"))?;
    }
    tune_listener(&socket, config);
    socket.bind(&address.into()).map_err(failed("bind"))?;
    socket
        .listen(config.backlog.try_into().unwrap_or(i32::MAX))
        .map_err(failed("listen"))?;
    socket.set_nonblocking(true).map_err(failed("ioctl"))?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Sets the options that must be set before the socket listens: the window scale of its connections depends on them, or
/// the connections inherit them.
fn tune_listener(socket: &Socket, config: &Config) {
    tune("SO_REUSEADDR", platform::set_restart_option(socket));
    set_buffer_sizes(socket, config.socket_buffer);
    if platform::ACCEPTED_INHERIT_OPTIONS {
        set_connection_options(SockRef::from(socket), config);
    }
}

/// Sets IPV6_V6ONLY. For the address of all interfaces, and for an IPv4 address in the form of IPv6, the option decides
/// which clients are served, so it must have this value. For any other address it only tunes.
fn set_only_v6(socket: &Socket, address: SocketAddr, only_v6: bool) -> io::Result<()> {
    let is_mapped = |address: Ipv6Addr| address.to_ipv4_mapped().is_some();
    let decides = match address.ip() {
        IpAddr::V6(address) => address.is_unspecified() || is_mapped(address),
        IpAddr::V4(_) => false,
    };
    match socket.set_only_v6(only_v6) {
        Err(error) if decides && socket.only_v6().ok() != Some(only_v6) => Err(error),
        set => {
            tune("IPV6_V6ONLY", set);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_t6_the_kernel_gives_a_peer_up_when_keepalive_would_and_never_before_the_write_timeout()
    {
        for (keepalive, write_timeout, usual, pending) in [
            (60, 30, 105, 105),
            (1, 30, 4, 60),
            (10, 5, 16, 16),
            (10, 9, 16, 18),
            (0, 30, 60, 60),
            (1, 0, 0, 0),
            (0, 0, 0, 0),
        ] {
            let seconds = |count| (count > 0).then_some(Duration::from_secs(count));
            let config = Config {
                keepalive: seconds(keepalive),
                write_timeout: seconds(write_timeout),
                ..Config::default()
            };
            let expected = UserTimeout {
                usual: seconds(usual),
                pending: seconds(pending),
            };
            assert_eq!(
                UserTimeout::new(&config),
                expected,
                "keepalive {keepalive} s, write timeout {write_timeout} s"
            );
        }
    }

    #[test]
    fn an_ipv6_wildcard_accepts_ipv4_unless_an_ipv4_listener_of_its_port_is_configured() {
        let at = |text: &str| Listen::At(text.parse().expect("an address"));
        let wildcard = Listen::Wildcard(7007);
        for (listen, beside, expected) in [
            (wildcard, wildcard, false),
            (wildcard, at("0.0.0.0:7007"), true),
            (wildcard, at("0.0.0.0:7008"), false),
            (wildcard, at("127.0.0.1:7007"), false),
            (Listen::Wildcard(0), at("0.0.0.0:0"), false),
            (at("[::]:7007"), at("127.0.0.1:7008"), false),
            (at("[::]:7007"), at("127.0.0.1:7007"), true),
            (at("[::]:7007"), at("0.0.0.0:7007"), true),
            (at("[::]:0"), at("127.0.0.1:0"), false),
            (at("[::1]:7007"), at("[::1]:7008"), true),
            (at("[::ffff:127.0.0.1]:7007"), at("[::1]:7007"), false),
        ] {
            let config = Config {
                listen: vec![(listen, Framing::Raw), (beside, Framing::Raw)],
                ..Config::default()
            };
            let only_v6 = takes_only_ipv6(listen, &config);
            assert_eq!(only_v6, expected, "{listen:?} beside {beside:?}");
        }
    }
}
