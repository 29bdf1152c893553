//! Tests of the faulty servers: each has the fault that its name says.

use std::thread;
use std::time::{Duration, Instant};

use crate::faulty::{
    DAMAGED_MESSAGE, Damage, DamagingServer, RecordingServer, closes_mid_reply, delays_every,
    limits_rate, never_answers, never_reads, resets_mid_reply, stalls_once,
};
use crate::support::unused::unused_address;
use crate::support::{Client, Data, End, is_strict, time_bound};

const SIZE: usize = 64;

#[test]
fn stalls_once_holds_all_connections_once() {
    let (after, length) = (Duration::from_millis(50), Duration::from_millis(100));
    let server = stalls_once(after, length);
    let clients = [(); 3].map(|()| Client::connect(server.address()));
    let start = Instant::now();
    clients[0].echo(b"the first byte");
    // No event announces the start of the stall.
    thread::sleep(after);
    clients.iter().for_each(|client| client.echo(b"delayed"));
    assert!(start.elapsed() >= after + length);
    let after_stall = Instant::now();
    clients.iter().for_each(|client| client.echo(b"prompt"));
    assert!(after_stall.elapsed() < time_bound(Duration::from_millis(5)));
}

#[test]
fn delays_every_delays_only_the_nth_message() {
    let delay = Duration::from_millis(20);
    let server = delays_every(5, delay, SIZE);
    let client = Client::connect(server.address());
    let times = [(); 20].map(|()| {
        let start = Instant::now();
        client.echo(&[1; SIZE]);
        start.elapsed()
    });
    assert!(times.iter().skip(4).step_by(5).all(|time| *time >= delay));
    let late = times.iter().filter(|time| **time >= delay / 2).count();
    assert!(late < 8 || !is_strict(), "{times:?}");
}

#[test]
fn limits_rate_answers_at_its_rate() {
    let server = limits_rate(500, SIZE);
    let client = Client::connect(server.address());
    let start = Instant::now();
    client.exchange(&Data::new(1), 100 * SIZE);
    let took = start.elapsed();
    let expected = Duration::from_millis(180);
    assert!(took >= expected && took < expected + time_bound(Duration::from_millis(100)));
}

#[test]
fn each_damage_starts_at_the_reported_offset() {
    let size = 128 << 10;
    for (damage, offset) in [
        (Damage::Corrupted { offset: 7 }, 7),
        (Damage::Reordered, DAMAGED_MESSAGE * size),
        (Damage::Duplicated, (DAMAGED_MESSAGE + 1) * size),
        (Damage::Missing, DAMAGED_MESSAGE * size),
        (Damage::SwappedBlocks, DAMAGED_MESSAGE * size),
        (Damage::Crossed, DAMAGED_MESSAGE * size),
    ] {
        let server = DamagingServer::start(damage, size);
        let (client, other) = [server.server(); 2]
            .map(|s| Client::connect(s.address()))
            .into();
        let mut data = Data::new(1);
        let sent = data.take(6 * size);
        other.echo(&data.take(size));
        let replies = match damage {
            Damage::Duplicated => 7,
            Damage::Missing => 5,
            _ => 6,
        };
        let received = thread::scope(|scope| {
            scope.spawn(|| client.send(&sent));
            client.receive(replies * size)
        });
        let equal = sent.iter().zip(&received).take_while(|(a, b)| a == b);
        let equal = equal.count();
        assert!(equal >= offset && equal < offset + 8, "{damage:?}: {equal}");
        assert_eq!(server.difference(), Some(equal), "{damage:?}");
    }
}

#[test]
fn closes_resets_and_silence_are_as_named() {
    let echoed = [[1; SIZE], [2; SIZE]].concat();
    let half = &[&echoed[..], &[3; SIZE / 2]].concat();
    let sent = [&echoed[..], &[3; SIZE]].concat();
    for (server, received, end) in [
        (closes_mid_reply(2, SIZE), half, End::Fin),
        (resets_mid_reply(2, SIZE), half, End::Reset),
    ] {
        let client = Client::connect(server.address());
        client.send(&sent);
        client.expect(received);
        assert_eq!(client.receive_to_end(), (Vec::new(), end));
    }
    for server in [never_reads(), never_answers()] {
        let client = Client::connect(server.address());
        client.send(&sent);
        client.expect_silence(Duration::from_millis(20));
    }
    let (_unused, address) = unused_address();
    assert!(Client::try_connect(address).is_err());
}

#[test]
fn recording_server_knows_the_gaps_between_messages() {
    let recording = RecordingServer::start(SIZE);
    let client = Client::connect(recording.server().address());
    client.echo(&[1; SIZE]);
    thread::sleep(Duration::from_millis(20));
    client.echo(&[2; 2 * SIZE]);
    let [paused, _] = recording.gaps()[..] else {
        panic!("three messages");
    };
    assert!(paused >= Duration::from_millis(20));
}
