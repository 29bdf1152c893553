//! Stopping: signals, draining and exit codes.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::messages::{MessageStream, in_each_mode};
use crate::support::unix::{do_not_ignore_hangup, shell};
use crate::support::{
    Client, DEADLINE, Data, End, LINGER, QUIET, Server, time_bound, until_in_time, wait_for, within,
};

/// Waits until the server has closed its listener.
#[track_caller]
fn await_refusal(server: &Server) {
    wait_for("connects are refused", DEADLINE, || {
        let connected = TcpStream::connect(server.address());
        matches!(connected, Err(error) if error.kind() == ErrorKind::ConnectionRefused)
    });
}

/// The kernel may merge two signals that are sent closer together.
const APART: Duration = Duration::from_millis(20);

/// Connects a client that has replies pending and reads nothing.
#[track_caller]
fn stuck_client(server: &Server) -> Client {
    let client = Client::connect(server.address());
    client.send_until_blocked(&mut Data::new(1), 64 << 20);
    client
}

#[test]
fn fault_s1_seed_s3_3_an_empty_server_stops_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        server.signal(signal);
        let status = within(Duration::from_secs(1), || server.wait());
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn fault_s1_an_idle_connection_delays_a_stop_only_until_it_answers_the_fin() {
    let mut server = Server::start(&[]);
    let clients: Vec<_> = (0..10).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    let start = Instant::now();
    server.signal(Signal::TERM);
    within(Duration::from_millis(200), || {
        clients.iter().for_each(Client::expect_fin)
    });
    thread::sleep(QUIET);
    assert!(
        server.is_running() || start.elapsed() >= LINGER,
        "the server must wait for the FIN of the client"
    );
    drop(clients);
    let status = within(Duration::from_millis(100), || server.wait());
    assert_eq!(status.code(), Some(0));
    assert_eq!(server.finished().figures().get("stopped"), 10);
}

#[test]
fn fault_s1_a_client_that_never_answers_the_fin_is_closed_after_the_linger() {
    let mut server = Server::start(&[]);
    let client = Client::connect(server.address());
    client.echo(b"hello");
    let start = Instant::now();
    server.signal(Signal::TERM);
    client.expect_fin();
    assert_eq!(server.wait().code(), Some(0));
    let took = start.elapsed();
    assert!(
        took >= LINGER && took <= LINGER + time_bound(Duration::from_millis(300)),
        "{took:?}"
    );
}

#[test]
fn fault_s1_data_that_came_before_the_signal_is_echoed_to_queued_clients_too() {
    let mut server = Server::start(&[]);
    let connect = |_| Client::connect(server.address());
    let mut clients: Vec<_> = (0..20).map(connect).collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    let frozen = server.freeze();
    clients.extend((0..100).map(connect));
    clients.iter().for_each(|client| client.send(&[1; 1000]));
    server.signal(Signal::TERM);
    drop(frozen);
    for client in &clients {
        client.expect(&[1; 1000]);
        client.expect_fin();
    }
    await_refusal(&server);
    drop(clients);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.finished().figures().get("stopped"), 120);
}

#[test]
fn fault_s1_seed_s3_3_a_stop_under_load_resets_no_client() {
    let mut server = Server::start(&[]);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| Client::connect(server.address())).collect();
        let running: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(move || ping_until_the_end(&client)))
            .collect();
        let arriving = scope.spawn(|| connect_until_refused(&server, &served));
        thread::sleep(QUIET);
        wait_for("a client is served", DEADLINE, || {
            served.load(Ordering::Relaxed) > 0
        });
        server.signal(Signal::TERM);
        for client in running {
            assert_eq!(client.join().expect("a client"), End::Fin);
        }
        arriving.join().expect("clients");
    });
    assert_eq!(server.wait().code(), Some(0));
    server.finished().expect_no_warning();
}

