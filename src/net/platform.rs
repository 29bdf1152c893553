//! The facts that differ from system to system, and nothing else.
//!
//! Every `cfg` of the loop is in this file, but for the signals, whose two worlds have nothing in common.

use std::io;
use std::time::Duration;

use mio::Interest;

use crate::conn::ShortRead;

/// Whether this build waits with the epoll of Linux. That of illumos, or of redox, is not relied on to be the same.
const EPOLL: bool = cfg!(all(
    any(target_os = "linux", target_os = "android"),
    not(mio_unsupported_force_poll_poll)
));

/// The readiness back end of this build: what mio chooses.
pub const BACK_END: &str = if cfg!(windows) {
    "IOCP"
} else if cfg!(mio_unsupported_force_poll_poll) {
    "poll"
} else if cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "illumos",
    target_os = "redox"
)) {
    "epoll"
} else if cfg!(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)) {
    "kqueue"
} else if cfg!(target_os = "solaris") {
    "event ports"
} else {
    "poll"
};

/// Under epoll a read that comes short has drained the socket. Windows and poll(2) report again only after
/// `WouldBlock`; kqueue would do, but is not relied on.
pub(crate) const SHORT_READ: ShortRead = if EPOLL {
    ShortRead::ProvesEmpty
} else {
    ShortRead::ProvesNothing
};

/// Whether an accepted socket has the options that were set on its listener (NODELAY, keepalive, user timeout).
pub(super) const ACCEPTED_INHERIT_OPTIONS: bool =
    cfg!(any(target_os = "linux", target_os = "android"));

/// What every connection is registered for, from its first turn to its last.
///
/// Where a short read is trusted, an urgent mark must be seen too: it cuts a read short without draining the socket.
pub(crate) fn base_interest() -> Interest {
    #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        not(mio_unsupported_force_poll_poll)
    ))]
    return Interest::READABLE | Interest::PRIORITY;
    #[cfg(not(all(
        any(target_os = "linux", target_os = "android"),
        not(mio_unsupported_force_poll_poll)
    )))]
    Interest::READABLE
}

/// Whether accepting failed for a client that has gone already, or for a packet of its own. Linux hands the pending
/// network error of a new socket to accept(2); its manual page lists them and says to treat them like `EAGAIN`.
#[cfg(unix)]
pub(super) fn is_transient_accept_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EINTR
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPERM
                | libc::EPROTO
                | libc::ETIMEDOUT
        )
    )
}

/// Whether accepting failed for a client that has gone already: `WSAEINTR`, `WSAENETDOWN`, `WSAECONNABORTED`,
/// `WSAECONNRESET`; `WSAENOTCONN`, when it has gone before its address is asked for.
#[cfg(windows)]
pub(super) fn is_transient_accept_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(10_004 | 10_050 | 10_053 | 10_054 | 10_057)
    )
}

/// An error of a read or a write, by its kind: a reset has that one also where the standard library knows none. Darwin
/// answers `EPROTOTYPE` to a write while it tears the connection down; `WSAENETRESET` says that keepalive found it dead.
#[inline(always)]
pub(super) fn normalize_error(error: io::Error) -> io::Error {
    #[cfg(target_vendor = "apple")]
    let reset = Some(libc::EPROTOTYPE);
    #[cfg(windows)]
    let reset = Some(10_052);
    #[cfg(not(any(target_vendor = "apple", windows)))]
    let reset = None;
    match error.raw_os_error() {
        number if number.is_some() && number == reset => io::ErrorKind::ConnectionReset.into(),
        _ => error,
    }
}

/// Whether the system has no IPv6 at all.
pub(super) fn is_without_ipv6(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
    );
    #[cfg(windows)]
    matches!(error.raw_os_error(), Some(10_047 | 10_049))
}

/// The time of the monotonic clock, in nanoseconds since some moment: of the system's choice on Unix, and the first call on
/// Windows, where it begins at 0.
///
/// On Unix this is `clock_gettime` itself: `Instant` can only be read as a difference, which costs as many
/// instructions as the read, once a turn.
pub(crate) fn monotonic_now() -> u64 {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
    #[cfg(windows)]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START
            .get_or_init(std::time::Instant::now)
            .elapsed()
            .as_nanos() as u64
    }
}

/// The longest that the poll is asked to wait; who has nothing to do by then waits again. Darwin's kevent(2) refuses more
/// than 100,000,000 s with `EINVAL`, and mio makes of more than 49.7 days on Windows a wait without end.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Lets a restarted server bind while old connections sit in TIME_WAIT. On Windows the option of that name would let
/// two servers share the port.
pub(super) fn set_restart_option(socket: &socket2::Socket) -> io::Result<()> {
    if cfg!(unix) {
        socket.set_reuse_address(true)
    } else {
        Ok(())
    }
}

/// Makes the kernel ask a peer that is silent for `idle` whether it is still there, `probes` times, `interval` apart.
/// OpenBSD has neither the interval nor the number of its own for a socket; Windows before 10 has no number, and asks
/// ten times.
pub(super) fn set_keepalive(
    socket: &socket2::SockRef<'_>,
    idle: Duration,
    interval: Duration,
    probes: u32,
) -> io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new().with_time(idle);
    #[cfg(not(target_os = "openbsd"))]
    let keepalive = keepalive.with_interval(interval).with_retries(probes);
    #[cfg(target_os = "openbsd")]
    let _ = (interval, probes);
    match socket.set_tcp_keepalive(&keepalive) {
        // The number is set last, so the times are in force.
        Err(error) if is_unknown_option(&error) => Ok(()),
        set => set,
    }
}

