//! Listening sockets that the server inherits, as from systemd (socket activation).

use std::fs::File;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;

use rustix::net::sockopt::{socket_keepalive, tcp_nodelay};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open};
use socket2::{Domain, Socket, Type};

use crate::support::activation::{activated, listening, pass};
use crate::support::proc::{inheritable, inheritable_from, is_at_rest, sleeps};
use crate::support::server::serve;
use crate::support::temp_dir::TempDir;
use crate::support::unused::free_address;
use crate::support::{Client, DEADLINE, QUIET, Server, skip, wait_for};

/// Stops the server with SIGTERM and requires that it ends in order.
#[track_caller]
fn stop(server: Server) -> Vec<String> {
    server.signal(Signal::TERM);
    let finished = server.finished();
    assert_eq!(finished.status.code(), Some(0), "{:#?}", finished.log);
    finished.expect_no_warning();
    finished.output
}

#[test]
fn fault_d1_inherited_sockets_replace_the_default_listener_and_their_names_set_the_framing() {
    let ((framed, framed_at), (other, other_at)) = (listening(), listening());
    let mut command = activated(&[("len8", &framed), ("mio-echo.socket", &other)]);
    command.args(["--framing", "line"]);
    let server = Server::spawn_with_listeners(command, 2);
    assert_eq!(server.addresses(), [framed_at, other_at]);
    Client::connect(framed_at).echo(b"\x03hi");
    Client::connect(other_at).echo(b"hello\n");
    // The sockets are close-on-exec.
    assert_eq!(inheritable_from(server.pid()), inheritable());
    let lines = [
        format!("listening on {framed_at} len8 inherited"),
        format!("listening on {other_at} line inherited"),
    ];
    assert_eq!(stop(server), lines);
}

#[test]
fn fault_d1_with_the_option_listen_both_serve() {
    let (socket, address) = listening();
    let mut command = activated(&[("", &socket)]);
    command.args(["--listen", "nul@127.0.0.1:0"]);
    let server = Server::spawn_with_listeners(command, 2);
    assert_eq!(server.addresses()[1], address);
    for address in server.addresses() {
        Client::connect(*address).echo(b"hello");
    }
    let lines = stop(server);
    assert!(lines[0].ends_with(" nul"), "{lines:?}");
    assert!(lines[1].ends_with(" raw inherited"), "{lines:?}");
}

#[test]
fn fault_d1_sockets_for_another_process_are_left_alone() {
    let (socket, address) = listening();
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0"]);
    pass(&mut command, &[("", &socket)]);
    command.env("LISTEN_PID", "1");
    let server = Server::spawn(command);
    assert_ne!(server.address(), address);
    assert_eq!(stop(server).len(), 1);
}

