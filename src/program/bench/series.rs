//! Several measurements, one after another: with one display, one handling of signals and one report.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use mio_echo::load::{self, Outcome, Results, RunError, RunEvent, RunSettings, SignalWaiter};

use super::display::Display;
use super::files::{OutputFile, refuse_shared};
use super::interrupted::exit_at_signal;
use super::own_server;
use super::printing::{code_of, print, report_output};
use crate::cli::ReportOptions;
use crate::program::failure::fail;
use crate::program::warnings;

/// Runs measurements one after another.
pub struct RunSeries {
    display: Display,
    /// Handles the signals from the first run on. Before, a signal ends the process.
    signals: Option<SignalWaiter>,
}

impl RunSeries {
    pub fn new() -> Self {
        let display = Display::stderr();
        warnings::pass_to(display.line_writer());
        Self {
            display,
            signals: None,
        }
    }

    /// Shows `line` on standard error.
    pub fn note(&mut self, line: String) {
        self.display.handle(RunEvent::Note(line));
    }

    /// Runs one measurement. Its intervals are not shown: the series has a line for each measurement.
    pub fn run(&mut self, settings: RunSettings) -> Result<Results, RunError> {
        let display = &mut self.display;
        let on_event = &mut |event: RunEvent| match event {
            RunEvent::IntervalFinished(_) => {}
            RunEvent::PhaseBegan(_) | RunEvent::Tick(_) | RunEvent::Note(_) => {
                display.handle(event);
            }
        };
        let ready = load::prepare(settings, own_server::command, on_event)?;
        let signals = match &mut self.signals {
            Some(signals) => signals,
            none => none.insert(SignalWaiter::install()?),
        };
        ready.run(signals, on_event)
    }

    /// Ends the series. From now on, SIGINT, SIGTERM and SIGHUP end the process.
    pub fn finish(self) {
        if let Some(signals) = self.signals {
            exit_at_signal(signals);
        }
    }
}

/// What a series is told as.
pub struct SeriesReport {
    pub text: String,
    pub json: String,
    /// Empty if the series has no table in CSV.
    pub csv: String,
    pub outcome: Outcome,
}

/// The outputs of a series. They are opened before the first measurement.
pub struct SeriesOutputs {
    stdout: Box<dyn Write>,
    json: Option<OutputFile>,
    csv: Option<OutputFile>,
}

impl SeriesOutputs {
    /// Opens the files and standard output.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened for writing.
    pub fn create(report: &ReportOptions, csv: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            stdout: Box::new(report_output()?),
            json: report.output.clone().map(OutputFile::create).transpose()?,
            csv: csv.map(OutputFile::create).transpose()?,
        })
    }

    /// Checks that no two outputs are the same file.
    ///
    /// # Errors
    ///
    /// The reason, on one line.
    pub fn refuse_shared(&self) -> Result<(), String> {
        let files = [&self.json, &self.csv].map(Option::as_ref);
        refuse_shared(&files.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Writes `report` to all outputs. `ended` tells whether the series has ended early. The exit code is that of the worst
    /// outcome. An output that fails does not keep the report from the others.
    pub fn publish(
        self,
        report: SeriesReport,
        ended: Result<(), RunError>,
        options: &ReportOptions,
    ) -> Result<ExitCode, Box<dyn Error>> {
        let write = |file: Option<OutputFile>, text: &str| {
            file.map(|file| file.write(|file| file.write_all(text.as_bytes())))
        };
        let json = write(self.json, &report.json);
        let csv = write(self.csv, &report.csv);
        let printed = match options.json {
            true => report.json,
            false => report.text,
        };
        print(&printed, self.stdout)?;
        json.into_iter().chain(csv).collect::<Result<(), _>>()?;
        let outcome = match ended {
            Ok(()) => report.outcome,
            Err(error) => {
                fail(&error);
                report.outcome.min(outcome_of(&error))
            }
        };
        Ok(code_of(outcome, options).into())
    }
}

/// Returns the outcome of a series that `error` has ended.
fn outcome_of(error: &RunError) -> Outcome {
    match error {
        RunError::Interrupted { signal } | RunError::InterruptedTwice { signal } => {
            Outcome::Interrupted(*signal)
        }
        RunError::Failed(_) => Outcome::NothingAnswered,
    }
}
