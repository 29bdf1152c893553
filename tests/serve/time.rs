//! Timeouts.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, DEADLINE, Data, Server, bound};

const SECOND: Duration = Duration::from_secs(1);

/// Requires that the client is closed a second after `since`, and no later than a fifth of one after that.
#[track_caller]
fn expect_close_a_second_after(since: Instant, client: &Client) {
    client.expect_fin();
    let took = since.elapsed();
    assert!(took >= SECOND, "closed too early, after {took:?}");
    let latest = SECOND + bound(Duration::from_millis(200));
    assert!(took <= latest, "closed too late, after {took:?}");
}

#[test]
fn fault_t1_a_silent_client_is_closed_and_an_active_one_stays() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            let silent = Client::connect(server.address());
            expect_close_a_second_after(begun, &silent);
        });
        let active = Client::connect(server.address());
        let mut last = Instant::now();
        for _ in 0..4 {
            active.expect_silence(SECOND / 2);
            last = Instant::now();
            active.echo(b"I live");
        }
        expect_close_a_second_after(last, &active);
    });
    let finished = server.stop();
    assert_eq!(finished.figures().get("idle timeout"), 2);
    finished.expect_no_complaint();
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
    let begun = Instant::now();
    client.send_until_blocked(&mut Data::new(5), 64 << 20);
    server.await_log(": write timeout");
    let took = begun.elapsed();
    assert!(took >= SECOND, "closed too early, after {took:?}");
    assert!(took < DEADLINE, "closed too late, after {took:?}");
    client.expect_reset();
}
