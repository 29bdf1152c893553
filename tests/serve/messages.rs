//! Framings: every complete message comes back, an incomplete message does not, and a bad frame ends the session.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::data::Rng;
use crate::support::messages::{MessageStream, Mode, bad_frame, in_each_mode, message};
use crate::support::server::serve;
use crate::support::{Client, Data, End, LINGER, QUIET, Server, until_in_time, within};

const FRAMINGS: [&str; 7] = ["raw", "nul", "line", "crlf", "len8", "len16", "len16le"];

/// Requires that the server sends `echo` and a FIN within 100 ms, and logs `reason`.
#[track_caller]
fn expect_clean_end(server: &Server, client: Client, echo: &[u8], reason: &str) {
    within(Duration::from_millis(100), || {
        client.expect(echo);
        client.expect_fin();
    });
    let address = client.address();
    drop(client);
    server.await_log(&format!("from {address}: {reason}"));
}

#[test]
fn fault_f1_seed_s2_2_packets_of_every_length_come_back() {
    let server = Server::start(&["--framing", "len8"]);
    let client = Client::connect(server.address());
    let packet = |length| message("len8", length, &mut Data::new(length as u64));
    for length in 1..=255 {
        let packet = packet(length);
        packet.iter().for_each(|byte| client.send(&[*byte]));
        client.expect(&packet);
    }
    let all: Vec<u8> = (1..=255).flat_map(packet).collect();
    client.exchange_bytes(&all);
    client.echo(&[1; 10_000]);
    client.half_close();
    client.expect_fin();
}

#[test]
fn fault_f1_seed_s2_2_a_packet_is_echoed_when_it_is_complete() {
    let server = Server::start(&["--framing", "len8"]);
    let client = Client::connect(server.address());
    client.send(b"\x05abc");
    client.expect_silence(QUIET);
    client.send(b"d\x03x");
    client.expect(b"\x05abcd");
    client.expect_silence(QUIET);
    client.send(b"y");
    client.expect(b"\x03xy");
}

#[test]
fn fault_f1_seed_s2_2_length_0_ends_the_session_at_once() {
    for workers in ["0", "2"] {
        let server = Server::start(&["--framing", "len8", "--workers", workers, "-v"]);
        let client = Client::connect(server.address());
        client.send(b"\x03ok\x01\x00\x03no");
        expect_clean_end(
            &server,
            client,
            b"\x03ok\x01",
            "bad frame (length 0 is less than the 1-byte header)",
        );

        let staying = Client::connect(server.address());
        staying.send(b"\x00");
        staying.expect_fin();
        expect_no_spin(&server);
    }
}

#[cfg(target_os = "linux")]
#[track_caller]
fn expect_no_spin(server: &Server) {
    use crate::support::{proc::cpu, size_bound};
    let before = cpu(server.pid());
    thread::sleep(QUIET);
    let used = cpu(server.pid()) - before;
    assert!(
        used <= size_bound(Duration::from_millis(2)),
        "the server spins: {used:?}"
    );
}

#[cfg(not(target_os = "linux"))]
fn expect_no_spin(_: &Server) {}

#[test]
fn fault_f1_an_incomplete_message_is_not_echoed() {
    in_each_mode(|mode| {
        let server = mode.start(&["-v"]);
        let client = Client::connect(server.address());
        let whole = mode.message(50, 1);
        client.send(&whole);
        client.send(&mode.message(60, 2)[..59]);
        client.half_close();
        expect_clean_end(&server, client, &whole, "truncated");
        assert_eq!(server.stop().figures().get("truncated"), 1);
    });
}

#[test]
fn fault_f2_seed_s2_5_messages_of_two_byte_lengths_come_back() {
    for framing in ["len16", "len16le"] {
        let server = Server::start(&["--framing", framing, "--read-buffer", "1000"]);
        let client = Client::connect(server.address());
        let mut rng = Rng::new(16);
        let edges = [2, 3, 255, 256, 257, 999, 1000, 1001, 65_534, 65_535];
        let random: Vec<usize> = (0..50).map(|_| 2 + rng.below(65_534)).collect();
        for length in edges.into_iter().chain(random) {
            let message = message(framing, length, &mut Data::new(length as u64));
            client.exchange_bytes(&message);
            thread::scope(|scope| {
                let (header, rest) = message.split_at(1);
                let client = &client;
                scope.spawn(move || {
                    client.send(header);
                    thread::yield_now();
                    client.send(rest);
                });
                client.expect(&message);
            });
        }
        client.half_close();
        client.expect_fin();
    }
}

