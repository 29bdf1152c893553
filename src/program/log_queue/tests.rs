use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use super::*;
use crate::program::standard_streams::FLUSH_TIMEOUT;

/// A sink that reports each line it gets, and then blocks until the gate opens.
struct Sink {
    written: Sender<String>,
    gate: Receiver<()>,
}

impl LineSink for Sink {
    type Line = LogLine;

    fn write_line(&mut self, line: &LogLine) -> io::Result<()> {
        if line.text == "refused" {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.send(line.text.clone()).unwrap();
        let _ = self.gate.recv();
        Ok(())
    }

    fn end_line(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn about_lost(&self, lost: u64) -> LogLine {
        LogLine::about_lost(lost)
    }
}

/// A log after its start, whose sink blocks on each line.
fn gated() -> (LogQueue, Receiver<String>, Sender<()>) {
    let (written, lines) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let sink = Sink { written, gate };
    let queue = LogQueue::new(LevelFilter::Debug, LineFormat::Text, sink);
    queue.lines.begin();
    (queue, lines, open)
}

/// A log whose sink blocks on its first line.
fn stuck() -> (LogQueue, Receiver<String>, Sender<()>) {
    let (queue, lines, gate) = gated();
    log(&queue, "first");
    assert_eq!(lines.recv().unwrap(), "first");
    (queue, lines, gate)
}

fn open() -> (LogQueue, Receiver<String>) {
    let (queue, lines, _) = gated();
    (queue, lines)
}

fn log(queue: &LogQueue, text: &str) {
    log_as(queue, Level::Info, "mio_echo::net", text);
}

fn log_as(queue: &LogQueue, level: Level, target: &str, text: &str) {
    queue.log(
        &Record::builder()
            .level(level)
            .target(target)
            .args(format_args!("{text}"))
            .build(),
    );
}

#[test]
fn lines_are_written_in_order() {
    let (queue, lines) = open();
    for text in ["a", "b", "c"] {
        log(&queue, text);
    }
    assert_eq!(queue.flush(), Flushed::Written);
    assert_eq!(lines.try_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn a_blocked_sink_never_blocks_the_caller_and_lost_lines_are_counted() {
    let (queue, lines, gate) = stuck();
    for number in 0..CAPACITY + 7 {
        log_as(&queue, Level::Debug, TARGET, &number.to_string());
    }
    drop(gate);
    assert_eq!(queue.flush(), Flushed::Written);

    let mut expected: Vec<_> = (0..CAPACITY).map(|number| number.to_string()).collect();
    expected.push("7 log lines lost".into());
    assert_eq!(lines.try_iter().collect::<Vec<_>>(), expected);

    log(&queue, "there is room again");
    assert_eq!(queue.flush(), Flushed::Written);
    assert_eq!(
        lines.try_iter().collect::<Vec<_>>(),
        ["there is room again"]
    );
}

#[test]
fn lines_of_connections_do_not_crowd_out_the_last_line() {
    let (queue, lines, gate) = stuck();
    for _ in 0..CAPACITY + 1 {
        log_as(&queue, Level::Debug, TARGET, "a connection");
    }
    for number in 0..RESERVED + 1 {
        log(&queue, &number.to_string());
    }
    drop(gate);
    assert_eq!(queue.flush(), Flushed::Written);

    let mut expected: Vec<_> = (0..RESERVED).map(|number| number.to_string()).collect();
    expected.push("2 log lines lost".into());
    let written = lines.try_iter().skip(CAPACITY);
    assert_eq!(written.collect::<Vec<_>>(), expected);
}

#[test]
fn a_flush_waits_for_the_line_that_is_being_written() {
    let (queue, _lines, gate) = stuck();
    let opening = thread::spawn(move || drop(gate));
    assert_eq!(queue.flush(), Flushed::Written);
    opening.join().unwrap();
}

#[test]
fn a_flush_stops_waiting_for_a_blocked_sink() {
    let (queue, _lines, _gate) = stuck();
    let start = Instant::now();
    assert_eq!(queue.flush(), Flushed::Stalled);
    assert!(start.elapsed() >= FLUSH_TIMEOUT);
}

#[test]
fn fault_s17_a_line_that_the_sink_refuses_is_counted() {
    let (queue, lines) = open();
    for text in ["refused", "refused", "next"] {
        log(&queue, text);
    }
    assert_eq!(queue.flush(), Flushed::Written);
    let written: Vec<_> = lines.try_iter().collect();
    assert_eq!(written, ["1 log lines lost", "1 log lines lost", "next"]);
}

#[test]
fn other_crates_are_logged_from_warnings_up() {
    let (queue, lines) = open();
    for (level, target) in [
        (Level::Trace, "mio_echo"),
        (Level::Debug, "mio_echo::conn"),
        (Level::Info, "mio_echo"),
        (Level::Info, "mio_echoes"),
        (Level::Info, "mio::poll"),
        (Level::Warn, "mio::poll"),
        (Level::Error, "signal_hook"),
    ] {
        log_as(&queue, level, target, &format!("{level} {target}"));
    }
    assert_eq!(queue.flush(), Flushed::Written);
    let expected = [
        "DEBUG mio_echo::conn",
        "INFO mio_echo",
        "WARN mio::poll",
        "ERROR signal_hook",
    ];
    assert_eq!(lines.try_iter().collect::<Vec<_>>(), expected);
}
