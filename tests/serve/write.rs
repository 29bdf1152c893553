//! Writing and back-pressure.

use std::time::Duration;

use crate::support::data::Rng;
use crate::support::{Client, Data, End, QUIET, Server};

#[test]
fn seed_s1_5_seed_s2_7_partial_writes_lose_and_reorder_nothing() {
    let server = Server::start(&["--socket-buffer", "4k"]);
    let client = Client::connect_with_small_buffers(server.address(), 4 << 10);
    client.exchange(&Data::new(5), 512 << 10);
    client.half_close();
    client.expect_fin();
}

#[test]
fn fault_w7_a_client_that_leaves_in_the_middle_of_a_write_ends_alone() {
    let server = Server::start(&["--socket-buffer", "16k"]);
    let other = Client::connect(server.address());
    for turn in 0..20 {
        let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
        client.send(&Data::new(turn).take(20_000));
        match turn % 2 {
            0 => drop(client),
            _ => client.reset(),
        }
        other.echo(b"not affected");
    }
    drop(other);
    server.stop().expect_no_warning();
}

#[test]
fn fault_w7_seed_s2_7_a_client_that_reads_nothing_and_leaves_frees_its_slot() {
    let server = Server::start(&["--max-connections", "1", "--socket-buffer", "16k"]);
    for seed in 0..3 {
        let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
        client.send_until_blocked(&mut Data::new(seed), 1 << 20);
    }
    Client::connect(server.address()).echo(b"a free slot");
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_w8_random_sizes_pauses_and_half_closes_bring_no_wrong_byte() {
    const TOTAL: usize = 1_000_000_000;
    const CLIENTS: u64 = 8;
    let server = Server::start(&[]);
    std::thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let server = server.address();
            scope.spawn(move || {
                let mut rng = Rng::new(seed * 1_000_003);
                let mut left = TOTAL / CLIENTS as usize;
                while left > 0 {
                    left -= one_random_session(server, &mut rng).min(left);
                }
            });
        }
    });
    server.stop().expect_no_warning();
}

/// Sends a random amount of data in random pieces with random pauses, half-closes, and expects all data and a FIN.
/// Returns the number of bytes.
fn one_random_session(server: std::net::SocketAddr, rng: &mut Rng) -> usize {
    let client = Client::connect(server);
    let data = Data::new(rng.below(1 << 20) as u64);
    let magnitude = 4 + rng.below(20);
    let length = 1 + rng.below(1 << magnitude);
    let (piece, stall) = (1 << rng.below(18), rng.below(50) == 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut outgoing, mut left) = (data.clone(), length);
            while left > 0 {
                let bytes = outgoing.take(piece.max(length / 2000).min(left));
                client.send(&bytes);
                left -= bytes.len();
            }
            client.half_close();
        });
        if stall {
            std::thread::sleep(QUIET);
        }
        client.expect_data(&mut data.clone(), length);
    });
    assert_eq!(client.receive_to_end(), (Vec::new(), End::Fin));
    length
}

#[test]
fn fault_r3_a_reader_in_small_steps_gets_everything() {
    let server = Server::start(&["--socket-buffer", "16k", "--high-water", "16k"]);
    let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
    let data = Data::new(9);
    let sent = client.send_until_blocked(&mut data.clone(), 1 << 20);
    let mut incoming = data.clone();
    for step in (0..sent).step_by(1000) {
        client.expect_data(&mut incoming, 1000.min(sent - step));
    }
    client.expect_silence(Duration::from_millis(20));
}
