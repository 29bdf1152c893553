//! The heap allocations of the running server.
//!
//! This is a test program with a single test, because the allocator counts every thread of the process.

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

// `stats_alloc` has six counters and no dependencies. Writing an allocator would need unsafe code. `dhat` also tells
// where an allocation happens, but allocates for its own records and needs a dozen crates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// True where mio itself allocates for each registration.
const REGISTERING_ALLOCATES: bool = cfg!(any(windows, mio_unsupported_force_poll_poll));

/// How often a step is repeated before it must not allocate. On Windows mio keeps sockets that must be re-armed in a
/// queue, and the queue reaches its full size only after some time.
const WARM_UP: usize = if cfg!(windows) { 64 } else { 8 };

const READ_BUFFER: usize = 4096;

const HIGH_WATER: usize = 64 << 10;

/// Small, so that a client that does not read soon blocks the server.
const SOCKET_BUFFER: usize = 16 << 10;

const CHUNK: usize = 16 << 10;

const DEADLINE: Duration = Duration::from_secs(60);

/// If the socket accepts no byte for this long, the server is assumed to be blocked.
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

/// Requires that `step` does not allocate after a warm-up. The allocations since `heap` prove that allocations are
/// counted at all.
#[track_caller]
fn expect_no_allocation(mut heap: Region<System>, mut step: impl FnMut() -> io::Result<()>) {
    (0..WARM_UP).for_each(|_| step().expect("warming up"));
    let warm_up = heap.change_and_reset();
    assert_ne!(warm_up.allocations, 0, "{warm_up:?}");
    (0..16).for_each(|_| step().expect("after the warm-up"));
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

/// Runs one session: connect, echo, block, flush and close. Allocates nothing itself.
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

/// Sends until the socket accepts no more, which means that the server is blocked. Returns the number of bytes sent.
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
