//! A measurement whose intervals are logged while it goes on.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use mio_echo::load::hlog::{Log, window_began};
use mio_echo::load::{self, Config, Interval, Phase, Progress, Results, RunError};

use super::files::{OutputFile, Unwritten};

/// Measures, and logs to `output` what it also tells `progress`. A log that fails does not end the measurement.
pub fn run(
    config: Config,
    output: OutputFile,
    progress: &mut dyn Progress,
) -> (Result<Results, RunError>, Result<(), Unwritten>) {
    output.write_during(|mut output| {
        let mut serializer = V2DeflateSerializer::new();
        let mut logged = Logged {
            log: State::Closed(&mut output, &mut serializer),
            written: Ok(()),
            progress,
        };
        let results = load::run(config, &mut logged);
        (results, logged.written)
    })
}

struct Logged<'a, W: Write> {
    log: State<'a, W>,
    written: io::Result<()>,
    progress: &'a mut dyn Progress,
}

enum State<'a, W: Write> {
    /// Until the first interval tells when the window began.
    Closed(&'a mut W, &'a mut V2DeflateSerializer),
    Open(Log<'a, W>),
    Failed,
}

impl<W: Write> Logged<'_, W> {
    fn write(&mut self, interval: &Interval) -> io::Result<()> {
        let mut log = match std::mem::replace(&mut self.log, State::Failed) {
            State::Closed(output, serializer) => {
                Log::begin(output, serializer, window_began(interval))?
            }
            State::Open(log) => log,
            State::Failed => return Ok(()),
        };
        log.write(interval)?;
        self.log = State::Open(log);
        Ok(())
    }
}

impl<W: Write> Progress for Logged<'_, W> {
    fn phase(&mut self, phase: Phase) {
        self.progress.phase(phase);
    }

    fn tick(&mut self, elapsed: Duration) {
        self.progress.tick(elapsed);
    }

    fn interval(&mut self, interval: &Interval) {
        self.progress.interval(interval);
        if let Err(error) = self.write(interval) {
            self.written = Err(error);
        }
    }

    fn note(&mut self, line: &str) {
        self.progress.note(line);
    }
}
