//! Messages whose replies are verified, each on its own connection.

use std::process::Stdio;
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::program::{ClientProcess, run};
use crate::scripted_server::serve;
use crate::support::{DEADLINE, Server, until_in_time, wait_for};

/// Returns the sorted lines of standard output, without the last one.
fn replies(lines: &[&str]) -> Vec<String> {
    let (_last, replies) = lines.split_last().expect("a last line");
    let mut replies: Vec<_> = replies.iter().map(|line| (*line).to_owned()).collect();
    replies.sort();
    replies
}

#[test]
fn seed_s3_2_each_connection_verifies_its_own_message() {
    let server = Server::start(&[]);
    let target = server.address().to_string();
    let outcome = run(&["-c", "3", "-m", "Hello from Client {i}", &target]);
    outcome.expect_success();
    let lines = outcome.lines();
    assert_eq!(
        replies(&lines),
        [
            "1: Hello from Client 1",
            "2: Hello from Client 2",
            "3: Hello from Client 3"
        ]
    );
    assert_eq!(lines.last(), Some(&"3 of 3 equal"));
    let finished = server.stop();
    finished.expect_no_warning();
    assert_eq!(finished.figures().get("peer finished"), 3);
}

#[test]
fn seed_s3_2_all_connections_are_open_at_once() {
    let all_connected = Barrier::new(3);
    let server = serve(move |mut session| {
        let bytes = session.receive(5);
        // A client that opened one connection after another would block here.
        all_connected.wait();
        session.send(&bytes);
        session.receive_to_end();
    });
    run(&[
        "-c",
        "3",
        "-m",
        "hello",
        "--timeout",
        "15s",
        &server.to_string(),
    ])
    .expect_success();
}

#[test]
fn seed_s2_8_every_framing_carries_messages() {
    for framing in ["raw", "nul", "line", "crlf", "len8", "len16", "len16le"] {
        let server = Server::start(&["--framing", framing]);
        let target = server.address().to_string();
        let outcome = run(&[
            "--framing",
            framing,
            "-c",
            "2",
            "-n",
            "2",
            "-m",
            "one {i}",
            "-m",
            "two",
            &target,
        ]);
        outcome.expect_success();
        let lines = outcome.lines();
        let expected = ["1: one 1", "1: one 1", "1: two", "1: two", "2: one 2"];
        assert_eq!(replies(&lines)[..5], expected, "{framing}");
        assert_eq!(lines.last(), Some(&"8 of 8 equal"), "{framing}");
        server.stop().expect_no_warning();
    }
}

#[test]
fn an_empty_message_is_sent_if_the_framing_allows_it() {
    for framing in ["line", "crlf", "len8", "len16", "len16le"] {
        let server = Server::start(&["--framing", framing]);
        let outcome = run(&[
            "--framing",
            framing,
            "-m",
            "",
            &server.address().to_string(),
        ]);
        outcome.expect_success();
        assert_eq!(outcome.lines(), ["1: ", "1 of 1 equal"]);
    }
}

#[test]
fn a_message_larger_than_every_buffer_comes_back() {
    let server = Server::start(&["--socket-buffer", "4k", "--read-buffer", "100"]);
    let long = "0123456789".repeat(3_000);
    let outcome = run(&[
        "-c",
        "4",
        "-n",
        "3",
        "-m",
        &long,
        &server.address().to_string(),
    ]);
    outcome.expect_success();
    assert_eq!(outcome.lines().last(), Some(&"12 of 12 equal"));
}

#[test]
fn many_connections_and_rounds_end() {
    let server = Server::start(&[]);
    let outcome = run(&[
        "-q",
        "-c",
        "300",
        "-n",
        "10",
        "-m",
        "{i}",
        &server.address().to_string(),
    ]);
    outcome.expect_success();
    assert!(outcome.output.is_empty(), "-q printed something");
    let figures = server.stop().figures();
    assert_eq!(
        (figures.get("accepted"), figures.get("peer finished")),
        (300, 300)
    );
}

#[test]
fn a_greeting_is_discarded_before_the_replies() {
    let server = Server::start(&["--banner", "welcome\\r\\n"]);
    let outcome = run(&[
        "--skip",
        "9",
        "-n",
        "2",
        "-m",
        "hello",
        &server.address().to_string(),
    ]);
    outcome.expect_success();
    assert_eq!(outcome.lines(), ["1: hello", "1: hello", "2 of 2 equal"]);
}

#[test]
fn an_unexpected_greeting_is_a_wrong_reply() {
    let server = Server::start(&["--banner", "welcome"]);
    let outcome = run(&["-m", "hello", &server.address().to_string()]);
    outcome.expect_failure(
        4,
        &[
            "connection 1: reply 1 differs at offset 0: expected ",
            ", got 77 65 6c",
        ],
    );
}

