//! `--threads`: several loops that look like one server.

use std::collections::BTreeSet;
use std::iter;
use std::thread;
use std::time::Instant;

use crate::limits::expect_refusal;
#[cfg(feature = "metrics")]
use crate::metrics::Metrics;
use crate::support::{Client, DEADLINE, Data, Server, wait_for};

/// Connects `count` clients and waits until each is served.
#[track_caller]
fn connect(server: &Server, count: usize) -> Vec<Client> {
    let clients = iter::repeat_with(|| Client::connect(server.address())).take(count);
    let clients: Vec<_> = clients.collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    clients
}

#[test]
fn each_thread_serves_an_equal_part_of_the_clients() {
    let server = Server::start(&["--threads", "3", "--verbose"]);
    drop(connect(&server, 30));
    let finished = server.stop();
    for number in 1..=3 {
        let line = format!("loop {number}: accepted 10, refused 0, active 0, echoed 50 bytes");
        let has_line = finished.log.iter().any(|logged| logged.contains(&line));
        assert!(has_line, "no `{line}`: {:#?}", finished.log);
    }
    let figures = finished.figures();
    assert_eq!(figures.get("accepted"), 30);
    assert_eq!(figures.get("echoed"), 150);
    assert_eq!(figures.closed(), 30);
}

#[test]
fn no_two_connections_of_any_thread_have_the_same_number() {
    let server = Server::start(&["-t", "3", "--banner", r"{id}\n"]);
    let clients: Vec<_> = iter::repeat_with(|| Client::connect(server.address()))
        .take(9)
        .collect();
    let ids: BTreeSet<_> = clients.iter().map(|client| client.receive(2)).collect();
    assert_eq!(ids.len(), clients.len());
}

#[test]
fn a_client_that_waits_is_served_when_any_thread_has_a_free_slot() {
    let server = Server::start(&["--threads", "3", "--max-connections", "4"]);
    for leaving in 0..4 {
        let mut clients = connect(&server, 4);
        let waiting = Client::connect(server.address());
        waiting.send(b"waiting");
        // It may belong to any thread.
        let leaving = clients.remove(leaving);
        clients.iter().for_each(|client| client.echo(b"staying"));
        assert!(!waiting.has_input(), "a fifth client is served");
        leaving.half_close();
        leaving.expect_fin();
        waiting.expect(b"waiting");
        for client in clients.into_iter().chain([waiting]) {
            client.half_close();
            client.expect_fin();
        }
    }
    assert_eq!(server.stop().figures().get("accepted"), 20);
}

#[test]
fn the_limit_of_connections_is_that_of_all_threads() {
    let limit = ["--max-connections", "4", "--when-full", "close"];
    let server = Server::start(&[&["--threads", "3"][..], &limit].concat());
    let clients = connect(&server, 4);
    for _ in 0..10 {
        expect_refusal(server.address());
    }
    clients.iter().for_each(|client| client.echo(b"staying"));
    drop(clients);
    let figures = server.stop().figures();
    assert_eq!((figures.get("accepted"), figures.get("refused")), (4, 10));
}

#[test]
fn the_limit_of_an_address_is_that_of_all_threads() {
    let server = Server::start(&["--threads", "3", "--max-per-ip", "4"]);
    for _ in 0..3 {
        let mut clients = Vec::new();
        // The threads may have clients of the last round, who have left.
        wait_for("four served clients", DEADLINE, || {
            clients.extend(served_client(&server));
            clients.len() == 4
        });
        expect_refusal(server.address());
        clients.iter().for_each(|client| client.echo(b"staying"));
    }
}

/// Connects a client. Returns `None` if the server refuses it.
fn served_client(server: &Server) -> Option<Client> {
    let client = Client::try_connect(server.address()).ok()?;
    client.try_send(b"?").ok()?;
    let received = client.read_by(&mut [0], Instant::now() + DEADLINE);
    (received.ok()? == 1).then_some(client)
}

#[test]
fn clients_that_come_and_go_on_every_thread_are_counted() {
    let server = Server::start(&["--threads", "3", "--max-connections", "5"]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let client = Client::connect(server.address());
                    client.echo(b"hello");
                    client.half_close();
                    client.expect_fin();
                }
            });
        }
    });
    let figures = server.stop().figures();
    assert_eq!(figures.get("accepted"), 400);
    assert_eq!(figures.get("echoed"), 2000);
    assert_eq!(figures.closed(), 400);
}

