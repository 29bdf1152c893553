//! Start lines, environment variables, the log, the banner, and options that are refused at the start.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;

use mio_echo::conn::Framing;
use mio_echo::net::{self, Config, Listen, StartError};

use crate::support::server::{Finished, serve};
use crate::support::unused::free_address;
use crate::support::{Client, Server, skip};

/// Runs `mio-echo serve` with `args` to its end.
#[track_caller]
pub fn run(args: &[&str]) -> Finished {
    let mut command = serve();
    command.args(args);
    run_to_end(command)
}

#[track_caller]
fn run_to_end(mut command: Command) -> Finished {
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut server = Server::spawn_without_waiting(command);
    server.close_stdin();
    server.finished()
}

/// Requires the exit code `code` and a line on standard error that contains all of `texts`.
#[track_caller]
pub fn expect_refusal(finished: &Finished, code: i32, texts: &[&str]) {
    assert_eq!(finished.status.code(), Some(code), "{:#?}", finished.log);
    let is_printed = finished.log.iter().any(|line| {
        texts
            .iter()
            .all(|text| line.to_lowercase().contains(&text.to_lowercase()))
    });
    assert!(is_printed, "{texts:?} are not in {:#?}", finished.log);
    assert!(
        finished.output.is_empty(),
        "the server started: {:?}",
        finished.output
    );
}

#[test]
fn start_lines_have_the_order_of_the_options_and_name_the_ports() {
    let (_unused, second) = free_address();
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0", "-l", &second.to_string()]);
    command.args(["-l", "raw@127.0.0.1:0", "--stop-on-eof"]);
    let server = Server::spawn_with_listeners(command, 3);
    assert_eq!(server.addresses()[1], second);
    for address in server.addresses() {
        assert_ne!(address.port(), 0);
        Client::connect(*address).echo(b"hello");
    }
    let output = server.stop().output;
    assert_eq!(output.len(), 3, "{output:?}");
    for line in output {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(
            (&words[..2], words[3]),
            (&["listening", "on"][..], "raw"),
            "{line}"
        );
        words[2].parse::<SocketAddr>().expect("an address");
    }
}

#[test]
fn fault_s19_a_start_line_tells_whether_a_listener_takes_both_families() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skip("fault_s19", "no IPv6");
    }
    let mut command = serve();
    for listener in ["[::]:0", "*:0", "[::1]:0", "0.0.0.0:0"] {
        command.args(["--listen", listener]);
    }
    command.arg("--stop-on-eof");
    let server = Server::spawn_with_listeners(command, 4);
    for (address, both) in server.addresses().iter().zip([true, true, false, false]) {
        let line = server.await_output(&format!("listening on {address} "));
        let coverage = if both { " both-families" } else { "" };
        assert_eq!(line, format!("listening on {address} raw{coverage}"));
        if both {
            Client::connect((Ipv4Addr::LOCALHOST, address.port()).into()).echo(b"hello");
            Client::connect((Ipv6Addr::LOCALHOST, address.port()).into()).echo(b"hello");
        }
    }
    server.stop();

    // Beside an IPv4 listener of its port, an IPv6 listener takes IPv6 alone.
    let (_unused, address) = free_address();
    let port = address.port();
    let mut command = serve();
    for host in ["0.0.0.0", "[::]"] {
        command.args(["--listen", &format!("{host}:{port}")]);
    }
    command.arg("--stop-on-eof");
    let server = Server::spawn_with_listeners(command, 2);
    let output = server.stop().output;
    let expected = ["0.0.0.0", "[::]"].map(|host| format!("listening on {host}:{port} raw"));
    assert_eq!(output, expected);
}

