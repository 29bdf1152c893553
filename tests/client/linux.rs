//! Tests that need facts of Linux: a full backlog, network namespaces, and the memory of a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

use crate::program::{ClientProcess, run};
use crate::scripted_server::serve;
use crate::support::link_local::{LinkLocal, port_of};
use crate::support::server::program;
use crate::support::strace::{self, Strace};
use crate::support::unix::{as_process_1, send_signal, with_blocked_signals};
use crate::support::{DEADLINE, Data, QUIET, Server, proc, skip, wait_for};

/// A listener with a full backlog: a further connect gets no answer.
struct FullListener {
    _listener: Socket,
    _queued: Vec<Socket>,
    address: SocketAddr,
}

impl FullListener {
    fn new() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let listener = socket();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).expect("a free port");
        listener.listen(0).expect("listening");
        let address = listener.local_addr().expect("its address");
        let address = address.as_socket().expect("IPv4");
        let connect = |_| {
            let queued = socket();
            queued.set_nonblocking(true).expect("non-blocking");
            let _started = queued.connect(&address.into());
            queued
        };
        // The kernel queues one connection more than the backlog says. The other connects get no answer.
        let queued: Vec<_> = (0..4).map(connect).collect();
        wait_for("the backlog is full", DEADLINE, || {
            queued.iter().any(|queued| queued.peer_addr().is_ok())
        });
        Self {
            _listener: listener,
            _queued: queued,
            address,
        }
    }
}

#[test]
fn an_address_that_does_not_answer_times_out() {
    let full = FullListener::new();
    let target = full.address.to_string();
    let start = Instant::now();
    let expected = format!("cannot connect to {target}: timed out: no answer in time");
    run(&["--connect-timeout", "300ms", &target]).expect_failure(1, &[&expected]);
    run(&["--connect-timeout", "300ms", "-m", "hello", &target]).expect_failure(1, &[&expected]);
    assert!(start.elapsed() >= Duration::from_millis(600));
}

#[test]
fn unreachable_names_the_address() {
    let in_namespace = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--net"])
            .args(args);
        command.stdin(Stdio::null()).output()
    };
    if !in_namespace(&["true"]).is_ok_and(|output| output.status.success()) {
        skip(
            "unreachable_names_the_address",
            "no network namespaces here",
        );
        return;
    }
    let client = env!("CARGO_BIN_EXE_mio-echo");
    let outcome = in_namespace(&[client, "client", "192.0.2.1:7"]).expect("unshare");
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&outcome.stderr),
        "mio-echo: cannot connect to 192.0.2.1:7: unreachable: Network is unreachable (os error 101)\n"
    );
}

#[test]
fn fault_n2_the_client_connects_through_an_interface_and_names_it() {
    let unknown = "[fe80::1%nowhere]:7";
    let refused =
        format!("invalid value '{unknown}' for '<HOST:PORT>': no such interface, expected ");
    run(&["-m", "hello", unknown]).expect_failure(2, &[&refused]);
    let Some(network) = LinkLocal::set_up("fault_n2 (client)") else {
        return;
    };
    let server = network.serve(&["--listen", "[fe80::1%right]:0"]);
    let port = port_of(&server.await_output("listening on [fe80::1%right]:"));
    let [near_left, near_right] = &network.near;
    let target = format!("[fe80::1%{near_right}]:{port}");
    run(&["-m", "hello", &target]).expect_success();
    let number = LinkLocal::far_address(near_right, port).to_string();
    run(&["-m", "hello", &number]).expect_success();
    // The other link has the same address, and no server.
    let number = LinkLocal::far_address(near_left, port).to_string();
    let named = format!("cannot connect to {number}: [fe80::1%{near_left}]:{port} refused: ");
    run(&[&number]).expect_failure(1, &[&named]);
    server.stop().expect_no_warning();
}