/// Whether the system does not know an option of a socket: `WSAENOPROTOOPT`.
fn is_unknown_option(error: &io::Error) -> bool {
    cfg!(windows) && error.raw_os_error() == Some(10_042)
}

/// Makes the kernel give up on a peer that acknowledges nothing for so long. The kernel counts milliseconds in 31 bits,
/// and takes 0 for its own default.
pub(super) fn set_user_timeout(socket: &socket2::SockRef<'_>, timeout: Duration) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return socket.set_tcp_user_timeout(Some(timeout.clamp(
        Duration::from_millis(1),
        Duration::from_millis(i32::MAX as u64),
    )));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (socket, timeout);
        Ok(())
    }
}

/// The most the system lets a listener queue, where it says so.
pub(super) fn backlog_limit() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Ports that the system may choose for a connection from one address, where it says so.
#[cfg(feature = "bench")]
pub(crate) fn ephemeral_ports() -> Option<u64> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(last.checked_sub(first)? + 1)
}

/// Raises the limit of open descriptors to `wanted`, as far as its hard limit and the system (a sandbox) allow. Returns
/// the limit then in force, or none where sockets are not limited that way, or by no number that is known: without a limit
/// of the process macOS still has one of its own.
pub(crate) fn raise_descriptor_limit(wanted: u64) -> io::Result<Option<u64>> {
    #[cfg(unix)]
    return rlimit::increase_nofile_limit(wanted)
        .or_else(|_refused| rlimit::Resource::NOFILE.get_soft())
        .map(finite);
    #[cfg(windows)]
    {
        let _ = wanted;
        Ok(None)
    }
}

/// A limit that is a number.
#[cfg(unix)]
fn finite(limit: u64) -> Option<u64> {
    (limit < rlimit::INFINITY).then_some(limit)
}

/// Whether connecting has only begun.
#[cfg(any(feature = "client", feature = "bench"))]
pub(super) fn is_connecting(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(windows)]
    {
        error.kind() == io::ErrorKind::WouldBlock
    }
}

/// Whether a socket that was asked for its peer is still connecting. macOS says `EINVAL` while it is.
#[cfg(any(feature = "client", feature = "bench"))]
pub(super) fn is_not_connected_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotConnected | io::ErrorKind::InvalidInput
    )
}

/// Whether the process or the system may not open another descriptor: `EMFILE`, `ENFILE`, `ENOBUFS`; `WSAEMFILE`,
/// `WSAENOBUFS`.
#[cfg(any(feature = "client", feature = "bench"))]
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS)
    );
    #[cfg(windows)]
    matches!(error.raw_os_error(), Some(10_024 | 10_055))
}

/// Lets a socket come from `source`. Linux picks the port when it connects, so that one port serves several
/// destinations (IP_BIND_ADDRESS_NO_PORT).
#[cfg(any(feature = "client", feature = "bench"))]
pub(super) fn bind_without_port(
    socket: &socket2::SockRef<'_>,
    source: std::net::IpAddr,
) -> io::Result<()> {
    #[cfg(all(target_os = "linux", feature = "bench"))]
    {
        use std::os::fd::AsFd;
        let option = nix::sys::socket::sockopt::IpBindAddressNoPort;
        nix::sys::socket::setsockopt(&socket.as_fd(), option, &true)?;
    }
    socket.bind(&std::net::SocketAddr::new(source, 0).into())
}

/// How close to a time that must be kept the loop stops waiting and looks again and again. mio rounds a wait up to a
/// millisecond; Windows waits in ticks of 15.6 ms.
#[cfg(feature = "bench")]
pub(crate) const SPIN: Duration = Duration::from_micros(if cfg!(windows) { 16_000 } else { 1_500 });

/// What to tell somebody whose port was refused, if it is known.
pub(super) fn bind_hint(error: &io::Error, port: u16) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied if cfg!(target_os = "linux") && port < 1024 => {
            " (setcap cap_net_bind_service=+ep on the program, or sysctl net.ipv4.ip_unprivileged_port_start, grants it)"
        }
        io::ErrorKind::PermissionDenied if cfg!(unix) && port < 1024 => {
            " (ports below 1024 need root)"
        }
        // What Windows says names no cause.
        io::ErrorKind::AddrInUse if cfg!(windows) => " (the address is in use)",
        io::ErrorKind::AddrNotAvailable if cfg!(windows) => {
            " (no network of this machine has the address assigned)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn fault_l2_no_limit_of_descriptors_is_not_a_number_of_them() {
        assert_eq!(finite(1024), Some(1024));
        assert_eq!(finite(rlimit::INFINITY), None);
        assert_eq!(finite(u64::MAX), None);
    }

    #[test]
    fn fault_w7_a_reset_has_one_kind_on_every_system() {
        #[cfg(target_vendor = "apple")]
        const RESETS: [i32; 2] = [libc::EPROTOTYPE, libc::ECONNRESET];
        #[cfg(all(unix, not(target_vendor = "apple")))]
        const RESETS: [i32; 1] = [libc::ECONNRESET];
        // WSAENETRESET, WSAECONNRESET.
        #[cfg(windows)]
        const RESETS: [i32; 2] = [10_052, 10_054];
        for number in RESETS {
            let error = normalize_error(io::Error::from_raw_os_error(number));
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{number}");
        }
        let other = normalize_error(io::ErrorKind::WouldBlock.into());
        assert_eq!(other.kind(), io::ErrorKind::WouldBlock);
    }
}
