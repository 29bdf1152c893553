//! The facts that differ between systems.
//!
//! Every `cfg` of the loop is in this file, except those of the signals: their Unix and Windows code have nothing in
//! common.
//!
//! | back end | an event reported | re-armed by | does a short read prove that the socket is drained? |
//! |----------|-------------------|-------------|------------------------------------------------------|
//! | epoll (`EPOLLET`) | disarms nothing | new arrivals | yes, except before a FIN or an urgent mark |
//! | kqueue (`EV_CLEAR`) | disarms nothing | new arrivals | not relied on |
//! | Windows (AFD through IOCP) | disarms that direction | `WouldBlock` seen through the mio type, or `reregister` | no |
//! | poll(2) (`--cfg mio_unsupported_force_poll_poll`) | disarms that direction | the same as Windows | no |
//!
//! A connection gets [`SHORT_READ`] as a value, so tests run both behaviours on every system.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::Interest;

use crate::conn::ShortRead;

/// True if this build waits with Linux's epoll. The epolls of illumos and redox may behave differently.
const EPOLL: bool = cfg!(all(
    any(target_os = "linux", target_os = "android"),
    not(mio_unsupported_force_poll_poll)
));

/// True on systems with Linux's `/proc` and cgroups.
pub(super) const IS_LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// The readiness back end that mio uses in this build.
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

/// What a short read proves. Under epoll it proves that the socket is drained. Windows and poll(2) report the next arrival
/// only after `WouldBlock`. kqueue reports every arrival, but this crate does not rely on that.
pub(crate) const SHORT_READ: ShortRead = if EPOLL {
    ShortRead::ProvesEmpty
} else {
    ShortRead::ProvesNothing
};

/// True if an event disarms its direction. Then a source that is read without mio must be registered again.
#[cfg(unix)]
pub(super) const EVENTS_DISARM: bool = !matches!(BACK_END.as_bytes(), b"epoll" | b"kqueue");

/// True if accepted sockets inherit the options of their listener (NODELAY, keepalive, user timeout).
pub(super) const ACCEPTED_INHERIT_OPTIONS: bool =
    cfg!(any(target_os = "linux", target_os = "android"));

/// Returns the interest that every socket is registered for during its whole life.
///
/// If a short read proves that the socket is drained, urgent marks must be reported (PRIORITY): a read stops short at a
/// mark although the socket is not drained, and no further event follows (measured).
pub(crate) fn base_interest() -> Interest {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if EPOLL {
        return Interest::READABLE | Interest::PRIORITY;
    }
    Interest::READABLE
}

/// Returns true if accept(2) failed because of one client: the client is gone, or its network has an error. Linux reports
/// the pending network error of a new socket through accept(2). The manual page lists these errors and says to treat them
/// like `EAGAIN`. It lists `EOPNOTSUPP` too, but Linux returns that only for a socket that cannot accept.
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
                | libc::EPERM
                | libc::EPROTO
                | libc::ETIMEDOUT
        )
    )
}

/// Returns true if accepting failed because the client is gone: `WSAEINTR`, `WSAENETDOWN`, `WSAECONNABORTED`,
/// `WSAECONNRESET`, or `WSAENOTCONN` if the client left before its address was read.
#[cfg(windows)]
pub(super) fn is_transient_accept_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(10_004 | 10_050 | 10_053 | 10_054 | 10_057)
    )
}

/// Returns true if accept(2) failed because the socket does not listen any more, or is no socket. Linux says `EINVAL` after
/// `ss -K` has destroyed the listener. The `InvalidInput` of mio itself has no errno and does not count.
#[cfg(unix)]
pub(super) fn is_permanent_accept_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP)
    )
}

/// Returns true if accepting failed because the socket does not listen, or is no socket: `WSAEBADF`, `WSAEINVAL`,
/// `WSAENOTSOCK`, `WSAEOPNOTSUPP`.
#[cfg(windows)]
pub(super) fn is_permanent_accept_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(10_009 | 10_022 | 10_038 | 10_045)
    )
}

/// Gives the error of a dead connection the kind `ConnectionReset` or `TimedOut` where the standard library does not.
/// Darwin answers `EPROTOTYPE` to a write while it tears a connection down. On Windows `WSAENETRESET` reports that the peer
/// has answered no keepalive probe.
#[inline(always)]
pub(super) fn normalize_error(error: io::Error) -> io::Error {
    #[cfg(target_vendor = "apple")]
    let (number, kind) = (Some(libc::EPROTOTYPE), ErrorKind::ConnectionReset);
    #[cfg(windows)]
    let (number, kind) = (Some(10_052), ErrorKind::TimedOut);
    #[cfg(not(any(target_vendor = "apple", windows)))]
    let (number, kind) = (None, ErrorKind::ConnectionReset);
    match error.raw_os_error() {
        found if found.is_some() && found == number => kind.into(),
        _ => error,
    }
}

