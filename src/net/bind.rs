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
    match listen {
        Listen::At(address) => bind_at(address, config),
        Listen::Everywhere(port) => match bind_at((Ipv6Addr::UNSPECIFIED, port).into(), config) {
            Err(StartError::Listen { source, .. }) if platform::is_without_ipv6(&source) => {
                bind_at((Ipv4Addr::UNSPECIFIED, port).into(), config)
            }
            bound => bound,
        },
    }
}

fn bind_at(address: SocketAddr, config: &Config) -> Result<TcpListener, StartError> {
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
    set_listener_options(&socket, address, config).map_err(failed("setsockopt"))?;
    socket.bind(&address.into()).map_err(failed("bind"))?;
    socket
        .listen(config.backlog.try_into().unwrap_or(i32::MAX))
        .map_err(failed("listen"))?;
    socket.set_nonblocking(true).map_err(failed("ioctl"))?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Everything that must be set before the socket listens, because the window scale of its connections depends on it
/// or because they inherit it.
fn set_listener_options(socket: &Socket, address: SocketAddr, config: &Config) -> io::Result<()> {
    platform::set_restart_option(socket)?;
    if address.is_ipv6() {
        let ipv4_has_its_own = config.listen.iter().any(|(other, _)| {
            matches!(other, Listen::At(other) if other.is_ipv4() && other.port() == address.port())
        }) && address.port() != 0;
        socket.set_only_v6(!address.ip().is_unspecified() || ipv4_has_its_own)?;
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
