//! Several measurements, one after another: with one display, one handling of signals and one report.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use mio_echo::load::{
    self, BesideResults, CommandLine, CommandServer, Outcome, Results, RunError, RunEvent,
    RunSettings, SignalWaiter, Sizes, Target,
};
use mio_echo::net::ScopedAddress;

use super::display::Display;
use super::files::{OutputFile, refuse_shared};
use super::interrupted::exit_at_signal;
use super::own_server;
use super::page;
use super::printing::{code_of, for_terminal, print, report_output};
use crate::cli::ReportOptions;
use crate::program::failure::fail;
use crate::program::warnings;

/// Shows an event of a measurement.
pub type Show<'a> = &'a mut dyn FnMut(&mut Display, RunEvent);

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
        self.run_showing(settings, &mut show_without_intervals)
    }

    /// Runs one measurement beside bulk connections. Its intervals are not shown.
    pub fn run_beside(
        &mut self,
        ping: RunSettings,
        bulk: RunSettings,
    ) -> Result<BesideResults, RunError> {
        let display = &mut self.display;
        let on_event = &mut |event: RunEvent| show_without_intervals(display, event);
        let own_server = |ping: &RunSettings| own_server::command(&sum(ping, &bulk));
        let ready = load::prepare(ping, own_server, on_event)?;
        ready.run_beside(bulk, installed(&mut self.signals)?, on_event)
    }

    /// Runs one measurement, whose events `show` shows.
    pub fn run_showing(&mut self, settings: RunSettings, show: Show) -> Result<Results, RunError> {
        let display = &mut self.display;
        let on_event = &mut |event: RunEvent| show(display, event);
        let ready = load::prepare(settings, own_server::command, on_event)?;
        ready.run(installed(&mut self.signals)?, on_event)
    }

    /// Starts the server of `command`, measures it and stops it. `show` shows the events.
    pub fn run_against(
        &mut self,
        command: &CommandLine,
        settings: RunSettings,
        show: Show,
    ) -> Result<Results, RunError> {
        let display = &mut self.display;
        let on_event = &mut |event: RunEvent| show(display, event);
        let signals = installed(&mut self.signals)?;
        let mut server = CommandServer::start(command, &settings, signals)?;
        let settings = RunSettings {
            target: Target::Remote(ScopedAddress(server.address()).to_string()),
            ..settings
        };
        let ready = load::prepare(settings, own_server::command, on_event)?;
        let results = ready.with_command(&server).run(signals, on_event)?;
        if let Some(ending) = server.ending()
            && results.measurement.interrupted.is_none()
        {
            return Err(RunError::Failed(format!(
                "the server ended during the run: {ending}"
            )));
        }
        match server.stop(signals)? {
            None => Ok(results),
            Some(signal) => Err(RunError::Interrupted { signal }),
        }
    }

    /// Runs `command` to its end.
    pub fn run_command(&mut self, command: &CommandLine) -> Result<(), RunError> {
        load::run_command(command, installed(&mut self.signals)?)
    }

    /// Returns the display of the series.
    pub fn display(&mut self) -> &mut Display {
        &mut self.display
    }

    /// Ends the series. From now on, SIGINT, SIGTERM and SIGHUP end the process.
    pub fn finish(self) {
        if let Some(signals) = self.signals {
            exit_at_signal(signals);
        }
    }
}

/// Returns the settings of a load that needs the server that both loads need together.
fn sum(ping: &RunSettings, bulk: &RunSettings) -> RunSettings {
    RunSettings {
        connections: ping.connections + bulk.connections,
        sizes: Sizes([&ping.sizes.0[..], &bulk.sizes.0].concat()),
        ..ping.clone()
    }
}

fn show_without_intervals(display: &mut Display, event: RunEvent) {
    match event {
        RunEvent::IntervalFinished(_) => {}
        RunEvent::PhaseBegan(_) | RunEvent::Tick(_) | RunEvent::Note(_) => display.handle(event),
    }
}

/// Returns the signal waiter, which is installed now if it was not.
fn installed(signals: &mut Option<SignalWaiter>) -> io::Result<&mut SignalWaiter> {
    match signals {
        Some(signals) => Ok(signals),
        none => Ok(none.insert(SignalWaiter::install()?)),
    }
}

/// The report of a series, in the forms of its outputs.
pub trait SeriesReport {
    fn text(&self) -> String;
    fn json(&self) -> String;
    /// Returns the table that has a file of its own.
    fn table(&self) -> String;
    /// Returns the page of HTML.
    ///
    /// # Errors
    ///
    /// When the report of a run cannot be decoded.
    fn page(&self) -> Result<String, Box<dyn Error>>;
}

/// The outputs of a series. They are opened before the first measurement.
pub struct SeriesOutputs {
    stdout: Box<dyn Write>,
    json: Option<OutputFile>,
    table: Option<OutputFile>,
    page: Option<OutputFile>,
}

impl SeriesOutputs {
    /// Opens the files and standard output.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened for writing.
    pub fn create(
        json: Option<&PathBuf>,
        table: Option<&PathBuf>,
        page: Option<&PathBuf>,
    ) -> io::Result<Self> {
        let create = |path: Option<&PathBuf>| path.cloned().map(OutputFile::create).transpose();
        Ok(Self {
            stdout: Box::new(report_output()?),
            json: create(json)?,
            table: create(table)?,
            page: create(page)?,
        })
    }

    /// Checks that no two outputs are the same file.
    ///
    /// # Errors
    ///
    /// The reason, on one line.
    pub fn refuse_shared(&self) -> Result<(), String> {
        let files = [&self.json, &self.table, &self.page].map(Option::as_ref);
        refuse_shared(&files.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Writes `report` to all outputs; to standard output as JSON or as text. An output that fails does not keep the report
    /// from the others: a series takes minutes.
    ///
    /// # Errors
    ///
    /// When an output cannot be written.
    pub fn write(self, report: &impl SeriesReport, print_json: bool) -> Result<(), Box<dyn Error>> {
        let write =
            |file: OutputFile, text: String| file.write(|file| file.write_all(text.as_bytes()));
        let json = self.json.map(|file| write(file, report.json()));
        let table = self.table.map(|file| write(file, report.table()));
        let page = self.page.map(|file| page::write(file, report.page()));
        let printed = match print_json {
            true => report.json(),
            false => for_terminal(report.text()),
        };
        print(&printed, self.stdout)?;
        json.into_iter().chain(table).collect::<Result<(), _>>()?;
        page.unwrap_or(Ok(()))
    }

    /// Writes `report` to all outputs, and returns the exit code of a series whose worst measurement has `outcome`. `ended`
    /// tells whether the series has ended early, and the reason is printed.
    ///
    /// # Errors
    ///
    /// When an output cannot be written.
    pub fn publish(
        self,
        report: &impl SeriesReport,
        outcome: Outcome,
        ended: Result<(), RunError>,
        options: &ReportOptions,
    ) -> Result<ExitCode, Box<dyn Error>> {
        self.write(report, options.json)?;
        let outcome = match ended {
            Ok(()) => outcome,
            Err(error) => {
                fail(&error);
                outcome.min(outcome_of(&error))
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
