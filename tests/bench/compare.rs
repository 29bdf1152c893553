//! `bench compare`: rounds of runs of two servers or settings, and the comparison of reports. No test depends on which server
//! is faster, unless one of them is made slower by orders of magnitude.

use std::fs;
use std::path::PathBuf;

#[cfg(unix)]
use rustix::process::Signal;
use serde_json::Value;

#[cfg(unix)]
use crate::bench::start;
use crate::bench::{Report, bench, bench_against, run};
use crate::faulty::{Damage, DamagingServer};
use crate::support::Server;
use crate::support::server::Finished;
use crate::support::temp_dir::TempDir;

const SHORT: &str = "compare --rounds 2 -c 2 -d 100ms -w 0";

/// Returns a command of `serve` with `args`, for `bench compare`.
fn serve(args: &str) -> String {
    // The quotes keep the backslashes of Windows.
    let program = env!("CARGO_BIN_EXE_mio-echo");
    format!("'{program}' serve --listen 127.0.0.1:{{port}} {args}")
}

/// Compares the servers `a` and `b` with `args`, which are separated by spaces, and requires the exit code `code`.
#[track_caller]
fn compare(args: &str, a: &str, b: &str, code: i32) -> Finished {
    let mut command = bench(&format!("{SHORT} {args}"));
    command.args([a, b]);
    run(command, code)
}

/// Returns the target of each run.
fn targets(report: &Report) -> Vec<String> {
    let runs = report.at("/runs").as_array().expect("a list");
    let target = |run: &Value| run["report"]["config"]["target"].to_string();
    runs.iter().map(target).collect()
}

#[test]
fn each_run_of_a_command_has_a_server_of_its_own() {
    let dir = TempDir::new("compare");
    let markdown = dir.file("compare.md");
    let args = format!("-J --markdown {}", markdown.display());
    let report = Report::of(&compare(&args, &serve("--quiet"), &serve(""), 0));
    assert_eq!(report.at("/kind"), "compare");
    assert_eq!(report.at("/schema"), 2);
    assert_eq!(report.at("/rounds/complete"), 2);
    assert_eq!(
        (report.at("/a/runs"), report.at("/b/runs")),
        (&4.into(), &2.into())
    );
    assert!(
        report
            .at("/b/name")
            .as_str()
            .is_some_and(|name| name.contains("{port}"))
    );
    assert!(report.at("/conclusion").is_string());
    assert_eq!(report.at("/metric"), "messages_per_sec");
    let mut targets = targets(&report);
    let runs = targets.len();
    // One of two rounds is repeated if the machine disturbed it, after the first disturbed one of its three runs.
    assert!((6..=9).contains(&runs), "{runs}");
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), runs, "a free port for each run");
    // Linux, macOS and Windows assign none of these ports to other programs.
    let port = |target: &String| target.trim_matches('"').rsplit_once(':')?.1.parse().ok();
    let ports: Option<Vec<u16>> = targets.iter().map(port).collect();
    let is_kept = |ports: Vec<u16>| ports.iter().all(|port| (20_000..32_768).contains(port));
    assert!(ports.is_some_and(is_kept), "{targets:?}");
    // A server that waits for a processor throughout a window of 100 ms uses no CPU time.
    let used_time = |run: &Value| run["report"]["server"]["cpu_s"].as_f64() > Some(0.0);
    let runs = report.at("/runs").as_array().expect("a list");
    if cfg!(target_os = "linux") && runs.iter().all(used_time) {
        assert!(report.at("/figures/1/ratio/ratio").is_f64(), "CPU time");
    }
    let markdown = fs::read_to_string(markdown).expect("the markdown");
    assert!(markdown.starts_with("**messages/s: "), "{markdown}");
}

#[test]
fn a_server_that_runs_is_measured_with_two_settings() {
    let server = Server::start(&[]);
    let mut command = bench_against(server.address(), SHORT);
    command.args(["--a", "-p 1", "--b", "-p 16 -s 128"]);
    let finished = run(command, 0);
    let text = finished.output.join("\n");
    let target = server.address();
    assert_eq!(finished.output[0], format!("A: {target} with -p 1"));
    assert_eq!(finished.output[1], format!("B: {target} with -p 16 -s 128"));
    assert!(
        text.contains("each run of A: raw, messages of 64 B, 2 connections, 1 thread, pipeline 1,")
    );
    assert!(
        text.contains(
            "each run of B: raw, messages of 128 B, 2 connections, 1 thread, pipeline 16,"
        )
    );
    let last = finished.output.last().expect("the words");
    assert!(last.starts_with("messages/s: "), "{last}");
    // The figures stay hidden until the end.
    let log = finished.log.join("\n");
    assert!(log.contains("round 2/2"), "{log}");
    assert!(!log.contains("messages/s"), "{log}");
}

