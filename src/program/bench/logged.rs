//! A measurement whose intervals are logged while it goes on.

use std::io::{self, LineWriter, Write};
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use mio_echo::load::hlog::IntervalLog;
use mio_echo::load::{Interval, ReadyRun, Results, RunError, RunEvent, RunPhase};

use super::background_writer::spool;
use super::files::{OutputFile, WriteError};
use super::interrupted::run_to_signal;

/// Longer lines are written in pieces; most are some kilobytes.
const LINE: usize = 64 << 10;

/// Measures, and logs to `output` the intervals that `on_event` is also told of. A log that fails does not end the measurement.
pub fn run(
    prepared: ReadyRun,
    output: OutputFile,
    on_event: &mut dyn FnMut(RunEvent),
) -> (Result<Results, RunError>, Result<(), WriteError>) {
    let (queue, spool) = spool(output);
    let mut lines = LineWriter::with_capacity(LINE, queue);
    let mut serializer = V2DeflateSerializer::new();
    let mut logged = Logged {
        log: State::Closed(&mut lines, &mut serializer),
        written: Ok(()),
    };
    let results = run_to_signal(prepared, &mut |event| {
        logged.handle(&event);
        on_event(event);
    });
    let queued = logged.written;
    drop(lines);
    (results, spool.end(queued))
}

struct Logged<'a, W: Write> {
    log: State<'a, W>,
    written: io::Result<()>,
}

enum State<'a, W: Write> {
    /// Until the window begins.
    Closed(&'a mut W, &'a mut V2DeflateSerializer),
    Open(IntervalLog<'a, W>),
    Failed,
}

impl<W: Write> Logged<'_, W> {
    fn handle(&mut self, event: &RunEvent) {
        let written = match event {
            RunEvent::PhaseBegan(RunPhase::Measuring(_)) => self.begin(),
            RunEvent::IntervalFinished(interval) => self.write(interval),
            RunEvent::PhaseBegan(_) | RunEvent::Tick(_) | RunEvent::Note(_) => Ok(()),
        };
        self.note_failure(written);
    }

    /// The window begins now.
    fn begin(&mut self) -> io::Result<()> {
        self.log = match std::mem::replace(&mut self.log, State::Failed) {
            State::Closed(output, serializer) => {
                State::Open(IntervalLog::start(output, serializer, SystemTime::now())?)
            }
            begun => begun,
        };
        Ok(())
    }

    fn write(&mut self, interval: &Interval) -> io::Result<()> {
        let State::Open(log) = &mut self.log else {
            return Ok(());
        };
        let written = log.write(interval);
        if written.is_err() {
            self.log = State::Failed;
        }
        written
    }

    fn note_failure(&mut self, written: io::Result<()>) {
        if written.is_err() {
            self.written = written;
        }
    }
}
