//! System calls of the server that fail: whom the failure ends, and how.

use std::time::Instant;

use rustix::process::Signal;

use crate::support::strace::{Strace, WAITS};
use crate::support::{Client, DEADLINE, End, Server, most_warnings};

/// Waits until the turn of the server that has accepted `client` is over.
#[track_caller]
fn settle(client: &Client) {
    // The first echo may come in that turn. The second one comes in a later turn.
    client.echo(b"one");
    client.echo(b"two");
}

#[track_caller]
fn connect_settled(server: &Server) -> Client {
    let client = Client::connect(server.address());
    settle(&client);
    client
}

// With poll(2), registering makes no system call.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn fault_a7_a_client_whose_socket_cannot_be_registered_is_reset_and_counted_as_refused() {
    const REFUSED: u64 = 20;
    let start = Instant::now();
    let server = Server::start(&["--max-per-ip", "2"]);
    let old = connect_settled(&server);
    let fault = "epoll_ctl:error=ENOSPC";
    let Some(strace) = Strace::inject("fault_a7", server.pid(), fault) else {
        return;
    };
    for _ in 0..REFUSED {
        // The reset may come before the client knows that it is connected.
        if let Ok(client) = Client::try_connect(server.address()) {
            client.expect_reset();
        }
    }
    let line = server.await_log("WARN");
    assert!(line.contains("No space left on device"), "{line}");
    old.echo(b"still here");
    strace.detach();
    let next = connect_settled(&server);
    let figures = server.figures();
    assert_eq!(figures.get("refused"), REFUSED);
    assert_eq!(figures.get("accepted"), 2);
    assert_eq!(figures.get("active"), 2);
    drop((old, next));
    server.await_active(0, DEADLINE);
    let finished = server.stop();
    let warnings = finished.log.iter().filter(|line| line.contains("WARN"));
    let most = most_warnings(start.elapsed());
    assert!(
        (1..=most).contains(&warnings.count()),
        "{:#?}",
        finished.log
    );
}

/// Sends more than the buffers hold, and less than the high-water mark: the server has read all, and has bytes pending.
/// Then reads to the end, while `fault` is injected.
#[track_caller]
fn expect_reset_of_a_truncated_echo(fault: &str) {
    let server = Server::start(&["--write-timeout", "500ms", "--socket-buffer", "4k"]);
    let client = Client::connect_with_small_buffers(server.address(), 4096);
    settle(&client);
    let Some(strace) = Strace::inject("fault_w9", server.pid(), fault) else {
        return;
    };
    // If this client is late, the write timeout comes before the last byte.
    client.send_bytes_until_blocked(&[b'.'; 60_000]);
    server.await_active(0, DEADLINE);
    assert_eq!(client.receive_to_end().1, End::Reset, "{fault}");
    drop(strace);
}

#[test]
fn fault_w9_a_truncated_echo_ends_with_a_reset_although_so_linger_is_refused() {
    for error in ["EPERM", "ENOPROTOOPT"] {
        expect_reset_of_a_truncated_echo(&format!("setsockopt:error={error}"));
    }
}

#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn fault_w9_a_failure_to_ask_for_no_more_write_events_ends_with_a_reset() {
    let server = Server::start(&["--socket-buffer", "4k"]);
    let client = Client::connect_with_small_buffers(server.address(), 4096);
    settle(&client);
    // The first call asks for write events.
    let fault = "epoll_ctl:error=ENOMEM:when=2+";
    let Some(strace) = Strace::inject("fault_w9", server.pid(), fault) else {
        return;
    };
    client.send(&vec![b'.'; 60_000]);
    client.expect_reset();
    drop(strace);
    assert_eq!(server.stop().figures().get("failed"), 1);
}

#[test]
fn fault_w9_a_server_that_cannot_wait_for_events_resets_every_connection() {
    let server = Server::start(&[]);
    let clients = [connect_settled(&server), connect_settled(&server)];
    let fault = format!("{}:error=EINVAL", WAITS.join(","));
    let Some(strace) = Strace::inject("fault_w9 (the wait)", server.pid(), &fault) else {
        return;
    };
    // Ends a wait that began before strace was attached.
    server.signal(Signal::USR1);
    clients.iter().for_each(Client::expect_reset);
    let finished = server.finished();
    assert_eq!(finished.status.code(), Some(1));
    let last = finished.log.last().expect("a last line");
    assert!(
        last.starts_with("mio-echo: cannot wait for events: "),
        "{last}"
    );
    finished.expect_no_warning();
    drop(strace);
}

#[test]
fn fault_w10_connections_that_fail_are_named_once_in_five_seconds() {
    for call in ["recvfrom", "sendto"] {
        let start = Instant::now();
        let server = Server::start(&[]);
        let clients: [_; 3] = std::array::from_fn(|_| connect_settled(&server));
        let fault = format!("{call}:error=EPERM");
        let Some(strace) = Strace::inject("fault_w10", server.pid(), &fault) else {
            return;
        };
        for client in clients {
            client.send(b"hello");
            client.expect_reset();
        }
        strace.detach();
        connect_settled(&server);
        let warnings = server.stop().log;
        let warnings: Vec<_> = warnings
            .iter()
            .filter(|line| line.contains("WARN"))
            .collect();
        let most = most_warnings(start.elapsed());
        assert!(
            (1..=most).contains(&warnings.len()),
            "{call}: {warnings:#?}"
        );
        assert!(
            warnings[0].contains(": Operation not permitted (os error 1))"),
            "{call}: {warnings:#?}"
        );
    }
}

/// At an urgent mark, Linux answers a read with EAGAIN while a signal is pending, whatever is queued.
#[test]
fn fault_r10_a_signal_at_an_urgent_mark_leaves_no_byte_unread() {
    let server = Server::start(&[]);
    let client = connect_settled(&server);
    let fault = "recvfrom:error=EAGAIN:when=1";
    let Some(strace) = Strace::inject("fault_r10", server.pid(), fault) else {
        return;
    };
    let frozen = server.freeze();
    client.send_urgent(b'!');
    client.send(b"after");
    client.half_close();
    drop(frozen);
    client.expect(b"after");
    client.expect_fin();
    drop(strace);
}

#[test]
fn fault_m3_a_failed_write_is_named_with_its_call_and_the_text_of_the_system() {
    for (number, text) in [
        ("ENOBUFS", "No buffer space available (os error 105)"),
        ("EIO", "Input/output error (os error 5)"),
    ] {
        let server = Server::start(&[]);
        let client = connect_settled(&server);
        let fault = format!("sendto:error={number}");
        let Some(strace) = Strace::inject("fault_m3", server.pid(), &fault) else {
            return;
        };
        client.send(b"hello");
        let line = server.await_log(" WARN ");
        assert!(line.contains(&format!("failed (write: {text})")), "{line}");
        client.expect_reset();
        drop(strace);
    }
}