#[test]
fn a_server_that_is_slower_than_the_limit_ends_with_6_and_one_that_is_not_with_0() {
    let fast = serve("--framing line");
    let slow = serve("--framing line --workers 1 --work-time 10ms");
    // With two rounds, the interval is wide. In a shorter window, a busy machine may answer no message.
    let compare = |a, b, code| {
        let mut command = bench("compare --rounds 3 -d 300ms -w 0 -c 1 --framing line");
        command.args(["--fail-if-slower", "2%", a, b]);
        run(command, code)
    };
    let slower = compare(&fast, &slow, 6);
    let words = &slower.output[slower.output.len() - 2..];
    assert!(words[0].contains("% slower ("), "{words:?}");
    assert_eq!(words[1], "limit: at most 2 % slower: exceeded");
    let faster = compare(&slow, &fast, 0);
    let words = &faster.output[faster.output.len() - 2..];
    assert!(words[0].contains("% faster ("), "{words:?}");
    assert_eq!(words[1], "limit: at most 2 % slower: kept");
}

#[test]
fn an_undecided_limit_ends_with_7_unless_that_passes() {
    let server = Server::start(&[]);
    let target = server.address().to_string();
    // The processor time of a server whose process is not named is unknown, so there is no verdict.
    let args = "--metric per-cpu --fail-if-slower 2%";
    let finished = compare(args, &target, &target, 7);
    let words = &finished.output[finished.output.len() - 2..];
    assert!(
        words[0].ends_with("no verdict: the CPU time of the server is unknown"),
        "{words:?}"
    );
    assert_eq!(words[1], "limit: at most 2 % slower: undecided");
    compare(&format!("{args} --undecided pass"), &target, &target, 0);
}

#[test]
fn a_suspect_run_ends_with_5_if_strict() {
    let server = Server::start(&[]);
    let target = server.address().to_string();
    // A window of 100 ms at 20 messages/s has too few samples.
    compare("-r 20", &target, &target, 0);
    compare("-r 20 --strict", &target, &target, 5);
    compare("-r 20 --strict --fail-if-slower 2%", &target, &target, 7);
}

#[test]
fn wrong_bytes_end_with_4() {
    let damaging = DamagingServer::start(Damage::Corrupted { offset: 0 }, 64);
    let target = damaging.server().address().to_string();
    let finished = compare("--metric per-cpu --fail-if-slower 2%", &target, &target, 4);
    assert!(
        finished.text().contains("no verdict"),
        "{}",
        finished.text()
    );
}

#[test]
fn a_command_that_does_not_serve_fails_with_its_last_words() {
    let refused = serve("--max-connections 0");
    let running = Server::start(&[]);
    let target = running.address().to_string();
    for (server, part) in [
        (
            refused.as_str(),
            "it ended before it accepted a connection: exit ",
        ),
        (refused.as_str(), "--max-connections"),
        (
            "no-such-program-of-mio-echo {port}",
            "cannot start `no-such-program-of-mio-echo {port}`: ",
        ),
    ] {
        let finished = compare("", server, server, 1);
        let last = finished.log.last().expect("a reason");
        assert!(last.contains(part), "{last}");
        assert_eq!(finished.output, [""; 0]);
    }
    let mut command = bench(&format!("{SHORT} --prepare"));
    command
        .arg(refused.replace("{port}", "0"))
        .args([&target, &target]);
    let finished = run(command, 1);
    let last = finished.log.last().expect("a reason");
    assert!(last.contains("cannot run `"), "{last}");
}

