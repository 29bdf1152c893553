//! Servers that are late.

use std::hint;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::FaultyServer;

/// How much too long a sleep takes: the last part of a precise wait is spent looking at the clock. Not more, because
/// that takes a core from the load generator.
const SLEEP_ERROR: Duration = Duration::from_micros(if cfg!(windows) { 16_000 } else { 200 });

/// Echoes, but for one stop: on all connections, of `length`, beginning `after` the first byte.
pub fn stalls_once(after: Duration, length: Duration) -> FaultyServer {
    let first = OnceLock::new();
    FaultyServer::start(move |connection| {
        connection.echo(|| {
            let stall = *first.get_or_init(Instant::now) + after;
            if Instant::now() >= stall {
                wait_until(stall + length);
            }
        })
    })
}

/// Echoes messages of `size` bytes, every `nth` of all connections together `delay` after it has been read. What
/// follows it on its connection waits behind it, nothing else does.
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

/// Echoes, but for the first message of the first connection, of `size` bytes: it comes back `delay` after it has been
/// read.
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

/// How far a server of limited rate may catch up with what a busy machine has kept it from.
const CATCH_UP: Duration = Duration::from_millis(20);

/// Answers `rate` messages of `size` bytes a second at most, on all connections together, one after the other; and in
/// the beginning as many at once as it would in 20 ms.
pub fn limits_rate(rate: u32, size: usize) -> FaultyServer {
    let service = Duration::from_secs(1) / rate;
    let free = Mutex::new(Instant::now());
    FaultyServer::start(move |mut connection| {
        loop {
            let message = connection.message(size)?;
            let done = {
                let mut free = free.lock().expect("the only desk");
                *free = (*free + CATCH_UP).max(Instant::now()) - CATCH_UP + service;
                *free
            };
            thread::sleep(done.saturating_duration_since(Instant::now()));
            connection.stream.write_all(&message)?;
        }
    })
}

/// An honest server that writes down when each message arrives.
pub struct RecordingServer {
    server: FaultyServer,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl RecordingServer {
    /// Messages are of `size` bytes.
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

    /// From one message to the next.
    pub fn gaps(&self) -> Vec<Duration> {
        let arrivals = self.arrivals.lock().expect("the arrivals");
        arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// Returns at `time`, within microseconds if the machine lets it.
fn wait_until(time: Instant) {
    let left = time.saturating_duration_since(Instant::now());
    thread::sleep(left.saturating_sub(SLEEP_ERROR));
    while Instant::now() < time {
        hint::spin_loop();
    }
}