#[test]
fn a_wrong_reply_is_shown_and_exits_with_4() {
    let server = serve(|mut session| {
        let mut bytes = session.receive(7);
        bytes[4] = b'0';
        session.send(&bytes);
        session.receive_to_end();
    });
    let outcome = run(&["--framing", "len16", "-m", "hello", &server.to_string()]);
    outcome.expect_failure(
        4,
        &["connection 1: reply 1 differs at offset 4: expected 6c 6c 6f, got 30 6c 6f"],
    );
    assert_eq!(outcome.lines(), ["0 of 1 equal"]);
}

#[test]
fn a_reply_with_extra_bytes_is_wrong() {
    let server = serve(|mut session| {
        let bytes = session.receive(5);
        session.send(&[&bytes[..], b"!"].concat());
        session.receive_to_end();
    });
    let outcome = run(&["-m", "hello", &server.to_string()]);
    outcome.expect_failure(4, &[": expected nothing more, got 21"]);
}

#[test]
fn other_connections_finish_and_the_most_serious_exit_code_wins() {
    let server = serve(|mut session| {
        let mut bytes = session.receive(7);
        match bytes[6] {
            b'1' => return,
            b'2' => bytes[0] = b'H',
            _ => {}
        }
        session.send(&bytes);
        session.receive_to_end();
    });
    let outcome = run(&["-c", "3", "-m", "hello {i}", &server.to_string()]);
    assert_eq!(outcome.code, Some(4));
    assert_eq!(outcome.lines(), ["3: hello 3", "1 of 3 equal"]);
    assert_eq!(
        outcome.errors,
        [
            "mio-echo: connection 1: closed early (0 of 7 bytes)",
            "mio-echo: connection 2: reply 1 differs at offset 0: expected 68 65 6c 6c 6f 20 32, \
             got 48 65 6c 6c 6f 20 32",
        ]
    );
}

#[test]
fn a_wrong_reply_is_reported_if_standard_output_is_closed() {
    let wrong_reply_seen = Barrier::new(2);
    let server = serve(move |mut session| {
        let mut bytes = session.receive(7);
        if bytes[6] == b'2' {
            bytes[0] = b'H';
            session.send(&bytes);
            session.receive_to_end();
            wrong_reply_seen.wait();
        } else {
            wrong_reply_seen.wait();
            session.send(&bytes);
            session.receive_to_end();
        }
    });
    let target = server.to_string();
    let args = ["-c", "2", "-m", "hello {i}", &target];
    let mut program = ClientProcess::start_without_reading(&args, Stdio::null());
    program.close_stdout();
    program
        .finished()
        .expect_failure(4, &["connection 2: reply 1 differs at offset 0"]);
}

#[test]
fn an_early_close_is_reported_with_the_byte_counts() {
    let server = serve(|mut session| {
        let bytes = session.receive(5);
        session.send(&bytes);
        session.receive(5);
        session.send(b"he");
    });
    let outcome = run(&["-n", "3", "-m", "hello", &server.to_string()]);
    outcome.expect_failure(1, &["connection 1: closed early (7 of 15 bytes)"]);
    assert_eq!(outcome.lines(), ["1: hello", "1 of 3 equal"]);
}

#[test]
fn a_reset_is_reported() {
    let server = serve(|mut session| {
        session.receive(5);
        session.reset();
    });
    run(&["-m", "hello", &server.to_string()])
        .expect_failure(1, &["connection 1: reset (0 of 5 bytes)"]);
}

/// Returns true if the server of this test has `sent` its bytes not at all, or so late that the client was right to give up.
fn is_late(sent: &OnceLock<Duration>, timeout: Duration) -> bool {
    sent.get().is_none_or(|sent| *sent >= timeout)
}

#[test]
fn a_missing_reply_times_out() {
    until_in_time(|| {
        const TIMEOUT: Duration = Duration::from_millis(300);
        let (start, sent) = (Instant::now(), Arc::new(OnceLock::new()));
        let when_sent = Arc::clone(&sent);
        let server = serve(move |mut session| {
            session.receive(5);
            session.send(b"hel");
            let _ = when_sent.set(start.elapsed());
            session.receive_to_end();
        });
        let outcome = run(&["--timeout", "300ms", "-m", "hello", &server.to_string()]);
        assert!(start.elapsed() >= TIMEOUT);
        if is_late(&sent, TIMEOUT) {
            return None;
        }
        outcome.expect_failure(1, &["timed out: no reply within 300ms (3 of 5 bytes)"]);
        Some(())
    });
}

