//! Half-close and close.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Client, Data, End, LINGER, READ_BUFFERS, Server, serves_on_windows, until_in_time,
};

#[track_caller]
fn expect_echo_after_half_close(server: &Server, seed: u64, length: usize) {
    let client = Client::connect(server.address());
    let data = Data::new(seed);
    client.send(&data.clone().take(length));
    client.half_close();
    client.expect_data(&mut data.clone(), length);
    client.expect_fin();
}

fn expect_small_sizes(buffer: &str, times: u64) {
    let server = Server::start(&["--read-buffer", buffer]);
    for seed in 0..times {
        for length in [0, 1, 4095, 4096, 4097] {
            expect_echo_after_half_close(&server, seed, length);
        }
    }
    let finished = server.stop();
    assert_eq!(finished.figures().get("peer finished"), 5 * times);
    finished.expect_no_warning();
}

#[test]
fn fault_h1_everything_sent_before_a_half_close_comes_back() {
    for buffer in READ_BUFFERS {
        expect_small_sizes(buffer, 20);
    }
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_h1_everything_sent_before_a_half_close_comes_back_1000_times() {
    expect_small_sizes("256k", 1000);
    expect_small_sizes("8", 1000);
    // With two system calls per byte, a tenth of the repeats takes as long.
    expect_small_sizes("1", 100);
}

#[test]
fn fault_h1_large_amounts_come_back_before_the_fin() {
    let server = Server::start(&[]);
    let sizes = [1 << 20; 20].into_iter().chain([100 << 20]);
    for (seed, length) in sizes.enumerate() {
        let client = Client::connect(server.address());
        let data = Data::new(seed as u64);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut outgoing = data.clone();
                for _ in 0..length / (1 << 16) {
                    client.send(&outgoing.take(1 << 16));
                }
                client.half_close();
            });
            client.expect_data(&mut data.clone(), length);
        });
        client.expect_fin();
    }
}

#[test]
fn fault_h2_a_client_that_half_closes_and_never_reads_is_reset() {
    // With the low high-water mark the server stops reading before the FIN. With the high mark it reads the FIN.
    let cases = ["64k", "1GiB"].map(|mark| READ_BUFFERS.map(|buffer| (mark, buffer)));
    thread::scope(|scope| {
        for (high_water, buffer) in cases.into_iter().flatten() {
            scope.spawn(move || expect_reset_after_half_close(high_water, buffer));
        }
    });
}

fn expect_reset_after_half_close(high_water: &str, buffer: &str) {
    let options = ["--write-timeout", "2s", "--socket-buffer", "16k", "-v"];
    let marks = ["--high-water", high_water, "--read-buffer", buffer];
    let server = Server::start(&[&options[..], &marks[..]].concat());
    let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
    // A server that has not accepted the client yet would read nothing either, and all the client can send would fit into
    // the buffers of the system.
    client.echo(b"accepted?");
    client.send_until_blocked(&mut Data::new(2), 400 << 10);
    client.half_close();
    server.await_log(": write timeout");
    client.expect_reset();
    expect_no_close_wait(&server);
}

#[cfg(target_os = "linux")]
fn expect_no_close_wait(server: &Server) {
    use crate::support::proc::{TcpState, sockets};
    let port = server.address().port();
    assert_eq!(sockets(server.pid(), port, TcpState::CloseWait), 0);
}

#[cfg(not(target_os = "linux"))]
fn expect_no_close_wait(_: &Server) {}

#[test]
fn fault_h3_a_server_that_ends_first_delivers_every_reply_and_a_fin() {
    // Windows does not tell how much it has queued. A server with a tiny buffer reads on as long as the client sends, and
    // resets the client after the drain timeout.
    let buffers = match serves_on_windows() {
        true => &READ_BUFFERS[2..],
        false => &READ_BUFFERS[..],
    };
    for buffer in buffers {
        // A stop reads as much as the socket buffer holds. One byte at a time, 6 MB would take long.
        until_in_time(|| expect_every_reply_and_a_fin(buffer));
    }
}