#[test]
fn an_interrupt_ends_the_client_by_the_signal() {
    if proc::ignores(std::process::id(), Signal::INT) {
        return skip(
            "an_interrupt_ends_the_client_by_the_signal",
            "the parent of the tests ignores SIGINT, and children inherit that",
        );
    }
    let server = Server::start(&[]);
    let mut client = ClientProcess::start(&[&server.address().to_string()]);
    client.write_stdin(b"hello");
    client.await_output(5);
    let pid = i32::try_from(client.pid()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process number"), Signal::INT).expect("sending a signal");
    let outcome = client.finished();
    assert_eq!(outcome.code, None, "{:?}", outcome.errors);
    assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
}

/// Starts `client` with an open standard input, waits until it is connected, and sends SIGTERM to the process that
/// `find` returns for the process of `client`. Returns the exit status of the latter.
fn end_by_sigterm(client: Command, server: &Server, find: fn(u32) -> u32) -> ExitStatus {
    let mut client = client;
    client.arg(server.address().to_string());
    client.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut client = Server::spawn_without_waiting(client);
    server.await_active(1, DEADLINE);
    send_signal(find(client.pid()), Signal::TERM);
    let status = client.wait();
    assert!(client.log_lines().is_empty(), "{:?}", client.log_lines());
    status
}

#[test]
fn fault_s7_a_signal_that_the_parent_blocks_ends_the_client() {
    const TEST: &str = "fault_s7_a_signal_that_the_parent_blocks_ends_the_client";
    let Some(client) = with_blocked_signals(TEST, &program("client")) else {
        return;
    };
    let status = end_by_sigterm(client, &Server::start(&[]), |pid| pid);
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn fault_s8_a_signal_ends_a_client_that_is_process_1() {
    const TEST: &str = "fault_s8_a_signal_ends_a_client_that_is_process_1";
    let Some(client) = as_process_1(TEST, &program("client")) else {
        return;
    };
    let status = end_by_sigterm(client, &Server::start(&[]), |pid| proc::children(pid)[0]);
    assert_eq!(status.code(), Some(143));
}

#[test]
fn fault_s9_an_interrupted_wake_does_not_hold_back_input() {
    const TEST: &str = "fault_s9_an_interrupted_wake_does_not_hold_back_input";
    let server = Server::start(&[]);
    let mut client = ClientProcess::start(&[&server.address().to_string()]);
    wait_for("the threads of the client", DEADLINE, || {
        proc::threads(client.pid()) == 3
    });
    // The first write of the thread at standard input wakes the loop.
    let Some(strace) = Strace::inject(TEST, client.pid(), "write:error=EINTR:when=1") else {
        return;
    };
    client.write_stdin(b"hello");
    client.await_output(5);
    drop(strace);
    client.close_stdin();
    client.finished().expect_success();
}

#[test]
fn a_failing_standard_stream_is_reported() {
    let server = Server::start(&[]);
    let target = server.address().to_string();
    let open = |path: &str| File::options().read(true).open(path).expect("opening");
    ClientProcess::start_with(&[&target], open("/").into())
        .finished()
        .expect_failure(
            1,
            &["cannot read standard input: Is a directory (os error 21)"],
        );

    let client = env!("CARGO_BIN_EXE_mio-echo");
    for arguments in ["", "-m hello"] {
        let script = format!("echo hello | {client} client {arguments} {target} > /dev/full");
        let outcome = Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("sh");
        assert_eq!(outcome.status.code(), Some(1));
        assert_eq!(
            String::from_utf8_lossy(&outcome.stderr),
            "mio-echo: cannot write standard output: No space left on device (os error 28)\n"
        );
    }
}

#[test]
fn a_wrong_reply_outweighs_a_failing_output() {
    let server = serve(|mut session| {
        session.receive(5);
        session.send(b"hallo");
        session.receive_to_end();
    });
    let client = env!("CARGO_BIN_EXE_mio-echo");
    let script = format!("{client} client -m hello {server} > /dev/full");
    let outcome = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("sh");
    assert_eq!(outcome.status.code(), Some(4));
    assert_eq!(
        String::from_utf8_lossy(&outcome.stderr),
        "mio-echo: connection 1: reply 1 differs at offset 1: expected 65 6c 6c 6f, got 61 6c 6c 6f\n\
         mio-echo: cannot write standard output: No space left on device (os error 28)\n"
    );
}

#[test]
fn without_descriptors_the_other_connections_finish() {
    let server = Server::start(&[]);
    let client = env!("CARGO_BIN_EXE_mio-echo");
    let target = server.address();
    let script = format!("ulimit -n 40; {client} client -c 50 -m hello {target}");
    let outcome = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("sh");
    assert_eq!(outcome.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&outcome.stderr).into_owned();
    let failed = errors.lines().count();
    assert!(
        errors.contains("connection 50: cannot connect to "),
        "{errors}"
    );
    assert!(
        errors.contains(": out of descriptors: Too many open files"),
        "{errors}"
    );
    let output = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let summary = format!("{} of 50 equal", 50 - failed);
    assert_eq!(output.lines().last(), Some(&*summary));
    assert!(failed < 40, "{summary}");
}

/// Another process that shares a pipe or a terminal may have made the pipe or the terminal non-blocking.
#[test]
fn non_blocking_standard_streams_lose_nothing() {
    let server = Server::start(&[]);
    let (mut writer, stdin) = UnixStream::pair().expect("a pair");
    let (reader, stdout) = UnixStream::pair().expect("a pair");
    reader.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stdin.set_nonblocking(true).expect("non-blocking");
    stdout.set_nonblocking(true).expect("non-blocking");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mio-echo"));
    command.args(["client", &server.address().to_string()]);
    command
        .stdin(OwnedFd::from(stdin))
        .stdout(OwnedFd::from(stdout));
    let mut client = command.spawn().expect("starting");
    drop(command);
    let sent = Data::new(8).take(4 << 20);
    let got = thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).expect("writing to standard input");
            writer.shutdown(Shutdown::Write).expect("the end");
        });
        // Long enough that the client finds its output full.
        thread::sleep(QUIET);
        let mut got = Vec::new();
        (&reader).read_to_end(&mut got).expect("reading");
        got
    });
    assert!(client.wait().expect("the end").success());
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}

