//! The idle, write, frame and session timeouts.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::is_timeout;
use crate::support::{Client, DEADLINE, Data, End, LINGER, Server, time_bound, until_in_time};

const SECOND: Duration = Duration::from_secs(1);

/// Sends `bytes`. Returns true if they come back, and false if the server closes. Requires that the server does not close
/// earlier than a second after `since`.
#[track_caller]
fn is_echoed(client: &Client, bytes: &[u8], since: Instant) -> bool {
    let _ = client.try_send(bytes);
    is_received(client, bytes, since)
}

/// Returns true if `bytes` arrive, and false if the server closes. Requires that the server does not close earlier than a
/// second after `since`.
#[track_caller]
fn is_received(client: &Client, bytes: &[u8], since: Instant) -> bool {
    let mut received = vec![0; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        match client.read_by(&mut received[at..], Instant::now() + DEADLINE) {
            Ok(got @ 1..) => at += got,
            end => {
                let took = since.elapsed();
                assert!(took >= SECOND, "{end:?} too early, after {took:?}");
                return false;
            }
        }
    }
    assert_eq!(received, bytes);
    true
}

/// Waits for `time`. Returns false if the server closes meanwhile, and requires that it does not close earlier than a
/// second after `since`.
#[track_caller]
fn stays_silent(client: &Client, time: Duration, since: Instant) -> bool {
    thread::sleep(time);
    if !client.has_input() {
        return true;
    }
    let took = since.elapsed();
    assert!(took >= SECOND, "an end too early, after {took:?}");
    client.expect_fin();
    false
}

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
    let active_client = || {
        let mut last = Instant::now();
        let active = Client::connect(server.address());
        for _ in 0..4 {
            let is_open = stays_silent(&active, SECOND / 2, last);
            let since = last;
            last = Instant::now();
            if !is_open || !is_echoed(&active, b"hello", since) {
                return None;
            }
        }
        expect_close_a_second_after(last, &active);
        Some(())
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            let silent = Client::connect(server.address());
            expect_close_a_second_after(start, &silent);
        });
        until_in_time(active_client);
    });
    let finished = server.stop();
    let figures = finished.figures();
    assert!(figures.get("idle timeout") >= 2);
    assert_eq!(figures.get("idle timeout"), figures.closed());
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
    const PAUSE: Duration = Duration::from_millis(200);
    // Linux tells the server of room when a part of the receive buffer, and then of the send buffer, is free again. Where it
    // chooses the sizes, that part may be more than this reader takes in two seconds.
    const BUFFER: usize = 16 << 10;
    let server = Server::start(&["--write-timeout", "2s", "--socket-buffer", "16k"]);
    until_in_time(|| {
        let client = Client::connect_with(server.address(), |socket| {
            socket.set_recv_buffer_size(BUFFER)
        });
        let data = Data::new(5);
        let sent = client.send_until_blocked(&mut data.clone(), 64 << 20);
        let (mut received, mut steps) = (Vec::new(), 0);
        let (mut last, mut longest_pause) = (Instant::now(), Duration::ZERO);
        while received.len() < sent {
            let mut step = vec![0; STEP.min(sent - received.len())];
            let got = client.read_by(&mut step, Instant::now() + DEADLINE);
            longest_pause = longest_pause.max(last.elapsed());
            last = Instant::now();
            match got {
                Ok(got @ 1..) => received.extend_from_slice(&step[..got]),
                end => {
                    // The reader was not steady. The kernel tells the server of some steps together.
                    assert!(
                        longest_pause >= 2 * PAUSE,
                        "{end:?} after {longest_pause:?}"
                    );
                    return None;
                }
            }
            // After 24 steps everything is read at once.
            if received.len() >= (steps + 1) * STEP && steps < 24 {
                steps += 1;
                thread::sleep(PAUSE);
            }
        }
        assert!(received == data.clone().take(sent), "a wrong byte");
        client.echo(b"still here");
        Some(())
    });
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
            Err(error) if is_timeout(&error) => drop(client.try_send(b"x")),
            Err(error) => panic!("{error}"),
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
    let client = until_in_time(|| {
        let client = Client::connect(server.address());
        for _ in 0..6 {
            let begun = Instant::now();
            client.send(b"half a ");
            if !stays_silent(&client, SECOND / 4, begun) {
                return None;
            }
            let _ = client.try_send(b"line\n");
            if !is_received(&client, b"half a line\n", begun) {
                return None;
            }
        }
        Some(client)
    });
    // No frame timeout runs while there is no incomplete message.
    client.expect_silence(SECOND + SECOND / 2);
    client.echo(b"still here\n");
}

#[test]
fn fault_t2_the_time_of_a_worker_does_not_count() {
    let options = ["--framing", "line", "--workers", "1", "--work-time", "1s"];
    let server = Server::start(&[&options[..], &["--frame-timeout", "500ms"]].concat());
    let client = Client::connect(server.address());
    let start = Instant::now();
    client.send(b"whole\nfirst");
    client.expect(b"whole\n");
    // The timeout of the begun message starts when the worker is done.
    client.expect_fin();
    let took = start.elapsed();
    assert!(took >= SECOND * 3 / 2, "closed too early, after {took:?}");
    drop(client);
    assert_eq!(server.stop().figures().get("frame timeout"), 1);
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
            // The server may have closed a late client already. Closed clients are counted below.
            if start.elapsed() < 2 * SECOND {
                let _ = client.try_send(b"x");
            }
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
    let connected = start.elapsed();
    thread::scope(|scope| {
        for client in &dripping {
            scope.spawn(move || {
                let mut byte = [0];
                let end = loop {
                    assert!(start.elapsed() < DEADLINE, "the server does not close");
                    // After the timeout the lingering connection discards this byte.
                    let _ = client.try_send(b"x");
                    thread::sleep(Duration::from_millis(50));
                    match client.read_by(&mut byte, Instant::now() + DEADLINE) {
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
    let server = until_in_time(|| {
        let server = Server::start(&["--session-timeout", "1s", "--socket-buffer", "16k"]);
        let start = Instant::now();
        let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
        let data = Data::new(8);
        let sent = client.send_until_blocked(&mut data.clone(), 1 << 20);
        thread::sleep((SECOND + SECOND / 2).saturating_sub(start.elapsed()));
        let (echo, end) = client.receive_to_end();
        let took = start.elapsed();
        if end == End::Reset && took >= SECOND + LINGER {
            return None;
        }
        assert_eq!(end, End::Fin, "after {took:?}");
        assert!(echo == data.clone().take(sent), "{} bytes", echo.len());
        Some(server)
    });
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
