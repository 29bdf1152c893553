use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What becomes of a socket that was dialled.
fn outcome(mut socket: TcpStream) -> Result<TcpStream, ConnectError> {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(8);
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut socket, Token(0), interest)
        .unwrap();
    let until = Instant::now() + DEADLINE;
    while connected(&socket)?.is_none() {
        assert!(Instant::now() < until, "neither connected nor failed");
        poll.poll(&mut events, Some(DEADLINE)).unwrap();
    }
    Ok(socket)
}

#[test]
fn seed_s2_8_a_connection_goes_out_without_blocking() {
    let (listener, address) = listener();
    let socket = outcome(dial(address, DialOptions::default()).unwrap()).unwrap();
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(socket.local_addr().unwrap(), peer);
    assert!(socket.nodelay().unwrap());
}

#[test]
fn a_connection_comes_from_where_it_was_told_to() {
    let (listener, address) = listener();
    let options = DialOptions {
        source: Some(Ipv4Addr::LOCALHOST.into()),
        socket_buffer: Some(16 * 1024),
    };
    let _socket = outcome(dial(address, options).unwrap()).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), Ipv4Addr::LOCALHOST);
}

#[test]
fn a_source_that_is_not_ours_is_no_source() {
    let options = DialOptions {
        // Of a network that is kept for documentation.
        source: Some(Ipv4Addr::new(192, 0, 2, 77).into()),
        socket_buffer: None,
    };
    let error = dial(listener().1, options).unwrap_err();
    assert_eq!(error.failure, ConnectFailure::NoSourcePort);
}

#[test]
fn nobody_there_is_refused() {
    let (listener, address) = listener();
    drop(listener);
    let error = dial(address, DialOptions::default())
        .and_then(outcome)
        .unwrap_err();
    assert_eq!(error.failure, ConnectFailure::Refused);
    assert!(error.to_string().starts_with("refused: "), "{error}");
}

/// Only here does the kernel allow it.
#[cfg(target_os = "linux")]
#[test]
fn a_socket_that_met_itself_is_not_connected_to_anybody() {
    let (listener, address) = listener();
    drop(listener);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let error = connected(&TcpStream::from_std(socket.into())).unwrap_err();
    assert_eq!(error.failure, ConnectFailure::SelfConnect);
}

#[test]
fn a_name_has_the_addresses_of_the_family_that_is_wanted() {
    let only = |target, family| resolve(target, family).map_err(|error| error.failure);
    let v4: SocketAddr = "127.0.0.1:7".parse().unwrap();
    assert_eq!(only("127.0.0.1:7", IpFamily::Any), Ok(vec![v4]));
    assert_eq!(only("127.0.0.1:7", IpFamily::V4), Ok(vec![v4]));
    let unresolved = Err(ConnectFailure::Unresolved);
    assert_eq!(only("127.0.0.1:7", IpFamily::V6), unresolved);
    assert_eq!(only("[::1]:7", IpFamily::V4), unresolved);
    assert_eq!(only("name.invalid:7", IpFamily::Any), unresolved);
    assert_eq!(only("no port", IpFamily::Any), unresolved);
    assert!(!only("localhost:7", IpFamily::Any).unwrap().is_empty());
}

#[test]
fn an_address_of_a_link_may_name_its_interface() {
    let resolved = resolve("[::1]:7", IpFamily::Any).unwrap();
    assert_eq!(resolved, ["[::1]:7".parse().unwrap()]);
    // The one interface whose name is the same everywhere, on the one system that has that.
    if cfg!(target_os = "linux") {
        let resolved = resolve("[fe80::1%lo]:7", IpFamily::Any).unwrap();
        assert_eq!(resolved, ["[fe80::1%1]:7".parse().unwrap()]);
    }
    let nowhere = resolve("[fe80::1%nowhere]:7", IpFamily::Any).unwrap_err();
    assert_eq!(nowhere.failure, ConnectFailure::Unresolved);
}

#[test]
fn what_the_system_says_has_a_class() {
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
fn running_out_of_descriptors_has_a_class_of_its_own() {
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