/// Returns true if bind(2) failed because the system has no IPv6.
pub(super) fn is_without_ipv6(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
    );
    #[cfg(windows)]
    matches!(error.raw_os_error(), Some(10_047 | 10_049))
}

/// Returns the time of the monotonic clock in nanoseconds. The starting point is chosen by the system on Unix, and is the
/// first call on Windows.
///
/// On Unix this calls `clock_gettime` directly. An `Instant` can only be read as a difference, which doubles the number of
/// instructions, once a turn.
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

/// The longest timeout of a wait. A loop with nothing to do waits again afterwards. Darwin's kevent(2) refuses more than
/// 100,000,000 s with `EINVAL`, and on Windows mio turns more than 49.7 days into a wait without a limit.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns true if this process ignores `signal`, or `None` if the system does not tell. Linux tells it in /proc. Other
/// systems tell it only through sigaction(2), for which no safe function exists.
#[cfg(unix)]
pub(super) fn ignores_signal(signal: i32) -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask >> (signal - 1) & 1 == 1)
}

/// Sets SO_REUSEADDR, so that a restarted server can bind while old connections are in TIME_WAIT. Leaves the option off on
/// Windows, where it would let two servers share the port.
pub(super) fn set_restart_option(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_reuse_address(cfg!(unix))
}

/// Makes the kernel probe a peer that was silent for `idle`: `probes` times, `interval` apart. Returns the name and the
/// result of each option.
///
/// OpenBSD has none of the three numbers per socket. Windows before 10 has no number of probes per socket, and probes ten
/// times.
pub(super) fn set_keepalive(
    socket: &socket2::Socket,
    idle: Duration,
    interval: Duration,
    probes: u32,
) -> impl Iterator<Item = (&'static str, io::Result<()>)> {
    #[cfg(unix)]
    {
        use rustix::net::sockopt;
        #[cfg(target_os = "openbsd")]
        let _ = (idle, interval, probes);
        let results = [
            ("SO_KEEPALIVE", sockopt::set_socket_keepalive(socket, true)),
            #[cfg(not(target_os = "openbsd"))]
            ("TCP_KEEPIDLE", sockopt::set_tcp_keepidle(socket, idle)),
            #[cfg(not(target_os = "openbsd"))]
            (
                "TCP_KEEPINTVL",
                sockopt::set_tcp_keepintvl(socket, interval),
            ),
            #[cfg(not(target_os = "openbsd"))]
            ("TCP_KEEPCNT", sockopt::set_tcp_keepcnt(socket, probes)),
        ];
        results
            .into_iter()
            .map(|(option, set)| (option, set.map_err(io::Error::from)))
    }
    #[cfg(windows)]
    {
        /// WSAENOPROTOOPT.
        const UNKNOWN_OPTION: Option<i32> = Some(10_042);
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(idle)
            .with_interval(interval)
            .with_retries(probes);
        let set = match socket.set_tcp_keepalive(&keepalive) {
            // The number of probes is set last, so the times are in force already.
            Err(error) if error.raw_os_error() == UNKNOWN_OPTION => Ok(()),
            set => set,
        };
        std::iter::once(("SIO_KEEPALIVE_VALS", set))
    }
}

/// Returns true if setting an option failed because the connection of the socket is dead. Darwin answers `EINVAL` then.
pub(super) fn is_of_dead_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::NotConnected
    ) || cfg!(target_vendor = "apple") && error.kind() == ErrorKind::InvalidInput
}

/// Makes the kernel give up a peer that acknowledges nothing for `timeout` (TCP_USER_TIMEOUT). The kernel counts
/// milliseconds in 31 bits, and 0 means its own default.
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

/// Ends the connection of `socket` with a reset, without SO_LINGER. On Linux, connect(2) to AF_UNSPEC does that.
///
/// No other system has such a call. BSD answers `EISCONN` to connect(2) on a connected stream. Darwin's disconnectx(2) sends
/// a FIN, as shutdown(2) does. Windows resets without SO_LINGER only if input is unread.
pub(super) fn disconnect_with_reset(socket: &mio::net::TcpStream) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Ok(rustix::net::connect_unspec(socket)?);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = socket;
        Err(ErrorKind::Unsupported.into())
    }
}

