//! A closed connection leaves nothing behind.

use std::thread;
use std::time::Duration;

use crate::support::proc::{TcpState, descriptors, sockets};
use crate::support::strace::Strace;
use crate::support::{
    Client, DEADLINE, Data, LINGER, READ_BUFFERS, Server, time_bound, wait_for, within,
};

/// A way for a connection to end: the counted reason, the option of the server, and the actions of the client.
type Ending = (&'static str, &'static str, fn(Client));

const ENDINGS: [Ending; 7] = [
    ("peer finished", "-v", |client| {
        client.echo(b"hello");
        client.half_close();
        client.expect_fin();
    }),
    ("peer finished", "-v", drop),
    ("reset", "-v", |client| {
        client.echo(b"hello");
        client.reset();
    }),
    ("reset", "-v", |client| {
        client.send_until_blocked(&mut Data::new(1), 200 << 10);
        client.reset();
    }),
    ("idle timeout", "--idle-timeout=300ms", |client| {
        client.expect_fin();
    }),
    ("session timeout", "--session-timeout=300ms", |client| {
        client.expect_fin();
    }),
    ("write timeout", "--write-timeout=300ms", |client| {
        client.send_until_reset();
    }),
];

#[test]
fn fault_h5_seed_s3_4_every_kind_of_close_frees_everything() {
    thread::scope(|scope| {
        for buffer in READ_BUFFERS {
            for ending in ENDINGS {
                scope.spawn(move || expect_nothing_left(buffer, ending));
            }
        }
    });
}

#[track_caller]
fn expect_nothing_left(buffer: &str, (reason, option, leave): Ending) {
    let limits = ["--max-connections", "2", "--socket-buffer", "16k"];
    let server = Server::start(&[&limits[..], &["--read-buffer", buffer, option]].concat());
    let at_start = descriptors(server.pid());
    for turn in 1..=2 {
        let clients =
            [(); 2].map(|()| Client::connect_with_small_buffers(server.address(), 16 << 10));
        // A short timeout may have closed a client already.
        wait_for("two more clients are accepted", DEADLINE, || {
            server.figures().get("accepted") == 2 * turn
        });
        thread::scope(|scope| {
            for client in clients {
                scope.spawn(move || leave(client));
            }
        });
        server.await_active(0, DEADLINE);
        assert_eq!(descriptors(server.pid()), at_start, "{reason}");
    }
    let port = server.address().port();
    assert_eq!(sockets(server.pid(), port, TcpState::CloseWait), 0);
    assert_eq!(server.stop().figures().get(reason), 4, "{reason}");
}

#[test]
fn fault_s2_a_restart_does_not_wait_for_time_wait() {
    let mut server = Server::start(&[]);
    let address = server.address();
    let clients: Vec<_> = (0..2_000).map(|_| Client::connect(address)).collect();
    clients.iter().for_each(|client| client.echo(b"?"));
    server.close_stdin();
    // The server closes first, so its sockets are the ones in TIME_WAIT.
    clients.iter().for_each(Client::expect_fin);
    drop(clients);
    assert_eq!(server.wait().code(), Some(0));
    let here = std::process::id();
    wait_for("sockets in TIME_WAIT", DEADLINE, || {
        sockets(here, address.port(), TcpState::TimeWait) >= 1_000
    });

    let mut command = crate::support::server::serve();
    command.args(["--listen", &address.to_string(), "--stop-on-eof"]);
    let server = within(Duration::from_millis(100), || Server::spawn(command));
    Client::connect(server.address()).echo(b"hello");
}

#[test]
fn fault_h2_the_write_timeout_leaves_no_socket_behind() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let server = Server::start(&["--write-timeout", "1s", "--high-water", "1GiB"]);
    let client = Client::connect(server.address());
    client.send_until_blocked(&mut Data::new(1), 16 << 20);
    client.half_close();
    let port = server.address().port();
    // When the write timer expires, the server writes once more. If the kernel accepts bytes then, the timer restarts.
    server.await_active(0, 2 * TIMEOUT + time_bound(Duration::from_millis(500)));
    assert_eq!(sockets(server.pid(), port, TcpState::CloseWait), 0);
    assert_eq!(sockets(server.pid(), port, TcpState::Established), 0);
    assert_eq!(sockets(server.pid(), port, TcpState::Listen), 1);
}

#[test]
fn fault_s1_every_client_has_the_whole_linger_time_however_many_are_told_of_the_stop_before() {
    const CLIENTS: usize = 10;
    let mut server = Server::start(&[]);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::connect(server.address()))
        .collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    // As if there were a million clients: the server needs longer than the linger time to send all FINs.
    let delay = "shutdown:delay_enter=250ms";
    let Some(_strace) = Strace::inject("fault_s1 (linger)", server.pid(), delay) else {
        return;
    };
    server.close_stdin();
    clients.iter().for_each(Client::expect_fin);
    // Input after the FIN is discarded. A closed socket would answer it with a reset.
    let last = &clients[CLIENTS - 1];
    last.send(b"late");
    thread::sleep(LINGER / 4);
    last.send(b"later");
    last.half_close();
    drop(clients);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.finished().figures().get("discarded"), 9);
}