/// The client reads all the time, and sends until it gets the FIN of the server. Returns `None` if the client was so late
/// that the server no longer waited for its FIN.
fn expect_every_reply_and_a_fin(buffer: &str) -> Option<()> {
    let options = ["--read-buffer", buffer, "--socket-buffer", "64k"];
    let mut server = Server::start(&[&options[..], &["--drain-timeout", "1h"]].concat());
    let client = Client::connect(server.address());
    let data = Data::new(3);
    let mut stopped = Instant::now();
    let over = AtomicBool::new(false);
    let end = thread::scope(|scope| {
        scope.spawn(|| {
            let mut outgoing = data.clone();
            while !over.load(Ordering::Relaxed) {
                match client.try_send(&outgoing.clone().take(100)) {
                    Ok(taken) => outgoing.skip(taken),
                    // The server has given up waiting for the FIN of this client.
                    Err(_) => break,
                }
                thread::yield_now();
            }
        });
        client.expect_data(&mut data.clone(), 10_000);
        stopped = Instant::now();
        server.close_stdin();
        let (echo, end) = client.receive_to_end();
        over.store(true, Ordering::Relaxed);
        let mut rest = data.clone();
        rest.skip(10_000);
        assert!(echo == rest.take(echo.len()), "the last bytes differ");
        end
    });
    if end == End::Reset && stopped.elapsed() >= LINGER {
        return None;
    }
    assert_eq!(end, End::Fin);
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
    Some(())
}

#[test]
fn fault_h4_both_sides_close_at_once() {
    for buffer in READ_BUFFERS {
        let mut server = Server::start(&["--read-buffer", buffer]);
        let connect = |_| Client::connect(server.address());
        let clients: Vec<_> = (0..100).map(connect).collect();
        for client in &clients {
            client.echo(b"hello");
        }
        let (before, after) = clients.split_at(50);
        before.iter().for_each(Client::half_close);
        server.close_stdin();
        after.iter().for_each(Client::half_close);
        clients.iter().for_each(Client::expect_fin);
        drop(clients);

        let finished = server.finished();
        assert_eq!(finished.status.code(), Some(0));
        let figures = finished.figures();
        assert_eq!((figures.get("accepted"), figures.closed()), (100, 100));
        assert_eq!(figures.get("peer finished") + figures.get("stopped"), 100);
    }
}

#[test]
fn fault_h4_clients_that_leave_at_once_free_their_slots() {
    for buffer in READ_BUFFERS {
        let server = Server::start(&["--read-buffer", buffer, "--max-connections", "4"]);
        for _ in 0..100 {
            drop(Client::connect(server.address()));
            Client::connect(server.address()).reset();
            let client = Client::connect(server.address());
            client.half_close();
            client.expect_fin();
        }
        let clients = [(); 4].map(|()| Client::connect(server.address()));
        clients.iter().for_each(|client| client.echo(b"four slots"));
        drop(clients);
        server.stop().expect_no_warning();
    }
}

#[test]
fn fault_w5_seed_s1_4_a_new_connection_gets_no_bytes_of_an_earlier_one() {
    for buffer in READ_BUFFERS {
        let server = Server::start(&["--read-buffer", buffer, "--max-connections", "1"]);
        let earlier = Client::connect(server.address());
        earlier.send(&[b'A'; 4096]);
        drop(earlier);
        let next = Client::connect(server.address());
        next.send(b"B");
        next.half_close();
        next.expect(b"B");
        next.expect_fin();
    }
}

#[test]
fn seed_s0_5_every_connection_has_one_id_and_one_close_reason() {
    let server = Server::start(&["-v"]);
    for turn in 0..20 {
        let client = Client::connect(server.address());
        client.echo(b"a byte or two");
        match turn % 3 {
            0 => client.reset(),
            1 => drop(client),
            _ => {
                client.half_close();
                client.expect_fin();
            }
        }
    }
    let staying = Client::connect(server.address());
    staying.echo(b"hello");
    let mut server = server;
    server.close_stdin();
    staying.expect_fin();
    drop(staying);

    let finished = server.finished();
    finished.expect_no_warning();
    let number = |line: &String| {
        let (_, rest) = line.split_once("conn ")?;
        rest.split_once(" from ")?.0.parse::<u64>().ok()
    };
    let mut numbers: Vec<_> = finished.log.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 21, "{:#?}", finished.log);

    let figures = finished.figures();
    assert_eq!((figures.get("accepted"), figures.closed()), (21, 21));
    assert_eq!(figures.get("active"), 0);
    let reasons = ["peer finished", "reset", "stopped"].map(|reason| figures.get(reason));
    assert_eq!(reasons, [13, 7, 1]);
}

#[test]
fn seed_s0_5_a_silent_client_that_half_closes_gets_a_fin() {
    let server = Server::start(&[]);
    let client = Client::connect(server.address());
    client.half_close();
    crate::support::within(Duration::from_millis(100), || client.expect_fin());
}