#[test]
fn a_stop_delivers_what_every_thread_has_pending() {
    const LENGTH: usize = 1 << 16;
    let mut server = Server::start(&["--threads", "3", "--drain-timeout", "1m"]);
    let clients = connect(&server, 30);
    // The last client of each thread may still be in the kernel's queue or on its way to its thread.
    let late: Vec<_> = iter::repeat_with(|| Client::connect(server.address()))
        .take(30)
        .collect();
    for client in clients.iter().chain(&late) {
        client.send(&Data::new(1).take(LENGTH));
    }
    server.close_stdin();
    for client in clients.iter().chain(&late) {
        client.expect_data(&mut Data::new(1), LENGTH);
        client.expect_fin();
    }
    drop((clients, late));
    let figures = server.finished().figures();
    assert_eq!(figures.get("accepted"), 60);
    assert_eq!(figures.get("echoed"), (30 * 5 + 60 * LENGTH) as u64);
}

#[test]
fn a_drain_timeout_ends_the_connections_of_every_thread() {
    let mut server = Server::start(&["--threads", "3", "--drain-timeout", "10ms"]);
    let clients = connect(&server, 6);
    for client in &clients {
        client.send_until_blocked(&mut Data::new(1), usize::MAX);
    }
    server.close_stdin();
    server.wait();
    clients.iter().for_each(Client::expect_reset);
    assert_eq!(server.finished().figures().closed(), 6);
}

#[test]
fn replies_of_workers_go_to_the_thread_that_has_asked() {
    let args = ["--threads", "3", "--workers", "2", "--framing", "line"];
    let server = Server::start(&args);
    let clients: Vec<_> = iter::repeat_with(|| Client::connect(server.address()))
        .take(12)
        .collect();
    for round in 0..50 {
        for (number, client) in clients.iter().enumerate() {
            client.send(format!("{number} {round}\n").as_bytes());
        }
        for (number, client) in clients.iter().enumerate() {
            client.expect(format!("{number} {round}\n").as_bytes());
        }
    }
    drop(clients);
    assert_eq!(server.stop().figures().closed(), 12);
}

#[cfg(feature = "proxy")]
#[test]
fn clients_of_proxies_are_handed_over_with_their_addresses() {
    let networks = ["--proxy-protocol", "127.0.0.0/8"];
    let args = ["--threads", "2", "--banner", r"{peer}\n"];
    let server = Server::start(&[&networks[..], &args].concat());
    let clients: Vec<_> = (10..20)
        .map(|number| {
            let client = Client::connect(server.address());
            // In two parts, so that the header is waited for.
            client.send(b"PROXY TCP4 192.0.2.7 198.51.");
            client.send(format!("100.1 500{number} 7007\r\nhello").as_bytes());
            client
        })
        .collect();
    for (number, client) in (10..20).zip(&clients) {
        client.expect(format!("192.0.2.7:500{number}\nhello").as_bytes());
    }
}

#[cfg(unix)]
#[test]
fn the_counters_on_demand_are_those_of_all_threads() {
    let server = Server::start(&["--threads", "3"]);
    for count in 1..=3 {
        let clients = connect(&server, 10);
        let figures = server.figures();
        assert_eq!(figures.get("accepted"), count * 10);
        assert_eq!(figures.get("echoed"), count * 50);
        drop(clients);
    }
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_are_the_sums_of_all_threads() {
    let server = Server::start(&["--threads", "3", "--metrics", "127.0.0.1:0"]);
    for count in 1..=3 {
        let clients = connect(&server, 10);
        let metrics = Metrics::of(&server);
        let labels = format!("{{listener=\"{}\",framing=\"raw\"}}", server.address());
        let get = |name: &str| metrics.get(&format!("{name}{labels}"));
        assert_eq!(get("mio_echo_connections_accepted_total"), count * 10);
        assert_eq!(get("mio_echo_echoed_bytes_total"), count * 50);
        drop(clients);
    }
    // Most of the events are those of the other threads.
    let clients = connect(&server, 3);
    for _ in 0..100 {
        clients[1..].iter().for_each(|client| client.echo(b"hello"));
    }
    let events = Metrics::of(&server).get("mio_echo_loop_events_total");
    assert!(events >= 200, "{events}");
}
