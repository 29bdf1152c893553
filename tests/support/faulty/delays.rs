//! Servers that answer late, and a server that records when messages arrive.

use std::hint;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::FaultyServer;

/// How much longer than requested a sleep may take. A precise wait spends this last part reading the clock. A longer
/// part would take a core from the load generator.
const SLEEP_ERROR: Duration = Duration::from_micros(if cfg!(windows) { 16_000 } else { 200 });

/// Starts a server that echoes and stalls once: every connection, for `length`, from the first message on that comes `after`
/// the first byte or later.
pub fn stalls_once(after: Duration, length: Duration) -> FaultyServer {
    let (first, stall) = (OnceLock::new(), OnceLock::new());
    FaultyServer::start(move |connection| {
        connection.echo(|| {
            if Instant::now() >= *first.get_or_init(Instant::now) + after {
                wait_until(*stall.get_or_init(Instant::now) + length);
            }
        })
    })
}

/// Starts a server that echoes messages of `size` bytes and delays every `nth` message by `delay`. The count runs over
/// all connections. Only later messages of the same connection wait for a delayed message.
pub fn delays_every(nth: u64, delay: Duration, size: usize) -> FaultyServer {
    let count = AtomicU64::new(0);
    FaultyServer::start(move |mut connection| {
        loop {
            let message = connection.message(size)?;
            let read = Instant::now();
            if (count.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(nth) {
                wait_until(read + delay);
            }
            connection.stream.write_all(&message)?;
        }
    })
}

/// Starts a server that echoes and delays the first message of the first connection, of `size` bytes, by `delay`.
pub fn delays_first(delay: Duration, size: usize) -> FaultyServer {
    FaultyServer::start(move |mut connection| {
        if connection.number == 0 {
            let message = connection.message(size)?;
            wait_until(Instant::now() + delay);
            connection.stream.write_all(&message)?;
        }
        connection.echo(|| {})
    })
}

/// Starts a server that echoes each message of `size` bytes in `pieces` equal parts, with `gap` before each. Returns the
/// longest time from the start of the server, or from a piece, to the next piece: a busy machine may make it longer than
/// `gap`.
pub fn drips(size: usize, pieces: usize, gap: Duration) -> (FaultyServer, Arc<Mutex<Duration>>) {
    let longest_gap = Arc::new(Mutex::new(Duration::ZERO));
    let longest = Arc::clone(&longest_gap);
    // The system accepts a connection, and its first message, before a late server does.
    let start = Instant::now();
    let server = FaultyServer::start(move |mut connection| {
        connection.stream.set_nodelay(true)?;
        let mut last = start;
        loop {
            let message = connection.message(size)?;
            for piece in message.chunks(size / pieces) {
                thread::sleep(gap);
                connection.stream.write_all(piece)?;
                let mut longest = longest.lock().expect("the longest gap");
                *longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        }
    });
    (server, longest_gap)
}

/// How much lost time a server of limited rate may catch up, after a busy machine has delayed the server.
const CATCH_UP: Duration = Duration::from_millis(20);

/// Starts a server that answers at most `rate` messages of `size` bytes per second, over all connections, one after the
/// other. At the start it answers the messages of 20 ms at once.
pub fn limits_rate(rate: u32, size: usize) -> FaultyServer {
    let service = Duration::from_secs(1) / rate;
    let free = Mutex::new(Instant::now());
    FaultyServer::start(move |mut connection| {
        loop {
            let message = connection.message(size)?;
            let done = {
                let mut free = free.lock().expect("the time of the next answer");
                *free = (*free + CATCH_UP).max(Instant::now()) - CATCH_UP + service;
                *free
            };
            thread::sleep(done.saturating_duration_since(Instant::now()));
            connection.stream.write_all(&message)?;
        }
    })
}

/// A correct echo server that records when each message arrives.
pub struct RecordingServer {
    server: FaultyServer,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl RecordingServer {
    /// Starts a server for messages of `size` bytes.
    pub fn start(size: usize) -> Self {
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&arrivals);
        let server = FaultyServer::start(move |mut connection| {
            loop {
                let message = connection.message(size)?;
                seen.lock().expect("the arrivals").push(Instant::now());
                connection.stream.write_all(&message)?;
            }
        });
        Self { server, arrivals }
    }

    pub fn server(&self) -> &FaultyServer {
        &self.server
    }

    /// Returns the time from each message to the next.
    pub fn gaps(&self) -> Vec<Duration> {
        let arrivals = self.arrivals.lock().expect("the arrivals");
        arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// Waits until `time`, with an error of microseconds on a machine that is not busy.
fn wait_until(time: Instant) {
    let left = time.saturating_duration_since(Instant::now());
    thread::sleep(left.saturating_sub(SLEEP_ERROR));
    while Instant::now() < time {
        hint::spin_loop();
    }
}