#[test]
fn variables_set_options_and_the_command_line_wins() {
    let mut command = serve();
    command.env("MIO_ECHO_LISTEN", "127.0.0.1:0 127.0.0.1:0");
    command.env("MIO_ECHO_BANNER", "hello");
    command.env("MIO_ECHO_STOP_ON_EOF", "true");
    command.env("MIO_ECHO_MAX_CONNECTIONS", "");
    command.env("MIO_ECHO_SERVICE_HOST", "10.0.0.1");
    let server = Server::spawn_with_listeners(command, 2);
    for address in server.addresses() {
        Client::connect(*address).expect(b"hello");
    }
    server.stop();

    let mut command = serve();
    command.env("MIO_ECHO_LISTEN", "127.0.0.1:1");
    command.env("MIO_ECHO_BANNER", "from the environment");
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--banner",
        "from the command line",
        "--stop-on-eof",
    ]);
    let server = Server::spawn(command);
    Client::connect(server.address()).expect(b"from the command line");
    server.stop();
}

#[test]
fn fault_m2_a_misspelt_variable_is_warned_about() {
    let mut command = serve();
    command.env("MIO_ECHO_MAX_CONECTIONS", "5");
    command.env("MIO_ECHO_SERVICE_HOST", "10.0.0.1");
    command.env("MIO_ECHO_PORT", "tcp://10.0.0.1:7");
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    let log = Server::spawn(command).stop().log;
    let warnings: Vec<_> = log.iter().filter(|line| line.contains(" WARN ")).collect();
    let [line] = warnings[..] else {
        panic!("not one warning: {log:#?}");
    };
    let expected = "no option has the variable MIO_ECHO_MAX_CONECTIONS; the nearest name is MIO_ECHO_MAX_CONNECTIONS";
    assert!(line.ends_with(expected), "{line}");
}

#[test]
fn a_bad_value_is_refused_in_one_line_that_names_it() {
    let refused = |args: &[&str], texts: &[&str]| {
        let finished = run(args);
        expect_refusal(&finished, 2, texts);
        assert_eq!(finished.log.len(), 1, "{:#?}", finished.log);
    };
    for value in ["abc", "-1", "0"] {
        let argument = format!("--max-connections={value}");
        refused(&[&argument], &["--max-connections", value]);
    }
    refused(&["--listen", "127.0.0.1:70000"], &["--listen", "70000"]);
    refused(&["--idle-timeout", "1x"], &["--idle-timeout", "1x"]);
    refused(
        &["--when-full", "panic"],
        &["--when-full", "panic", "wait", "close"],
    );
    refused(&["--no-such-option"], &["--no-such-option"]);

    let mut command = serve();
    command.env("MIO_ECHO_MAX_CONNECTIONS", "abc");
    let finished = run_to_end(command);
    expect_refusal(&finished, 2, &["MIO_ECHO_MAX_CONNECTIONS", "abc"]);
    assert_eq!(finished.log.len(), 1, "{:#?}", finished.log);
}

#[test]
fn fault_s3_seed_s3_1_an_address_in_use_is_named_and_exits_with_1() {
    let first = Server::start(&[]);
    let address = first.address().to_string();
    let second = run(&["--listen", &address]);
    expect_refusal(&second, 1, &["in use", &address]);
    Client::connect(first.address()).echo(b"not affected");
}