#[test]
fn reports_of_runs_are_compared_and_their_settings_must_be_alike() {
    let server = Server::start(&[]);
    let dir = TempDir::new("compare_files");
    let measured = |name: &str, args: &str| {
        let file = dir.file(name);
        let mut command = bench_against(server.address(), &format!("-c 2 -n 200 -w 0 {args}"));
        run_quietly(command.arg("-o").arg(&file));
        file
    };
    let files = |name: &str| {
        (0..5)
            .map(|i| measured(&format!("{name}{i}"), ""))
            .collect::<Vec<_>>()
    };
    let (base, new) = (files("old"), files("new"));
    let compared = |base: &[PathBuf], new: &[PathBuf], code| {
        let mut command = bench("compare -J --fail-if-slower 100%");
        command.arg("--base").args(base).arg("--new").args(new);
        run(command, code)
    };
    let report = compared(&base, &new, 0);
    let json = dir.write("compare.json", report.output.join("\n").as_bytes());
    let report = Report::of(&report);
    assert!(report.at("/rounds").is_null() && report.at("/figures/0/control").is_null());
    assert_eq!(
        (report.at("/a/runs"), report.at("/b/runs")),
        (&5.into(), &5.into())
    );
    assert!(report.at("/figures/0/ratio/ratio").is_f64());

    for (other, part) in [
        (measured("unlike", "-s 128"), "unlike: not comparable with "),
        (base[0].clone(), "the same run as "),
        (json, "kind \"compare\", expected the report of a run"),
        (
            dir.write("schema.json", br#"{"schema":1}"#),
            "schema 1, expected 2",
        ),
    ] {
        let mut new = new.clone();
        new[3] = other;
        let refused = compared(&base, &new, 1);
        let last = refused.log.last().expect("a reason");
        assert!(last.contains(part), "{last}");
    }
}

/// Runs `command` to its end, which must be a success.
#[track_caller]
fn run_quietly(command: &mut std::process::Command) {
    let output = command.output().expect("bench runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Signals, process groups and shells, which Windows does not have.
#[cfg(unix)]
mod unix {
    use std::net::{SocketAddr, TcpStream};

    use super::*;

    #[test]
    fn a_command_runs_before_each_run() {
        let server = Server::start(&[]);
        let target = server.address().to_string();
        let dir = TempDir::new("prepare");
        let file = dir.file("runs");
        let mut command = bench(&format!("{SHORT} -J --prepare"));
        command.arg(format!("sh -c 'echo run >> {}'", file.display()));
        command.args([&target, &target]);
        let report = Report::of(&run(command, 0));
        let prepared = fs::read_to_string(file).expect("the file of the command");
        assert_eq!(prepared.lines().count(), targets(&report).len());
    }

    #[test]
    fn descendants_of_the_command_are_measured_and_end_with_it() {
        let server = format!("sh -c '{} & wait'", serve("--quiet").replace('\'', "\""));
        // So many echoes take more processor time than the system's smallest unit, 10 ms.
        let mut command = bench("compare --rounds 2 -c 2 -w 0 -n 5000 -J");
        command.args([&server, &server]);
        let report = Report::of(&run(command, 0));
        for target in targets(&report) {
            let address: SocketAddr = target.trim_matches('"').parse().expect("an address");
            assert!(
                TcpStream::connect(address).is_err(),
                "{address} still accepts"
            );
        }
        if cfg!(target_os = "linux") {
            let cpu = report.at("/runs/0/report/server/cpu_s").as_f64();
            assert!(cpu > Some(0.0), "{cpu:?}");
        }
    }

    #[test]
    fn a_server_that_ends_during_a_run_fails_the_comparison() {
        let server = serve("--quiet").replace('\'', "\"");
        let server = format!("sh -c '{server} & sleep 0.3; kill $!; echo gone >&2'");
        let mut command = bench("compare --rounds 2 -c 2 -d 2s -w 0 --timeout 100ms");
        command.args([&server, &server]);
        let finished = run(command, 1);
        let last = finished.log.last().expect("a reason");
        assert!(
            last.contains("the server ended during the run: exit status: 0: gone"),
            "{last}"
        );
    }

    #[test]
    fn a_signal_ends_the_comparison_with_figures_and_without_a_verdict() {
        let server = Server::start(&[]);
        let target = server.address().to_string();
        let mut command = bench("compare --rounds 100 -c 2 -d 50ms -w 0 -J --fail-if-slower 2%");
        command.args([&target, &target]);
        let comparison = start(command);
        comparison.await_log("round 4/100");
        comparison.signal(Signal::TERM);
        let finished = comparison.finished();
        finished.expect_code(143);
        let report = Report::of(&finished);
        assert_eq!(report.at("/interrupted"), 15);
        assert_eq!(report.at("/text"), "no verdict: interrupted");
        assert!(report.at("/conclusion").is_null());
        assert!(report.at("/figures/0/ratio/ratio").is_f64());
    }

    #[test]
    fn a_signal_ends_the_wait_for_a_server() {
        let mut command = bench(SHORT);
        command.args(["sleep 1000 {port}", "sleep 1000 {port}"]);
        let comparison = start(command);
        comparison.await_log("round 1/2");
        // The wait begins a moment later.
        std::thread::sleep(std::time::Duration::from_millis(100));
        comparison.signal(Signal::INT);
        comparison.finished().expect_code(130);
    }

    #[test]
    #[cfg_attr(
        not(feature = "soak"),
        ignore = "takes longer than 5 seconds: --features soak"
    )]
    fn a_server_has_10_s_to_accept_a_connection_and_5_s_to_end() {
        use std::time::{Duration, Instant};

        let deaf = compare("", "sleep 1000 {port}", "sleep 1000 {port}", 1);
        let last = deaf.log.last().expect("a reason");
        assert!(
            last.contains("it did not accept a connection on 127.0.0.1:"),
            "{last}"
        );
        assert!(last.contains(" within 10 s"), "{last}");

        let stubborn = serve("--quiet").replace('\'', "\"");
        let stubborn =
            format!("sh -c 'trap \"\" TERM; {stubborn} & while :; do wait; sleep 1000; done'");
        let start = Instant::now();
        compare("", &serve("--quiet"), &stubborn, 0);
        assert!(start.elapsed() > Duration::from_secs(2 * 5));
    }
}