/// Sends and receives one message after another until the server ends the session. Returns the kind of the end.
fn ping_until_the_end(client: &Client) -> End {
    let mut message = [0; 100];
    loop {
        // A server that has waited long enough for the FIN of a late client closes. Receiving tells how.
        let _ = client.try_send(&message);
        let until = Instant::now() + DEADLINE;
        let mut received = 0;
        while received < message.len() {
            match client.read_by(&mut message[received..], until) {
                Ok(0) => return End::Fin,
                Ok(got) => received += got,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return End::Reset,
                Err(error) => panic!("no echo: {error}"),
            }
        }
    }
}

/// Connects one client after another until connecting is refused. Requires that each client gets its echo or an end, and
/// counts the echoes in `served`.
fn connect_until_refused(server: &Server, served: &AtomicUsize) {
    loop {
        let client = match Client::try_connect(server.address()) {
            Ok(client) => client,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                return;
            }
        };
        let answer = client
            .try_send(b"?")
            .and_then(|_| client.read_by(&mut [0], Instant::now() + DEADLINE));
        match answer {
            Ok(got) => drop(served.fetch_add(got, Ordering::Relaxed)),
            // The client connected after the signal, between the last accept and the close of the listener, or sent when
            // the server no longer waited for its FIN.
            Err(error)
                if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) => {}
            Err(error) => panic!("neither an echo nor an end: {error}"),
        }
    }
}

#[test]
fn fault_s1_new_clients_are_refused_while_old_ones_drain() {
    let mut server = Server::start(&["--drain-timeout", "1h"]);
    let client = Client::connect(server.address());
    let data = Data::new(1);
    client.send_until_blocked(&mut data.clone(), 64 << 20);
    server.signal(Signal::TERM);
    await_refusal(&server);
    assert!(server.is_running());
    let (echo, end) = client.receive_to_end();
    assert_eq!(end, End::Fin);
    assert!(echo == data.clone().take(echo.len()), "a wrong byte");
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.finished().figures().get("drain timeout"), 0);
}

#[test]
fn fault_s1_the_drain_timeout_resets_a_client_that_reads_nothing_and_exits_with_0() {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let mut server = Server::start(&["--drain-timeout", "500ms"]);
    let client = stuck_client(&server);
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let took = start.elapsed();
    assert!(
        took >= TIMEOUT && took <= TIMEOUT + time_bound(Duration::from_millis(200)),
        "{took:?}"
    );
    client.expect_reset();
    assert_eq!(server.finished().figures().get("drain timeout"), 1);
}

#[test]
fn fault_s1_a_second_signal_ends_the_server_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut server = Server::start(&["--drain-timeout", "1h"]);
        let client = stuck_client(&server);
        server.signal(Signal::TERM);
        await_refusal(&server);
        thread::sleep(APART);
        server.signal(signal);
        let status = within(Duration::from_millis(200), || server.wait());
        assert_eq!(status.code(), Some(code));
        // The echo is incomplete, so the end must be a reset and not a FIN.
        client.expect_reset();
    }
}

#[test]
fn fault_s1_a_second_signal_ends_every_thread_at_once() {
    let mut server = Server::start(&["--threads", "3", "--drain-timeout", "1h"]);
    let clients = [(); 6].map(|()| stuck_client(&server));
    server.signal(Signal::TERM);
    await_refusal(&server);
    thread::sleep(APART);
    server.signal(Signal::TERM);
    let status = within(Duration::from_millis(200), || server.wait());
    assert_eq!(status.code(), Some(143));
    clients.iter().for_each(Client::expect_reset);
}

/// Linux queues one client more than the backlog says.
#[test]
#[cfg(target_os = "linux")]
fn fault_s11_the_last_client_of_a_full_backlog_is_reset() {
    for backlog in ["1", "5"] {
        let server = Server::start(&["--max-connections", "1", "--backlog", backlog]);
        let served = Client::connect(server.address());
        served.echo(b"hello");
        let length: usize = backlog.parse().expect("a number");
        let queued: Vec<_> = (0..=length)
            .map(|_| Client::connect(server.address()))
            .collect();
        server.signal(Signal::TERM);
        queued.iter().for_each(Client::expect_reset);
        served.expect_fin();
        drop(served);
        assert_eq!(server.finished().figures().get("refused"), 0);
    }
}

