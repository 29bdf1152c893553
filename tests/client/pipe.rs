//! Without `--message`: standard input goes to the server, and the echo goes to standard output.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use crate::program::{ClientProcess, run};
use crate::scripted_server::serve;
use crate::support::temp_dir::TempDir;
use crate::support::{Client, Data, QUIET, Server};

const MIB: usize = 1 << 20;

/// Opens the file at `path` as the standard input of a client.
fn open(path: &Path) -> Stdio {
    File::open(path).expect("opening the file").into()
}

#[track_caller]
fn expect_same(got: &[u8], sent: &[u8]) {
    assert_eq!(got.len(), sent.len());
    let at = got.iter().zip(sent).position(|(got, sent)| got != sent);
    assert_eq!(at, None, "offset of the first wrong byte");
}

#[test]
fn seed_s0_2_one_program_is_server_or_client_on_any_address() {
    let server = Server::start(&[]);
    let mut client = ClientProcess::start(&[&server.address().to_string()]);
    client.write_stdin(b"hello\n");
    client.close_stdin();
    let outcome = client.finished();
    outcome.expect_success();
    assert_eq!(outcome.output, b"hello\n");
}

#[test]
fn a_file_comes_back_byte_for_byte() {
    let server = Server::start(&[]);
    let sent = Data::new(1).take(32 * MIB);
    let dir = TempDir::new("client-file");
    let file = dir.write("input", &sent);
    let outcome =
        ClientProcess::start_with(&[&server.address().to_string()], open(&file)).finished();
    outcome.expect_success();
    expect_same(&outcome.output, &sent);
}

#[test]
fn empty_input_and_one_byte_come_back() {
    let server = Server::start(&[]);
    let target = server.address().to_string();
    for sent in [&b""[..], b"x"] {
        let mut client = ClientProcess::start(&[&target]);
        client.write_stdin(sent);
        client.close_stdin();
        let outcome = client.finished();
        outcome.expect_success();
        assert_eq!(outcome.output, sent);
    }
    run(&[&target]).expect_success();
    server.stop().expect_no_warning();
}

#[test]
fn a_server_that_reads_one_byte_at_a_time_gets_everything() {
    let server = Server::start(&["--read-buffer", "1", "--socket-buffer", "4k"]);
    let sent = Data::new(2).take(20_000);
    let dir = TempDir::new("client-one-byte-reads");
    let file = dir.write("input", &sent);
    let outcome =
        ClientProcess::start_with(&[&server.address().to_string()], open(&file)).finished();
    outcome.expect_success();
    expect_same(&outcome.output, &sent);
}

#[test]
fn input_is_echoed_before_the_end_of_a_line() {
    let server = Server::start(&[]);
    let mut client = ClientProcess::start(&[&server.address().to_string()]);
    let mut all = Vec::new();
    for typed in ["a", "b\n", "c", "a longer line without an end"] {
        client.write_stdin(typed.as_bytes());
        all.extend_from_slice(typed.as_bytes());
        assert_eq!(client.await_output(all.len()), all);
    }
    client.close_stdin();
    client.finished().expect_success();
}

#[test]
fn receiving_does_not_wait_for_input() {
    let data = Data::new(3).take(8 * MIB);
    let sent = data.clone();
    let server = serve(move |mut session| {
        session.send(&data);
        assert_eq!(session.receive_to_end(), b"at last");
    });
    let mut client = ClientProcess::start(&[&server.to_string()]);
    expect_same(&client.await_output(sent.len()), &sent);
    client.write_stdin(b"at last");
    client.close_stdin();
    let outcome = client.finished();
    outcome.expect_success();
    expect_same(&outcome.output, &sent);
}

#[test]
fn sending_does_not_wait_for_replies() {
    let server = serve(|mut session| {
        let bytes = session.receive_to_end();
        session.send(&bytes);
    });
    let sent = Data::new(4).take(8 * MIB);
    let dir = TempDir::new("client-large-file");
    let file = dir.write("input", &sent);
    let outcome = ClientProcess::start_with(&[&server.to_string()], open(&file)).finished();
    outcome.expect_success();
    expect_same(&outcome.output, &sent);
}

#[test]
fn a_full_standard_output_pauses_standard_input_and_loses_nothing() {
    let server = Server::start(&["--socket-buffer", "64k"]);
    let target = server.address().to_string();
    let mut client = ClientProcess::start_without_reading(&[&target], Stdio::piped());
    let sent = Data::new(5).take(24 * MIB);
    let (mut stdin, bytes) = (client.take_stdin(), sent.clone());
    let writer = thread::spawn(move || stdin.write_all(&bytes).expect("writing to standard input"));
    thread::sleep(QUIET);
    assert!(!writer.is_finished(), "the client was never blocked");
    client.read_stdout();
    let outcome = client.finished();
    writer.join().expect("writing to standard input");
    outcome.expect_success();
    expect_same(&outcome.output, &sent);
}

#[test]
fn a_closed_standard_output_ends_the_client_silently() {
    let server = Server::start(&[]);
    let mut client =
        ClientProcess::start_without_reading(&[&server.address().to_string()], Stdio::piped());
    client.close_stdout();
    client.write_stdin(b"hello");
    let outcome = client.finished();
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
}

