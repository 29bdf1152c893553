//! Measures what one turn of the loop costs beside system calls: a connection with a socket in memory, its write buffer,
//! its decoders and its timers.

use std::hint::black_box;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mio_echo::conn::framing::{Decoded, Decoder};
use mio_echo::conn::{
    BlockPool, Buffers, Connection, Framing, Progress, Ready, Settings, ShortRead, Timer,
    WriteBuffer,
};
use mio_echo::net::timers::{HasTimerNode, NEVER, TimerNode, Timers};
use slab::Slab;

/// A peer that sends one message for each event and takes every echo at once.
struct Peer {
    message: Vec<u8>,
    unread: usize,
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.unread == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let start = self.message.len() - self.unread;
        let got = self.unread.min(into.len());
        into[..got].copy_from_slice(&self.message[start..start + got]);
        self.unread -= got;
        Ok(got)
    }
}

impl Write for Peer {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(black_box(from).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Blocks for one connection, of the size that the server uses without messages.
fn blocks() -> BlockPool {
    BlockPool::new(16 * 1024, 1, 0).expect("memory")
}

/// One event, one read, one echo.
fn run_of_a_connection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run of a connection");
    for (name, len) in [("64 B", 64), ("16 KiB", 16 * 1024)] {
        let settings = Settings::raw(64 * 1024, ShortRead::ProvesEmpty);
        let mut connection = Connection::new(1, Arc::new(settings), 0);
        let mut buffers = Buffers::new(256 * 1024, blocks(), 1).expect("memory");
        let mut peer = Peer {
            message: vec![b'x'; len],
            unread: 0,
        };
        let readable = Ready {
            readable: true,
            ..Ready::default()
        };
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                peer.unread = len;
                connection.handle_ready(black_box(readable));
                let progress = connection.drive(&mut peer, &mut buffers, 0);
                assert_eq!(progress, Progress::Wait);
            });
        });
    }
    group.finish();
}

/// A write buffer that the kernel empties in four parts.
fn write_buffer(criterion: &mut Criterion) {
    const LEN: usize = 16 * 1024;
    let mut group = criterion.benchmark_group("write buffer");
    let bytes = vec![b'x'; LEN];
    let mut blocks = blocks();
    group.throughput(Throughput::Bytes(LEN as u64));
    group.bench_function("push, consume", |bencher| {
        bencher.iter(|| {
            let mut buffer = WriteBuffer::default();
            buffer.push(black_box(&bytes), &mut blocks).expect("memory");
            while !buffer.is_empty() {
                let (slices, _) = black_box(buffer.front(&blocks));
                let taken = slices[0].len().min(LEN / 4);
                buffer.consume(taken, &mut blocks);
            }
        });
    });
    group.finish();
}

/// A full read buffer of small messages.
fn decoders(criterion: &mut Criterion) {
    const MESSAGES: usize = 1024;
    const LEN: usize = 64;
    let mut group = criterion.benchmark_group("decoder, 64 KiB of 64 B messages");
    group.throughput(Throughput::Bytes((MESSAGES * LEN) as u64));
    for (name, framing) in Framing::ALL {
        if !framing.has_messages() {
            continue;
        }
        let bytes = message(framing, LEN).repeat(MESSAGES);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut decoder = Decoder::default();
                let mut rest = black_box(&bytes[..]);
                while let Decoded::Message(length) = decoder.decode(framing, rest, usize::MAX) {
                    rest = &rest[length..];
                }
                assert!(rest.is_empty());
            });
        });
    }
    group.finish();
}

/// Returns a message of `len` bytes, header or terminator included.
fn message(framing: Framing, len: usize) -> Vec<u8> {
    let (header, terminator) = match framing {
        Framing::Raw | Framing::Nul => (vec![], vec![]),
        Framing::Line => (vec![], b"\n".to_vec()),
        Framing::Crlf => (vec![], b"\r\n".to_vec()),
        Framing::Len8 => (vec![len as u8], vec![]),
        Framing::Len16 => ((len as u16).to_be_bytes().to_vec(), vec![]),
        Framing::Len16Le => ((len as u16).to_le_bytes().to_vec(), vec![]),
    };
    let body = vec![b'x'; len - header.len() - terminator.len()];
    [header, body, terminator].concat()
}

#[derive(Default)]
struct Slot(TimerNode);

impl HasTimerNode for Slot {
    fn timer_node(&self) -> &TimerNode {
        &self.0
    }
    fn timer_node_mut(&mut self) -> &mut TimerNode {
        &mut self.0
    }
}

/// Ten thousand connections with running timers. "restart" restarts each timer. "run on" lets each expire and sets it
/// for the rest of its timeout, counted from the last byte. "run out" lets all expire.
fn timers(criterion: &mut Criterion) {
    const SLOTS: usize = 10_000;
    const SECOND: u64 = 1_000_000_000;
    let running = || {
        let mut slots: Slab<Slot> = (0..SLOTS).map(|key| (key, Slot::default())).collect();
        let mut timers = Timers::new(|_| Some(Duration::from_nanos(SECOND)));
        set_all(&mut timers, &mut slots, 0);
        (timers, slots)
    };
    let mut group = criterion.benchmark_group("timers");
    group.throughput(Throughput::Elements(SLOTS as u64));
    let (mut restarted, mut slots) = running();
    let mut now = 0;
    group.bench_function("restart", |bencher| {
        bencher.iter(|| {
            now += 1;
            set_all(&mut restarted, &mut slots, black_box(now));
        });
    });
    let (mut heartbeats, mut slots) = running();
    group.bench_function("run on", |bencher| {
        bencher.iter(|| {
            for _ in 0..SLOTS {
                let now = heartbeats.next_deadline(&slots);
                let key = heartbeats
                    .pop_due(&mut slots, now)
                    .expect("every timer runs");
                let last_byte = now - fastrand::u64(..SECOND / 2);
                set(&mut heartbeats, &mut slots, key, last_byte);
            }
        });
    });
    group.bench_function("run out", |bencher| {
        bencher.iter_batched_ref(
            running,
            |(timers, slots)| while timers.pop_due(slots, black_box(NEVER)).is_some() {},
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn set_all(timers: &mut Timers, slots: &mut Slab<Slot>, now: u64) {
    for key in 0..slots.len() {
        set(timers, slots, key, now);
    }
}

fn set(timers: &mut Timers, slots: &mut Slab<Slot>, key: usize, started: u64) {
    let deadline = timers.deadline(Timer::Idle, started);
    timers.set(slots, key, Some(Timer::Idle), deadline);
}

criterion_group!(benches, run_of_a_connection, write_buffer, decoders, timers);
criterion_main!(benches);
