//! Standard streams that are closed or full, and missing privileges.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::server::serve;
use crate::support::temp_dir::TempDir;
use crate::support::unix::{fill, full_pipe, limited, shell};
use crate::support::unused::free_address;
use crate::support::{Client, DEADLINE, QUIET, Server, proc, skip, wait_for};

/// Waits until a client can connect to `address`, and returns the client.
#[track_caller]
pub fn first_client(address: SocketAddr) -> Client {
    let mut client = None;
    wait_for("the server listens", DEADLINE, || {
        client = Client::try_connect(address).ok();
        client.is_some()
    });
    client.expect("a client")
}

/// Requires that the server echoes for enough clients to overflow an unread pipe with its log, and then stops with 0.
#[track_caller]
pub fn expect_service_and_stop(mut server: Server, address: SocketAddr) {
    first_client(address);
    for _ in 0..1_000 {
        let client = Client::connect(address);
        client.echo(b"hello");
        client.half_close();
        client.expect_fin();
    }
    assert!(server.is_running());
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn fault_s4_fault_w7_closed_standard_streams_do_not_stop_the_echo() {
    for closed in ["1>&-", "2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"] {
        let (_unused, address) = free_address();
        let mut command = shell(&format!(r#"exec "$0" "$@" {closed}"#));
        command.args(["-vv", "--listen", &address.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        expect_service_and_stop(Server::spawn_without_waiting(command), address);
    }
}

#[test]
fn fault_s4_unread_pipes_do_not_stop_the_echo() {
    let (output, their_output) = std::io::pipe().expect("a pipe");
    let (log, their_log) = std::io::pipe().expect("a pipe");
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["-vv", "--listen", &address.to_string()]);
    command.stdout(their_output).stderr(their_log);
    expect_service_and_stop(Server::spawn_without_waiting(command), address);
    drop((output, log));
}

#[test]
fn fault_s4_an_output_that_is_full_at_the_start_does_not_stop_the_echo() {
    let (reader, output) = full_stream();
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["--listen", &address.to_string()]);
    command.stdout(OwnedFd::from(output)).stderr(Stdio::null());
    expect_service_and_stop(Server::spawn_without_waiting(command), address);
    drop(reader);
}

#[test]
fn fault_s4_more_start_lines_than_a_pipe_holds_do_not_stop_the_echo() {
    const LISTENERS: usize = 200;
    let (mut reader, output) = full_pipe();
    // With one page free, a poll reports the pipe as writable.
    reader.read_exact(&mut [0; 4096]).expect("a page");
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["--listen", &address.to_string()]);
    command.args(["--listen", "127.0.0.1:0"].repeat(LISTENERS));
    command.stdout(output).stderr(Stdio::null());
    expect_service_and_stop(Server::spawn_without_waiting(command), address);
    drop(reader);
}

/// Returns a stream whose writer is blocked until the reader reads.
fn full_stream() -> (UnixStream, UnixStream) {
    let (reader, writer) = UnixStream::pair().expect("a pair");
    fill(&writer);
    (reader, writer)
}

#[test]
fn a_non_blocking_standard_input_ends_only_at_its_end() {
    let (typist, stdin) = UnixStream::pair().expect("a pair");
    stdin.set_nonblocking(true).expect("non-blocking");
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["--stop-on-eof", "--listen", &address.to_string()]);
    command.stdin(OwnedFd::from(stdin));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = command.spawn().expect("starting");
    drop(command);
    wait_for("the server listens", DEADLINE, || {
        Client::try_connect(address).is_ok()
    });
    (&typist).write_all(b"no end").expect("typing");
    std::thread::sleep(QUIET);
    Client::connect(address).echo(b"hello");
    drop(typist);
    assert_eq!(server.wait().expect("the end").code(), Some(0));
}

#[test]
fn fault_s4_a_closed_log_pipe_does_not_stop_the_echo() {
    let (log, their_log) = std::io::pipe().expect("a pipe");
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["-vv", "--listen", &address.to_string()]);
    command.stdout(Stdio::null()).stderr(their_log);
    let server = Server::spawn_without_waiting(command);
    BufReader::new(log)
        .lines()
        .next()
        .expect("a line")
        .expect("a line");
    expect_service_and_stop(server, address);
}

#[test]
fn fault_s4_a_log_file_at_its_size_limit_does_not_stop_the_echo() {
    let (_unused, address) = free_address();
    let dir = TempDir::new("log-that-may-not-grow");
    let path = dir.file("log");
    let log = File::create(&path).expect("a file");
    let mut command = limited("ulimit -f 8", &serve());
    command.args(["-vv", "--listen", &address.to_string()]);
    command.stdout(Stdio::null()).stderr(log);
    expect_service_and_stop(Server::spawn_without_waiting(command), address);
    let written = path.metadata().expect("the file").len();
    assert!(
        written >= 4096,
        "only {written} bytes: the limit was not reached"
    );
}

#[test]
fn fault_w7_output_that_is_piped_to_head_does_not_end_the_server() {
    let (_unused, address) = free_address();
    // Start line and log go into the same pipe. `head` closes the pipe after the first line.
    let mut command = shell(r#""$0" "$@" 2>&1 | head -n 1; echo over"#);
    command.args(["-vv", "--stop-on-eof", "--listen", &address.to_string()]);
    command.stdout(Stdio::piped());
    let mut server = Server::spawn_without_waiting(command);
    wait_for("the server listens", DEADLINE, || {
        Client::try_connect(address).is_ok()
    });
    for _ in 0..50 {
        Client::connect(address).echo(b"hello");
    }
    server.close_stdin();
    let output = server.finished().output;
    assert_eq!(output.len(), 2, "{output:?}");
    assert_eq!(output[1], "over");
}

#[test]
fn seed_s3_1_a_privileged_port_is_refused_with_a_hint() {
    let first: u16 = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|port| port.trim().parse().ok())
        .unwrap_or(0);
    if first <= 1 {
        return skip("seed_s3_1 (EACCES)", "no port needs a privilege");
    }
    let serve = serve();
    let mut command = if rustix::process::geteuid().is_root() {
        let drop_all = [
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
        ];
        let mut command = Command::new("setpriv");
        command
            .args(drop_all)
            .arg(serve.get_program())
            .args(serve.get_args());
        command
    } else {
        serve
    };
    command.args(["--listen", "127.0.0.1:1"]);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return skip("seed_s3_1 (EACCES)", &format!("no setpriv: {error}")),
    };
    let log = String::from_utf8_lossy(&output.stderr);
    if log.contains("setpriv:") {
        return skip("seed_s3_1 (EACCES)", log.trim());
    }
    assert_eq!(output.status.code(), Some(1), "{log}");
    for text in ["127.0.0.1:1", "ermission denied", "cap_net_bind_service"] {
        assert!(log.contains(text), "`{text}` is not in `{log}`");
    }
}

#[test]
fn seed_s3_4_a_write_to_a_client_that_left_does_not_raise_sigpipe() {
    let server = Server::start(&["--socket-buffer", "16k"]);
    let at_start = proc::descriptors(server.pid());
    for _ in 0..50 {
        let frozen = server.freeze();
        let client = Client::connect(server.address());
        client.send(&[1; 5_000]);
        drop(client);
        drop(frozen);
    }
    wait_for("every connection is closed", DEADLINE, || {
        server.figures().closed() == 50
    });
    assert_eq!(proc::descriptors(server.pid()), at_start);
}