#[test]
fn the_timeout_applies_to_each_reply() {
    until_in_time(|| {
        const TIMEOUT: Duration = Duration::from_millis(800);
        let longest_gap = Arc::new(Mutex::new(Duration::ZERO));
        let gap = Arc::clone(&longest_gap);
        let start = Instant::now();
        let server = serve(move |mut session| {
            // From before the client sends to after the reply.
            let mut last = start;
            for _ in 0..4 {
                let bytes = session.receive(5);
                std::thread::sleep(Duration::from_millis(250));
                let next = Instant::now();
                // A client that has given up waiting closes.
                let is_sent = session.try_send(&bytes);
                let mut gap = gap.lock().expect("the longest gap");
                *gap = gap.max(last.elapsed());
                last = next;
                if is_sent.is_err() {
                    return;
                }
            }
            session.receive_to_end();
            // Closing would not send the FIN on Windows if another test has started a program meanwhile, because that
            // program inherits accepted sockets.
            session.half_close();
        });
        let target = server.to_string();
        let outcome = run(&["--timeout", "800ms", "-n", "4", "-m", "hello", &target]);
        if outcome.code != Some(0) {
            // The thread of the server may still be on its way.
            let what = format!("a reply that was too late, or {:?}", outcome.errors);
            wait_for(&what, DEADLINE, || {
                *longest_gap.lock().expect("the longest gap") >= TIMEOUT
            });
            return None;
        }
        outcome.expect_success();
        Some(())
    });
}

#[test]
fn a_full_standard_output_does_not_make_a_reply_late() {
    until_in_time(|| {
        const ROUNDS: usize = 10;
        const LENGTH: usize = 24_001;
        const TIMEOUT: Duration = Duration::from_secs(1);
        let first_is_done = Barrier::new(2);
        let (start, sent) = (Instant::now(), Arc::new(OnceLock::new()));
        let when_sent = Arc::clone(&sent);
        let server = serve(move |mut session| {
            let mut bytes = session.receive(LENGTH);
            let is_first = bytes[0] == b'1';
            if !is_first {
                first_is_done.wait();
            }
            for _ in 1..ROUNDS {
                session.send(&bytes);
                bytes = session.receive(LENGTH);
            }
            session.send(&bytes);
            if is_first {
                first_is_done.wait();
            } else {
                let _ = when_sent.set(start.elapsed());
            }
            session.receive_to_end();
            session.half_close();
        });
        let message = format!("{{i}}{}", "a".repeat(LENGTH - 1));
        let rounds = ROUNDS.to_string();
        let target = server.to_string();
        let args = ["-c", "2", "-n", &rounds, "-m", &message];
        let args = [&args[..], &["--timeout", "1s", &target]].concat();
        // The output is larger than a pipe. When it is read, the reply to connection 2 is older than the timeout.
        let mut program = ClientProcess::start_without_reading(&args, Stdio::null());
        std::thread::sleep(TIMEOUT * 3 / 2);
        program.read_stdout();
        let outcome = program.finished();
        if outcome.code != Some(0) && is_late(&sent, TIMEOUT) {
            return None;
        }
        outcome.expect_success();
        Some(())
    });
}

#[test]
fn a_missing_greeting_or_end_times_out() {
    until_in_time(|| {
        let (start, sent) = (Instant::now(), Arc::new(OnceLock::new()));
        let when_sent = Arc::clone(&sent);
        let silent = serve(move |mut session| {
            session.send(b"hello");
            let _ = when_sent.set(start.elapsed());
            session.receive_to_end();
        });
        let args = ["--timeout", ".2", "--skip", "6", "-m", "x"];
        let outcome = run(&[&args[..], &[&silent.to_string()]].concat());
        if is_late(&sent, Duration::from_millis(200)) {
            return None;
        }
        outcome.expect_failure(1, &["timed out: no greeting within 200ms (5 of 6 bytes)"]);

        let (start, sent) = (Instant::now(), Arc::new(OnceLock::new()));
        let when_sent = Arc::clone(&sent);
        let endless = serve(move |mut session| {
            let bytes = session.receive(5);
            session.send(&bytes);
            let _ = when_sent.set(start.elapsed());
            session.receive_to_end();
            loop {
                std::thread::park();
            }
        });
        let outcome = run(&["--timeout", ".3", "-m", "hello", &endless.to_string()]);
        if is_late(&sent, Duration::from_millis(300)) {
            return None;
        }
        outcome.expect_failure(1, &["timed out: no end within 300ms (5 of 5 bytes)"]);
        assert_eq!(outcome.lines(), ["1: hello", "1 of 1 equal"]);
        Some(())
    });
}

#[test]
fn the_client_ignores_the_variables_of_the_server() {
    let server = Server::start(&[]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mio-echo"));
    command.args(["client", "-m", "hello", &server.address().to_string()]);
    command.env("MIO_ECHO_FRAMING", "no such");
    command.env("MIO_ECHO_QUIET", "1");
    let output = command.output().expect("running");
    assert_eq!(output.stdout, b"1: hello\n1 of 1 equal\n");
}
