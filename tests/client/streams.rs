//! Standard streams that cannot be read or written, and help on them.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use crate::support::Server;
use crate::support::server::program;

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
