//! Standard streams that cannot be read or written, or that do not block.

use std::fs::File;
use std::process::Stdio;

use crate::linux::environment::{expect_service_and_stop, first_client, free_address};
use crate::support::Server;
use crate::support::server::serve;

#[test]
fn fault_s16_start_lines_that_cannot_be_written_are_told_in_the_log() {
    let read_only = || File::open("/dev/null").expect("opening");
    let full = || {
        let full = File::options().write(true).open("/dev/full");
        full.expect("opening")
    };
    for (output, error) in [
        (read_only(), "Bad file descriptor (os error 9)"),
        (full(), "No space left on device (os error 28)"),
    ] {
        let address = free_address();
        let mut command = serve();
        command.args(["--listen", &address.to_string()]);
        command.stdout(output).stderr(Stdio::piped());
        let server = Server::spawn_without_waiting(command);
        first_client(address).echo(b"hello");
        let line = server.await_log("start lines lost");
        let expected = format!("start lines lost: cannot write standard output: {error}");
        assert!(line.ends_with(&expected), "{line}");
        expect_service_and_stop(server, address);
    }
}

#[test]
fn fault_s16_a_standard_input_that_cannot_be_read_does_not_stop_a_server_as_its_end_would() {
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    let stdin = File::options().write(true).open("/dev/null");
    command.stdin(stdin.expect("opening"));
    let output = command.output().expect("running");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    let expected = "mio-echo: cannot read standard input: Bad file descriptor (os error 9)";
    assert_eq!(log.lines().last(), Some(expected), "{log}");
}