#[test]
fn fault_f2_a_header_in_two_segments_is_one_header() {
    for (framing, header) in [("len16", b"\x01\x02"), ("len16le", b"\x02\x01")] {
        let server = Server::start(&["--framing", framing, "--read-buffer", "1"]);
        let client = Client::connect(server.address());
        client.send(&header[..1]);
        client.expect_silence(QUIET);
        client.send(&header[1..]);
        client.expect_silence(QUIET);
        client.send(&[7; 256]);
        client.expect(header);
        client.expect(&[7; 256]);
    }
}

#[test]
fn fault_f2_seed_s2_5_an_invalid_length_ends_the_session() {
    for framing in ["len16", "len16le"] {
        let server = Server::start(&["--framing", framing, "--max-message", "1000", "-v"]);
        let fitting = message(framing, 1000, &mut Data::new(1));
        for (length, reason) in [
            (0, "length 0 is less than the 2-byte header"),
            (1, "length 1 is less than the 2-byte header"),
            (1001, "length 1001 is over the limit of 1000 bytes"),
            (65_535, "length 65535 is over the limit of 1000 bytes"),
        ] {
            let header = match framing {
                "len16" => u16::to_be_bytes(length),
                _ => u16::to_le_bytes(length),
            };
            let client = Client::connect(server.address());
            client.send(&[&fitting[..], &header].concat());
            expect_clean_end(&server, client, &fitting, &format!("bad frame ({reason})"));
        }
        assert_eq!(server.stop().figures().get("bad frame"), 4);
    }
}

#[test]
fn fault_f3_seed_s2_3_a_message_ends_only_with_its_terminator() {
    let cases: [(&str, &[&[u8]]); 2] = [
        (
            "line",
            &[
                b"\n",
                b"\r\n",
                b"a\n",
                b"a\r\n",
                b"\r\r\n",
                b"\xff\x80\x00\n",
            ],
        ),
        (
            "crlf",
            &[
                b"\r\n",
                b"a\r\n",
                b"\n\r\n",
                b"\r\r\n",
                b"a\rb\nc\r\n",
                b"\xff\x80\x00\r\n",
            ],
        ),
    ];
    for (framing, messages) in cases {
        for buffer in ["1", "2", "256k"] {
            let server = Server::start(&["--framing", framing, "--read-buffer", buffer]);
            let client = Client::connect(server.address());
            for message in messages {
                client.echo(message);
                message.iter().for_each(|byte| client.send(&[*byte]));
                client.expect(message);
            }
            client.exchange_bytes(&messages.concat().repeat(1000));
            client.half_close();
            client.expect_fin();
        }
    }
}

#[test]
fn fault_f3_seed_s2_3_bytes_without_a_terminator_wait() {
    let cases: [(&str, &[&[u8]]); 2] = [
        ("line", &[b"a", b"\r", b"a\r"]),
        ("crlf", &[b"a", b"\r", b"\n", b"a\n", b"a\rb", b"\n\r"]),
    ];
    for (framing, starts) in cases {
        let server = Server::start(&["--framing", framing]);
        let rest: &[u8] = if framing == "line" { b"\n" } else { b"\r\n" };
        let clients: Vec<_> = starts
            .iter()
            .map(|start| {
                let client = Client::connect(server.address());
                client.send(start);
                client
            })
            .collect();
        thread::sleep(QUIET);
        for (client, start) in clients.iter().zip(starts) {
            assert!(!client.has_input(), "{framing}: {start:?}");
            client.send(rest);
            client.expect(&[start, rest].concat());
        }
    }
}

#[test]
fn fault_f3_a_line_may_be_as_long_as_the_limit() {
    const LIMIT: usize = 64;
    for framing in ["line", "crlf"] {
        for buffer in ["1", "7", "256k"] {
            let limits = ["--max-message", "64", "--read-buffer", buffer, "-v"];
            let server = Server::start(&[&["--framing", framing], &limits[..]].concat());
            let line = |length| message(framing, length, &mut Data::new(length as u64));
            let client = Client::connect(server.address());
            for length in [LIMIT - 1, LIMIT] {
                client.echo(&line(length));
            }
            client.send(&line(LIMIT + 1));
            client.expect_fin();
            client.half_close();
            let address = client.address();
            let end = server.await_log(&format!("from {address}: bad frame (length "));
            assert!(end.contains("over the limit of 64"), "{end}");
        }
    }
}

