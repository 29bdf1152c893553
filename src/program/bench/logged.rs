//! A measurement that writes each interval's histograms to a log (`--hlog`) while it runs.

use std::io::{self, LineWriter};
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use mio_echo::load::hlog::IntervalLog;
use mio_echo::load::{ReadyRun, Results, RunError, RunEvent, RunPhase};

use super::background_writer::BackgroundFile;
use super::interrupted::run_to_signal;

/// A longer line is queued in pieces. Most lines are some kilobytes long.
const BUFFER: usize = 64 << 10;

/// Measures, writes the intervals to `file`, and passes all events on to `on_event`. A log that fails does not end
/// the measurement.
pub fn run(
    ready: ReadyRun,
    file: BackgroundFile,
    on_event: &mut dyn FnMut(RunEvent),
) -> (Result<Results, RunError>, io::Result<()>) {
    let mut lines = LineWriter::with_capacity(BUFFER, &file);
    let mut serializer = V2DeflateSerializer::new();
    let mut unopened = Some((&mut lines, &mut serializer));
    // The log is opened when the window begins: the times in the log count from then.
    let mut log = None;
    let mut queued = Ok(());
    let mut write = |event: &RunEvent| match event {
        RunEvent::PhaseBegan(RunPhase::Measuring(_)) => {
            if let Some((output, serializer)) = unopened.take() {
                log = Some(IntervalLog::start(output, serializer, SystemTime::now())?);
            }
            Ok(())
        }
        RunEvent::IntervalFinished(interval) => {
            log.as_mut().map_or(Ok(()), |log| log.write(interval))
        }
        RunEvent::PhaseBegan(_) | RunEvent::Tick(_) | RunEvent::Note(_) => Ok(()),
    };
    let results = run_to_signal(ready, &mut |event| {
        if queued.is_ok() {
            queued = write(&event);
        }
        on_event(event);
    });
    drop(lines);
    (results, file.finish(queued))
}
