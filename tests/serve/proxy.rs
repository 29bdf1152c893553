//! Clients that come through a proxy, which tells their addresses.

use std::time::{Duration, Instant};

use crate::limits;
use crate::support::server::Finished;
use crate::support::{Client, Data, End, QUIET, Server, until_in_time, within};

/// Every test client is one of a proxy.
const FROM_LOCAL: [&str; 2] = ["--proxy-protocol", "127.0.0.0/8"];

/// The address in the headers below.
const CLIENT: &str = "192.0.2.7:50000";

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 7007\r\n";

/// A header of version 2 with the command PROXY for TCP over IPv4, and a TLV that is skipped.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\
                    \xc0\0\x02\x07\xc6\x33\x64\x01\xc3\x50\x1b\x5f\x04\0\x04skip";

/// The header of a check of HAProxy: the command LOCAL.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Starts a server that greets each client with its address.
#[track_caller]
fn start(args: &[&str]) -> Server {
    let banner = ["--banner", r"{peer}\n"];
    Server::start(&[&FROM_LOCAL, &banner, args].concat())
}

#[track_caller]
fn expect_greeting(client: &Client, address: impl ToString) {
    client.expect(format!("{}\n", address.to_string()).as_bytes());
}

/// Waits until the server has seen what other clients have sent before.
#[track_caller]
fn await_turn(server: &Server) {
    let client = Client::connect(server.address());
    client.send(LOCAL);
    expect_greeting(&client, client.address());
    client.half_close();
    client.expect_fin();
}

/// Requires that the server resets `client` without a byte.
#[track_caller]
fn expect_refusal(client: &Client) {
    let (bytes, end) = client.receive_to_end();
    assert_eq!((bytes.len(), end), (0, End::Reset));
}

/// Returns the lines that tell why a client was refused.
fn refusals(finished: &Finished) -> Vec<&String> {
    let log = finished.log.iter();
    log.filter(|line| line.contains("refused 127.0.0.1:"))
        .collect()
}

#[test]
fn fault_p1_a_header_may_be_cut_at_every_byte() {
    let server = start(&[]);
    let cuts = |header: &'static [u8]| (0..=header.len()).map(move |cut| (header, cut));
    let clients: Vec<_> = cuts(V1)
        .chain(cuts(V2))
        .chain(cuts(LOCAL))
        .map(|(header, cut)| (header, cut, Client::connect(server.address())))
        .collect();
    for (header, cut, client) in &clients {
        client.send(&header[..*cut]);
    }
    await_turn(&server);
    for (header, cut, client) in &clients {
        client.send(&[&header[*cut..], b"hello"].concat());
        match *header == LOCAL {
            true => expect_greeting(client, client.address()),
            false => expect_greeting(client, CLIENT),
        }
        client.expect(b"hello");
        client.half_close();
        client.expect_fin();
    }
    let finished = server.stop();
    finished.expect_no_warning();
    let figures = finished.figures();
    assert_eq!(figures.get("accepted"), clients.len() as u64 + 1);
    assert_eq!(figures.get("refused"), 0);
    assert_eq!(figures.get("echoed"), clients.len() as u64 * 5);
}

#[test]
fn fault_p1_a_header_may_come_byte_by_byte() {
    let server = start(&[]);
    for header in [V1, V2] {
        let client = Client::connect(server.address());
        for byte in header {
            client.send(&[*byte]);
            await_turn(&server);
        }
        expect_greeting(&client, CLIENT);
        client.echo(b"hello");
    }
}

#[test]
fn fault_p3_what_follows_a_header_is_echoed_whole() {
    const LENGTH: usize = 1 << 20;
    let server = start(&[]);
    for header in [V1, V2, LOCAL] {
        for cut in [0, 1, header.len() - 1, header.len()] {
            let client = Client::connect(server.address());
            client.send(&header[..cut]);
            if cut > 0 {
                await_turn(&server);
            }
            let data = Data::new(cut as u64).take(LENGTH);
            let greeting = match header == LOCAL {
                true => client.address().to_string(),
                false => CLIENT.to_owned(),
            };
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    client.send(&[&header[cut..], &data].concat());
                    client.half_close();
                });
                expect_greeting(&client, greeting);
                client.expect(&data);
                client.expect_fin();
            });
        }
    }
}

