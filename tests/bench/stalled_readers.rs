//! Standard error, the log and the report if their reader has stopped reading.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use rustix::process::Signal;

use crate::bench::{Report, bench, bench_against, run};
use crate::faulty::RecordingServer;
#[cfg(target_os = "linux")]
use crate::support::strace::Strace;
use crate::support::temp_dir::TempDir;
use crate::support::unix::{fill, full_pipe};
use crate::support::{DEADLINE, Server, wait_for, within};

/// An upper bound for the longest run here, the wait for standard error, and the start of a process.
const END: Duration = Duration::from_millis(2700);

#[test]
fn a_full_standard_error_does_not_delay_the_run_or_its_end() {
    let (_unread, error) = full_pipe();
    let mut command = bench("-c 2 -d 1s -w 0 -i 100ms -J");
    command.stdout(Stdio::piped()).stderr(error);
    let finished = within(END, || Server::spawn_without_waiting(command).finished());
    finished.expect_code(0);
    let report = Report::of(&finished);
    report.expect_no_failure();
    let seconds = report.number("seconds");
    assert!(seconds >= 1.0, "{seconds}");
}

#[test]
fn a_full_standard_error_does_not_delay_a_failure() {
    let (_unread, error) = full_pipe();
    let mut command = bench("-c 1 -n 1 -w 0 --source 192.0.2.1");
    command.stdout(Stdio::piped()).stderr(error);
    let finished = within(END, || Server::spawn_without_waiting(command).finished());
    finished.expect_code(1);
}

#[test]
fn a_signal_ends_a_run_with_a_full_standard_error() {
    let (_unread, error) = full_pipe();
    let recording = RecordingServer::start(64);
    let mut command = bench_against(recording.server().address(), "-c 2 -d 1h -w 0 -i 100ms -J");
    command.stdout(Stdio::piped()).stderr(error);
    let running = Server::spawn_without_waiting(command);
    wait_for("messages", DEADLINE, || !recording.gaps().is_empty());
    running.signal(Signal::INT);
    let finished = within(END, || running.finished());
    finished.expect_code(130);
    assert_eq!(Report::of(&finished).at("/interrupted").as_i64(), Some(2));
}

#[test]
fn a_stalled_hlog_reader_fails_in_one_line_and_the_report_is_printed() {
    let dir = TempDir::new("stalled");
    let fifo = dir.file("log");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("running mkfifo").success());
    // Opening both ends at once avoids waiting for the other end.
    let ends = File::options().read(true).write(true).open(&fifo);
    let unread = ends.expect("opening the pipe");
    fill(&unread);
    let mut command = bench("-c 2 -d 1s -w 0 -i 100ms -J");
    command.arg("--hlog").arg(&fifo);
    let finished = within(END, || run(command, 1));
    Report::of(&finished).expect_no_failure();
    let expected = format!(
        "cannot write {}: its reader does not keep up",
        fifo.display()
    );
    let lines = finished.log.iter().filter(|line| line.contains("cannot"));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [&format!("mio-echo: {expected}")]
    );
}

#[test]
fn a_signal_ends_bench_while_standard_output_is_full() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let dir = TempDir::new(&format!("unread-{code}"));
        let json = dir.file("out.json");
        let (_unread, output) = full_pipe();
        let mut command = bench("-c 1 -n 10 -w 0");
        command.arg("-o").arg(&json);
        command.stdout(output).stderr(Stdio::piped());
        let mut running = Server::spawn_without_waiting(command);
        // The file is written before the report is printed.
        wait_for("the end of the measurement", DEADLINE, || {
            fs::metadata(&json).is_ok_and(|file| file.len() > 0)
        });
        running.signal(signal);
        within(Duration::from_millis(500), || running.wait());
        running.finished().expect_code(code);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn fault_s14_a_signal_ends_bench_although_no_thread_can_wait_for_signals() {
    let dir = TempDir::new("no-thread");
    let json = dir.file("out.json");
    let (_unread, output) = full_pipe();
    let recording = RecordingServer::start(64);
    let mut command = bench_against(recording.server().address(), "-c 1 -d 1h -w 0");
    command.arg("-o").arg(&json);
    command.stdout(output).stderr(Stdio::piped());
    let mut running = Server::spawn_without_waiting(command);
    wait_for("messages", DEADLINE, || !recording.gaps().is_empty());
    let fault = "clone,clone3:error=EAGAIN";
    let Some(_strace) = Strace::inject("fault_s14 (signals)", running.pid(), fault) else {
        return;
    };
    running.signal(Signal::INT);
    // The file is written before the report is printed.
    wait_for("the end of the measurement", DEADLINE, || {
        fs::metadata(&json).is_ok_and(|file| file.len() > 0)
    });
    running.signal(Signal::TERM);
    running.wait();
    running.finished().expect_code(143);
}

#[test]
fn a_non_blocking_standard_output_gets_the_whole_report() {
    let dir = TempDir::new("non-blocking");
    let json = dir.file("out.json");
    let (mut reader, output) = full_pipe();
    ioctl_fionbio(&output, true).expect("a pipe that does not block");
    let mut command = bench("-c 1 -n 10 -w 0");
    command.arg("-o").arg(&json);
    command.stdout(output).stderr(Stdio::piped());
    let running = Server::spawn_without_waiting(command);
    wait_for("the end of the measurement", DEADLINE, || {
        fs::metadata(&json).is_ok_and(|file| file.len() > 0)
    });
    // Only bench has the other end, so the pipe ends with bench.
    let mut text = Vec::new();
    reader.read_to_end(&mut text).expect("reading");
    running.finished().expect_code(0);
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("\nTransfer/sec: "), "{text}");
    assert!(text.ends_with(" MB\n"), "{text}");
}
