//! Round trips with common tools: nc, ncat and socat.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use crate::support::{Data, Server, skip};

/// Sends 1 MiB through `tool`, requires all bytes back and exit code 0.
#[track_caller]
fn expect_round_trip(tool: &str, args: &[&str]) {
    let sent = Data::new(1).take(1 << 20);
    let child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return skip(tool, "is not installed");
    };
    let mut input = child.stdin.take().expect("captured");
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            input.write_all(&sent).expect("writing to the tool");
            drop(input);
        });
        child.wait_with_output().expect("the end of the tool")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{tool}: {}: {errors}",
        output.status
    );
    assert_eq!(output.stdout.len(), sent.len(), "{tool}: {errors}");
    assert!(output.stdout == sent, "{tool}: a wrong byte");
}

#[test]
fn fault_h1_nc_gets_everything_back() {
    let server = Server::start(&[]);
    let port = server.address().port().to_string();
    expect_round_trip("nc", &["-N", "127.0.0.1", &port]);
}

#[test]
fn fault_h1_ncat_gets_everything_back() {
    let server = Server::start(&[]);
    let port = server.address().port().to_string();
    expect_round_trip("ncat", &["127.0.0.1", &port]);
}

#[test]
fn fault_h1_socat_gets_everything_back() {
    let server = Server::start(&[]);
    let address = format!("TCP:{}", server.address());
    expect_round_trip("socat", &["-t", "20", "-", &address]);
}
