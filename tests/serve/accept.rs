//! Accepting clients.

use std::time::Duration;

use crate::support::server::program;
use crate::support::{Client, DEADLINE, Data, QUIET, Server, wait_for, within};

#[test]
fn fault_a3_seed_s1_3_a_full_server_accepts_one_client_for_each_that_leaves() {
    const SLOTS: usize = 10;
    let server = Server::start(&["--max-connections", "10", "--when-full", "wait"]);
    let connect = |number: u8| {
        let client = Client::connect(server.address());
        client.send(&[number]);
        (number, client)
    };
    let mut waiting: Vec<_> = (0..60).map(connect).collect();
    let served = |waiting: &[(u8, Client)]| {
        waiting
            .iter()
            .filter(|(_, client)| client.has_input())
            .count()
    };

    wait_for("the first clients are served", DEADLINE, || {
        served(&waiting) == SLOTS
    });
    server.await_log("all slots are taken: the next clients wait");
    waiting[59].1.expect_silence(QUIET);
    assert_eq!(served(&waiting), SLOTS);

    let mut connected: Vec<_> = waiting.drain(..SLOTS).collect();
    while !waiting.is_empty() {
        let (number, client) = connected.remove(0);
        client.expect(&[number]);
        drop(client);
        within(Duration::from_millis(100), || {
            wait_for("another client is served", DEADLINE, || {
                served(&waiting) > 0
            });
        });
        assert_eq!(served(&waiting), 1, "one free slot, one more client");
        let at = waiting.iter().position(|(_, client)| client.has_input());
        connected.push(waiting.remove(at.expect("a served client")));
    }
    for (number, client) in connected {
        client.expect(&[number]);
        client.echo(b"still here");
    }
}

#[test]
fn seed_s0_1_a_stuck_client_does_not_delay_others() {
    let server = Server::start(&[]);
    let stuck = Client::connect(server.address());
    stuck.send_until_blocked(&mut Data::new(1), 64 << 20);
    for number in 0..20u8 {
        let client = Client::connect(server.address());
        within(Duration::from_millis(50), || client.echo(&[number; 100]));
    }
}

#[test]
fn seed_s1_4_one_slot_serves_many_clients_one_after_another() {
    let server = Server::start(&["--max-connections", "1"]);
    for number in 0..50u8 {
        let client = Client::connect(server.address());
        client.echo(&[number; 10]);
        client.half_close();
        client.expect_fin();
    }
    assert_eq!(server.stop().figures().get("accepted"), 50);
}

#[test]
fn seed_s2_6_free_slots_go_to_the_listeners_in_turn() {
    let listeners = ["-l", "127.0.0.1:0", "-l", "127.0.0.1:0", "--stop-on-eof"];
    let mut command = crate::support::server::serve();
    command.args(listeners).args(["--max-connections", "2"]);
    let server = Server::spawn_with_listeners(command, 2);
    let connect = |at: usize| Client::connect(server.addresses()[at]);

    let (first, second) = (connect(0), connect(1));
    first.echo(b"first");
    second.echo(b"second");

    let (third, fourth) = (connect(0), connect(1));
    third.send(b"third");
    fourth.send(b"fourth");
    third.expect_silence(QUIET);
    drop(first);
    drop(second);
    third.expect(b"third");
    fourth.expect(b"fourth");
}

#[test]
fn seed_s4_2_the_same_source_serves_on_every_system() {
    let output = program("--version").output().expect("running");
    let version = String::from_utf8(output.stdout).expect("text");
    let is_iocp = version.contains("back end IOCP");
    assert_eq!(is_iocp, cfg!(windows), "{version}");

    let server = Server::start(&[]);
    for number in 1..=20 {
        let client = Client::connect(server.address());
        client.echo(&Data::new(number).take(10_000));
        client.half_close();
        client.expect_fin();
    }
    let finished = server.stop();
    finished.expect_no_warning();
    assert_eq!(finished.figures().get("echoed"), 200_000);
}
