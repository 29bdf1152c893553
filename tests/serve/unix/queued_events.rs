//! Clients, data and ends that have queued before the server looks.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Client, DEADLINE, Data, READ_BUFFERS, Server, time_bound, until_in_time, wait_for, within,
};

#[test]
fn fault_a1_seed_s2_7_seed_s4_3_a_full_backlog_is_served_without_a_further_event() {
    const BACKLOG: u8 = 127;
    let server = Server::start(&["--backlog", "127"]);
    let frozen = server.freeze();
    let clients: Vec<_> = (0..BACKLOG)
        .map(|number| (number, Client::connect(server.address())))
        .collect();
    let (before, after) = clients.split_at(clients.len() / 2);
    before
        .iter()
        .for_each(|(number, client)| client.send(&[*number]));

    drop(frozen);
    within(Duration::from_secs(1), || {
        after
            .iter()
            .for_each(|(number, client)| client.send(&[*number]));
        clients
            .iter()
            .for_each(|(number, client)| client.expect(&[*number]));
    });
    drop(clients);
    assert_eq!(server.stop().figures().get("accepted"), u64::from(BACKLOG));
}

#[test]
fn fault_r5_events_of_an_old_connection_do_not_reach_the_next_in_its_slot() {
    let server = Server::start(&["--max-connections", "16"]);
    let mut clients: Vec<Client> = Vec::new();
    for turn in 0..20u8 {
        let frozen = server.freeze();
        // One batch of events has every way to leave, and the next clients for the free slots.
        for (number, client) in clients.drain(..).enumerate() {
            client.send(&[0xff; 100]);
            match number % 3 {
                0 => client.reset(),
                1 => client.half_close(),
                _ => drop(client),
            }
        }
        clients = (0..16).map(|_| Client::connect(server.address())).collect();
        for (number, client) in clients.iter().enumerate() {
            client.send(&[turn, number as u8]);
        }
        drop(frozen);
        for (number, client) in clients.iter().enumerate() {
            client.expect(&[turn, number as u8]);
        }
        for client in &clients {
            client.echo(b"still connected");
        }
    }
}

#[test]
fn fault_r6_data_on_both_sides_of_an_urgent_byte_comes_back() {
    let server = Server::start(&[]);
    for established in [true, false] {
        let client = Client::connect(server.address());
        if established {
            client.echo(b"hello");
        }
        let frozen = server.freeze();
        client.send(b"before");
        client.send_urgent(b'!');
        client.send(b"after");
        drop(frozen);
        within(Duration::from_millis(100), || client.expect(b"beforeafter"));
        client.send_urgent(b'!');
        client.send(b"once more");
        client.expect(b"once more");
        expect_no_spin(&server);
    }
}

#[cfg(target_os = "linux")]
#[track_caller]
fn expect_no_spin(server: &Server) {
    use crate::support::{proc::cpu, size_bound};
    let before = cpu(server.pid());
    std::thread::sleep(Duration::from_millis(300));
    let used = cpu(server.pid()) - before;
    assert!(
        used <= size_bound(Duration::from_millis(3)),
        "the server spins: {used:?} in 300 ms"
    );
}

#[cfg(not(target_os = "linux"))]
fn expect_no_spin(_: &Server) {}

#[test]
fn fault_r9_data_and_fin_in_one_event_are_echoed_and_closed() {
    for buffer in READ_BUFFERS {
        let server = Server::start(&["--read-buffer", buffer]);
        for established in [true, false] {
            for length in [1, 7, 8, 9, 1000] {
                let client = Client::connect(server.address());
                if established {
                    client.echo(b"hello");
                }
                let data = Data::new(9);
                let frozen = server.freeze();
                client.send(&data.clone().take(length));
                client.half_close();
                drop(frozen);
                within(Duration::from_millis(100), || {
                    client.expect_data(&mut data.clone(), length);
                    client.expect_fin();
                });
            }
        }
    }
}

