//! The listening sockets: their addresses and their options.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use log::info;
use mio::net::TcpListener;
use socket2::{SockRef, Socket};

use super::socket::{new_socket, set_buffer_sizes};
use super::{Config, Listen, StartError, platform};

/// The number of unanswered keepalive probes after which the kernel gives up a peer.
const PROBES: u32 = 3;
/// The idle time divided by the time between probes. The kernel counts whole seconds, at least one.
const PROBE_INTERVAL: u32 = 4;

/// The kernel's write timeout (TCP_USER_TIMEOUT) divided by ours.
///
/// The kernel's timeout covers bytes that the kernel has taken and the peer does not acknowledge. While bytes are pending
/// here, our timeout must expire first, so that the connection is reset and the reason is known. On Linux the kernel's
/// timeout overrules the number of keepalive probes, so it is never shorter than the probes take (tcp(7)).
const USER_TIMEOUT_FACTOR: u32 = 2;

/// Returns how many clients the system queues for a listener with this backlog, and logs a limit that clamps it.
pub(super) fn effective_backlog(backlog: u32) -> u32 {
    let limit = platform::backlog_limit().unwrap_or(u32::MAX);
    if limit < backlog {
        info!("the system clamps the backlog of {backlog} to {limit} (net.core.somaxconn)");
    }
    backlog.min(limit)
}

/// Sets the options of a connection's socket. Linux lets accepted sockets inherit them from their listener.
pub(super) fn set_connection_options(socket: SockRef<'_>, config: &Config) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let mut keepalive_time = Duration::ZERO;
    if let Some(idle) = config.keepalive {
        let interval = (idle / PROBE_INTERVAL).max(Duration::from_secs(1));
        platform::set_keepalive(&socket, idle, interval, PROBES)?;
        keepalive_time = idle + interval * PROBES;
    }
    match config.write_timeout {
        Some(timeout) => platform::set_user_timeout(
            &socket,
            keepalive_time.max(timeout.saturating_mul(USER_TIMEOUT_FACTOR)),
        ),
        None => Ok(()),
    }
}

/// Binds one address of `config`.
pub(super) fn bind(listen: Listen, config: &Config) -> Result<TcpListener, StartError> {
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
    set_listener_options(&socket, address, only_v6, config).map_err(failed("setsockopt"))?;
    socket.bind(&address.into()).map_err(failed("bind"))?;
    socket
        .listen(config.backlog.try_into().unwrap_or(i32::MAX))
        .map_err(failed("listen"))?;
    socket.set_nonblocking(true).map_err(failed("ioctl"))?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Sets the options that must be set before the socket listens: the window scale of its connections depends on them, or
/// the connections inherit them.
fn set_listener_options(
    socket: &Socket,
    address: SocketAddr,
    only_v6: bool,
    config: &Config,
) -> io::Result<()> {
    platform::set_restart_option(socket)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    set_buffer_sizes(socket, config.socket_buffer)?;
    if platform::ACCEPTED_INHERIT_OPTIONS {
        set_connection_options(SockRef::from(socket), config)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Framing;

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
