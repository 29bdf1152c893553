//! Signals, wakes and waits that meet a failing system call.

use crate::support::strace::Strace;
use crate::support::{Client, Server};

#[test]
fn fault_s9_a_report_survives_a_failing_epoll_ctl() {
    const TEST: &str = "fault_s9_a_report_survives_a_failing_epoll_ctl";
    let server = Server::start(&[]);
    let client = Client::connect(server.address());
    client.echo(b"hello");
    let Some(strace) = Strace::inject(TEST, server.pid(), "epoll_ctl:error=ENOMEM") else {
        return;
    };
    for _ in 0..3 {
        assert_eq!(server.figures().get("active"), 1);
    }
    client.echo(b"hello");
    drop((strace, client));
    server.stop();
}

#[test]
fn fault_s9_an_interrupted_wake_does_not_hold_back_a_lone_reply() {
    const TEST: &str = "fault_s9_an_interrupted_wake_does_not_hold_back_a_lone_reply";
    let args = ["--framing", "line", "--workers", "1", "--work-time", "50ms"];
    let server = Server::start(&args);
    let client = Client::connect(server.address());
    // The loop waits for events by the time of the reply.
    // The first write of the worker's thread wakes the loop.
    let Some(strace) = Strace::inject(TEST, server.pid(), "write:error=EINTR:when=1") else {
        return;
    };
    client.echo(b"hello\n");
    drop((strace, client));
    server.stop();
}
