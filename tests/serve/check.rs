//! `mio-echo serve --check`.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::support::server::serve;

#[track_caller]
fn check(args: &[&str]) -> Output {
    run(serve().args(args).arg("--check"))
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    command.output().expect("running")
}

#[track_caller]
fn lines(output: &Output) -> Vec<&str> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    str::from_utf8(&output.stdout)
        .expect("UTF-8")
        .lines()
        .collect()
}

#[track_caller]
fn expect_lines(output: &Output, expected: &[&str]) {
    let lines = lines(output);
    for line in expected {
        assert!(lines.contains(line), "no `{line}` in {lines:#?}");
    }
}

#[test]
fn a_check_prints_every_value_with_its_source_and_what_it_means() {
    let mut command = serve();
    command.args([
        "--listen",
        "len8@*:7",
        "-l",
        "[::1]:8",
        "--check",
        "-vv",
        "--max-connections",
        "1k",
    ]);
    command.args(["--max-memory", "256m", "--backlog", "5"]);
    command
        .env("MIO_ECHO_IDLE_TIMEOUT", "2m")
        .env("MIO_ECHO_MAX_CONNECTIONS", "7");
    let output = run(&mut command);
    let expected = [
        "listen: len8@*:7 [::1]:8 (command line)",
        "framing: raw (default)",
        "idle-timeout: 2m (MIO_ECHO_IDLE_TIMEOUT)",
        "max-connections: 1k (command line)",
        "max-per-ip: unset (default)",
        "quiet: false (default)",
        "verbose: 2 (command line)",
        "would listen on [::]:7 len8 both-families",
        "would listen on [::1]:8 raw",
        "at most 5 clients of a listener wait in the kernel's queue",
    ];
    expect_lines(&output, &expected);
    let capacity = lines(&output).pop().expect("a line");
    assert!(
        capacity.starts_with("up to 1000 connections ("),
        "{capacity}"
    );
    assert!(
        capacity.contains("at most 256 MiB of process memory (--max-memory)"),
        "{capacity}"
    );
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_check_binds_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let output = check(&["--listen", &address]);
    expect_lines(&output, &[&format!("would listen on {address} raw")]);
}

#[test]
fn a_check_refuses_with_2_and_one_line_what_cannot_start() {
    for (args, part) in [
        (
            &["--max-connections", "x"][..],
            "mio-echo: invalid value 'x' for '--max-connections <N>': expected a count from 1 to 10000000, such as 64 or 50k (k is \
             1000)\n",
        ),
        (
            &["--max-connections", "1000", "--max-memory", "1m"],
            " bytes of memory; --max-memory is 1048576\n",
        ),
    ] {
        let output = check(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = str::from_utf8(&output.stderr).expect("UTF-8");
        assert!(text.contains(part), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn fault_m2_a_check_warns_about_a_misspelt_variable() {
    let output = run(serve().args(["--check"]).env("MIO_ECHO_LISTNE", "*:7"));
    expect_lines(&output, &["listen: 127.0.0.1:7007 (default)"]);
    let text = str::from_utf8(&output.stderr).expect("UTF-8");
    assert_eq!(
        text,
        "mio-echo: no option has the variable MIO_ECHO_LISTNE; the nearest name is MIO_ECHO_LISTEN\n"
    );
}
