use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use socket2::{Domain, Type};

use super::*;
use crate::net::poll::readiness_of;

const DEADLINE: Duration = Duration::from_secs(60);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Returns a socket that does not listen, and its address.
fn unused() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address.as_socket().unwrap())
}

/// Connects to `address` and returns the connected socket.
fn connect(address: SocketAddr, options: ConnectOptions) -> Result<TcpStream, ConnectError> {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(8);
    let mut connecting = Connecting::start(address, options, poll.registry(), Token(0))?;
    let until = Instant::now() + DEADLINE;
    loop {
        connecting = match connecting.finish(poll.registry())? {
            ConnectStatus::Connected(connected) => return Ok(connected.socket),
            ConnectStatus::Pending(connecting) => connecting,
        };
        assert!(Instant::now() < until, "neither connected nor failed");
        poll.poll(&mut events, Some(DEADLINE)).unwrap();
        let ready = events.iter().map(readiness_of);
        ready.for_each(|ready| connecting.handle_ready(ready));
    }
}

#[test]
fn seed_s2_8_connect_does_not_block() {
    let (listener, address) = listener();
    let socket = connect(address, ConnectOptions::default()).unwrap();
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(socket.local_addr().unwrap(), peer);
    assert!(socket.nodelay().unwrap());
}

#[test]
fn readiness_reported_while_connecting_is_kept() {
    let (_listener, address) = listener();
    let poll = Poll::new().unwrap();
    let options = ConnectOptions::default();
    let mut connecting = Connecting::start(address, options, poll.registry(), Token(0)).unwrap();
    connecting.handle_ready(Ready {
        readable: true,
        ..Ready::default()
    });
    connecting.handle_ready(Ready {
        writable: true,
        ..Ready::default()
    });
    let until = Instant::now() + DEADLINE;
    let connected = loop {
        assert!(Instant::now() < until, "neither connected nor failed");
        match connecting.finish(poll.registry()).unwrap() {
            ConnectStatus::Connected(connected) => break connected,
            ConnectStatus::Pending(pending) => connecting = pending,
        }
    };
    assert!(connected.readiness.is_readable());
}

#[test]
fn a_connection_uses_the_requested_source_address_and_buffers() {
    let (listener, address) = listener();
    let options = ConnectOptions {
        source: Some((Ipv4Addr::LOCALHOST, 0).into()),
        socket_buffer: Some(16 * 1024),
    };
    let _socket = connect(address, options).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), Ipv4Addr::LOCALHOST);
}

#[test]
fn a_source_address_of_another_machine_is_refused() {
    let options = ConnectOptions {
        // An address of a network reserved for documentation (RFC 5737).
        source: Some((Ipv4Addr::new(192, 0, 2, 77), 0).into()),
        socket_buffer: None,
    };
    let error = connect(listener().1, options).unwrap_err();
    assert_eq!(error.failure, ConnectFailure::NoSourcePort);
}

#[test]
fn a_port_without_a_listener_is_refused() {
    // The port belongs to a socket that does not listen.
    let (_unused, address) = unused();
    let error = connect(address, ConnectOptions::default()).unwrap_err();
    assert_eq!(error.failure, ConnectFailure::Refused);
    assert!(error.to_string().starts_with("refused: "), "{error}");
}

/// Only Linux lets a socket connect to itself.
#[cfg(target_os = "linux")]
#[test]
fn a_socket_connected_to_itself_is_a_failure() {
    let (socket, address) = unused();
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let error = is_connected(&TcpStream::from_std(socket.into())).unwrap_err();
    assert_eq!(error.failure, ConnectFailure::SelfConnect);
}

#[test]
fn resolve_returns_addresses_of_the_requested_family() {
    let resolved = |target, family| resolve(target, family).map_err(|error| error.failure);
    let v4: SocketAddr = "127.0.0.1:7".parse().unwrap();
    assert_eq!(resolved("127.0.0.1:7", IpFamily::Any), Ok(vec![v4]));
    assert_eq!(resolved("127.0.0.1:7", IpFamily::V4), Ok(vec![v4]));
    let unresolved = Err(ConnectFailure::Unresolved);
    assert_eq!(resolved("127.0.0.1:7", IpFamily::V6), unresolved);
    assert_eq!(resolved("[::1]:7", IpFamily::V4), unresolved);
    assert_eq!(resolved("name.invalid:7", IpFamily::Any), unresolved);
    assert_eq!(resolved("no port", IpFamily::Any), unresolved);
    assert!(!resolved("localhost:7", IpFamily::Any).unwrap().is_empty());
}

#[test]
fn a_link_local_address_may_name_its_interface() {
    let resolved = resolve("[::1]:7", IpFamily::Any).unwrap();
    assert_eq!(resolved, ["[::1]:7".parse().unwrap()]);
    // Linux names the loopback interface `lo` on every machine; other systems use other names.
    if cfg!(target_os = "linux") {
        let resolved = resolve("[fe80::1%lo]:7", IpFamily::Any).unwrap();
        assert_eq!(resolved, ["[fe80::1%1]:7".parse().unwrap()]);
    }
    let nowhere = resolve("[fe80::1%nowhere]:7", IpFamily::Any).unwrap_err();
    assert_eq!(nowhere.failure, ConnectFailure::Unresolved);
}

#[test]
fn each_error_of_the_system_has_a_kind_of_failure() {
    use io::ErrorKind;
    for (kind, expected) in [
        (ErrorKind::ConnectionRefused, ConnectFailure::Refused),
        (ErrorKind::NetworkUnreachable, ConnectFailure::Unreachable),
        (ErrorKind::HostUnreachable, ConnectFailure::Unreachable),
        (ErrorKind::NetworkDown, ConnectFailure::Unreachable),
        (ErrorKind::TimedOut, ConnectFailure::TimedOut),
        (ErrorKind::AddrNotAvailable, ConnectFailure::NoSourcePort),
        (ErrorKind::ConnectionReset, ConnectFailure::Reset),
        (ErrorKind::PermissionDenied, ConnectFailure::Other),
    ] {
        let error = ConnectError::from(io::Error::from(kind));
        assert_eq!(error.failure, expected, "{kind:?}");
    }
    assert_eq!(
        ConnectError::timed_out().to_string(),
        "timed out: no answer in time"
    );
}

#[test]
fn running_out_of_descriptors_is_a_kind_of_failure() {
    #[cfg(unix)]
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS];
    // WSAEMFILE, WSAENOBUFS.
    #[cfg(windows)]
    let codes = [10_024, 10_055];
    for code in codes {
        let error = ConnectError::from(io::Error::from_raw_os_error(code));
        assert_eq!(error.failure, ConnectFailure::Descriptors, "{code}");
    }
}