#[test]
fn a_non_blocking_output_gets_every_reply() {
    const MESSAGES: usize = 2000;
    let server = Server::start(&[]);
    let (reader, stdout) = UnixStream::pair().expect("a pair");
    reader.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stdout.set_nonblocking(true).expect("non-blocking");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mio-echo"));
    let message = "x".repeat(1000);
    command.args(["client", &server.address().to_string(), "-m", &message]);
    command.args(["-n", &MESSAGES.to_string()]);
    command.stdin(Stdio::null()).stdout(OwnedFd::from(stdout));
    let mut client = command.spawn().expect("starting");
    drop(command);
    // Long enough that the client finds its output full.
    thread::sleep(QUIET);
    let mut got = String::new();
    (&reader).read_to_string(&mut got).expect("reading");
    assert!(client.wait().expect("the end").success());
    assert_eq!(got.lines().count(), MESSAGES + 1);
    let summary = format!("{MESSAGES} of {MESSAGES} equal");
    assert_eq!(got.lines().last(), Some(&*summary));
}

#[test]
fn memory_does_not_grow_with_the_input() {
    expect_bounded_memory(if cfg!(feature = "soak") {
        1 << 30
    } else {
        64 << 20
    });
}

/// Sends `length` bytes through a client, compares the echo, and requires at most 12 MiB of memory at any time.
fn expect_bounded_memory(length: usize) {
    const CHUNK: usize = 256 * 1024;
    let server = Server::start(&[]);
    let mut client =
        ClientProcess::start_without_reading(&[&server.address().to_string()], Stdio::piped());
    let (mut stdin, mut stdout) = (client.take_stdin(), client.take_stdout());
    let writer = thread::spawn(move || {
        let mut data = Data::new(6);
        for _ in (0..length).step_by(CHUNK) {
            stdin
                .write_all(&data.take(CHUNK))
                .expect("writing to standard input");
        }
        stdin
    });
    let (mut data, mut got) = (Data::new(6), vec![0; CHUNK]);
    for at in (0..length).step_by(CHUNK) {
        stdout.read_exact(&mut got).expect("reading");
        assert!(got == data.take(CHUNK), "wrong bytes after offset {at}");
    }
    let peak = peak_memory(client.pid());
    assert!(peak <= 12 << 20, "{peak} bytes");
    drop(writer.join().expect("writing to standard input"));
    client.finished().expect_success();
}

/// Returns the highest resident memory so far, code included, in bytes.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|value| value.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|n| n.parse::<u64>().ok())
        .expect("VmHWM")
        * 1024
}

#[test]
fn fault_s10_a_client_works_without_the_options_that_only_tune() {
    let server = Server::start(&[]);
    let mut command = program("client");
    command.args(["-c", "3", "-m", "hello", &server.address().to_string()]);
    let fault = "setsockopt:error=ENOPROTOOPT";
    let Some(mut command) = strace::run_with("fault_s10 (client)", fault, &command) else {
        return;
    };
    let output = command.stdin(Stdio::null()).output().expect("starting");
    let (replies, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(replies.ends_with("3 of 3 equal\n"), "{replies}");
    let warning = "mio-echo: cannot set the socket option TCP_NODELAY: Protocol not available";
    assert!(errors.starts_with(warning), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