#[test]
fn fault_s11_a_queued_client_that_finds_no_slot_is_reset_although_it_has_finished() {
    for when_full in ["wait", "close"] {
        let server = Server::start(&["--max-connections", "1", "--when-full", when_full]);
        let served = Client::connect(server.address());
        served.echo(b"hello");
        let frozen = server.freeze();
        let queued = Client::connect(server.address());
        queued.send(b"hello");
        queued.half_close();
        served.send(b"goodbye");
        server.signal(Signal::TERM);
        drop(frozen);
        assert_eq!(queued.receive_to_end(), (vec![], End::Reset));
        served.expect(b"goodbye");
        served.expect_fin();
        drop(served);
        assert_eq!(server.finished().status.code(), Some(0));
    }
}

/// Requires that the echo of the first `queued` bytes of `stream` is complete and that a FIN follows.
#[track_caller]
fn expect_echo_and_fin(client: &Client, stream: &[u8], queued: usize) {
    let (echo, end) = client.receive_to_end();
    assert!(echo.len() >= queued, "{} of {queued} bytes", echo.len());
    assert!(stream.starts_with(&echo), "a wrong byte");
    assert_eq!(end, End::Fin);
}

#[test]
fn fault_s12_a_stop_echoes_everything_that_was_queued_with_small_read_buffers() {
    const LENGTH: usize = 64 << 10;
    for (buffer, finished) in [("1", true), ("1k", true), ("1k", false), ("256k", false)] {
        // A busy machine takes seconds to read byte by byte.
        let mut server = Server::start(&["--read-buffer", buffer, "--drain-timeout", "1h"]);
        let clients = [(); 3].map(|()| Client::connect(server.address()));
        clients.iter().for_each(|client| client.echo(b"hello"));
        let data = Data::new(6).take(LENGTH);
        let frozen = server.freeze();
        for client in &clients {
            client.send(&data);
            if finished {
                client.half_close();
            }
        }
        server.signal(Signal::TERM);
        drop(frozen);
        for client in &clients {
            expect_echo_and_fin(client, &data, LENGTH);
        }
        drop(clients);
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(server.finished().figures().get("discarded"), 0);
    }
}

#[test]
fn fault_s12_a_stop_echoes_every_whole_message_that_was_queued() {
    in_each_mode(|mode| {
        for buffer in ["1", "1k"] {
            let mut server = mode.start(&["--read-buffer", buffer, "--drain-timeout", "1h"]);
            let client = Client::connect(server.address());
            client.echo(&mode.message(20, 1));
            let stream = MessageStream::new(mode.framing, 20_000, 9);
            let unfinished = mode.message(100, 2);
            let frozen = server.freeze();
            client.send(&stream.bytes);
            client.send(&unfinished[..50]);
            server.signal(Signal::TERM);
            drop(frozen);
            client.expect(&stream.bytes);
            client.expect_fin();
            drop(client);
            assert_eq!(server.wait().code(), Some(0));
        }
    });
}

