//! An idle server does not run.

use std::thread;
use std::time::Duration;

use crate::support::proc::{cpu, is_at_rest, sleeps, threads};
use crate::support::strace::{Strace, WAITS};
use crate::support::{Client, DEADLINE, QUIET, Server, wait_for, within};

#[test]
fn fault_t4_an_idle_server_never_wakes_up() {
    let hour = ["--idle-timeout", "1h", "--session-timeout", "1h"];
    for timeouts in [&[][..], &hour[..2], &hour[..]] {
        let server = Server::start(timeouts);
        let clients: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
        clients.iter().for_each(|client| client.echo(b"hello"));
        // The last echo may arrive before the server has gone to sleep.
        thread::sleep(QUIET);
        wait_for("the server sleeps", DEADLINE, || is_at_rest(server.pid()));
        let before = (sleeps(server.pid()), cpu(server.pid()));
        thread::sleep(Duration::from_millis(1500));
        assert_eq!((sleeps(server.pid()), cpu(server.pid())), before);
        clients.iter().for_each(|client| client.echo(b"still here"));
    }
}

#[cfg(feature = "proxy")]
#[test]
fn fault_t4_clients_with_a_part_of_a_proxy_header_do_not_wake_the_server() {
    let server = Server::start(&["--proxy-protocol", "127.0.0.1"]);
    let clients: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"PROXY UN"));
    thread::sleep(QUIET);
    wait_for("the server sleeps", DEADLINE, || is_at_rest(server.pid()));
    let before = (sleeps(server.pid()), cpu(server.pid()));
    thread::sleep(Duration::from_millis(500));
    assert_eq!((sleeps(server.pid()), cpu(server.pid())), before);
    for client in &clients {
        client.send(b"KNOWN\r\n");
        client.echo(b"hello");
    }
}

#[test]
fn seed_s4_1_one_thread_serves_any_number_of_clients() {
    let server = Server::start(&[]);
    // After the first echo there are two threads: the loop, and a thread that waits for the end of standard input.
    Client::connect(server.address()).echo(b"hello");
    let before = threads(server.pid());
    assert!(before <= 2, "{before} threads");
    let clients: Vec<_> = (0..200)
        .map(|_| Client::connect(server.address()))
        .collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    assert_eq!(threads(server.pid()), before);
}

#[test]
fn fault_t3_a_timeout_under_a_millisecond_does_not_spin() {
    const CLIENTS: usize = 20;
    let server = Server::start(&["--idle-timeout", "500us"]);
    let strace = Strace::attach("fault_t3 (waits)", server.pid(), &WAITS.join(","));
    for _ in 0..CLIENTS {
        let silent = Client::connect(server.address());
        within(Duration::from_millis(50), || silent.expect_fin());
    }
    let Some(strace) = strace else { return };
    let calls = strace.detach();
    let is_spin = |line: &&String| line.contains(", 0) ") || line.contains(", 0, NULL, 8) ");
    let spins = calls.iter().filter(is_spin).count();
    assert!(spins < CLIENTS, "{calls:#?}");
}