#[test]
fn fault_f4_seed_s0_4_the_first_nul_ends_the_session_at_any_offset() {
    const LENGTH: usize = 12;
    let server = Server::start(&["--framing", "nul"]);
    let data = [b'x'; LENGTH];
    for at in 0..LENGTH {
        let mut bytes = data;
        bytes[at] = 0;
        for cut in 0..=LENGTH {
            let client = Client::connect(server.address());
            let (first, second) = bytes.split_at(cut);
            client.send(first);
            client.expect(&data[..at.min(cut)]);
            // If the first part has the NUL, the server may have closed already.
            let _ = client.try_send(second);
            client.expect(&data[at.min(cut)..at]);
            client.expect_fin();
        }
    }
    let figures = server.stop().figures();
    assert_eq!(figures.get("nul received"), (LENGTH * (LENGTH + 1)) as u64);
}

#[test]
fn fault_f4_seed_s0_4_a_nul_alone_and_with_data_around_it_ends_the_session() {
    for buffer in ["1", "8", "256k"] {
        let server = Server::start(&["--framing", "nul", "--read-buffer", buffer, "-v"]);
        let client = Client::connect(server.address());
        client.send(&[0]);
        expect_clean_end(&server, client, b"", "nul received, 1 bytes in, 0 out");

        let client = Client::connect(server.address());
        client.echo(b"before");
        b"hello\0".iter().for_each(|byte| client.send(&[*byte]));
        expect_clean_end(&server, client, b"hello", "nul received");

        let client = Client::connect(server.address());
        client.send(&[&[1; 5000][..], &[0], &[2; 5000]].concat());
        expect_clean_end(&server, client, &[1; 5000], "nul received");

        let client = Client::connect(server.address());
        client.echo(b"no NUL");
        client.half_close();
        expect_clean_end(&server, client, b"", "peer finished");
    }
}

#[test]
fn fault_f5_other_protocols_do_not_harm_a_framing() {
    thread::scope(|scope| {
        for framing in FRAMINGS {
            for workers in ["0", "2"] {
                if workers == "0" || !["raw", "nul"].contains(&framing) {
                    scope.spawn(move || expect_no_damage(framing, workers));
                }
            }
        }
    });
}

#[track_caller]
fn expect_no_damage(framing: &str, workers: &str) {
    const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";
    const TLS: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5b\x00\x00\x13\x01\x13\x02";
    const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n";
    let mut server = Server::start(&["--framing", framing, "--workers", workers]);
    let random = (0..20).map(|seed| Data::new(seed).take(3000));
    let protocols = [HTTP, TLS, SSH].map(<[u8]>::to_vec).into_iter();
    let mut clients = 0;
    for bytes in protocols.chain(random) {
        for piece in [20, 100, bytes.len()] {
            clients += 1;
            let client = Client::connect(server.address());
            for piece in bytes.chunks(piece) {
                if client.try_send(piece).is_err() {
                    break;
                }
            }
            client.half_close();
            let (echo, end) = client.receive_to_end();
            assert_eq!(end, End::Fin);
            assert!(bytes.starts_with(&echo), "{framing}: a wrong byte");
        }
    }
    let next = Client::connect(server.address());
    match framing {
        "raw" | "nul" => next.echo(b"next"),
        _ => next.echo(&message(framing, 20, &mut Data::new(1))),
    }
    drop(next);
    assert!(server.is_running());
    server.close_stdin();
    let finished = server.finished();
    finished.expect_no_warning();
    assert_eq!(finished.figures().closed(), clients + 1);
}