#[test]
fn fault_r8_a_reset_right_after_data_closes_at_once() {
    let server = Server::start(&[]);
    for _ in 0..10 {
        let client = Client::connect(server.address());
        client.echo(b"hello");
        let frozen = server.freeze();
        client.send(&[1; 1000]);
        client.reset();
        drop(frozen);
        server.await_active(0, time_bound(Duration::from_millis(100)));
    }
    server.stop().expect_no_warning();
}

#[test]
fn fault_a6_clients_that_reset_before_they_are_accepted_do_no_harm() {
    // Less than the accept budget: BSD reports each such client as an error, and a budget of errors is a warning (A9).
    const BATCH: usize = 50;
    let server = Server::start(&[]);
    let at_start = open_descriptors(&server);
    for _ in 0..10_000 / BATCH {
        let frozen = server.freeze();
        (0..BATCH).for_each(|_| Client::connect(server.address()).reset());
        drop(frozen);
        Client::connect(server.address()).echo(b"hello");
    }
    server.await_active(0, DEADLINE);
    assert_eq!(open_descriptors(&server), at_start);
    server.stop().expect_no_warning();
}

#[cfg(target_os = "linux")]
fn open_descriptors(server: &Server) -> usize {
    crate::support::proc::descriptors(server.pid())
}

#[cfg(not(target_os = "linux"))]
fn open_descriptors(_: &Server) -> usize {
    0
}

#[test]
fn fault_a3_clients_that_queued_while_the_server_was_held_are_all_served() {
    let server = Server::start(&["--max-connections", "10"]);
    let frozen = server.freeze();
    let clients: Vec<_> = (0..60).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"?"));
    drop(frozen);
    let mut waiting = clients;
    let until = Instant::now() + DEADLINE;
    while !waiting.is_empty() {
        assert!(
            Instant::now() < until,
            "{} clients are stuck",
            waiting.len()
        );
        wait_for("a client is served", DEADLINE, || {
            waiting.iter().any(Client::has_input)
        });
        waiting.retain(|client| !client.has_input());
    }
}

/// More than the 1,024 events that the loop takes from the kernel at once.
const CLIENTS: usize = 1100;

/// Sends `before` on each connection, stops the server with SIGSTOP for the length of the timeout, and sends `meanwhile` on
/// each connection during the stall. Requires the echo of both, and that no client is closed.
fn during_a_stall(args: &[&str], before: &[u8], meanwhile: &[u8]) {
    until_in_time(|| try_during_a_stall(args, before, meanwhile));
}

/// Returns `None` if the stall began later than the timeout.
fn try_during_a_stall(args: &[&str], before: &[u8], meanwhile: &[u8]) -> Option<()> {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let start = Instant::now();
    let server = Server::start(args);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::connect(server.address()))
        .collect();
    for client in &clients {
        // The server may have closed a client that is late.
        let _ = client.try_send(before);
    }
    // When the server answers, it has read everything.
    server.figures();
    let frozen = server.freeze();
    if start.elapsed() >= TIMEOUT {
        return None;
    }
    clients.iter().for_each(|client| client.send(meanwhile));
    thread::sleep(TIMEOUT);
    drop(frozen);
    let both = [before, meanwhile].concat();
    clients.iter().for_each(|client| client.expect(&both));
    let figures = server.figures();
    assert_eq!(
        (figures.get("idle timeout"), figures.get("frame timeout")),
        (0, 0)
    );
    Some(())
}

#[test]
fn fault_t1_data_that_came_in_time_is_echoed_after_a_stall() {
    during_a_stall(&["--idle-timeout", "3s"], b"hello, ", b"in time\n");
}

#[test]
fn fault_t2_a_message_completed_in_time_is_echoed_after_a_stall() {
    during_a_stall(
        &["--framing", "line", "--frame-timeout", "3s"],
        b"in ",
        b"time\n",
    );
}
