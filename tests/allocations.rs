//! The heap of the running server.
//!
//! A binary of its own with a single test, because every thread of the process counts.

#![forbid(unsafe_code)]

use std::alloc::System;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use mio_echo::conn::Framing;
use mio_echo::net::{Config, Listen, Server};
use socket2::{Domain, Socket, Type};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

// An allocator of our own would be unsafe code. This one is six counters and has no dependencies; dhat, which also says
// where, allocates for its bookkeeping and takes a dozen crates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// mio itself allocates for each registration there.
const REGISTERING_ALLOCATES: bool = cfg!(any(windows, mio_unsupported_force_poll_poll));

/// How often a step is made before it may allocate no more. What waits to be armed again is in a queue of mio's there,
/// which grows by chance, not at once.
const WARM_UP: usize = if cfg!(windows) { 64 } else { 8 };

const READ_BUFFER: usize = 4096;

/// One byte past a page, so that a buffer that has reached it, by whatever reads, takes the same number of pages.
const HIGH_WATER: usize = (64 << 10) + 1;

/// Small, so that the server soon holds what the client does not take.
const SOCKET_BUFFER: usize = 16 << 10;

const CHUNK: usize = 16 << 10;

const DEADLINE: Duration = Duration::from_secs(20);

/// How long nobody takes a byte before the server is taken to hold its fill.
const QUIET: Duration = Duration::from_millis(20);

#[test]
fn fault_w6_seed_s1_2_after_warm_up_the_server_allocates_nothing() {
    let heap = Region::new(ALLOCATOR);
    let server = Server::bind(config()).expect("listening");
    let (address, handle) = (server.addresses()[0], server.handle());
    let running = thread::spawn(|| server.run());
    let mut chunk = vec![0; CHUNK];
    if REGISTERING_ALLOCATES {
        let client = connect(address).expect("connecting");
        expect_no_allocation(heap, || echo(&client, &mut chunk));
    } else {
        expect_no_allocation(heap, || session(address, &mut chunk));
    }
    handle.stop().expect("waking the server");
    running.join().expect("no panic").expect("no failed poll");
}

/// Requires that `step` stops allocating. What has happened since `heap` shows that allocations are seen at all.
#[track_caller]
fn expect_no_allocation(mut heap: Region<System>, mut step: impl FnMut() -> io::Result<()>) {
    (0..WARM_UP).for_each(|_| step().expect("warming up"));
    let warm_up = heap.change_and_reset();
    assert_ne!(warm_up.allocations, 0, "{warm_up:?}");
    (0..16).for_each(|_| step().expect("as before"));
    assert_eq!(heap.change(), Stats::default());
}

fn config() -> Config {
    Config {
        listen: vec![(
            Listen::At(SocketAddr::from(([127, 0, 0, 1], 0))),
            Framing::Raw,
        )],
        max_connections: Some(16),
        max_per_ip: Some(16),
        idle_timeout: Some(DEADLINE),
        read_buffer: READ_BUFFER,
        high_water: HIGH_WATER,
        socket_buffer: Some(SOCKET_BUFFER),
        ..Config::default()
    }
}

/// All that a connection can go through in order. Allocates nothing itself.
fn session(server: SocketAddr, chunk: &mut [u8]) -> io::Result<()> {
    let client = connect(server)?;
    echo(&client, chunk)?;
    let sent = send_until_blocked(&client, chunk)?;
    receive(&client, sent, chunk)?;
    client.shutdown(Shutdown::Write)?;
    match (&client).read(chunk)? {
        0 => Ok(()),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

fn connect(server: SocketAddr) -> io::Result<Socket> {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.set_send_buffer_size(SOCKET_BUFFER)?;
    client.set_recv_buffer_size(SOCKET_BUFFER)?;
    client.set_read_timeout(Some(DEADLINE))?;
    client.set_write_timeout(Some(QUIET))?;
    client.connect_timeout(&server.into(), DEADLINE)?;
    Ok(client)
}

fn echo(mut client: &Socket, chunk: &mut [u8]) -> io::Result<()> {
    client.write_all(b"ping")?;
    client.read_exact(&mut chunk[..4])
}

/// Sends until nobody takes any more, which is when the server holds its fill. Returns how many bytes went.
fn send_until_blocked(mut client: &Socket, chunk: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    loop {
        match client.write(chunk) {
            Ok(taken) => sent += taken,
            Err(error) if !is_timeout(&error) => return Err(error),
            Err(_timeout) if sent > HIGH_WATER => return Ok(sent),
            Err(_too_early) => {}
        }
    }
}

fn receive(mut client: &Socket, length: usize, chunk: &mut [u8]) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let wanted = left.min(chunk.len());
        client.read_exact(&mut chunk[..wanted])?;
        left -= wanted;
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