#[test]
fn seed_s2_6_listeners_of_different_framings_share_one_loop() {
    let mut command = serve();
    command.args(["-l", "127.0.0.1:0", "-l", "len8@127.0.0.1:0"]);
    command.args(["-l", "crlf@127.0.0.1:0", "-l", "nul@127.0.0.1:0"]);
    command.args(["--framing", "line", "--stop-on-eof"]);
    let server = Server::spawn_with_listeners(command, 4);
    let connect = |address: &SocketAddr| Client::connect(*address);
    let clients: Vec<_> = server.addresses().iter().map(connect).collect();
    let [line, len8, crlf, nul] = &clients[..] else {
        panic!("four listeners")
    };
    line.send(b"ab");
    len8.send(b"\x04ab");
    crlf.send(b"ab\n");
    nul.echo(b"ab");
    for waiting in [line, len8, crlf] {
        waiting.expect_silence(Duration::from_millis(50));
    }
    line.send(b"\nc");
    line.expect(b"ab\n");
    len8.send(b"\nc");
    len8.expect(b"\x04ab\n");
    crlf.send(b"\r\nc");
    crlf.expect(b"ab\n\r\n");
    nul.send(b"\0c");
    nul.expect_fin();
    drop(clients);

    let lines = server.stop().output;
    let framings = lines.iter().map(|line| line.split(' ').nth(3));
    assert_eq!(
        framings.collect::<Vec<_>>(),
        ["line", "len8", "crlf", "nul"].map(Some)
    );
}

#[test]
fn fault_r1_messages_followed_by_silence_come_back() {
    in_each_mode(|mode| {
        for (buffer, length) in [("1", 8 << 10), ("8", 32 << 10), ("4096", 512 << 10)] {
            let server = mode.start(&["--read-buffer", buffer]);
            let client = Client::connect(server.address());
            client.exchange_bytes(&MessageStream::new(mode.framing, length, 1).bytes);
            client.expect_silence(Duration::from_millis(20));
            client.half_close();
            client.expect_fin();
        }
    });
}

#[test]
fn fault_r3_a_slow_reader_gets_every_complete_message() {
    in_each_mode(|mode| {
        let server = mode.start(&["--socket-buffer", "16k"]);
        let client = Client::connect_with_small_buffers(server.address(), 16 << 10);
        let stream = MessageStream::new(mode.framing, 1 << 20, 3);
        let sent = client.send_bytes_until_blocked(&stream.bytes);
        assert!(sent < stream.bytes.len(), "the client was never blocked");
        let whole = stream.whole_messages(sent);
        client.expect(&stream.bytes[..whole]);
        client.expect_silence(Duration::from_millis(20));
        thread::scope(|scope| {
            scope.spawn(|| {
                client.send(&stream.bytes[sent..]);
                client.half_close();
            });
            client.expect(&stream.bytes[whole..]);
        });
        client.expect_fin();
    });
}

#[test]
fn fault_h1_messages_sent_before_a_half_close_come_back() {
    in_each_mode(|mode| {
        for buffer in ["1", "8", "256k"] {
            let server = mode.start(&["--read-buffer", buffer]);
            for length in [0, 1, 2, 4095, 4096, 4097] {
                // `len16le` has no message of one byte.
                if length == 1 && mode.framing == "len16le" {
                    continue;
                }
                let stream = MessageStream::new(mode.framing, length, length as u64);
                let client = Client::connect(server.address());
                client.send(&stream.bytes);
                client.half_close();
                client.expect(&stream.bytes);
                client.expect_fin();
            }
            let figures = server.stop().figures();
            assert_eq!(figures.get("peer finished"), figures.get("accepted"));
        }
    });
}

#[test]
fn fault_h3_a_bad_frame_ends_the_session_after_every_earlier_reply() {
    in_each_mode(|mode| until_in_time(|| expect_every_reply_before_a_bad_frame(mode)));
}

/// Returns `None` if the client was so late that the server no longer waited for its FIN.
fn expect_every_reply_before_a_bad_frame(mode: Mode) -> Option<()> {
    let server = mode.start(&["--max-message", "1000", "--read-buffer", "4096", "-v"]);
    let client = Client::connect(server.address());
    let stream = MessageStream::new(mode.framing, 100 << 10, 3);
    let over = AtomicBool::new(false);
    let start = Instant::now();
    let (echo, end) = thread::scope(|scope| {
        scope.spawn(|| {
            client.send(&stream.bytes);
            client.send(&bad_frame(mode.framing));
            // A server that has waited long enough for the FIN of this client resets.
            while !over.load(Ordering::Relaxed) && client.try_send(&[b'z'; 100]).is_ok() {
                thread::yield_now();
            }
            client.half_close();
        });
        let received = client.receive_to_end();
        over.store(true, Ordering::Relaxed);
        received
    });
    if end == End::Reset && start.elapsed() >= LINGER {
        return None;
    }
    assert_eq!(end, End::Fin);
    assert!(echo == stream.bytes, "{mode:?}: {} bytes", echo.len());
    server.await_log(&format!("from {}: bad frame (length ", client.address()));
    Some(())
}

