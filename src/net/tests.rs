//! A server in this process, with an accept that fails on order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream as Client};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};

use super::{Config, Handle, Listen, Outcome, Server};

/// The figure of the fault, ten times as long: another test may have the processor.
const SOON: Duration = Duration::from_secs(10);

thread_local! {
    /// What the next accepts of the server on this thread answer instead of asking the system.
    static FAILURES: RefCell<VecDeque<Failure>> = const { RefCell::new(VecDeque::new()) };
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    /// accept(2) itself fails.
    Errno(i32),
    /// It succeeds, with a socket that the poll refuses.
    Unregistrable,
}

fn failing_accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    match FAILURES.with_borrow_mut(VecDeque::pop_front) {
        None => listener.accept(),
        Some(Failure::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Some(Failure::Unregistrable) => {
            let (mut socket, peer) = listener.accept()?;
            // A socket that belongs to another poll already is refused by every back end in a debug build.
            mio::Poll::new()?.registry().register(
                &mut socket,
                mio::Token(0),
                mio::Interest::READABLE,
            )?;
            Ok((socket, peer))
        }
    }
}

fn config() -> Config {
    Config {
        listen: vec![Listen::At(SocketAddr::from(([127, 0, 0, 1], 0)))],
        max_connections: Some(64),
        ..Config::default()
    }
}

struct Running {
    address: SocketAddr,
    handle: Handle,
    thread: thread::JoinHandle<io::Result<Outcome>>,
}

impl Running {
    fn start(config: Config, failures: &[Failure]) -> Self {
        let mut server = Server::bind(config).expect("a free port");
        server.acceptor.replace_accept(failing_accept);
        let (address, handle) = (server.addresses()[0], server.handle());
        let failures: VecDeque<Failure> = failures.iter().copied().collect();
        let thread = thread::spawn(move || {
            FAILURES.set(failures);
            server.run()
        });
        Self {
            address,
            handle,
            thread,
        }
    }

    fn connect(&self) -> Client {
        let client = Client::connect(self.address).expect("it listens");
        client.set_read_timeout(Some(SOON)).expect("a timeout");
        client
    }

    fn stop(self) {
        self.handle.stop().expect("a wake");
        assert_eq!(
            self.thread.join().expect("no panic").expect("no error"),
            Outcome::Stopped
        );
    }
}

#[track_caller]
fn expect_echo(mut client: &Client) {
    client.write_all(b"ping").expect("a write");
    let mut echo = [0; 4];
    client.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"ping");
}

#[cfg(unix)]
#[test]
fn fault_a5_the_next_client_is_served_after_any_error_of_accept() {
    let one_client = [
        libc::ECONNABORTED,
        libc::EPROTO,
        libc::ENETDOWN,
        libc::EHOSTUNREACH,
        libc::EOPNOTSUPP,
        libc::EINTR,
        libc::EPERM,
        libc::ECONNRESET,
    ];
    let exhaustion = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    for errno in one_client.into_iter().chain(exhaustion) {
        let server = Running::start(config(), &[Failure::Errno(errno)]);
        let connected = Instant::now();
        expect_echo(&server.connect());
        let took = connected.elapsed();
        assert!(
            took < SOON,
            "{}: {took:?}",
            io::Error::from_raw_os_error(errno)
        );
        if exhaustion.contains(&errno) {
            let pause = super::ACCEPT_RETRY;
            assert!(
                took >= pause,
                "it must not spin: {took:?} is under {pause:?}"
            );
        }
        server.stop();
    }
}

#[cfg(debug_assertions)]
#[test]
fn fault_a7_a_socket_that_cannot_be_registered_closes_alone() {
    let server = Running::start(config(), &[Failure::Unregistrable]);
    let mut refused = server.connect();
    let accepted = server.connect();
    expect_echo(&accepted);
    assert_eq!(refused.read(&mut [0; 1]).expect("a FIN"), 0);
    server.stop();
}

#[test]
fn a_handle_stops_the_server_from_another_thread() {
    let server = Running::start(config(), &[]);
    let client = server.connect();
    expect_echo(&client);
    drop(client);
    server.stop();
}

#[test]
fn a_stop_before_the_first_turn_is_seen() {
    let server = Server::bind(config()).expect("a free port");
    server.handle().stop().expect("a wake");
    assert_eq!(server.run().expect("no error"), Outcome::Stopped);
}