/// The kernel queues as much as `net.core.rmem_max` allows: megabytes on a machine with large buffers.
#[test]
#[cfg(target_os = "linux")]
fn fault_s12_a_stop_echoes_megabytes_that_were_queued() {
    use crate::support::proc::queues;
    let data = Data::new(5).take(5 << 20);
    for buffer in ["1k", "256k"] {
        let options = ["--read-buffer", buffer, "--socket-buffer", "4m"];
        let mut server = Server::start(&[&options[..], &["--drain-timeout", "1h"]].concat());
        let client = Client::connect(server.address());
        client.echo(b"hello");
        let frozen = server.freeze();
        client.send_bytes_until_blocked(&data);
        let (_, queued) = queues(server.pid(), server.address().port()).expect("a connection");
        client.half_close();
        server.signal(Signal::TERM);
        drop(frozen);
        println!("{queued} bytes were queued");
        expect_echo_and_fin(&client, &data, queued as usize);
        drop(client);
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn fault_s12_a_drain_deadline_that_leaves_queued_bytes_unread_is_a_reset() {
    let mut server = Server::start(&["--read-buffer", "1", "--drain-timeout", "0"]);
    let client = Client::connect(server.address());
    client.echo(b"hello");
    let data = Data::new(6).take(64 << 10);
    let frozen = server.freeze();
    client.send(&data);
    server.signal(Signal::TERM);
    drop(frozen);
    client.expect_reset();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.finished().figures().get("drain timeout"), 1);
}

#[test]
fn fault_s12_bytes_that_come_after_the_stop_are_discarded_and_counted() {
    until_in_time(|| {
        let mut server = Server::start(&[]);
        let client = Client::connect(server.address());
        client.echo(b"hello");
        let start = Instant::now();
        server.signal(Signal::TERM);
        client.expect_fin();
        let sent = client.try_send(&[1; 1000]);
        if start.elapsed() >= LINGER {
            return None;
        }
        assert_eq!(sent.expect("sending"), 1000);
        // The server ends after the linger. The last line has the same form.
        wait_for("1000 discarded bytes", DEADLINE, || {
            server.signal(Signal::USR1);
            let log = server.log_lines();
            log.iter().any(|line| line.contains("discarded 1000 bytes"))
        });
        drop(client);
        assert_eq!(server.wait().code(), Some(0));
        let figures = server.finished().figures();
        assert_eq!((figures.get("echoed"), figures.get("discarded")), (5, 1000));
        Some(())
    });
}

#[test]
fn fault_s1_clients_are_served_during_the_stop_delay() {
    until_in_time(|| {
        const DELAY: Duration = Duration::from_millis(500);
        let mut server = Server::start(&["--stop-delay", "500ms"]);
        let start = Instant::now();
        server.signal(Signal::TERM);
        server.await_log("stop requested");
        let client = Client::try_connect(server.address());
        let sent = client.and_then(|client| client.try_send(b"hello").map(|_| client));
        if start.elapsed() >= DELAY {
            return None;
        }
        let client = sent.expect("a client");
        client.expect(b"hello");
        client.expect_fin();
        assert!(
            start.elapsed() >= DELAY,
            "stopped after {:?}",
            start.elapsed()
        );
        drop(client);
        assert_eq!(server.wait().code(), Some(0));
        Some(())
    });
}

#[test]
fn usr1_logs_the_figures() {
    let server = Server::start(&[]);
    let client = Client::connect(server.address());
    client.echo(b"12345");
    let figures = server.figures();
    assert_eq!(figures.get("accepted"), 1);
    assert_eq!(figures.get("active"), 1);
    assert_eq!(figures.get("echoed"), 5);
    assert_eq!(figures.closed(), 0);
    drop(client);
    server.await_active(0, DEADLINE);
    assert_eq!(server.figures().get("peer finished"), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn fault_s6_a_hangup_stops_the_server_as_sigterm_does() {
    do_not_ignore_hangup();
    let mut server = Server::start(&[]);
    let client = Client::connect(server.address());
    client.echo(b"hello");
    server.signal(Signal::HUP);
    client.expect_fin();
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.finished().figures().get("stopped"), 1);

    let mut server = Server::start(&["--drain-timeout", "1h"]);
    let client = stuck_client(&server);
    server.signal(Signal::TERM);
    await_refusal(&server);
    server.signal(Signal::HUP);
    let status = within(Duration::from_millis(200), || server.wait());
    assert_eq!(status.code(), Some(129));
    client.expect_reset();
}

/// The system does not tell whether SIGHUP was ignored at the start.
#[test]
#[cfg(not(target_os = "linux"))]
fn fault_s6_a_hangup_has_its_default_action() {
    use std::os::unix::process::ExitStatusExt;
    do_not_ignore_hangup();
    let mut server = Server::start(&[]);
    server.signal(Signal::HUP);
    assert_eq!(server.wait().signal(), Some(Signal::HUP.as_raw()));
}

#[test]
fn fault_s6_a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let mut command = shell(r#"trap "" HUP; exec "$0" "$@""#);
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    let server = Server::spawn(command);
    server.signal(Signal::HUP);
    Client::connect(server.address()).echo(b"hello");
    server.stop();
}
