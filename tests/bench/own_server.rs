//! Without a target, bench starts a server of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::bench::{Report, bench, run};
use crate::support::skip;

#[test]
fn without_a_target_bench_starts_a_server_and_ends_it() {
    let finished = run(bench("-c 10 -n 1000 -w 100ms"), 0);
    let text = finished.text();
    let address = text
        .split([' ', ',', '\n', ')', ';'])
        .find_map(|word| word.parse::<SocketAddr>().ok())
        .unwrap_or_else(|| panic!("no address: {text}"));
    assert!(address.ip().is_loopback());
    assert!(
        TcpStream::connect(address).is_err(),
        "the server still runs"
    );
}

#[test]
fn the_own_server_listens_on_the_requested_address_family() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip(
            "the_own_server_listens_on_the_requested_address_family",
            "there is no IPv6",
        );
    }
    let finished = run(bench("-6 -c 2 -n 100 -w 0"), 0);
    assert!(
        finished.output[0].starts_with("[::1]:"),
        "{:?}",
        finished.output
    );
}

#[test]
fn the_own_server_is_in_the_report() {
    let report = Report::of(&run(bench("-c 10 -n 20000 -w 100ms -J"), 0));
    report.expect_no_failure();
    assert!(report.count("messages") > 0);
    assert!(report.at("/server").is_object());
    if cfg!(target_os = "linux") {
        let figures = report.at("/server").as_object().expect("an object");
        assert!(
            figures.values().all(|value| !value.is_null()),
            "{figures:?}"
        );
        let cpu = figures
            .iter()
            .find(|(name, _)| name.contains("cpu"))
            .expect("CPU time");
        assert!(cpu.1.as_f64().is_some_and(|cpu| cpu > 0.0), "{figures:?}");
    }
}

#[test]
fn a_target_server_is_not_in_the_report() {
    let server = crate::support::Server::start(&[]);
    let report = crate::bench::measure(server.address(), "-c 1 -n 100 -w 0");
    assert!(report.at("/server").is_null());
}

#[test]
fn the_own_server_speaks_the_measured_framing() {
    for framing in ["line", "crlf", "len8", "len16", "len16le"] {
        let args = format!("-c 2 -n 200 -w 0 -J --framing {framing}");
        Report::of(&run(bench(&args), 0)).expect_all(200);
    }
    Report::of(&run(
        bench("-c 2 -n 200 -w 0 -J --framing len16 -s 65535"),
        0,
    ))
    .expect_all(200);
}

#[test]
#[cfg(target_os = "linux")]
fn an_own_server_that_was_killed_is_reported() {
    check_killed_server(bench(UNTIL_THE_SERVER_ENDS));
}

#[test]
#[cfg(target_os = "linux")]
fn fault_b4_a_killed_server_is_reported_if_bench_was_started_with_sigchld_ignored() {
    let ignored = crate::support::unix::wrapped(
        "fault_b4_a_killed_server_is_reported_if_bench_was_started_with_sigchld_ignored",
        &["env", "--ignore-signal=CHLD"],
        &bench(UNTIL_THE_SERVER_ENDS),
    );
    if let Some(ignored) = ignored {
        check_killed_server(ignored);
    }
}

#[cfg(target_os = "linux")]
const UNTIL_THE_SERVER_ENDS: &str = "-c 2 -n 1000000000 -w 0 -i 100ms --timeout 300ms -J";

/// Kills the server of `bench` and checks that the report says so.
#[cfg(target_os = "linux")]
#[track_caller]
fn check_killed_server(bench: std::process::Command) {
    use rustix::process::{Pid, Signal, kill_process};

    use crate::support::proc::children;
    let running = crate::bench::start(bench);
    running.await_answers();
    let servers = children(running.pid());
    assert_eq!(servers.len(), 1);
    let server = Pid::from_raw(servers[0] as i32).expect("a process number");
    kill_process(server, Signal::KILL).expect("sending a signal");
    let finished = running.finished();
    finished.expect_code(0);
    let is_reported = finished
        .log
        .iter()
        .any(|line| line.starts_with("the started server ended during the run: signal: 9"));
    assert!(is_reported, "{:#?}", finished.log);
    let report = Report::of(&finished);
    assert!(report.at("/server/rss_bytes").is_null());
}

#[test]
#[cfg(target_os = "linux")]
fn the_own_server_ends_when_bench_is_killed() {
    use crate::support::{DEADLINE, proc::children, wait_for};
    let running = crate::bench::start(bench("-c 2 -d 1h -w 0"));
    let mut found = Vec::new();
    wait_for("a child", DEADLINE, || {
        found = children(running.pid());
        !found.is_empty()
    });
    // SIGKILL leaves bench no chance to clean up.
    drop(running);
    let is_running = |pid: &u32| std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok();
    wait_for("the server's end", DEADLINE, || {
        !found.iter().any(is_running)
    });
}
