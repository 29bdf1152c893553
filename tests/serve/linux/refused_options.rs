//! Socket options that the system refuses at the start, as a seccomp filter does, or Multipath TCP.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::server::serve;
use crate::support::{Client, DEADLINE, Server, skip, strace};

const TUNING: [&str; 9] = [
    "SO_REUSEADDR",
    "SO_SNDBUF",
    "SO_RCVBUF",
    "TCP_NODELAY",
    "SO_KEEPALIVE",
    "TCP_KEEPIDLE",
    "TCP_KEEPINTVL",
    "TCP_KEEPCNT",
    "TCP_USER_TIMEOUT",
];

/// Starts a server with two listeners and every option, while `fault` is injected. Requires that the server serves and
/// stops, and returns its warnings.
#[track_caller]
fn warnings_of_a_server_with(fault: &str) -> Option<Vec<String>> {
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0"].repeat(2));
    command.args(["--socket-buffer", "64k", "--stop-on-eof"]);
    let command = strace::run_with("fault_s10", fault, &command)?;
    let server = Server::spawn_with_listeners(command, 2);
    for address in server.addresses() {
        Client::connect(*address).echo(b"hello");
    }
    let mut log = server.stop().log;
    log.retain(|line| line.contains("WARN") || line.contains("ERROR"));
    Some(log)
}

#[test]
fn fault_s10_refused_options_that_only_tune_are_named_once_and_the_server_serves() {
    for error in ["ENOPROTOOPT", "EPERM"] {
        let fault = format!("setsockopt:error={error}");
        let Some(warnings) = warnings_of_a_server_with(&fault) else {
            return;
        };
        for option in TUNING {
            let text = format!("cannot set the socket option {option}: ");
            let lines = warnings.iter().filter(|line| line.contains(&text));
            assert_eq!(lines.count(), 1, "{option}: {warnings:#?}");
        }
        assert_eq!(warnings.len(), TUNING.len(), "{warnings:#?}");
    }
}

#[test]
fn fault_s10_a_refused_option_does_not_keep_the_others_from_being_set() {
    for number in 1..=TUNING.len() {
        let fault = format!("setsockopt:error=ENOPROTOOPT:when={number}");
        let Some(warnings) = warnings_of_a_server_with(&fault) else {
            return;
        };
        assert_eq!(warnings.len(), 1, "call {number}: {warnings:#?}");
    }
}

#[test]
fn fault_s10_a_refused_option_that_decides_which_clients_are_served_is_an_error_that_names_it() {
    let mut command = serve();
    // Beside an IPv4 listener of its port, a listener of all addresses must not accept IPv4. No option can be set here.
    command.args(["--listen", "[::]:1", "--listen", "127.0.0.1:1"]);
    let fault = "setsockopt:error=EPERM";
    let Some(mut command) = strace::run_with("fault_s10 (IPv6)", fault, &command) else {
        return;
    };
    let output = command.stdin(Stdio::null()).output().expect("starting");
    let log = String::from_utf8_lossy(&output.stderr);
    if log.contains("socket: Address family") {
        return skip("fault_s10 (IPv6)", "no IPv6");
    }
    assert_eq!(output.status.code(), Some(1), "{log}");
    let expected = "cannot listen on [::]:1: setsockopt IPV6_V6ONLY: Operation not permitted";
    assert!(log.contains(expected), "{log}");
}

#[test]
fn fault_s10_a_server_on_multipath_tcp_echoes_and_resets() {
    let is_there = Command::new("mptcpize").arg("--help").output().is_ok();
    let enabled = fs::read_to_string("/proc/sys/net/mptcp/enabled");
    if !is_there || enabled.ok().is_none_or(|enabled| enabled.trim() != "1") {
        return skip("fault_s10 (Multipath TCP)", "no mptcpize or no support");
    }
    let inner = serve();
    let mut command = Command::new("mptcpize");
    command.arg("run").arg(inner.get_program());
    command.args(inner.get_args());
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    command.args(["--write-timeout", "500ms", "--socket-buffer", "4k"]);
    let server = Server::spawn(command);
    let client = Client::connect_with_small_buffers(server.address(), 4096);
    client.echo(b"hello");
    // If this client is late, the write timeout comes before the last byte.
    client.send_bytes_until_blocked(&[b'.'; 60_000]);
    // Reads nothing before the write timeout has closed the connection.
    server.await_active(0, DEADLINE);
    client.expect_reset();
    server.stop();
}
