//! The idle, write, frame and session timeouts.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, DEADLINE, Data, Server, time_bound};

const SECOND: Duration = Duration::from_secs(1);

/// Requires that the server closes the client 1.0 to 1.2 s after `since`.
#[track_caller]
fn expect_close_a_second_after(since: Instant, client: &Client) {
    client.expect_fin();
    let took = since.elapsed();
    assert!(took >= SECOND, "closed too early, after {took:?}");
    let latest = SECOND + time_bound(Duration::from_millis(200));
    assert!(took <= latest, "closed too late, after {took:?}");
}

#[test]
fn fault_t1_a_silent_client_is_closed_and_an_active_one_stays() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            let silent = Client::connect(server.address());
            expect_close_a_second_after(start, &silent);
        });
        let active = Client::connect(server.address());
        let mut last = Instant::now();
        for _ in 0..4 {
            active.expect_silence(SECOND / 2);
            last = Instant::now();
            active.echo(b"hello");
        }
        expect_close_a_second_after(last, &active);
    });
    let finished = server.stop();
    assert_eq!(finished.figures().get("idle timeout"), 2);
    finished.expect_no_warning();
}

#[test]
fn fault_t1_without_an_idle_timeout_a_silent_client_stays() {
    let server = Server::start(&[]);
    let client = Client::connect(server.address());
    client.expect_silence(2 * SECOND);
    client.echo(b"still here");
}

#[test]
fn fault_t5_a_slow_but_steady_reader_outlives_the_write_timeout() {
    const STEP: usize = 16 << 10;
    let server = Server::start(&["--write-timeout", "2s"]);
    let client = Client::connect(server.address());
    let data = Data::new(5);
    let sent = client.send_until_blocked(&mut data.clone(), 64 << 20);
    let mut incoming = data.clone();
    for _ in 0..24 {
        client.expect_data(&mut incoming, STEP);
        thread::sleep(Duration::from_millis(200));
    }
    client.expect_data(&mut incoming, sent - 24 * STEP);
    client.echo(b"still here");
}

#[test]
fn fault_h2_a_client_that_takes_nothing_for_the_write_timeout_is_reset() {
    let server = Server::start(&["--write-timeout", "1s", "-v"]);
    let client = Client::connect(server.address());
    let start = Instant::now();
    client.send_until_blocked(&mut Data::new(5), 64 << 20);
    server.await_log(": write timeout");
    let took = start.elapsed();
    assert!(took >= SECOND, "closed too early, after {took:?}");
    assert!(took < DEADLINE, "closed too late, after {took:?}");
    client.expect_reset();
}

#[test]
fn fault_t2_the_frame_timeout_ends_a_message_that_stays_incomplete() {
    thread::scope(|scope| {
        for framing in ["line", "crlf", "len8", "len16"] {
            for workers in ["0", "1"] {
                scope.spawn(move || expect_frame_timeout(framing, workers));
            }
        }
    });
}

#[track_caller]
fn expect_frame_timeout(framing: &str, workers: &str) {
    let options = ["--framing", framing, "--workers", workers];
    let server = Server::start(&[&options[..], &["--frame-timeout", "1s", "-v"]].concat());
    let client = Client::connect(server.address());
    let start = Instant::now();
    // In each of these framings this byte starts a long message.
    client.send(b"\xff");
    let end = loop {
        assert!(start.elapsed() < DEADLINE, "the server does not close");
        match client.read_by(&mut [0], Instant::now() + Duration::from_millis(100)) {
            Ok(got) => break got,
            // After the timeout the lingering connection discards this byte.
            Err(_timeout) => client.send(b"x"),
        }
    };
    let took = start.elapsed();
    assert_eq!(end, 0, "expected a FIN and no byte");
    let latest = SECOND + time_bound(Duration::from_millis(200));
    assert!(took >= SECOND && took <= latest, "{took:?}");
    client.half_close();
    server.await_log(": frame timeout");
}

#[test]
fn fault_t2_each_complete_message_restarts_the_frame_clock() {
    let server = Server::start(&["--framing", "line", "--frame-timeout", "1s"]);
    let client = Client::connect(server.address());
    for _ in 0..6 {
        client.send(b"half a ");
        client.expect_silence(SECOND / 4);
        client.send(b"line\n");
        client.expect(b"half a line\n");
    }
    // No frame timeout runs while there is no incomplete message.
    client.expect_silence(SECOND + SECOND / 2);
    client.echo(b"still here\n");
}

#[test]
fn fault_t2_the_time_of_a_worker_does_not_count() {
    let options = ["--framing", "line", "--workers", "1", "--work-time", "1s"];
    let server = Server::start(&[&options[..], &["--frame-timeout", "500ms"]].concat());
    let client = Client::connect(server.address());
    client.send(b"whole\nfirst");
    client.expect(b"whole\n");
    client.send(b" and rest\n");
    client.expect(b"first and rest\n");
}

