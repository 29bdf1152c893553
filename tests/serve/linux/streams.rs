//! Standard streams that cannot be read or written, or that do not block.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

use crate::linux::environment::{expect_service_and_stop, first_client};
use crate::support::server::serve;
use crate::support::temp_dir::TempDir;
use crate::support::unix::{full_pipe, limited, shell, wrapped};
use crate::support::unused::free_address;
use crate::support::{Client, Server};

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
        let (_unused, address) = free_address();
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

/// Lets the server of `command` listen at `address` and log a line for each connection.
fn log_each_connection(command: &mut Command, format: &str, address: SocketAddr) {
    command.args(["-v", "--log-format", format]);
    command.args(["--listen", &address.to_string()]);
}

/// Connects and leaves `CLIENTS` times.
fn connect_often(address: SocketAddr) {
    for _ in 0..CLIENTS {
        let client = Client::connect(address);
        client.echo(b"hello");
        client.half_close();
        client.expect_fin();
    }
}

const CLIENTS: usize = 300;

const FORMATS: [&str; 3] = ["text", "json", "systemd"];

/// Returns the text of a line of the log, if the line is whole.
fn text_of<'a>(line: &'a str, format: &str) -> Option<Cow<'a, str>> {
    match format {
        "text" => {
            let is_whole =
                line.matches("Z ").count() == 1 && line.matches("[mio_echo").count() == 1;
            Some(line.split_once("] ").filter(|_| is_whole)?.1.into())
        }
        "json" => {
            let object: Value = serde_json::from_str(line).ok()?;
            Some(object["message"].as_str()?.to_owned().into())
        }
        _ => {
            let is_whole = line.matches('<').count() == 1 && line.starts_with('<');
            Some(line.split_once('>').filter(|_| is_whole)?.1.into())
        }
    }
}

/// Requires that each line of `log` is whole. The line before a report of lost lines may be cut or empty: it is one of the
/// lost lines. Returns the number of lines about closed connections, and the sum of the lines that are reported as lost.
#[track_caller]
fn closed_and_lost(log: &str, format: &str) -> (usize, usize) {
    let (mut closed, mut lost) = (0, 0);
    let report = |line: &str| {
        let number = text_of(line, format)?
            .strip_suffix(" log lines lost")?
            .parse();
        number.ok()
    };
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        let next: Option<usize> = lines.peek().and_then(|next| report(next));
        if next.is_some() {
            continue;
        }
        let Some(text) = text_of(line, format) else {
            panic!("not one line: {line}");
        };
        closed += usize::from(text.starts_with("conn "));
        lost += report(line).unwrap_or_default();
    }
    (closed, lost)
}

#[test]
fn fault_s17_a_standard_error_that_does_not_block_gets_every_line_of_the_log() {
    for format in FORMATS {
        expect_every_line_in_a_pipe_that_does_not_block(format);
    }
}

/// Lets a server log to a full pipe that does not block, which is read late.
#[track_caller]
fn expect_every_line_in_a_pipe_that_does_not_block(format: &str) {
    let (mut reader, log) = full_pipe();
    ioctl_fionbio(&log, true).expect("a pipe that does not block");
    let (_unused, address) = free_address();
    let mut command = serve();
    log_each_connection(&mut command, format, address);
    command.stdout(Stdio::null()).stderr(log);
    let mut server = Server::spawn_without_waiting(command);
    first_client(address);
    connect_often(address);
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("reading the log");
        text
    });
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let text = reading.join().expect("the log");
    let (closed, lost) = closed_and_lost(text.trim_start_matches('.'), format);
    assert!(closed > CLIENTS, "{closed} lines, {lost} lost");
    assert_eq!(lost, 0);
}

#[test]
fn fault_s17_lines_over_the_limit_of_a_file_are_counted() {
    for format in FORMATS {
        expect_count_of_lines_over_the_limit_of_a_file(format);
    }
}

/// Lets a server log to a file over the limit of its size, which is lifted before the stop.
#[track_caller]
fn expect_count_of_lines_over_the_limit_of_a_file(format: &str) {
    let (_unused, address) = free_address();
    let dir = TempDir::new("file-limit");
    let path = dir.file("log");
    let log = File::create(&path).expect("a file");
    // The file size limit fails a write as a full disk does: after a part.
    let mut command = limited("ulimit -S -f 8", &serve());
    log_each_connection(&mut command, format, address);
    command.stdout(Stdio::null()).stderr(log);
    let mut server = Server::spawn_without_waiting(command);
    first_client(address);
    connect_often(address);
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, unlimited).expect("room in the file");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let text = fs::read_to_string(path).expect("the log");
    let (closed, lost) = closed_and_lost(&text, format);
    assert!(lost > 0, "{text}");
    assert!(closed + lost > CLIENTS, "{closed} lines, {lost} lost");
}

#[test]
fn fault_s17_lines_that_a_full_disk_refuses_are_counted() {
    for format in FORMATS {
        expect_count_of_lines_on_a_full_disk(format);
    }
}

/// Lets a server log to a full disk, on which there is room before the stop.
#[track_caller]
fn expect_count_of_lines_on_a_full_disk(format: &str) {
    let dir = TempDir::new("full-disk");
    let (_unused, address) = free_address();
    let (disk, filler, log) = (dir.file(""), dir.file("filler"), dir.file("log"));
    // A disk of 64 KiB, of which a file takes most.
    let (disk, filler, log) = (disk.display(), filler.display(), log.display());
    let script = format!(
        r#"mount -t tmpfs -o size=64k disk {disk} && head -c 49152 /dev/zero >{filler} && exec "$0" "$@" 2>{log}"#
    );
    let mut command = shell(&script);
    log_each_connection(&mut command, format, address);
    let wrapper = ["unshare", "--user", "--map-root-user", "--mount"];
    let Some(mut command) = wrapped("fault_s17", &wrapper, &command) else {
        return;
    };
    command.stdout(Stdio::null());
    let mut server = Server::spawn_without_waiting(command);
    first_client(address);
    connect_often(address);
    // The disk is mounted for the server alone.
    let seen_by_server = |path| format!("/proc/{}/root{path}", server.pid());
    let mut text = File::open(seen_by_server(log.to_string())).expect("the log");
    fs::remove_file(seen_by_server(filler.to_string())).expect("room on the disk");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let mut log = String::new();
    text.read_to_string(&mut log).expect("the log");
    let (closed, lost) = closed_and_lost(&log, format);
    assert!(lost > 0, "{log}");
    assert!(closed + lost > CLIENTS, "{closed} lines, {lost} lost");
}
