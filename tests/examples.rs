//! The three servers of `examples/` break in the way that each of them says, and the real server does not.
//!
//! `cargo test` builds the examples. `cargo test --test examples` alone does not.

#![forbid(unsafe_code)]
#![cfg(unix)]

// Every test program includes this module and uses a part of the module.
#[allow(dead_code, unused_imports)]
#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use support::{Client, Data, End, Server, server};

/// The examples in the order in which they are read.
const EXAMPLES: [&str; 3] = ["thread_per_connection", "dropped_rest", "always_armed"];

#[test]
fn each_example_echoes_and_has_at_most_60_lines() {
    for name in EXAMPLES {
        let server = Server::spawn(example(name));
        let client = Client::connect(server.address());
        client.exchange(&Data::new(1), 64 << 10);
        client.half_close();
        client.expect_fin();
        let text = fs::read_to_string(source(name)).expect("the source of an example");
        assert!(text.lines().count() <= 60, "{name} is too long");
    }
}

#[test]
fn every_file_that_the_texts_beside_the_examples_name_exists() {
    for text in ["examples/README.md", "examples/EXERCISES.md"] {
        let text = fs::read_to_string(text).expect("a text beside the examples");
        let names = text.split('`').filter(|name| name.starts_with("src/"));
        for name in names {
            assert!(Path::new(name).exists(), "there is no {name}");
        }
    }
}

#[test]
fn the_glossary_has_two_lines_and_a_link_for_each_term() {
    let glossary = fs::read_to_string("src/glossary.md").expect("the glossary");
    let terms: Vec<_> = glossary.split("\n- **").skip(1).collect();
    assert!(terms.len() >= 25, "{} terms", terms.len());
    for term in terms {
        let lines = term.lines().take_while(|line| !line.is_empty());
        assert_eq!(lines.count(), 2, "{term}");
        assert!(term.contains("](crate::"), "no link: {term}");
    }
}

/// The address space is limited as by `ulimit -v`. A thread takes its stack from it.
#[test]
#[cfg(target_os = "linux")]
fn idle_clients_end_the_server_with_a_thread_per_connection_but_not_the_real_one() {
    const CLIENTS: usize = 500;
    let mut broken = Server::spawn(with_limited_memory(&example("thread_per_connection")));
    let is_connected = |_: &usize| Client::try_connect(broken.address()).ok();
    let clients: Vec<_> = (0..CLIENTS).map_while(|at| is_connected(&at)).collect();
    support::wait_for("the end of the server", support::DEADLINE, || {
        !broken.is_running()
    });
    broken.await_log("failed to spawn thread");
    drop(clients);

    let real = Server::spawn(with_limited_memory(&real_server()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::connect(real.address()))
        .collect();
    clients[0].echo(b"hello");
    clients[CLIENTS - 1].echo(b"hello");
}

#[test]
fn a_client_that_sends_before_it_reads_loses_bytes_at_dropped_rest_but_not_at_the_real_server() {
    // More than the buffers of both sockets hold, which Linux lets grow to 4 MiB and 6 MiB.
    const LENGTH: usize = 32 << 20;
    let broken = Server::spawn(example("dropped_rest"));
    let client = Client::connect(broken.address());
    let data = Data::new(1).take(LENGTH);
    client.send(&data);
    client.half_close();
    let (received, end) = client.receive_to_end();
    assert_eq!(end, End::Fin, "the echo looks complete");
    assert!(received.len() < LENGTH, "no byte was lost");

    let real = Server::spawn(real_server());
    let client = Client::connect(real.address());
    let sent = client.send_bytes_until_blocked(&data);
    assert!(sent < LENGTH, "the real server stops reading");
    client.expect(&data[..sent]);
}

#[test]
#[cfg(target_os = "linux")]
fn an_idle_client_keeps_always_armed_busy_but_not_the_real_server() {
    use std::{thread, time::Duration};
    use support::{QUIET, proc};
    let broken = Server::spawn(example("always_armed"));
    let idle = Client::connect(broken.address());
    idle.echo(b"hello");
    let before = proc::cpu(broken.pid());
    support::wait_for("100 ms of processor time", support::DEADLINE, || {
        proc::cpu(broken.pid()) - before >= Duration::from_millis(100)
    });

    let real = Server::spawn(real_server());
    let idle = Client::connect(real.address());
    idle.echo(b"hello");
    support::wait_for("the server sleeps", support::DEADLINE, || {
        proc::is_at_rest(real.pid())
    });
    let before = proc::cpu(real.pid());
    thread::sleep(QUIET);
    assert_eq!(proc::cpu(real.pid()), before);
}

/// Returns the command that starts the real server.
fn real_server() -> Command {
    let mut command = server::serve();
    command.args(["--listen", "127.0.0.1:0"]);
    command
}

/// Returns the command that starts an example.
fn example(name: &str) -> Command {
    let test = env::current_exe().expect("the path of this program");
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let program = profile.join("examples").join(name);
    let built = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let is_current = built(&program) >= built(&source(name));
    let path = program.display();
    assert!(
        is_current,
        "{path} is missing or old: run `cargo build --examples`, or `cargo test` without --test"
    );
    Command::new(program)
}

fn source(name: &str) -> PathBuf {
    Path::new("examples").join(name).with_extension("rs")
}

/// Returns the command that starts `server` with an address space of 200 MB.
#[cfg(target_os = "linux")]
fn with_limited_memory(server: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v 200000 && exec \"$0\" \"$@\""]);
    shell.arg(server.get_program()).args(server.get_args());
    shell
}
