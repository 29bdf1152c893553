//! Signals that the parent has blocked, and signals and wakes that meet a failing system call.

use rustix::process::Signal;

use crate::support::server::serve;
use crate::support::strace::Strace;
use crate::support::unix::{do_not_ignore_hangup, with_blocked_signals};
use crate::support::{Client, DEADLINE, Server, proc, wait_for};

#[test]
fn fault_s7_signals_that_the_parent_blocks_stop_the_server_all_the_same() {
    const TEST: &str = "fault_s7_signals_that_the_parent_blocks_stop_the_server_all_the_same";
    do_not_ignore_hangup();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let Some(mut command) = with_blocked_signals(TEST, &serve()) else {
            return;
        };
        command.args(["--listen", "127.0.0.1:0"]);
        let mut server = Server::spawn(command);
        let client = Client::connect(server.address());
        client.echo(b"hello");
        assert_eq!(server.figures().get("active"), 1);
        server.signal(signal);
        client.expect_fin();
        drop(client);
        assert_eq!(server.wait().code(), Some(0), "{signal:?}");
    }
}

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

#[test]
fn fault_s13_a_signal_whose_handler_cannot_report_it_stops_the_server_all_the_same() {
    const TEST: &str =
        "fault_s13_a_signal_whose_handler_cannot_report_it_stops_the_server_all_the_same";
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    let Some(strace) = Strace::inject(TEST, server.pid(), "sendto:error=ENOBUFS") else {
        return;
    };
    // The tracer has interrupted the wait, too.
    wait_for("the loop waits again", DEADLINE, || {
        proc::is_at_rest(server.pid())
    });
    server.signal(Signal::TERM);
    let finished = server.finished();
    assert_eq!(finished.status.code(), Some(0), "{:#?}", finished.log);
    drop(strace);
}

#[test]
fn fault_s13_only_the_thread_of_the_loop_takes_signals() {
    let args = ["--framing", "line", "--workers", "2"];
    let server = Server::start(&args);
    Client::connect(server.address()).echo(b"hello\n");
    // The thread of the log starts with this line.
    server.figures();
    assert!(proc::threads(server.pid()) > 3);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1] {
        assert_eq!(proc::takers(server.pid(), signal), 1, "{signal:?}");
    }
}