/// Returns the most bytes that the kernel can have received for `socket` and that have not been read: SO_RCVBUF. Linux
/// counts the memory of packets there, and reports twice the size that was set. In 13 set-ups the queue held between
/// 0.5 and 0.98 of it (measured). Windows grows the window of a connection without a change of the option. So there, and
/// if the system does not tell, this is more than any system queues by default (Linux: 32 MiB).
pub(super) fn receive_queue_bound(socket: &mio::net::TcpStream) -> usize {
    const GENEROUS: usize = 64 << 20;
    match socket2::SockRef::from(socket).recv_buffer_size() {
        Ok(size) if cfg!(unix) => size,
        Ok(_) | Err(_) => GENEROUS,
    }
}

/// Returns the largest backlog that the system allows, if the system reports it.
pub(super) fn backlog_limit() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Returns the number of source ports that the system may choose for one address, if the system reports it.
#[cfg(feature = "bench")]
pub(crate) fn ephemeral_ports() -> Option<u64> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(last.checked_sub(first)? + 1)
}

/// Raises the limit of open descriptors to `wanted`, as far as the hard limit and the system (a sandbox) allow.
///
/// Returns the limit that is then in force. `None` means that the system does not limit sockets this way, or that the limit
/// is not known: a sandbox refuses to tell it, or a macOS process without a limit of its own is still limited by the system.
pub(crate) fn raise_descriptor_limit(wanted: u64) -> Option<u64> {
    #[cfg(unix)]
    return rlimit::increase_nofile_limit(wanted)
        .or_else(|_refused| rlimit::Resource::NOFILE.get_soft())
        .ok()
        .and_then(finite);
    #[cfg(windows)]
    {
        let _ = wanted;
        None
    }
}

/// Returns how many descriptors the process has inherited beside its three standard streams. Only Linux tells, in /proc;
/// elsewhere this is 0.
pub(crate) fn inherited_descriptors() -> u64 {
    /// The standard streams, and the descriptor that reads the directory.
    const OWN: u64 = 4;
    match std::fs::read_dir("/proc/self/fd") {
        Ok(open) if IS_LINUX => (open.count() as u64).saturating_sub(OWN),
        Ok(_) | Err(_) => 0,
    }
}

/// Returns the physical memory of the machine in bytes, or `None` if the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn physical_memory() -> Option<u64> {
    let memory = nix::sys::sysinfo::sysinfo().ok()?;
    Some(memory.ram_total())
}

/// Returns the physical memory of the machine in bytes, or `None` on NetBSD, OpenBSD and other systems that the crate
/// `sysinfo` does not know.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn physical_memory() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
    Some(system.total_memory()).filter(|bytes| *bytes > 0)
}

/// Returns the limit of the process's address space in bytes (`RLIMIT_AS`), or `None` if there is no limit.
pub(super) fn address_space_limit() -> Option<u64> {
    #[cfg(unix)]
    return rlimit::Resource::AS.get_soft().ok().and_then(finite);
    #[cfg(windows)]
    None
}

/// Returns `limit` unless it means "unlimited".
#[cfg(unix)]
fn finite(limit: u64) -> Option<u64> {
    (limit < rlimit::INFINITY).then_some(limit)
}

/// Returns true if connect(2) has started and will finish later.
#[cfg(any(feature = "client", feature = "bench"))]
pub(super) fn is_connecting(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(windows)]
    {
        error.kind() == ErrorKind::WouldBlock
    }
}

/// Returns true if getpeername(2) failed because the socket is still connecting. macOS answers `EINVAL` then.
#[cfg(any(feature = "client", feature = "bench"))]
pub(super) fn is_not_connected_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotConnected | ErrorKind::InvalidInput
    )
}

/// Returns true if the process or the system has no descriptor left: `EMFILE`, `ENFILE`, `ENOBUFS`; on Windows `WSAEMFILE`,
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

/// Sets IP_BIND_ADDRESS_NO_PORT: Linux chooses the source port when the socket connects, and not when it is bound, so that
/// one port can serve several destinations. Other systems do not have the option.
#[cfg(any(feature = "client", feature = "bench"))]
pub(super) fn choose_port_at_connect(socket: &socket2::Socket) -> io::Result<()> {
    #[cfg(all(target_os = "linux", feature = "bench"))]
    {
        use std::os::fd::AsFd;
        let option = nix::sys::socket::sockopt::IpBindAddressNoPort;
        nix::sys::socket::setsockopt(&socket.as_fd(), option, &true)?;
    }
    #[cfg(not(all(target_os = "linux", feature = "bench")))]
    let _ = socket;
    Ok(())
}

