//! Faults of one thread of a server with several.

use rustix::process::Signal;

#[cfg(feature = "metrics")]
use crate::metrics::{Metrics, response};
use crate::support::proc::thread;
#[cfg(not(mio_unsupported_force_poll_poll))]
use crate::support::strace::count;
use crate::support::strace::{Strace, WAITS};
use crate::support::{Client, Server};
#[cfg(feature = "metrics")]
use crate::support::{DEADLINE, wait_for};

/// Connects `count` clients and waits until each is served.
#[track_caller]
fn connect(server: &Server, count: usize) -> Vec<Client> {
    let clients: Vec<_> = (0..count)
        .map(|_| Client::connect(server.address()))
        .collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    clients
}

/// Connects `count` clients while the server is stopped, so that it finds all of them at once. Waits until each is served.
#[track_caller]
fn connect_at_once(server: &Server, count: usize) -> Vec<Client> {
    let frozen = server.freeze();
    let clients: Vec<_> = (0..count)
        .map(|_| Client::connect(server.address()))
        .collect();
    drop(frozen);
    clients.iter().for_each(|client| client.echo(b"hello"));
    clients
}

#[test]
fn fault_w9_a_thread_that_cannot_wait_for_events_ends_the_server_with_its_error() {
    let server = Server::start(&["--threads", "3"]);
    let clients = connect(&server, 6);
    let second = thread(server.pid(), "loop 2");
    let [trace, inject] = ["trace", "inject"].map(|what| format!("{what}={}", WAITS.join(",")));
    let args = ["-e", &trace, "-e", &format!("{inject}:error=EINVAL")];
    let test = "fault_w9 (one of several threads)";
    let Some(strace) = Strace::attach_with(test, second, &args) else {
        return;
    };
    // Ends a wait that began before strace was attached: the first thread asks the others.
    server.signal(Signal::USR1);
    for client in &clients {
        client.receive_to_end();
    }
    let finished = server.finished();
    assert_eq!(finished.status.code(), Some(1));
    let last = finished.log.last().expect("a last line");
    let start = "mio-echo: cannot wait for events: ";
    assert!(last.starts_with(start), "{last}");
    assert_eq!(finished.figures().get("accepted"), 6);
    assert_eq!(finished.figures().closed(), 6);
    drop(strace);
}

/// On poll(2), mio ends the wait of another thread with a write for each registration too.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn the_clients_of_one_turn_wake_each_thread_once() {
    const CLIENTS: usize = 300;
    let server = Server::start(&["--threads", "3"]);
    let calls = format!("write,accept,accept4,{}", WAITS.join(","));
    let test = "the_clients_of_one_turn_wake_each_thread_once";
    let Some(strace) = Strace::attach(test, server.pid(), &calls) else {
        return;
    };
    let _clients = connect_at_once(&server, CLIENTS);
    let lines = strace.detach();
    assert!(count(&lines, &["accept", "accept4"]) >= CLIENTS);
    let (wakes, turns) = (count(&lines, &["write"]), count(&lines, &WAITS));
    // The third thread is the one that accepts.
    assert!((2..=2 * turns).contains(&wakes), "{wakes} in {turns} turns");
    assert!(wakes < CLIENTS / 4, "{wakes} in {turns} turns");
    server.stop();
}

#[test]
fn no_thread_has_more_than_1_2_of_the_mean_after_1000_connects_at_once() {
    const CLIENTS: usize = 1000;
    const THREADS: usize = 3;
    let server = Server::start(&["--threads", "3", "--verbose"]);
    let clients = connect_at_once(&server, CLIENTS);
    let log = server.stop().log;
    drop(clients);
    let accepted = (1..=THREADS).map(|number| {
        let start = format!("loop {number}: accepted ");
        let rest = log.iter().find_map(|line| line.split_once(&start));
        let number = rest.expect("a line for each loop").1.split(',').next();
        number
            .expect("a number")
            .parse::<usize>()
            .expect("a number")
    });
    let accepted: Vec<_> = accepted.collect();
    assert_eq!(accepted.iter().sum::<usize>(), CLIENTS);
    let most = CLIENTS * 12 / 10 / THREADS;
    assert!(accepted.iter().all(|count| *count <= most), "{accepted:?}");
}

#[cfg(feature = "metrics")]
#[test]
fn fault_e2_a_thread_that_hangs_is_a_503_until_it_goes_on() {
    let server = Server::start(&["--threads", "2", "--metrics", "127.0.0.1:0"]);
    let clients = connect(&server, 2);
    let test = "fault_e2 (one of several threads)";
    let Some(hanging) = Strace::hang(test, server.pid(), "loop 2") else {
        return;
    };
    let is_refused = |path| {
        let response = response(&server, path);
        response.starts_with("HTTP/1.1 503 ")
            && response.ends_with("\nthe event loop does not answer\n")
    };
    wait_for("a 503", DEADLINE, || is_refused("/healthz"));
    assert!(is_refused("/metrics"));
    clients[0].echo(b"not affected");
    drop(hanging);
    clients[1].echo(b"as before");
    let response = response(&server, "/healthz");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    let metrics = Metrics::of(&server);
    assert!(metrics.get("mio_echo_loop_turns_total") > 4);
    server.stop();
}