#[test]
fn fault_w1_partial_writes_lose_and_reorder_no_message() {
    in_each_mode(|mode| {
        let server = mode.start(&["--socket-buffer", "4k", "--high-water", "4k"]);
        let client = Client::connect_with_small_buffers(server.address(), 4 << 10);
        client.exchange_bytes(&MessageStream::new(mode.framing, 256 << 10, 5).bytes);
        client.half_close();
        client.expect_fin();
    });
}

#[test]
fn fault_w5_an_incomplete_message_does_not_reach_the_next_client() {
    in_each_mode(|mode| {
        let server = mode.start(&["--max-connections", "1"]);
        for seed in 0..10 {
            let earlier = Client::connect(server.address());
            earlier.send(&mode.message(200, seed)[..199]);
            drop(earlier);
            let next = Client::connect(server.address());
            next.echo(&mode.message(20, seed));
            next.half_close();
            next.expect_fin();
        }
    });
}

#[test]
fn fault_r8_a_reset_within_a_message_closes_at_once_without_a_warning() {
    in_each_mode(|mode| {
        let server = mode.start(&["-v"]);
        let client = Client::connect(server.address());
        client.echo(&mode.message(20, 1));
        client.send(&mode.message(20, 2)[..10]);
        let address = client.address();
        within(Duration::from_millis(100), || {
            client.reset();
            server.await_log(&format!("from {address}: reset"));
        });
        server.stop().expect_no_warning();
    });
}

#[test]
fn seed_s2_8_the_server_ends_a_session_cleanly() {
    let ends: [(&[&str], &str); 3] = [
        (&["--idle-timeout", "300ms"], "idle timeout"),
        (&["--frame-timeout", "300ms"], "frame timeout"),
        (&["--max-message", "1000"], "bad frame"),
    ];
    for (options, reason) in ends {
        let server = Server::start(&[&["--framing", "line", "-v"], options].concat());
        let client = Client::connect(server.address());
        match reason {
            // The idle timeout may be over before a late client sends.
            "idle timeout" => {}
            "frame timeout" => {
                client.echo(b"served\n");
                client.send(b"start");
            }
            _ => {
                client.echo(b"served\n");
                client.send(&bad_frame("line"));
            }
        }
        client.expect_fin();
        client.half_close();
        server.await_log(&format!("from {}: {reason}", client.address()));
    }
}

#[test]
fn seed_s2_8_every_log_line_of_a_connection_has_its_address() {
    let server = Server::start(&["--framing", "len8", "-v"]);
    let mut addresses = Vec::new();
    for turn in 0..12 {
        let client = Client::connect(server.address());
        addresses.push(client.address().to_string());
        client.echo(b"\x03ab");
        match turn % 4 {
            0 => drop(client),
            1 => client.reset(),
            2 => {
                client.send(&[0]);
                client.expect_fin();
            }
            _ => {
                client.send(&[9]);
                client.half_close();
                client.expect_fin();
            }
        }
    }
    let log = server.stop().log;
    let lines: Vec<_> = log.iter().filter(|line| line.contains("conn ")).collect();
    assert_eq!(lines.len(), 12, "{log:#?}");
    for address in addresses {
        let of_client = lines.iter().filter(|line| line.contains(&address));
        assert_eq!(of_client.count(), 1, "{address}: {lines:#?}");
    }
}

#[test]
fn fault_f3_the_default_limit_of_a_message_is_64_kib() {
    let server = Server::start(&["--framing", "line"]);
    let client = Client::connect(server.address());
    client.exchange_bytes(&message("line", 64 << 10, &mut Data::new(1)));
    client.send_bytes_until_blocked(&[b'x'; 100 << 10]);
    client.half_close();
    assert_eq!(client.receive_to_end(), (Vec::new(), End::Fin));
}
