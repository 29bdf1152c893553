//! A signal ends bench with the results so far.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::bench::{Report, bench_against, start};
use crate::faulty::{RecordingServer, never_answers};
#[cfg(target_os = "linux")]
use crate::support::proc;
#[cfg(target_os = "linux")]
use crate::support::strace::Strace;
#[cfg(target_os = "linux")]
use crate::support::unix::do_not_ignore_hangup;
use crate::support::{DEADLINE, Server, wait_for, within};

/// Starts a run of an hour, sends `signal` after the first interval, requires the exit code, and returns the output.
#[track_caller]
fn interrupted(signal: Signal, code: i32, args: &str) -> Vec<String> {
    let server = Server::start(&[]);
    let args = format!("-c 4 -d 1h -w 0 -i 100ms {args}");
    let mut running = start(bench_against(server.address(), &args));
    running.await_answers();
    running.await_log_from(2, "");
    running.signal(signal);
    within(Duration::from_millis(500), || running.wait());
    let finished = running.finished();
    finished.expect_code(code);
    finished.output
}

#[test]
fn an_interrupt_prints_the_results_so_far() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for args in ["", "-r 1000"] {
            let lines = interrupted(signal, code, args);
            let last = lines.last().expect("a report");
            assert!(last.starts_with("Transfer/sec: "), "{lines:#?}");
            let report = Report::of_lines(&interrupted(signal, code, &format!("{args} -J")));
            assert!(report.count("messages") > 0);
            let seconds = report.number("seconds");
            assert!(seconds > 0.1 && seconds < 60.0, "{seconds}");
        }
    }
}

/// Sends `signal` and requires a report without a window.
#[track_caller]
fn expect_nothing_measured(mut running: Server, signal: Signal, code: i32) {
    running.signal(signal);
    within(Duration::from_millis(500), || running.wait());
    let finished = running.finished();
    finished.expect_code(code);
    let report = Report::of(&finished);
    assert_eq!(
        (report.count("messages"), report.number("seconds")),
        (0, 0.0)
    );
    assert_eq!(report.at("/intervals").as_array().map(Vec::len), Some(0));
    assert_eq!(
        report.at("/interrupted").as_i64(),
        Some(i64::from(signal.as_raw()))
    );
}

#[test]
fn an_interrupt_during_the_warm_up_measures_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for args in ["", "-t 2", "-r 1000", "--churn -r 100", "-n 1000000"] {
            let recording = RecordingServer::start(64);
            let args = format!("-c 4 -d 1h -w 1h -J {args}");
            let running = start(bench_against(recording.server().address(), &args));
            wait_for("messages of the warm-up", DEADLINE, || {
                !recording.gaps().is_empty()
            });
            expect_nothing_measured(running, signal, code);
        }
    }
}

#[test]
fn an_interrupt_before_start_at_measures_nothing() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let server = Server::start(&[]);
    let args = format!("-c 4 -d 5s -J --start-at @{}", now.as_secs() + 3600);
    let running = start(bench_against(server.address(), &args));
    running.await_log("waiting ");
    expect_nothing_measured(running, Signal::INT, 130);
}

#[cfg(target_os = "linux")]
#[test]
fn fault_s13_a_signal_whose_handler_cannot_report_it_ends_bench_all_the_same() {
    const TEST: &str = "fault_s13_a_signal_whose_handler_cannot_report_it_ends_bench_all_the_same";
    let server = Server::start(&[]);
    let running = start(bench_against(
        server.address(),
        "-c 1 -d 1h -J --start-at next:1h",
    ));
    running.await_log("waiting ");
    let Some(strace) = Strace::inject(TEST, running.pid(), "sendto:error=ENOBUFS") else {
        return;
    };
    // The tracer has interrupted the wait, too.
    wait_for("bench waits again", DEADLINE, || {
        proc::is_at_rest(running.pid())
    });
    running.signal(Signal::INT);
    running.finished().expect_code(130);
    drop(strace);
}

#[test]
fn an_interrupt_before_the_first_reply_ends_bench() {
    let server = never_answers();
    let mut running = start(bench_against(
        server.address(),
        "-c 1 -d 1h -w 0 -i 100ms --timeout 1h",
    ));
    running.await_log("");
    running.signal(Signal::INT);
    within(Duration::from_millis(500), || running.wait());
    running.finished().expect_code(130);
}

#[test]
fn an_interrupt_before_every_connection_is_up_ends_bench() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = Server::start(&[]);
        let args = "-c 100 -d 1h -w 0 --connect-rate 1";
        let mut running = start(bench_against(server.address(), args));
        server.await_active(1, DEADLINE);
        running.signal(signal);
        within(Duration::from_millis(500), || running.wait());
        let finished = running.finished();
        finished.expect_code(code);
        let text = finished.text();
        assert!(
            text.contains("interrupted before there were results"),
            "{text}"
        );
        assert!(finished.output.is_empty(), "{:#?}", finished.output);
    }
}

#[test]
fn a_second_signal_ends_bench_at_once() {
    let server = Server::start(&[]);
    let mut running = start(bench_against(server.address(), "-c 4 -d 1h -w 0 -i 100ms"));
    running.await_log_from(2, "");
    running.signal(Signal::INT);
    // The kernel may merge two signals that are sent closer together.
    thread::sleep(Duration::from_millis(20));
    running.signal(Signal::INT);
    within(Duration::from_millis(500), || running.wait());
    running.finished().expect_code(130);
}

