//! Listening sockets: which addresses, with which options.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use log::info;
use mio::net::TcpListener;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Config, Listen, StartError, platform};

/// Keepalive probes before a silent peer is given up, and their distance as a part of the idle time. The kernel counts
/// in whole seconds, at least one.
const PROBES: u32 = 3;
const PROBE_INTERVAL: u32 = 4;

/// The kernel's own write timeout, in ours. It is for what the kernel has taken and the peer does not acknowledge; where
/// bytes wait here, ours must come first, so that the peer is reset and the reason is known. Linux lets it overrule the
/// number of keepalive probes, so it is not shorter than those take (tcp(7), TCP_USER_TIMEOUT).
const BACKSTOP: u32 = 2;

/// Binds every address of `config`, or none.
pub(super) fn bind_all(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    report_clamped_backlog(config.backlog);
    config
        .listen
        .iter()
        .map(|(listen, _)| bind(*listen, config))
        .collect()
}

/// Sets what a connection's socket needs where it does not inherit it from its listener.
pub(super) fn set_connection_options(socket: SockRef<'_>, config: &Config) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let mut backstop = Duration::ZERO;
    if let Some(idle) = config.keepalive {
        let interval = (idle / PROBE_INTERVAL).max(Duration::from_secs(1));
        platform::set_keepalive(&socket, idle, interval, PROBES)?;
        backstop = idle + interval * PROBES;
    }
    match config.write_timeout {
        Some(timeout) => {
            platform::set_user_timeout(&socket, backstop.max(timeout.saturating_mul(BACKSTOP)))
        }
        None => Ok(()),
    }
}

fn bind(listen: Listen, config: &Config) -> Result<TcpListener, StartError> {
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

/// Whether an IPv6 socket is for IPv6 alone. All addresses are those of IPv4 too, unless a listener is asked for that has
/// IPv4 of that port. Beside `*`, which means both, that has to be all of it: otherwise some addresses would be left out
/// without a word, where the system now says that the address is in use.
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
        move |source| {
            let hint = platform::bind_hint(&source, address.port());
            StartError::Listen {
                address,
                operation,
                source,
                hint,
            }
        }
    };
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .map_err(failed("socket"))?;
    set_listener_options(&socket, address, only_v6, config).map_err(failed("setsockopt"))?;
    socket.bind(&address.into()).map_err(failed("bind"))?;
    socket
        .listen(config.backlog.try_into().unwrap_or(i32::MAX))
        .map_err(failed("listen"))?;
    socket.set_nonblocking(true).map_err(failed("ioctl"))?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Everything that must be set before the socket listens, because the window scale of its connections depends on it
/// or because they inherit it.
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
    if let Some(size) = config.socket_buffer {
        socket.set_send_buffer_size(size)?;
        socket.set_recv_buffer_size(size)?;
    }
    if platform::ACCEPTED_INHERIT_OPTIONS {
        set_connection_options(SockRef::from(socket), config)?;
    }
    Ok(())
}

fn report_clamped_backlog(asked: u32) {
    if let Some(limit) = platform::backlog_limit()
        && limit < asked
    {
        info!("the system clamps the backlog of {asked} to {limit} (net.core.somaxconn)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Framing;

    #[test]
    fn an_ipv6_socket_takes_ipv4_too_unless_all_that_it_means_is_taken_care_of() {
        let at = |text: &str| Listen::At(text.parse().expect("an address"));
        let everywhere = Listen::Wildcard(7007);
        for (listen, beside, expected) in [
            (everywhere, everywhere, false),
            (everywhere, at("0.0.0.0:7007"), true),
            (everywhere, at("0.0.0.0:7008"), false),
            (everywhere, at("127.0.0.1:7007"), false),
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
