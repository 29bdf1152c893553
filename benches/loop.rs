//! What one turn costs beside the system calls: a connection over a transport in memory, and its buffer.

use std::hint::black_box;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mio_echo::conn::{Connection, Progress, Ready, Scratch, Settings, ShortRead, WriteBuffer};

/// A peer that sends one message an event and keeps up with the echo.
struct Peer {
    message: Vec<u8>,
    waiting: usize,
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.waiting == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let start = self.message.len() - self.waiting;
        let got = self.waiting.min(into.len());
        into[..got].copy_from_slice(&self.message[start..start + got]);
        self.waiting -= got;
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

/// Event, read, echo.
fn run_of_a_connection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run of a connection");
    for (name, len) in [("64 B", 64), ("16 KiB", 16 * 1024)] {
        let settings = Settings {
            high_water: 64 * 1024,
            short_read: ShortRead::Drains,
        };
        let mut connection = Connection::new(1, Arc::new(settings), 0);
        let mut scratch = Scratch::new(256 * 1024);
        let mut peer = Peer {
            message: vec![b'x'; len],
            waiting: 0,
        };
        let readable = Ready {
            readable: true,
            ..Ready::default()
        };
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                peer.waiting = len;
                connection.handle_ready(black_box(readable));
                let progress = connection.drive(&mut peer, &mut scratch, 0);
                assert_eq!(progress, Progress::Wait);
            });
        });
    }
    group.finish();
}

/// A kernel that takes what waits in four parts.
fn write_buffer(criterion: &mut Criterion) {
    const LEN: usize = 16 * 1024;
    let mut group = criterion.benchmark_group("write buffer");
    let bytes = vec![b'x'; LEN];
    let mut spare = Vec::new();
    group.throughput(Throughput::Bytes(LEN as u64));
    group.bench_function("push, consume, release", |bencher| {
        bencher.iter(|| {
            let mut buffer = WriteBuffer::new();
            buffer.push(black_box(&bytes), &mut spare);
            while !buffer.is_empty() {
                let taken = black_box(buffer.front()).len().min(LEN / 4);
                buffer.consume(taken);
            }
            buffer.release(&mut spare);
        });
    });
    group.finish();
}

criterion_group!(benches, run_of_a_connection, write_buffer);
criterion_main!(benches);