#[test]
fn the_message_of_a_second_signal_matches_the_first() {
    let server = Server::start(&[]);
    let mut running = start(bench_against(server.address(), "-c 4 -d 1h -w 0 -i 100ms"));
    running.await_log_from(2, "");
    // When bench goes on, both signals are pending.
    for signal in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
        running.signal(signal);
    }
    within(Duration::from_millis(500), || running.wait());
    let text = running.finished().text();
    let parts = [
        "the results so far follow",
        "interrupted a second time: the results are dropped",
    ];
    for part in parts {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        !text.contains("interrupted before there were results"),
        "{text}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_bench_ends_its_own_server() {
    use crate::bench::bench;
    use crate::support::proc::children;
    let mut running = start(bench("-c 2 -d 1h -w 0 -i 100ms"));
    running.await_log_from(3, "");
    let servers = children(running.pid());
    assert_eq!(servers.len(), 1);
    running.signal(Signal::INT);
    running.wait();
    let path = format!("/proc/{}", servers[0]);
    assert!(
        !std::path::Path::new(&path).exists(),
        "bench must wait for its server"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn fault_s6_a_hangup_prints_the_results_so_far() {
    do_not_ignore_hangup();
    let lines = interrupted(Signal::HUP, 129, "");
    let last = lines.last().expect("a report");
    assert!(last.starts_with("Transfer/sec: "), "{lines:#?}");
}

/// Inherited process state: blocked signals, and being process 1.
#[cfg(target_os = "linux")]
mod inherited {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use crate::bench::{bench, bench_against, start};
    use crate::support::proc::{children, runs};
    use crate::support::temp_dir::TempDir;
    use crate::support::unix::{
        as_process_1, do_not_ignore_hangup, send_signal, with_blocked_signals,
    };
    use crate::support::{DEADLINE, Server, wait_for};

    /// Wraps a command, or prints that a test is skipped.
    type Wrap = fn(&str, &Command) -> Option<Command>;

    /// Starts a run and sends `signal`, to the process that `find` returns, after the first interval. Requires a report
    /// and the exit code `code`.
    #[track_caller]
    fn expect_report(test: &str, wrap: Wrap, find: fn(u32) -> u32, signal: Signal, code: i32) {
        let server = Server::start(&[]);
        let run = bench_against(server.address(), "-c 4 -d 1h -w 0 -i 100ms");
        let Some(command) = wrap(test, &run) else {
            return;
        };
        let running = start(command);
        running.await_answers();
        send_signal(find(running.pid()), signal);
        let finished = running.finished();
        finished.expect_code(code);
        assert!(finished.text().contains("Transfer/sec: "), "{code}");
    }

    /// Starts a bench that waits for the reader of a FIFO before its run, and sends `signal` to the process that `find`
    /// returns until bench ends. A signal that comes before the first instruction of bench may have no effect.
    #[track_caller]
    fn end_before_the_run(
        test: &str,
        wrap: Wrap,
        find: fn(u32) -> Option<u32>,
        signal: Signal,
    ) -> Option<ExitStatus> {
        let directory = TempDir::new(test);
        let fifo = directory.file("fifo");
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        let mut run = bench("-d 1h -o");
        run.arg(&fifo);
        let mut command = wrap(test, &run)?;
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Server::spawn_without_waiting(command);
        wait_for("the end of bench", DEADLINE, || {
            let bench = find(running.pid()).filter(|pid| runs(*pid, "mio-echo"));
            if let Some(pid) = bench.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                // Fails if bench has just ended.
                let _ = kill_process(pid, signal);
            }
            !running.is_running()
        });
        Some(running.wait())
    }

    const SIGNALS: [(Signal, i32); 3] =
        [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)];

    #[test]
    fn fault_s7_signals_that_the_parent_blocks_end_bench_with_a_report() {
        do_not_ignore_hangup();
        let test = "fault_s7_signals_that_the_parent_blocks_end_bench_with_a_report";
        for (signal, code) in SIGNALS {
            expect_report(test, with_blocked_signals, |pid| pid, signal, code);
        }
    }

    #[test]
    fn fault_s7_a_signal_that_the_parent_blocks_ends_bench_before_its_run() {
        let test = "fault_s7_a_signal_that_the_parent_blocks_ends_bench_before_its_run";
        if let Some(status) = end_before_the_run(test, with_blocked_signals, Some, Signal::TERM) {
            assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
        }
    }

    #[test]
    fn fault_s8_signals_end_a_bench_that_is_process_1() {
        do_not_ignore_hangup();
        let test = "fault_s8_signals_end_a_bench_that_is_process_1";
        for (signal, code) in SIGNALS {
            expect_report(test, as_process_1, |pid| children(pid)[0], signal, code);
        }
    }

    #[test]
    fn fault_s8_signals_end_a_bench_that_is_process_1_before_its_run() {
        do_not_ignore_hangup();
        let test = "fault_s8_signals_end_a_bench_that_is_process_1_before_its_run";
        for (signal, code) in SIGNALS {
            let child = |pid| children(pid).first().copied();
            if let Some(status) = end_before_the_run(test, as_process_1, child, signal) {
                assert_eq!(status.code(), Some(code));
            }
        }
    }
}
