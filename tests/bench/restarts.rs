//! Restarts under load of a server whose socket another process holds, as systemd does: no client notices them.

use std::net::TcpListener;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::bench::{Report, bench_against, start};
use crate::support::activation::{activated, listening};
use crate::support::{DEADLINE, Server, wait_for};

/// Connections a second.
const RATE: u32 = 500;

/// Connections that `bench` opens before the load begins, and the most at once under load. A restart takes half a second and
/// more, in which 250 clients and more wait.
const CONNECTIONS: u64 = 1000;

/// Clients that one server must have accepted before it is restarted.
const CLIENTS_OF_ONE_SERVER: u64 = 100;

/// Starts a server and waits until it has accepted `clients` and everybody who waited. A slow server
/// that left a part of a long queue to the next one would let the queue grow with each restart.
#[track_caller]
fn server_that_accepts(socket: &TcpListener, clients: u64) -> Server {
    let mut command = activated(&[("raw", socket)]);
    command.args(["--stop-delay", "500ms"]);
    let server = Server::spawn(command);
    wait_for("the server accepts all clients", DEADLINE, || {
        server.figures().get("accepted") >= clients && !has_queue(socket)
    });
    server
}

/// Returns whether a client waits to be accepted.
#[track_caller]
fn has_queue(socket: &TcpListener) -> bool {
    await_client(socket, Duration::ZERO)
}

/// Waits until a client waits to be accepted, for at most `time`. Returns whether one does.
#[track_caller]
fn await_client(socket: &TcpListener, time: Duration) -> bool {
    let mut descriptors = [PollFd::new(socket, PollFlags::IN)];
    let time = Timespec::try_from(time).expect("a short time");
    poll(&mut descriptors, Some(&time)).expect("polling") > 0
}

/// Stops a server at the moment at which a client comes.
#[track_caller]
fn stop(mut server: Server, socket: &TcpListener) {
    assert!(await_client(socket, DEADLINE), "no client comes");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

/// Restarts the server while `bench` runs, and requires that every message is answered.
#[track_caller]
fn expect_no_loss_by_restarts(restarts: u32) {
    let (socket, address) = listening();
    let args = format!("--churn -r {RATE} -c {CONNECTIONS} -d 1h -w 0 -J");
    let bench = start(bench_against(address, &args));
    let mut server = server_that_accepts(&socket, CONNECTIONS + CLIENTS_OF_ONE_SERVER);
    for _ in 0..restarts {
        stop(server, &socket);
        server = server_that_accepts(&socket, CLIENTS_OF_ONE_SERVER);
    }
    bench.signal(Signal::INT);
    let report = Report::of(&bench.finished());
    report.expect_no_failure();
    assert!(report.count("messages") >= u64::from(restarts) * CLIENTS_OF_ONE_SERVER);
}

#[test]
fn fault_d5_a_restart_under_load_loses_no_client() {
    expect_no_loss_by_restarts(2);
}

#[cfg(feature = "soak")]
#[test]
fn fault_d5_fifty_restarts_under_load_lose_no_client() {
    expect_no_loss_by_restarts(50);
}
