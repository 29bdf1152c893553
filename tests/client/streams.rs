//! Standard streams that cannot be read or written, and help on them.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::io::ioctl_fionbio;
use socket2::{Domain, Socket, Type};

use crate::support::server::program;
use crate::support::unix::full_pipe;
use crate::support::{QUIET, Server};

/// Opens a file for reading only.
fn read_only() -> Stdio {
    File::open("/dev/null").expect("opening").into()
}

/// Opens `path` for writing only.
fn write_only(path: &str) -> Stdio {
    let file = File::options().write(true).open(path);
    file.expect("opening").into()
}

/// Requires exit code 1 and `line` alone on standard error.
#[track_caller]
fn expect_line(mut command: Command, line: &str) {
    let Output { status, stderr, .. } = command.output().expect("running");
    let errors = String::from_utf8_lossy(&stderr);
    assert_eq!(errors, format!("mio-echo: {line}\n"));
    assert_eq!(status.code(), Some(1));
}

const NOT_WRITABLE: &str = "cannot write standard output: Bad file descriptor (os error 9)";
const NOT_READABLE: &str = "cannot read standard input: Bad file descriptor (os error 9)";

#[test]
fn fault_s16_a_client_whose_standard_streams_have_the_wrong_direction_fails() {
    let server = Server::start(&[]);
    let client = || {
        let mut command = program("client");
        command
            .arg(server.address().to_string())
            .stdin(Stdio::null());
        command
    };
    let mut command = client();
    command.stdout(read_only());
    expect_line(command, NOT_WRITABLE);
    let mut command = client();
    command.args(["-m", "hello"]).stdout(read_only());
    expect_line(command, NOT_WRITABLE);
    let mut command = client();
    command.stdin(write_only("/dev/null"));
    expect_line(command, NOT_READABLE);
    // A stream that is not used may be open in any direction.
    let mut command = client();
    command.args(["-q", "-m", "hello"]).stdout(read_only());
    command.stdin(write_only("/dev/null"));
    let output = command.output().expect("running");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn fault_s16_help_that_cannot_be_printed_is_a_failure() {
    for option in ["--help", "--version", "help"] {
        let help = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_mio-echo"));
            command.arg(option);
            command
        };
        let mut command = help();
        command.stdout(write_only("/dev/full"));
        expect_line(
            command,
            "cannot write standard output: No space left on device (os error 28)",
        );
        let mut command = help();
        command.stdout(read_only());
        expect_line(command, NOT_WRITABLE);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = help();
        command.stdout(writer);
        let output = command.output().expect("running");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

// With poll(2), the waker needs no descriptor beside the poll's.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn fault_m3_a_refused_waker_is_named() {
    let server = Server::start(&[]);
    let (client, address) = (env!("CARGO_BIN_EXE_mio-echo"), server.address());
    // The standard streams and the poll are open.
    let script = format!("ulimit -n 4; exec {client} client {address}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(Stdio::null());
    expect_line(
        command,
        "cannot create the waker: Too many open files (os error 24)",
    );
}

#[test]
fn fault_s17_a_standard_error_that_does_not_block_gets_every_line_of_a_client() {
    const CONNECTIONS: usize = 400;
    // Nobody listens there: the port is bound and does not listen.
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None);
    let bound = bound.expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    bound.bind(&any.into()).expect("a free port");
    let target = bound.local_addr().expect("its address").as_socket();

    let (mut reader, errors) = full_pipe();
    ioctl_fionbio(&errors, true).expect("a pipe that does not block");
    let mut command = program("client");
    command.args(["-m", "hello", "-c", &CONNECTIONS.to_string()]);
    command.arg(target.expect("an address").to_string());
    command.stdout(Stdio::null()).stderr(errors);
    let mut client = command.spawn().expect("starting");
    drop(command);
    // The client has time for its lines before they are read.
    thread::sleep(QUIET);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("reading");
    assert_eq!(client.wait().expect("the end").code(), Some(1));
    let lines: Vec<_> = text.trim_start_matches('.').lines().collect();
    assert_eq!(lines.len(), CONNECTIONS);
    for (line, number) in lines.into_iter().zip(1..) {
        let start = format!("mio-echo: connection {number}: cannot connect to ");
        assert!(line.starts_with(&start), "{line}");
        assert!(line.ends_with("(os error 111)"), "{line}");
    }
}
