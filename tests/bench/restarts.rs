//! Restarts under load of a server whose socket another process holds, as systemd does: no client notices them.

use std::net::TcpListener;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::bench::{Report, bench_against, start};
use crate::support::activation::{activated, listening};
use crate::support::{DEADLINE, QUIET, Server, wait_for};

/// Connections a second.
const RATE: u32 = 500;

/// Connections that `bench` opens before the load begins, and the most at once under load. A restart takes half a second and
/// more, in which 250 clients and more wait.
const CONNECTIONS: u64 = 1000;

/// Clients that one server must have accepted before it is restarted.
const CLIENTS_OF_ONE_SERVER: u64 = 100;

/// Starts a server and waits until it has accepted `clients` and everybody who waited, or until the load is over. A slow
/// server that left a part of a long queue to the next one would let the queue grow with each restart.
#[track_caller]
fn server_that_accepts(socket: &TcpListener, clients: u64, bench: &mut Server) -> Server {
    let mut command = activated(&[("raw", socket)]);
    command.args(["--stop-delay", "500ms"]);
    let server = Server::spawn(command);
    wait_for("the server accepts all clients", DEADLINE, || {
        let has_accepted = server.figures().get("accepted") >= clients && !has_queue(socket);
        has_accepted || !bench.is_running()
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

/// Stops a server at the moment at which a client comes, or when the load is over.
#[track_caller]
fn stop(mut server: Server, socket: &TcpListener, bench: &mut Server) {
    // A check every few milliseconds would be late: the server has accepted the client then.
    while bench.is_running() && !await_client(socket, QUIET) {}
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

/// Restarts the server while `bench` offers load for `window`, and requires that every message is answered. Returns the
/// number of restarts.
#[track_caller]
fn restart_under_load(window: &str) -> u32 {
    let (socket, address) = listening();
    let args = format!("--churn -r {RATE} -c {CONNECTIONS} -d {window} -w 0 -J");
    let mut bench = start(bench_against(address, &args));
    let clients = CONNECTIONS + CLIENTS_OF_ONE_SERVER;
    let mut server = server_that_accepts(&socket, clients, &mut bench);
    let mut restarts = 0;
    while bench.is_running() {
        stop(server, &socket, &mut bench);
        server = server_that_accepts(&socket, CLIENTS_OF_ONE_SERVER, &mut bench);
        restarts += 1;
    }
    let finished = bench.finished();
    finished.expect_code(0);
    let report = Report::of(&finished);
    // A message that found no free connection until the end was never sent, so no client waits for it.
    for name in ["corrupted", "unanswered", "reconnects"] {
        assert_eq!(
            report.count(name),
            0,
            "{name}: {}",
            report.without_histograms()
        );
    }
    assert_eq!(report.total_errors(), 0, "{}", report.without_histograms());
    restarts
}

/// Loads servers for `window` and again, until there were `restarts`. A slow machine needs more windows.
#[track_caller]
fn expect_no_loss_by_restarts(restarts: u32, window: &str) {
    let mut done = 0;
    while done < restarts {
        done += restart_under_load(window);
    }
}

#[test]
fn fault_d5_a_restart_under_load_loses_no_client() {
    expect_no_loss_by_restarts(2, "2s");
}

#[cfg(feature = "soak")]
#[test]
fn fault_d5_fifty_restarts_under_load_lose_no_client() {
    expect_no_loss_by_restarts(50, "20s");
}