/// Requires that the server refuses the second of its descriptors with one line.
#[track_caller]
fn expect_refusal(descriptor: &dyn AsFd) {
    let (socket, _) = listening();
    let mut command = activated(&[("raw", &socket), ("odd", descriptor)]);
    let output = command.output().expect("a process");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let text = "invalid descriptor 4 'odd' of LISTEN_FDS: expected a listening TCP socket";
    assert!(errors.contains(text), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn fault_d1_a_descriptor_that_is_no_listening_tcp_socket_is_refused_with_one_line() {
    let (socket, address) = listening();
    expect_refusal(&TcpStream::connect(address).expect("a client"));
    expect_refusal(&socket.accept().expect("a client").0);
    expect_refusal(&Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket"));
    expect_refusal(&UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let dir = TempDir::new("no-tcp-socket");
    expect_refusal(&UnixListener::bind(dir.file("socket")).expect("a socket"));
    expect_refusal(&File::open("/dev/null").expect("a file"));
}

#[test]
fn fault_d1_a_descriptor_that_is_not_open_and_a_wrong_number_are_refused_with_one_line() {
    let (socket, _) = listening();
    for (count, text) in [
        ("2", "invalid descriptor 4 '' of LISTEN_FDS"),
        ("two", "invalid value 'two' for 'LISTEN_FDS'"),
        ("-1", "invalid value '-1' for 'LISTEN_FDS'"),
        ("2147483647", "expected a number from 0 to 65535"),
    ] {
        let mut command = activated(&[("raw", &socket)]);
        command.env("LISTEN_FDS", count);
        let output = command.output().expect("a process");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(text), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

/// Returns duplicates of the sockets of `pid` whose peer is `client`.
fn sockets_of(pid: u32, client: &Client) -> Vec<Socket> {
    let process = Pid::from_raw(pid.try_into().expect("a process")).expect("a process");
    let process = pidfd_open(process, PidfdFlags::empty()).expect("a descriptor of a process");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the descriptors");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let duplicates = numbers
        .filter_map(|number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok())
        .map(Socket::from);
    let is_of_client = |socket: &Socket| {
        let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        peer == Some(client.address())
    };
    duplicates.filter(is_of_client).collect()
}

#[test]
fn fault_d1_a_client_that_was_queued_before_the_start_gets_the_options_of_every_connection() {
    let (socket, address) = listening();
    let client = Client::connect(address);
    client.send(b"hello");
    let server = Server::spawn(activated(&[("", &socket)]));
    client.expect(b"hello");
    let accepted = sockets_of(server.pid(), &client);
    assert_eq!(accepted.len(), 1);
    assert!(tcp_nodelay(&accepted[0]).expect("an option"));
    assert!(socket_keepalive(&accepted[0]).expect("an option"));
    drop((accepted, client));
    stop(server);
}

#[test]
fn fault_d1_every_thread_serves_clients_of_an_inherited_socket() {
    let (socket, address) = listening();
    let mut command = activated(&[("", &socket)]);
    command.args(["--threads", "2", "--verbose"]);
    let queued: Vec<_> = (0..4).map(|_| Client::connect(address)).collect();
    let server = Server::spawn(command);
    for client in &queued {
        client.echo(b"hello");
        let [accepted] = &sockets_of(server.pid(), client)[..] else {
            panic!("not one socket of a client");
        };
        assert!(tcp_nodelay(accepted).expect("an option"));
    }
    drop(queued);
    server.signal(Signal::TERM);
    let log = server.finished().log;
    for number in 1..=2 {
        let line = format!("loop {number}: accepted 2, refused 0, active 0, echoed 10 bytes");
        assert!(log.iter().any(|logged| logged.contains(&line)), "{log:#?}");
    }
}

#[test]
fn fault_d2_clients_that_wait_when_the_stop_begins_are_served_by_the_next_server() {
    for options in [
        &[][..],
        &["--when-full", "close"],
        &["--stop-delay", "1h"],
        &["--threads", "2"],
    ] {
        let (socket, address) = listening();
        let mut command = activated(&[("", &socket)]);
        command.args(options);
        let first = Server::spawn(command);
        let served = Client::connect(address);
        served.echo(b"served");
        let frozen = first.freeze();
        let queued: Vec<_> = (0..10).map(|_| Client::connect(address)).collect();
        first.signal(Signal::TERM);
        drop(frozen);
        first.await_log("stop requested");
        let late = Client::connect(address);
        let waiting = || queued.iter().chain([&late]);
        waiting().for_each(|client| client.send(b"hello"));
        if options.contains(&"--stop-delay") {
            served.echo(b"still served");
            assert_eq!(first.figures().get("accepted"), 1);
            // A second signal ends the server without the delay.
            first.signal(Signal::INT);
            first.finished();
        } else {
            served.expect_fin();
            drop(served);
            let finished = first.finished();
            assert_eq!(finished.status.code(), Some(0));
            assert_eq!(finished.figures().get("accepted"), 1);
        }
        let second = Server::spawn(activated(&[("", &socket)]));
        waiting().for_each(|client| client.expect(b"hello"));
        drop((queued, late));
        stop(second);
    }
}

#[test]
fn fault_d2_a_server_that_has_given_up_its_socket_sleeps_while_clients_wait() {
    let (socket, address) = listening();
    let mut command = activated(&[("", &socket)]);
    command.args(["--stop-delay", "1h"]);
    let server = Server::spawn(command);
    server.signal(Signal::TERM);
    server.await_log("connections are served for another 3600s");
    wait_for("the server sleeps", DEADLINE, || is_at_rest(server.pid()));
    let before = sleeps(server.pid());
    let waiting: Vec<_> = (0..10).map(|_| Client::connect(address)).collect();
    thread::sleep(QUIET);
    assert_eq!(sleeps(server.pid()), before);
    drop(waiting);
}

#[test]
fn systemd_socket_activate_starts_the_server_with_its_first_client() {
    const TEST: &str = "systemd_socket_activate_starts_the_server_with_its_first_client";
    let (_unused, address) = free_address();
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--listen", &address.to_string(), "--fdname", "len8"]);
    let serve = serve();
    command.arg(serve.get_program()).args(serve.get_args());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if Command::new(command.get_program())
        .arg("--version")
        .output()
        .is_err()
    {
        return skip(TEST, "there is no systemd-socket-activate");
    }
    let server = Server::spawn_without_waiting(command);
    server.await_log("Listening on");
    let client = Client::connect(address);
    client.send(b"\x06hello");
    client.expect(b"\x06hello");
    server.await_output(&format!("listening on {address} len8 inherited"));
    drop(client);
    stop(server);
}
