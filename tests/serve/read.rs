//! Reading, readiness and segmentation.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::data::Rng;
use crate::support::{Client, Data, READ_BUFFERS, Server, within};

/// Runs `test` with every size of the read buffer at the same time.
fn with_read_buffers(test: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        for buffer in READ_BUFFERS {
            scope.spawn(|| test(buffer));
        }
    });
}

#[test]
fn fault_r1_data_followed_by_silence_comes_back() {
    for (buffer, length) in [("1", 64 << 10), ("8", 256 << 10), ("4096", 1 << 20)] {
        let server = Server::start(&["--read-buffer", buffer]);
        let client = Client::connect(server.address());
        client.exchange(&Data::new(1), length);
        client.expect_silence(Duration::from_millis(20));
        client.half_close();
        client.expect_fin();
    }
}

#[test]
fn fault_r3_a_slow_reader_gets_everything() {
    const PAUSE: Duration = Duration::from_secs(4);
    with_read_buffers(|buffer| {
        let server = Server::start(&["--read-buffer", buffer, "--socket-buffer", "16k"]);
        let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
        let most = if buffer == "256k" {
            10 << 20
        } else {
            512 << 10
        };
        let data = Data::new(3);
        let start = Instant::now();
        let sent = client.send_until_blocked(&mut data.clone(), most);
        thread::sleep(PAUSE.saturating_sub(start.elapsed()));
        client.expect_data(&mut data.clone(), sent);
        client.echo(b"and more");
    });
}

#[test]
fn fault_r3_a_slow_reader_gets_everything_with_default_socket_buffers() {
    let server = Server::start(&[]);
    let client = Client::connect(server.address());
    let data = Data::new(3);
    let sent = client.send_until_blocked(&mut data.clone(), 64 << 20);
    client.expect_data(&mut data.clone(), sent);
    client.echo(b"and more");
}

#[test]
fn seed_s0_3_bytes_out_equal_bytes_in_for_any_segmentation() {
    with_read_buffers(|buffer| {
        let server = Server::start(&["--read-buffer", buffer]);
        let client = Client::connect(server.address());
        let (mut rng, mut data) = (Rng::new(3), Data::new(3));
        let sizes = [2, 20, 200, 2_000, 20_000];
        // With two system calls per byte, the largest segments take long and show nothing new.
        let tried = if buffer == "256k" { 5 } else { 4 };
        for most in &sizes[..tried] {
            for _ in 0..50 {
                let segment = 1 + rng.below(*most);
                client.echo(&data.take(segment));
            }
        }
        client.half_close();
        client.expect_fin();
    });
}

#[test]
fn seed_s0_3_many_writes_before_the_first_read_come_back_in_order() {
    with_read_buffers(|buffer| {
        let server = Server::start(&["--read-buffer", buffer]);
        let client = Client::connect(server.address());
        let (mut rng, data) = (Rng::new(4), Data::new(4));
        let (mut outgoing, mut sent) = (data.clone(), 0);
        while sent < 20_000 {
            let segment = 1 + rng.below(100);
            client.send(&outgoing.take(segment));
            sent += segment;
        }
        client.expect_data(&mut data.clone(), sent);
    });
}

#[test]
fn fault_r8_seed_s2_8_a_reset_closes_at_once_without_a_warning() {
    type Prepare = fn(&Client);
    let idle: Prepare = |client| client.echo(b"a");
    let stalled: Prepare = |client| {
        client.send_until_blocked(&mut Data::new(1), 64 << 20);
    };
    // An idle connection, a connection that the server has stopped reading, and one that the server reads while
    // output is pending.
    let cases = [("64k", idle), ("64k", stalled), ("1GiB", stalled)];
    for (high_water, prepare) in cases {
        let buffers = ["--high-water", high_water, "--socket-buffer", "64k"];
        let server = Server::start(&[&buffers[..], &["-v"]].concat());
        let client = Client::connect_with_small_buffers(server.address(), 64 << 10);
        prepare(&client);
        within(Duration::from_millis(100), || {
            let address = client.address();
            client.reset();
            server.await_log(&format!("from {address}: reset"));
        });
        Client::connect(server.address()).echo(b"next");

        let finished = server.stop();
        let closed = finished
            .log
            .iter()
            .filter(|line| line.contains("conn 1 from"));
        assert!(closed.count() <= 1, "{:#?}", finished.log);
        assert_eq!(finished.figures().get("reset"), 1);
        finished.expect_no_warning();
    }
}