/// How long before an exact time a loop stops waiting and polls repeatedly instead (spins). mio rounds a wait up to a
/// millisecond, and Windows waits in ticks of 15.6 ms.
#[cfg(feature = "bench")]
pub(crate) const SPIN: Duration = Duration::from_micros(if cfg!(windows) { 16_000 } else { 1_500 });

/// Returns the number of the network interface with this name, if there is one. The standard library cannot ask Windows for
/// it, where users write numbers (`fe80::1%12`).
pub(super) fn interface_number(name: &str) -> Option<u32> {
    #[cfg(unix)]
    return nix::net::if_::if_nametoindex(name).ok();
    #[cfg(windows)]
    {
        let _ = name;
        None
    }
}

/// Returns the name of the network interface with this number, if there is such an interface and the system tells its name.
pub(super) fn interface_name(number: u32) -> Option<String> {
    #[cfg(unix)]
    {
        let name = nix::net::if_::if_indextoname(number).ok()?;
        // nix 0.31 returns an empty name for an interface that does not exist.
        name.into_string().ok().filter(|name| !name.is_empty())
    }
    #[cfg(windows)]
    {
        let _ = number;
        None
    }
}

/// Returns a hint for a user whose address cannot be bound, or an empty text.
pub(super) fn bind_hint(error: &io::Error, port: u16) -> &'static str {
    // For port 0 the system chooses a port, which needs no privilege.
    let is_privileged = (1..1024).contains(&port);
    match error.kind() {
        ErrorKind::PermissionDenied if cfg!(target_os = "linux") && is_privileged => {
            " (setcap cap_net_bind_service=+ep on the program, or sysctl net.ipv4.ip_unprivileged_port_start, grants it)"
        }
        ErrorKind::PermissionDenied if cfg!(unix) && is_privileged => {
            " (ports below 1024 need root)"
        }
        // The message of Windows does not name the cause.
        ErrorKind::AddrInUse if cfg!(windows) => " (the address is in use)",
        ErrorKind::AddrNotAvailable if cfg!(windows) => {
            " (no network of this machine has the address assigned)"
        }
        _ => "",
    }
}

/// Returns a hint for a user whose socket cannot be registered, or an empty text.
pub(super) fn register_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull if EPOLL => " (sysctl fs.epoll.max_user_watches)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn fault_l2_an_unlimited_descriptor_limit_is_not_a_number() {
        assert_eq!(finite(1024), Some(1024));
        assert_eq!(finite(rlimit::INFINITY), None);
        assert_eq!(finite(u64::MAX), None);
    }

    #[test]
    fn fault_m3_the_hint_about_privileges_is_for_ports_that_need_one() {
        let refused = ErrorKind::PermissionDenied.into();
        for (port, has_hint) in [(0, false), (1, true), (1023, true), (1024, false)] {
            let hint = bind_hint(&refused, port);
            assert_eq!(!hint.is_empty(), has_hint && cfg!(unix), "{port}: {hint}");
        }
    }

    #[test]
    fn fault_w7_fault_t6_a_dead_connection_has_the_same_error_kind_on_every_system() {
        use ErrorKind::{ConnectionReset, TimedOut};
        #[cfg(target_vendor = "apple")]
        let table = [
            (libc::EPROTOTYPE, ConnectionReset),
            (libc::ECONNRESET, ConnectionReset),
            (libc::ETIMEDOUT, TimedOut),
        ];
        #[cfg(all(unix, not(target_vendor = "apple")))]
        let table = [
            (libc::ECONNRESET, ConnectionReset),
            (libc::ETIMEDOUT, TimedOut),
        ];
        // WSAENETRESET, WSAECONNRESET, WSAETIMEDOUT.
        #[cfg(windows)]
        let table = [
            (10_052, TimedOut),
            (10_054, ConnectionReset),
            (10_060, TimedOut),
        ];
        for (number, kind) in table {
            let error = normalize_error(io::Error::from_raw_os_error(number));
            assert_eq!(error.kind(), kind, "{number}");
        }
        let other = normalize_error(ErrorKind::WouldBlock.into());
        assert_eq!(other.kind(), ErrorKind::WouldBlock);
    }
}
