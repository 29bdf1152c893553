//! A measurement that writes each interval's histograms to a log (`--hlog`) while it runs.

use std::io::{self, LineWriter, Write};
use std::mem;
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use mio_echo::load::hlog::IntervalLog;
use mio_echo::load::{Interval, ReadyRun, Results, RunError, RunEvent, RunPhase};

use super::background_writer::BackgroundFile;
use super::files::OutputFile;
use super::interrupted::run_to_signal;

/// A longer line is queued in pieces. Most lines are some kilobytes long.
const BUFFER: usize = 64 << 10;

/// Measures, writes the intervals to `output`, and passes all events on to `on_event`. A log that fails does not end
/// the measurement.
pub fn run(
    ready: ReadyRun,
    output: OutputFile,
    on_event: &mut dyn FnMut(RunEvent),
) -> (Result<Results, RunError>, io::Result<()>) {
    let (file, pieces) = BackgroundFile::start(output);
    let mut lines = LineWriter::with_capacity(BUFFER, pieces);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = LazyLog {
        state: LogState::Closed(&mut lines, &mut serializer),
        result: Ok(()),
    };
    let results = run_to_signal(ready, &mut |event| {
        log.handle(&event);
        on_event(event);
    });
    let queued = log.result;
    drop(lines);
    (results, file.finish(queued))
}

/// A log that is opened when the window begins.
struct LazyLog<'a, W: Write> {
    state: LogState<'a, W>,
    /// The first error, if there was one.
    result: io::Result<()>,
}

enum LogState<'a, W: Write> {
    /// The window has not begun.
    Closed(&'a mut W, &'a mut V2DeflateSerializer),
    Open(IntervalLog<'a, W>),
    Failed,
}

impl<W: Write> LazyLog<'_, W> {
    fn handle(&mut self, event: &RunEvent) {
        let written = match event {
            RunEvent::PhaseBegan(RunPhase::Measuring(_)) => self.open(),
            RunEvent::IntervalFinished(interval) => self.write(interval),
            RunEvent::PhaseBegan(_) | RunEvent::Tick(_) | RunEvent::Note(_) => Ok(()),
        };
        if written.is_err() {
            self.state = LogState::Failed;
            self.result = written;
        }
    }

    /// Writes the header. The times in the log count from now, the start of the window.
    fn open(&mut self) -> io::Result<()> {
        self.state = match mem::replace(&mut self.state, LogState::Failed) {
            LogState::Closed(output, serializer) => {
                LogState::Open(IntervalLog::start(output, serializer, SystemTime::now())?)
            }
            state @ (LogState::Open(_) | LogState::Failed) => state,
        };
        Ok(())
    }

    fn write(&mut self, interval: &Interval) -> io::Result<()> {
        match &mut self.state {
            LogState::Open(log) => log.write(interval),
            LogState::Closed(..) | LogState::Failed => Ok(()),
        }
    }
}