#[test]
fn fault_p3_a_fin_right_behind_the_header_or_its_data_is_seen() {
    let server = start(&["--read-buffer", "8"]);
    for header in [V1, V2] {
        for data in [&b""[..], b"x", b"eight by", b"more than eight bytes"] {
            let client = Client::connect(server.address());
            client.send(&[header, data].concat());
            client.half_close();
            within(Duration::from_millis(100), || {
                expect_greeting(&client, CLIENT);
                client.expect(data);
                client.expect_fin();
            });
        }
    }
    let figures = server.stop().figures();
    assert_eq!((figures.get("accepted"), figures.get("refused")), (8, 0));
}

#[test]
fn fault_p2_a_bad_header_is_reset_with_a_reason() {
    let too_long = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff";
    let wrong_checksum = [&V2[..15], b"\x13", &V2[16..28], b"\x03\0\x04\0\0\0\0"].concat();
    let without_end = [b'x'; 107];
    let without_end = [b"PROXY UNKNOWN ", &without_end[..]].concat();
    for (bytes, why) in [
        (&b"hello"[..], "its PROXY header is malformed"),
        (b"PROXY TCP4 nonsense\r\n", "its PROXY header is malformed"),
        (too_long, "its PROXY header is too long"),
        (&without_end, "its PROXY header is too long"),
        (
            &wrong_checksum,
            "its PROXY header is damaged: its checksum is wrong",
        ),
    ] {
        let server = start(&[]);
        let clients = [(); 3].map(|()| Client::connect(server.address()));
        clients.iter().for_each(|client| client.send(bytes));
        clients.iter().for_each(expect_refusal);
        await_turn(&server);
        let finished = server.stop();
        let lines = refusals(&finished);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(why), "{}", lines[0]);
        let figures = finished.figures();
        assert_eq!((figures.get("accepted"), figures.get("refused")), (1, 3));
    }
}

#[test]
fn fault_p2_a_client_that_leaves_without_a_header_is_counted() {
    let server = start(&["-v"]);
    for bytes in [&b""[..], &V1[..5], &V2[..16], &V2[..30]] {
        let client = Client::connect(server.address());
        client.send(bytes);
        client.half_close();
        expect_refusal(&client);
    }
    let client = Client::connect(server.address());
    // Windows does not accept a client that is gone.
    await_turn(&server);
    client.reset();
    await_turn(&server);
    let finished = server.stop();
    let figures = finished.figures();
    assert_eq!((figures.get("accepted"), figures.get("refused")), (2, 5));
    let count = |text: &str| {
        refusals(&finished)
            .iter()
            .filter(|line| line.contains(text))
            .count()
    };
    // A check that connects and leaves causes no warning.
    assert_eq!(count("it closed without a PROXY header"), 2);
    assert_eq!(count("it closed within its PROXY header"), 1);
    let warnings = finished.log.iter().filter(|line| line.contains("WARN"));
    assert_eq!(warnings.count(), 1, "{:#?}", finished.log);
}

#[test]
fn fault_p2_a_header_must_be_complete_within_the_frame_timeout() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let server = start(&["--frame-timeout", "1s"]);
    let start = Instant::now();
    let silent = Client::connect(server.address());
    let slow = Client::connect(server.address());
    slow.send(&V2[..20]);
    let drips = Client::connect(server.address());
    for byte in &V1[..10] {
        drips.send(&[*byte]);
        await_turn(&server);
    }
    for client in [silent, slow, drips] {
        within(Duration::from_millis(1200), || expect_refusal(&client));
        assert!(start.elapsed() >= TIMEOUT);
    }
    let finished = server.stop();
    let line = refusals(&finished)[0];
    assert!(
        line.contains("its PROXY header was not complete within --frame-timeout"),
        "{line}"
    );
    assert_eq!(finished.figures().get("refused"), 3);
}

#[test]
fn fault_p2_a_header_in_time_has_no_timeout_of_its_own_afterwards() {
    until_in_time(|| {
        let server = start(&["--frame-timeout", "1s"]);
        let begun = Instant::now();
        let client = Client::connect(server.address());
        client.send(&V1[..10]);
        await_turn(&server);
        client.send(&V1[10..]);
        if begun.elapsed() > Duration::from_millis(900) {
            return None;
        }
        expect_greeting(&client, CLIENT);
        client.expect_silence(Duration::from_millis(1200));
        client.echo(b"still connected");
        Some(())
    });
}