/// Connects `count` clients that send a message byte by byte, and one client whose pings must not be delayed.
fn expect_no_delay_by_incomplete_messages(count: usize) {
    rlimit::increase_nofile_limit(u64::MAX).expect("descriptors");
    let server = Server::start(&["--framing", "line", "--frame-timeout", "3s"]);
    let fair = Client::connect(server.address());
    let connect = |_| Client::connect(server.address());
    let slow: Vec<_> = (0..count).map(connect).collect();
    let start = Instant::now();
    slow.iter().for_each(|client| client.send(b"x"));
    let mut worst = Duration::ZERO;
    while start.elapsed() < 2 * SECOND {
        for client in &slow {
            // The server may have closed this client already. Closed clients are counted below.
            let _ = client.try_send(b"x");
        }
        let sent = Instant::now();
        fair.echo(b"ping\n");
        worst = worst.max(sent.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(worst <= time_bound(Duration::from_millis(50)), "{worst:?}");
    slow.iter().for_each(Client::expect_fin);
    let took = start.elapsed();
    let latest = 3 * SECOND + time_bound(SECOND);
    assert!(took >= 3 * SECOND && took <= latest, "{took:?}");
    fair.echo(b"ping\n");
    drop((fair, slow));
    let finished = server.stop();
    assert_eq!(finished.figures().get("frame timeout"), count as u64);
    finished.expect_no_warning();
}

#[test]
fn fault_t2_500_incomplete_messages_delay_no_other_client() {
    expect_no_delay_by_incomplete_messages(500);
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_t2_5000_incomplete_messages_delay_no_other_client() {
    expect_no_delay_by_incomplete_messages(5_000);
}

/// A session may end this much later than its timeout: the server counts it in units of 134 ms.
const SESSION_UNIT: Duration = Duration::from_millis(135);

/// Requires that the reason of every closed connection of `server` is the session timeout.
#[track_caller]
fn expect_session_timeouts(server: Server, count: u64) {
    let finished = server.stop();
    assert_eq!(finished.figures().get("session timeout"), count);
    assert_eq!(finished.figures().closed(), count);
    finished.expect_no_warning();
}

#[test]
fn fault_t8_fault_a10_clients_that_drip_hold_their_slots_for_the_session_timeout() {
    const SLOTS: u64 = 64;
    let server = Server::start(&["--session-timeout", "1s", "--max-connections", "64"]);
    let start = Instant::now();
    let connect = |_| Client::connect(server.address());
    let dripping: Vec<_> = (0..SLOTS).map(connect).collect();
    dripping.iter().for_each(|client| client.echo(b"x"));
    let connected = start.elapsed();
    thread::scope(|scope| {
        for client in &dripping {
            scope.spawn(move || {
                let mut byte = [0];
                let end = loop {
                    assert!(start.elapsed() < DEADLINE, "the server does not close");
                    // After the timeout the lingering connection discards this byte.
                    client.send(b"x");
                    thread::sleep(Duration::from_millis(50));
                    match client.read_by(&mut byte, Instant::now() + SECOND) {
                        Ok(1) => {}
                        end => break end.expect("a byte or a FIN"),
                    }
                };
                let took = start.elapsed();
                assert_eq!(end, 0);
                let latest = connected + SECOND + SESSION_UNIT + time_bound(SECOND / 5);
                assert!(took >= SECOND && took <= latest, "{took:?}");
                client.half_close();
            });
        }
        let waiting = Client::connect(server.address());
        waiting.echo(b"a free slot");
        assert!(start.elapsed() >= SECOND);
        waiting.expect_fin();
    });
    drop(dripping);
    expect_session_timeouts(server, SLOTS + 1);
}

#[test]
fn fault_t8_a_client_that_takes_its_echo_after_the_session_timeout_gets_all_of_it() {
    let server = Server::start(&["--session-timeout", "1s", "--socket-buffer", "16k"]);
    let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
    let start = Instant::now();
    let data = Data::new(8);
    let sent = client.send_until_blocked(&mut data.clone(), 1 << 20);
    thread::sleep((SECOND + SECOND / 2).saturating_sub(start.elapsed()));
    client.expect_data(&mut data.clone(), sent);
    client.expect_fin();
    drop(client);
    expect_session_timeouts(server, 1);
}

#[test]
fn fault_t8_a_client_that_does_not_take_its_echo_is_reset_2_s_after_the_session_timeout() {
    for half_closes in [false, true] {
        let options = ["--session-timeout", "1s", "--write-timeout", "0", "-v"];
        let server = Server::start(&options);
        let start = Instant::now();
        let client = Client::connect(server.address());
        client.send_until_blocked(&mut Data::new(8), 64 << 20);
        if half_closes {
            client.half_close();
        }
        server.await_log(": session timeout, ");
        let took = start.elapsed();
        assert!(took >= 3 * SECOND, "closed too early, after {took:?}");
        let latest = 3 * (SECOND + SESSION_UNIT) + time_bound(SECOND / 5);
        assert!(took <= latest, "closed too late, after {took:?}");
        client.expect_reset();
        expect_session_timeouts(server, 1);
    }
}

#[test]
fn fault_t8_without_a_session_timeout_no_age_is_too_high() {
    let server = Server::start(&["--session-timeout", "0"]);
    let client = Client::connect(server.address());
    client.expect_silence(2 * SECOND);
    client.echo(b"still here");
}