#[test]
fn seed_s3_5_a_failed_start_is_a_typed_error() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let at = taken.local_addr().expect("its address");
    let config = Config {
        listen: vec![(Listen::At(at), Framing::Raw)],
        ..Config::default()
    };
    match net::Server::bind(config).map(drop) {
        Err(StartError::Listen {
            address, source, ..
        }) => assert_eq!((address, source.kind()), (at, ErrorKind::AddrInUse)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn seed_s3_1_no_start_line_is_printed_if_one_listener_fails() {
    let first = Server::start(&[]);
    let address = first.address().to_string();
    let second = run(&["--listen", "127.0.0.1:0", "--listen", &address]);
    expect_refusal(&second, 1, &["in use", &address]);
}

#[test]
fn seed_s3_1_an_address_of_another_machine_is_named_and_exits_with_1() {
    // RFC 5737 reserves 192.0.2.0/24 for documentation, so no machine has such an address.
    let finished = run(&["--listen", "192.0.2.1:7007"]);
    expect_refusal(&finished, 1, &["192.0.2.1:7007", "assign"]);
}

#[test]
fn the_first_log_line_has_the_limits_and_the_last_the_figures() {
    let server = Server::start(&["--max-connections", "100"]);
    let client = Client::connect(server.address());
    client.echo(&[7; 1000]);
    client.half_close();
    client.expect_fin();
    let finished = server.stop();
    let first = &finished.log[0];
    for text in ["up to 100 connections", "of process memory", "descriptors"] {
        assert!(first.contains(text), "`{text}` is not in `{first}`");
    }
    let last = finished.log.last().expect("a last line");
    assert!(
        last.contains("accepted 1, refused 0, active 0, echoed 1000 bytes"),
        "{last}"
    );
    assert!(last.contains("peer finished 1"), "{last}");
}

#[test]
fn the_log_announces_a_stop_and_its_delay() {
    let announced = |delay: &str| {
        let log = Server::start(&["--stop-delay", delay]).stop().log;
        let line = log.iter().find(|line| line.contains("stop requested"));
        let (_, rest) = line.expect("the line").split_once(": ").expect("a colon");
        rest.to_owned()
    };
    assert_eq!(announced("0"), "pending echoes are delivered");
    let delayed = "clients are accepted for another 1ms, then pending echoes are delivered";
    assert_eq!(announced("1ms"), delayed);
}

#[test]
fn by_default_a_connection_logs_nothing() {
    let server = Server::start(&[]);
    let before = server.await_log("up to");
    for _ in 0..10 {
        drop(Client::connect(server.address()));
        Client::connect(server.address()).reset();
        Client::connect(server.address()).echo(b"a byte or two");
    }
    let log = server.stop().log;
    assert_eq!(log[0], before);
    let mut between = log[1..log.len() - 1].iter();
    assert!(!between.any(|line| line.contains("127.0.0.1:")), "{log:#?}");
    assert!(log.len() <= 4, "{log:#?}");
}

#[test]
fn v_logs_one_line_per_connection_and_vv_every_state() {
    for (level, states) in [("-v", false), ("-vv", true)] {
        let server = Server::start(&[level]);
        let client = Client::connect(server.address());
        client.echo(b"12345");
        client.half_close();
        client.expect_fin();
        let closed = format!(
            "from {}: peer finished, 5 bytes in, 5 out",
            client.address()
        );
        server.await_log(&closed);
        let log = server.stop().log;
        assert_eq!(log.iter().filter(|line| line.contains(&closed)).count(), 1);
        let state = log
            .iter()
            .any(|line| line.contains("Open -> Finishing (peer finished sending)"));
        assert_eq!(state, states, "{log:#?}");
    }
}

#[test]
fn quiet_logs_nothing() {
    let server = Server::start(&["-q"]);
    Client::connect(server.address()).echo(b"a byte or two");
    let log = server.stop().log;
    assert!(log.is_empty(), "{log:#?}");
}

#[test]
fn seed_s2_1_a_banner_greets_each_client_with_its_address_and_id() {
    let banner = r"Welcome to echo server\r\n{peer} is\tnumber {id}\n\\";
    let server = Server::start(&["--banner", banner]);
    let greeted_id = |_| {
        let client = Client::connect(server.address());
        let start = format!("Welcome to echo server\r\n{} is\tnumber ", client.address());
        client.expect(start.as_bytes());
        let mut id = String::new();
        while !id.ends_with("\n\\") {
            id.push(char::from(client.receive(1)[0]));
        }
        client.echo(b"after the greeting");
        client.half_close();
        client.expect_fin();
        id.trim_end_matches("\n\\")
            .parse::<u64>()
            .expect("a number")
    };
    let mut ids: Vec<_> = (0..5).map(greeted_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");
    let finished = server.stop();
    finished.expect_no_warning();
    let echoed = 5 * "after the greeting".len() as u64;
    assert_eq!(
        finished.figures().get("echoed"),
        echoed,
        "the greeting does not count"
    );
}

#[test]
fn the_end_of_standard_input_stops_only_with_stop_on_eof() {
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0"]);
    let mut server = Server::spawn(command);
    server.close_stdin();
    let client = Client::connect(server.address());
    client.expect_silence(crate::support::QUIET);
    client.echo(b"still here");
    assert!(server.is_running());

    Server::start(&[]).stop();
}