#[test]
fn fault_p4_a_client_without_a_header_counts_as_a_connection() {
    let server = start(&["--max-connections", "3", "--when-full", "close"]);
    let clients = [(); 3].map(|()| Client::connect(server.address()));
    clients[0].send(&V1[..1]);
    limits::expect_refusal(server.address());
    for client in &clients[1..] {
        client.send(V2);
        expect_greeting(client, CLIENT);
    }
    clients[0].send(&V1[1..]);
    expect_greeting(&clients[0], CLIENT);
    limits::expect_refusal(server.address());
    clients[0].half_close();
    clients[0].expect_fin();
    let next = Client::connect(server.address());
    next.send(V1);
    expect_greeting(&next, CLIENT);
}

#[test]
fn fault_p4_the_clients_of_a_full_server_wait_for_a_slot() {
    let server = start(&["--max-connections", "1"]);
    let first = Client::connect(server.address());
    first.send(&V1[..1]);
    let second = Client::connect(server.address());
    second.send(V2);
    second.expect_silence(QUIET);
    first.half_close();
    expect_refusal(&first);
    expect_greeting(&second, CLIENT);
}

#[test]
fn fault_p4_max_per_ip_counts_the_client_and_not_the_proxy() {
    let server = start(&["--max-per-ip", "2"]);
    let header = |client: u8| format!("PROXY TCP4 192.0.2.{client} 127.0.0.1 50000 7007\r\n");
    let connect = |number| {
        let client = Client::connect(server.address());
        client.send(header(number).as_bytes());
        client
    };
    let clients = [1, 2, 3, 1, 2, 3].map(|number| {
        let client = connect(number);
        expect_greeting(&client, format!("192.0.2.{number}:50000"));
        client
    });
    expect_refusal(&connect(1));
    expect_refusal(&connect(3));
    clients[0].half_close();
    clients[0].expect_fin();
    expect_greeting(&connect(1), "192.0.2.1:50000");
}

#[test]
fn fault_p5_a_connection_from_elsewhere_is_served_plainly() {
    for networks in ["192.0.2.0/24,::1", "2001:db8::/32"] {
        let server = Server::start(&["--proxy-protocol", networks]);
        let client = Client::connect(server.address());
        client.echo(V1);
        client.echo(V2);
    }
}

#[test]
fn fault_p6_a_stop_resets_clients_whose_header_is_incomplete() {
    let mut server = start(&[]);
    let connected = Client::connect(server.address());
    connected.send(V2);
    expect_greeting(&connected, CLIENT);
    let waiting = [&b""[..], &V1[..20], &V2[..20]].map(|bytes| {
        let client = Client::connect(server.address());
        client.send(bytes);
        client
    });
    await_turn(&server);
    server.close_stdin();
    waiting.iter().for_each(expect_refusal);
    connected.expect_fin();
    drop(connected);
    let finished = server.stop();
    let line = refusals(&finished)[0];
    assert!(
        line.contains("the server stopped before its PROXY header was complete"),
        "{line}"
    );
    let figures = finished.figures();
    assert_eq!((figures.get("refused"), figures.get("active")), (3, 0));
}

#[cfg(unix)]
#[test]
fn fault_p6_a_stop_serves_a_client_whose_whole_header_has_arrived() {
    use rustix::process::Signal;

    let server = start(&[]);
    let begun = Client::connect(server.address());
    begun.send(&V1[..20]);
    await_turn(&server);
    let frozen = server.freeze();
    begun.send(&[&V1[20..], b"hello"].concat());
    let queued = Client::connect(server.address());
    queued.send(&[V2, b"hello"].concat());
    let incomplete = Client::connect(server.address());
    incomplete.send(&V2[..20]);
    server.signal(Signal::TERM);
    drop(frozen);
    for client in [begun, queued] {
        expect_greeting(&client, CLIENT);
        client.expect(b"hello");
        client.expect_fin();
    }
    expect_refusal(&incomplete);
}

#[cfg(unix)]
#[test]
fn fault_p6_a_second_signal_resets_clients_without_a_header() {
    use rustix::process::Signal;

    let mut server = start(&["--stop-delay", "1h"]);
    let client = Client::connect(server.address());
    await_turn(&server);
    server.signal(Signal::TERM);
    server.await_log("stop requested");
    server.signal(Signal::INT);
    expect_refusal(&client);
    assert_eq!(server.wait().code(), Some(130));
}
