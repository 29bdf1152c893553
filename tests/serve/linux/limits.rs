//! Descriptor limits, and the memory of many connections.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::server::{Finished, serve};
use crate::support::unix::shell;
use crate::support::{Client, DEADLINE, Server, proc, size_bound, skip, strace, wait_for};

/// Requires that the server serves `count` clients at the same time, and returns the clients.
fn expect_service_of(count: usize, server: &Server) -> Vec<Client> {
    let connect = |_| Client::connect(server.address());
    let clients: Vec<_> = (0..count).map(connect).collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    clients
}

#[test]
fn fault_l2_a_low_descriptor_limit_is_raised_as_far_as_allowed() {
    let mut command = shell(r#"ulimit -Sn 40; exec "$0" "$@""#);
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    command.args(["--max-connections", "100"]);
    let server = Server::spawn(command);
    expect_service_of(100, &server);
}

#[test]
fn fault_l5_a_server_that_may_not_ask_for_its_descriptor_limit_serves() {
    for error in ["EPERM", "ENOSYS"] {
        let mut command = serve();
        command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
        let fault = format!("prlimit64:error={error}");
        let Some(command) = strace::run_with("fault_l5", &fault, &command) else {
            return;
        };
        let server = Server::spawn(command);
        expect_service_of(3, &server);
        let finished = server.stop();
        finished.expect_no_warning();
        let first = finished.log.first().expect("a line");
        assert!(first.contains("(no known limit of descriptors)"), "{first}");
    }
}

#[test]
fn seed_s2_1_unread_greetings_take_no_more_memory_than_the_log_announces() {
    const CLIENTS: usize = 300;
    let banner = "{peer}".repeat(682);
    let clients = CLIENTS.to_string();
    let buffers = [
        "--high-water",
        "1",
        "--read-buffer",
        "1",
        "--socket-buffer",
        "1",
    ];
    let options = ["--max-connections", &clients, "--banner", &banner];
    let server = Server::start(&[&buffers[..], &options].concat());
    let line = server.await_log("of process memory");
    let (_, bound) = line.split_once("at most ").expect("the bound");
    let (mebibytes, _) = bound.split_once(" MiB").expect("its unit");
    let bound = mebibytes.parse::<u64>().expect("a number") << 20;

    let (memory, descriptors) = (proc::memory(server.pid()), proc::descriptors(server.pid()));
    let connect = |_| Client::connect_with_small_buffers(server.address(), 1);
    let clients: Vec<_> = (0..CLIENTS).map(connect).collect();
    wait_for("every client is accepted", DEADLINE, || {
        proc::descriptors(server.pid()) == descriptors + CLIENTS
    });
    // After the first byte of every greeting, every client has been greeted.
    clients.iter().for_each(|client| drop(client.receive(1)));
    let growth = proc::memory(server.pid()) - memory;
    assert!(
        growth <= bound,
        "the memory grew by {growth} bytes, {bound} were announced"
    );
    assert!(growth > 1 << 20, "only {growth} bytes were pending");
}

#[test]
fn fault_l2_a_number_over_the_hard_limit_is_refused_with_both_numbers() {
    let mut command = shell(r#"ulimit -n 100; exec "$0" "$@""#);
    command.args(["--listen", "127.0.0.1:0", "--max-connections", "200"]);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let Finished {
        status,
        output,
        log,
    } = Server::spawn_without_waiting(command).finished();
    assert_eq!(status.code(), Some(1), "{log:#?}");
    assert!(output.is_empty(), "{output:?}");
    let has_both = |line: &String| line.contains("200") && line.contains("100");
    assert!(log.iter().any(has_both), "{log:#?}");
}

#[test]
fn fault_l2_the_default_maximum_follows_the_hard_limit() {
    let mut command = shell(r#"ulimit -n 100; exec "$0" "$@""#);
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    let server = Server::spawn(command);
    let connections = 100 - 32 - proc::inheritable();
    server.await_log(&format!("up to {connections} connections"));
    let _clients = expect_service_of(connections, &server);
    server.stop().expect_no_warning();
}

#[test]
fn fault_l2_more_than_16_listeners_reduce_the_maximum() {
    let mut command = shell(r#"ulimit -n 100; exec "$0" "$@""#);
    command.args(["--listen", "127.0.0.1:0"].repeat(40));
    let server = Server::spawn(command);
    let connections = 100 - 32 - 24 - proc::inheritable();
    server.await_log(&format!("up to {connections} connections"));
    expect_service_of(connections, &server);
}

#[test]
fn fault_w4_an_idle_connection_costs_at_most_160_bytes() {
    const CONNECTIONS: u64 = 10_000;
    // With poll(2), mio keeps a table of its own. In a debug build, its socket takes 12 bytes more, and other
    // tests run beside this one.
    const EACH: u64 = match (
        cfg!(mio_unsupported_force_poll_poll),
        cfg!(debug_assertions),
    ) {
        (true, _) => 400,
        (false, true) => 200,
        (false, false) => 160,
    };
    let Ok(20_000..) = rlimit::increase_nofile_limit(20_000) else {
        return skip("fault_w4", "fewer than 20,000 descriptors");
    };
    let server = Server::start(&["--max-connections", "15000"]);
    Client::connect(server.address()).echo(b"warm");
    let before = proc::memory(server.pid());
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| Client::connect(server.address()))
        .collect();
    server.await_active(CONNECTIONS, DEADLINE);
    let each = proc::memory(server.pid()).saturating_sub(before) / CONNECTIONS;
    println!("{each} bytes per connection");
    assert!(each <= EACH, "{each} bytes per connection");
    // A reset leaves no socket in TIME_WAIT. Otherwise 10,000 ports would be missing for the other tests.
    clients.into_iter().for_each(Client::reset);
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_l4_a_million_connections_do_not_grow_the_memory() {
    const CLIENTS: usize = 1_000_000;
    const THREADS: usize = 4;
    let server = Server::start(&[]);
    let churn = |count: usize| {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for number in 0..count / THREADS {
                        let client = Client::connect(server.address());
                        client.echo(b"?");
                        // Only some clients close with a FIN, because TIME_WAIT would use up the ports.
                        if number % 200 == 0 {
                            client.half_close();
                            client.expect_fin();
                        } else {
                            client.reset();
                        }
                    }
                });
            }
        });
    };
    churn(CLIENTS / 20);
    let before = proc::memory(server.pid());
    let descriptors = proc::descriptors(server.pid());
    churn(CLIENTS);
    server.await_active(0, DEADLINE);
    let growth = proc::memory(server.pid()).saturating_sub(before);
    assert!(
        growth <= u64::from(size_bound(64 << 10)),
        "the memory grew by {growth} bytes"
    );
    assert!(proc::descriptors(server.pid()) <= descriptors + THREADS);
    thread::sleep(Duration::from_millis(10));
    server.stop().expect_no_warning();
}

#[test]
fn fault_l7_a_server_serves_as_many_clients_as_it_promises_although_it_has_inherited_descriptors() {
    // bash numbers the descriptors from 10 on, which other shells refuse.
    let script = r#"for _ in {1..200}; do exec {n}</dev/null; done; ulimit -n 256; exec "$0" "$@""#;
    let mut command = Command::new("bash");
    let serve = serve();
    command.args(["-c", script]).arg(serve.get_program());
    command.args(serve.get_args());
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    if Command::new("bash").args(["-c", "true"]).status().is_err() {
        return skip("fault_l7", "no bash");
    }
    let server = Server::spawn(command);
    let connections = 256 - 32 - 200 - proc::inheritable();
    server.await_log(&format!("up to {connections} connections"));
    drop(expect_service_of(connections, &server));
    server.stop().expect_no_warning();
}
