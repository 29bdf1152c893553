//! Notifications for a service manager: readiness, status, stop and signs of life (sd_notify).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{self, Command};
use std::time::Instant;

use rustix::process::Signal;

use crate::support::server::serve;
use crate::support::strace::Strace;
use crate::support::temp_dir::TempDir;
use crate::support::{Client, DEADLINE, QUIET, Server};

/// A manager that gets the notifications of one server.
struct Manager(UnixDatagram);

impl Manager {
    #[track_caller]
    fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).expect("a free address");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self(socket)
    }

    /// Returns the lines of the next message.
    #[track_caller]
    fn next(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("a message");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for a message with the line `wanted`.
    #[track_caller]
    fn await_line(&self, wanted: &str) {
        while !self.next().iter().any(|line| line == wanted) {}
    }
}

/// Returns the command of a server on a free port that notifies the manager at `address`.
fn server(address: &str) -> Command {
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    command.env("NOTIFY_SOCKET", address);
    command
}

#[test]
fn fault_d3_the_manager_hears_of_the_start_the_connections_and_the_stop() {
    let dir = TempDir::new("notify");
    let path = dir.file("socket");
    let abstract_name = format!("mio-echo-notifications-{}", process::id());
    for (address, text) in [
        (SocketAddr::from_pathname(&path), path.display().to_string()),
        (
            SocketAddr::from_abstract_name(&abstract_name),
            format!("@{abstract_name}"),
        ),
    ] {
        let manager = Manager::at(&address.expect("an address"));
        let server = Server::spawn(server(&text));
        let first = ["READY=1", "STATUS=active connections: 0"];
        assert_eq!(manager.next(), first);
        Client::connect(server.address()).echo(b"hello");
        server.signal(Signal::TERM);
        manager.await_line("STOPPING=1");
        let finished = server.finished();
        assert_eq!(finished.status.code(), Some(0));
        finished.expect_no_warning();
    }
}

/// Requires that `server` gives `manager` signs of life, but not while `hang` holds it up.
#[track_caller]
fn expect_signs_of_life<H>(manager: &Manager, hang: impl FnOnce() -> Option<H>) {
    for _ in 0..10 {
        manager.await_line("WATCHDOG=1");
    }
    let Some(hanging) = hang() else {
        return;
    };
    let most = Instant::now() + DEADLINE;
    manager.0.set_read_timeout(Some(QUIET)).expect("a timeout");
    while manager.0.recv(&mut [0; 64]).is_ok() {
        assert!(Instant::now() < most, "it still gives signs of life");
    }
    manager
        .0
        .set_read_timeout(Some(DEADLINE))
        .expect("a timeout");
    drop(hanging);
    manager.await_line("WATCHDOG=1");
}

#[test]
fn fault_d3_only_a_loop_that_runs_gives_signs_of_life() {
    let dir = TempDir::new("watchdog");
    let path = dir.file("socket");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).expect("an address"));
    let mut command = server(&path.display().to_string());
    command.env("WATCHDOG_USEC", "20000");
    let server = Server::spawn(command);
    expect_signs_of_life(&manager, || Some(server.freeze()));
    server.stop();
}

#[test]
fn fault_d3_a_server_one_of_whose_threads_hangs_gives_no_signs_of_life() {
    let dir = TempDir::new("watchdog-of-threads");
    let path = dir.file("socket");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).expect("an address"));
    let mut command = server(&path.display().to_string());
    command.args(["--threads", "3"]);
    command.env("WATCHDOG_USEC", "20000");
    let server = Server::spawn(command);
    for name in ["loop 2", "loop 3"] {
        let test = "fault_d3 (one of several threads)";
        expect_signs_of_life(&manager, || Strace::hang(test, server.pid(), name));
    }
    server.stop();
}

#[test]
fn fault_d3_a_watchdog_of_another_process_gets_no_signs_of_life() {
    let dir = TempDir::new("other-watchdog");
    let path = dir.file("socket");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).expect("an address"));
    let mut command = server(&path.display().to_string());
    command.env("WATCHDOG_USEC", "1").env("WATCHDOG_PID", "1");
    let server = Server::spawn(command);
    assert_eq!(manager.next(), ["READY=1", "STATUS=active connections: 0"]);
    server.stop();
    assert_eq!(manager.next(), ["STOPPING=1"]);
}

#[test]
fn fault_d4_a_manager_that_does_not_read_stops_neither_the_echo_nor_the_stop() {
    let dir = TempDir::new("full-queue");
    let path = dir.file("socket");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).expect("an address"));
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("non-blocking");
    while other.send_to(b"STATUS=of another service", &path).is_ok() {}
    let server = Server::spawn(server(&path.display().to_string()));
    for _ in 0..100 {
        Client::connect(server.address()).echo(b"hello");
    }
    // The first message is sent as soon as there is room for it.
    manager.await_line("READY=1");
    while other.send_to(b"STATUS=of another service", &path).is_ok() {}
    let finished = server.stop();
    finished.expect_no_warning();
    assert_eq!(finished.figures().get("accepted"), 100);
}

#[test]
fn fault_d4_a_manager_that_is_gone_is_reported_once() {
    let mut command = server("/nonexistent/notify");
    command.env("WATCHDOG_USEC", "2000");
    let server = Server::spawn(command);
    server.await_log("cannot notify the service manager");
    Client::connect(server.address()).echo(b"hello");
    let log = server.stop().log;
    let warnings = log.iter().filter(|line| line.contains("WARN"));
    assert_eq!(warnings.count(), 1, "{log:#?}");
}

#[test]
fn fault_d3_an_address_of_no_manager_is_refused_with_one_line() {
    let output = server("vsock:2:1234").output().expect("a process");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("invalid NOTIFY_SOCKET 'vsock:2:1234'"),
        "{errors}"
    );
}