#[test]
fn quiet_prints_nothing() {
    let server = Server::start(&[]);
    let mut client = ClientProcess::start(&["-q", &server.address().to_string()]);
    client.write_stdin(b"hello");
    client.close_stdin();
    let outcome = client.finished();
    outcome.expect_success();
    assert!(outcome.output.is_empty());
}

#[test]
fn a_greeting_is_discarded() {
    let server = Server::start(&["--banner", "welcome"]);
    let mut client = ClientProcess::start(&["--skip", "7", &server.address().to_string()]);
    client.write_stdin(b"hello");
    client.close_stdin();
    let outcome = client.finished();
    outcome.expect_success();
    assert_eq!(outcome.output, b"hello");
}

#[test]
fn an_incomplete_greeting_is_reported() {
    let server = serve(|mut session| session.send(b"wel"));
    run(&["--skip", "7", &server.to_string()])
        .expect_failure(1, &["closed early (3 of 7 bytes of the greeting)"]);
}

#[test]
fn more_bytes_than_were_sent_are_printed() {
    let server = serve(|mut session| {
        session.receive_to_end();
        session.send(b"more than that");
    });
    let mut client = ClientProcess::start(&[&server.to_string()]);
    client.write_stdin(b"that");
    client.close_stdin();
    let outcome = client.finished();
    outcome.expect_success();
    assert_eq!(outcome.output, b"more than that");
}

#[test]
fn an_early_close_is_reported_with_the_byte_counts() {
    let server = serve(|mut session| {
        session.receive_to_end();
        session.send(b"1234");
    });
    let mut client = ClientProcess::start(&[&server.to_string()]);
    client.write_stdin(b"1234567890");
    client.close_stdin();
    let outcome = client.finished();
    outcome.expect_failure(1, &["closed early (4 of 10 bytes)"]);
    assert_eq!(outcome.output, b"1234");
}

fn closes_at_once() -> SocketAddr {
    serve(|mut session| {
        session.half_close();
        session.receive_to_end();
    })
}

#[test]
fn a_close_before_the_input_is_read_is_an_early_close() {
    let server = closes_at_once();
    let dir = TempDir::new("client-early-close");
    let file = dir.write("input", b"1234567890");
    // The end of the connection and the bytes of standard input may come in either order.
    for _ in 0..30 {
        let outcome = ClientProcess::start_with(&[&server.to_string()], open(&file)).finished();
        outcome.expect_failure(1, &["closed early (0 of 10 bytes)"]);
    }
}

#[test]
fn a_close_without_input_is_not_a_failure() {
    let server = closes_at_once();
    let dir = TempDir::new("client-no-input");
    let file = dir.write("input", b"");
    for _ in 0..30 {
        let outcome = ClientProcess::start_with(&[&server.to_string()], open(&file)).finished();
        outcome.expect_success();
    }
}

#[test]
fn seed_s0_4_the_server_ends_a_nul_session_before_the_input_ends() {
    let server = Server::start(&["--framing", "nul"]);
    let mut client = ClientProcess::start(&[&server.address().to_string()]);
    client.write_stdin(b"ab\0cd");
    let outcome = client.finished();
    outcome.expect_failure(1, &["closed early (2 of 5 bytes)"]);
    assert_eq!(outcome.output, b"ab");
}

#[test]
fn the_client_ends_with_the_server_while_standard_input_is_open() {
    let server = serve(|mut session| {
        let bytes = session.receive(5);
        session.send(&bytes);
        session.half_close();
        // Only the end may follow.
        assert!(session.receive_to_end().is_empty());
    });
    let mut client = ClientProcess::start(&[&server.to_string()]);
    client.write_stdin(b"hello");
    let _open = client.take_stdin();
    let outcome = client.finished();
    outcome.expect_success();
    assert_eq!(outcome.output, b"hello");
}

#[test]
fn a_reset_is_reported_and_earlier_bytes_are_printed() {
    let server = serve(|mut session| {
        session.receive(10);
        session.send(b"1234");
        // The client must have received the bytes before the reset.
        session.receive(1);
        session.reset();
    });
    let mut client = ClientProcess::start(&[&server.to_string()]);
    client.write_stdin(b"1234567890");
    assert_eq!(client.await_output(4), b"1234");
    client.write_stdin(b"x");
    client
        .finished()
        .expect_failure(1, &["reset (4 of 11 bytes)"]);
}

#[test]
fn a_stopped_server_ends_the_client_with_success() {
    let mut server = Server::start(&[]);
    let mut client = ClientProcess::start(&[&server.address().to_string()]);
    client.write_stdin(b"hello");
    client.await_output(5);
    let _open = client.take_stdin();
    server.close_stdin();
    client.finished().expect_success();
}

#[test]
fn ipv6_works() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        crate::support::skip("ipv6_works", "no IPv6 here");
        return;
    }
    let mut command = crate::support::server::serve();
    command.args(["-l", "[::1]:0", "--stop-on-eof"]);
    let server = Server::spawn(command);
    let target = server.address().to_string();
    for args in [&[&*target][..], &["-6", &target]] {
        let mut client = ClientProcess::start(args);
        client.write_stdin(b"hello");
        client.close_stdin();
        assert_eq!(client.finished().output, b"hello");
    }
    Client::connect(server.address()).echo(b"hello");
}
