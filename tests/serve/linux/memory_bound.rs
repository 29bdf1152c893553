//! The bound of the memory that the first log line tells, while many clients do not read.

use std::io::ErrorKind;
use std::time::Instant;

use crate::support::data::Rng;
use crate::support::messages::message;
use crate::support::{Client, DEADLINE, Data, Server, proc};

/// The clients fill the memory, read in pulses, and come and go for so many rounds at least.
const ROUNDS: usize = 40;

/// The longest message of a client, and of the server.
const LONGEST: usize = 64 << 10;

/// What the process may take beside the bound, in per cent of it: the allocator, the stacks of threads, tables of pages.
const BESIDE: u64 = 5;

/// The clients use at least one of this many parts of the bound. The bound counts whole blocks, and a page of a block takes
/// no memory before it is used. A client has sent half of its longest message on average.
const LEAST_USED: u64 = 16;

/// How a server is started and used.
#[derive(Clone, Copy, Debug)]
struct Case {
    framing: &'static str,
    options: &'static [&'static str],
}

const CASES: [Case; 5] = [
    Case {
        framing: "raw",
        options: &[],
    },
    Case {
        framing: "raw",
        options: &["--read-buffer", "4k", "--high-water", "1m"],
    },
    Case {
        framing: "line",
        options: &[],
    },
    Case {
        framing: "crlf",
        options: &["--read-buffer", "1k"],
    },
    Case {
        framing: "line",
        options: &["--workers", "2"],
    },
];

/// A client that sends messages of random sizes.
struct Sender {
    client: Client,
    message: Vec<u8>,
    sent: usize,
}

impl Sender {
    fn connect(server: &Server) -> Self {
        Self {
            client: Client::connect_with_small_buffers(server.address(), 4 << 10),
            message: Vec::new(),
            sent: 0,
        }
    }

    /// Sends messages until the server takes no more.
    fn send(&mut self, framing: &str, data: &mut Data, rng: &mut Rng) {
        loop {
            if self.sent == self.message.len() {
                self.message = message(framing, 2 + rng.below(LONGEST - 2), data);
                self.sent = 0;
            }
            match self.client.send_without_waiting(&self.message[self.sent..]) {
                Ok(taken) => self.sent += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("sending: {error}"),
            }
        }
    }
}

/// Lets `count` clients fill the memory of a server. Requires that the memory stays in its bound, and goes back to the
/// system when the clients have left.
fn expect_bounded_memory(case: Case, count: usize) {
    let Case { framing, options } = case;
    // The guaranteed blocks take about half of this.
    let max_memory = format!(
        "{}k",
        count * if framing == "raw" { 40 } else { 280 } + 4096
    );
    let (seed, clients) = (count as u64, count.to_string());
    let common = ["--max-memory", &max_memory, "--max-connections", &clients];
    let sockets = ["--socket-buffer", "4k", "--framing", framing];
    let server = Server::start(&[&common[..], &sockets, options].concat());
    let bound = announced_bound(&server);
    let at_start = proc::memory(server.pid());
    let growth = || proc::memory(server.pid()).saturating_sub(at_start);

    // A raw server takes any bytes.
    let framing = if framing == "raw" { "line" } else { framing };
    let (mut rng, mut data, mut peak) = (Rng::new(seed), Data::new(seed), 0);
    let mut senders: Vec<_> = (0..count).map(|_| Sender::connect(&server)).collect();
    let until = Instant::now() + DEADLINE;
    for round in 0.. {
        // A slow server needs more rounds until the bound is tested at all.
        if round >= ROUNDS && (peak > bound / LEAST_USED || Instant::now() > until) {
            break;
        }
        for sender in &mut senders {
            sender.send(framing, &mut data, &mut rng);
        }
        peak = peak.max(growth());
        for sender in &mut senders {
            match rng.below(20) {
                0 => *sender = Sender::connect(&server),
                1..=9 if round % 4 == 3 => sender.client.discard_input(),
                _ => {}
            }
        }
    }
    println!("{case:?}, {count} clients: bound {bound}, peak {peak}");
    assert!(
        peak <= bound + bound * BESIDE / 100,
        "{case:?}, {count} clients: the memory grew by {peak} bytes, and the bound is {bound}"
    );
    assert!(
        peak > bound / LEAST_USED,
        "{case:?}, {count} clients: {peak} bytes do not test the bound of {bound}"
    );

    drop(senders);
    server.await_active(0, DEADLINE);
    let left = growth();
    assert!(
        left <= bound / 10,
        "{case:?}, {count} clients: {left} bytes stay of a bound of {bound}"
    );
    server.stop();
}

/// Returns the bytes of process memory that the first log line tells.
fn announced_bound(server: &Server) -> u64 {
    let line = server.await_log("of process memory");
    let (_, bound) = line.split_once("at most ").expect("the bound");
    let (mebibytes, _) = bound.split_once(" MiB").expect("its unit");
    mebibytes.parse::<u64>().expect("a number") << 20
}

#[test]
fn fault_w3_the_memory_of_64_clients_that_read_in_pulses_is_bounded() {
    for case in CASES {
        expect_bounded_memory(case, 64);
    }
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_w3_the_memory_of_256_and_1000_clients_that_read_in_pulses_is_bounded() {
    for case in CASES {
        expect_bounded_memory(case, 256);
        expect_bounded_memory(case, 1000);
    }
}
