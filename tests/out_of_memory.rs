//! What happens if the system refuses memory to a running server.
//!
//! A refused allocation aborts the process, unless the code expects it. So each case runs in a process of its own: this
//! test program starts itself for each allocation that the loop makes. Log lines and starts of threads may abort: the
//! server of this test logs nothing, and its threads start before the first refusal.

#![forbid(unsafe_code)]

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use failing_allocator::FailingAllocator;
use mio_echo::conn::Framing;
use mio_echo::net::{Config, Listen, Server};

#[global_allocator]
static ALLOCATOR: FailingAllocator = FailingAllocator;

const DEADLINE: Duration = Duration::from_secs(60);

/// The variable that tells a process which allocations are refused: the first one, a hyphen, the one after the last.
const REFUSED: &str = "MIO_ECHO_TEST_REFUSED";

/// More blocks than an empty region may have used if it is kept (`conn/block_pool.rs`): 4 MiB in blocks of 64 KiB.
const CROWD: usize = 70;

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Echoed,
    Reset,
}

/// Runs the server and its clients with these refusals, in a process of its own. Returns how many allocations the loop has
/// made, and how many connections were reset.
fn run_in_a_process(first: u64, end: u64) -> (u64, u64) {
    let program = env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--exact", "--ignored", "--nocapture", "one_process"])
        .env(REFUSED, format!("{first}-{end}"))
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "allocations {first} to {end}: {}: {text}{errors}",
        output.status
    );
    let figures = text.lines().find_map(|line| line.strip_prefix("figures "));
    let (count, resets) = figures
        .and_then(|figures| figures.split_once(' '))
        .expect("figures");
    (
        count.parse().expect("a number"),
        resets.parse().expect("a number"),
    )
}

#[test]
#[cfg_attr(
    any(windows, mio_unsupported_force_poll_poll),
    ignore = "mio itself allocates for each registration"
)]
fn fault_w11_no_refused_allocation_ends_the_server() {
    const NEVER: u64 = u64::MAX;
    let (count, resets) = run_in_a_process(NEVER, NEVER);
    println!("the loop allocates {count} times");
    assert!(count > 0, "nothing is tested");
    assert_eq!(resets, 0);
    for refused in 1..=count {
        for end in [refused + 1, NEVER] {
            let (_, resets) = run_in_a_process(refused, end);
            assert_ne!(resets, 0, "allocation {refused} to {end}");
        }
    }
}

/// Not a test of its own: see [`run_in_a_process`].
#[test]
#[ignore = "is run by fault_w11_no_refused_allocation_ends_the_server"]
fn one_process() {
    let refused = env::var(REFUSED).expect("the parent process sets the variable");
    let (first, end) = refused.split_once('-').expect("two numbers");
    let server = Server::bind(config()).expect("listening");
    let addresses = [server.addresses()[0], server.addresses()[1]];
    let handle = server.handle();
    let running = thread::spawn(move || {
        failing_allocator::count_this_thread();
        server.run()
    });
    // Only a region that is freed is allocated again.
    assert!(fill_memory(addresses).iter().all(|end| *end == End::Echoed));

    let number = |text: &str| text.parse().expect("a number");
    failing_allocator::refuse(number(first), number(end));
    let mut ends = fill_memory(addresses);
    for address in addresses {
        ends.extend([echo_late(address), leave(address)]);
    }
    let resets = ends.iter().filter(|end| **end == End::Reset).count();
    handle.stop().expect("waking the server");
    running.join().expect("no panic").expect("no failed poll");
    println!("\nfigures {} {resets}", failing_allocator::count());
}

fn config() -> Config {
    let framings = [Framing::Raw, Framing::Line];
    let at = Listen::At(SocketAddr::from(([127, 0, 0, 1], 0)));
    Config {
        listen: framings.map(|framing| (at, framing)).to_vec(),
        banner: "{peer}\n".into(),
        max_connections: Some(2 * CROWD),
        max_per_ip: Some(1000),
        workers: 1,
        socket_buffer: Some(16 << 10),
        idle_timeout: Some(DEADLINE),
        ..Config::default()
    }
}

/// Lets clients fill inboxes with the starts of messages, and then send the rest.
fn fill_memory([raw, line]: [SocketAddr; 2]) -> Vec<End> {
    let clients: Vec<_> = (0..CROWD).map(|_| connect(line)).collect();
    for client in &clients {
        // A reset may have come first. Then `finish` finds it.
        let _ = (&*client).write_all(b"an incomplete");
    }
    // The server has read all that when a client that comes later has got its echo, or its reset.
    let barrier = finish(&connect(raw), b"", b"ping");
    let finished = clients
        .iter()
        .map(|client| finish(client, b"an incomplete", b" message\n"));
    finished.chain([barrier]).collect()
}

/// Sends until the server reads no more, because the echo is not received. Then receives the echo.
fn echo_late(address: SocketAddr) -> End {
    let client = connect(address);
    let data = [&[b'x'; 4095], &b"\n"[..]].concat().repeat(100);
    client.set_nonblocking(true).expect("non-blocking");
    let mut sent = 0;
    while sent < data.len()
        && let Ok(taken) = (&client).write(&data[sent..])
    {
        sent += taken;
        // The server reads while the client waits.
        thread::sleep(Duration::from_millis(1));
    }
    client.set_nonblocking(false).expect("blocking");
    finish(&client, &data[..sent], &data[sent..])
}

/// Sends a part of a message and leaves.
fn leave(address: SocketAddr) -> End {
    // A reset may have come first.
    let _ = connect(address).write_all(b"a part");
    End::Echoed
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("connecting");
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    client.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    client
}

/// Sends the rest of the data and our FIN, and receives the banner, the echo and the FIN. A part of the echo must not end
/// with a FIN.
fn finish(client: &TcpStream, sent: &[u8], rest: &[u8]) -> End {
    let banner = format!("{}\n", client.local_addr().expect("an address"));
    let expected = [banner.as_bytes(), sent, rest].concat();
    let mut received = Vec::new();
    let (mut writer, mut reader) = (client, client);
    let exchange = thread::scope(|scope| {
        let send_rest = || {
            writer.write_all(rest)?;
            writer.shutdown(Shutdown::Write)
        };
        let sending = scope.spawn(send_rest);
        let receiving = reader.read_to_end(&mut received);
        // The system reports a reset only once, to a read or to a write.
        sending.join().expect("no panic").and(receiving)
    });
    match exchange.map_err(|error| error.kind()) {
        Ok(_) => {
            assert_eq!(received.len(), expected.len(), "a part ends with a FIN");
            assert_eq!(received, expected);
            End::Echoed
        }
        Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected) => {
            End::Reset
        }
        Err(error) => panic!("receiving: {error}"),
    }
}
