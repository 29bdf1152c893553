//! `mio-echo bench`: measures, or merges reports, and publishes the result.

mod background_writer;
mod beside;
mod compare;
mod compare_rounds;
mod display;
mod files;
mod find_max;
mod interrupted;
mod logged;
mod own_server;
mod page;
mod printing;
mod progress;
mod series;
mod status_text;
mod sweep;
mod wrap;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use mio_echo::load::{self, LatencyHistogram, Merger, Report, RunError, RunEvent};

use super::exit_code;
use super::failure::{fail, note, refuse};
use super::warnings;
use crate::cli::{BenchCommand, MeasureOptions, MergeOptions, ReportOptions};
use background_writer::BackgroundFile;
use display::Display;
use files::{OutputFile, is_empty, read_report, refuse_shared};
use interrupted::run_to_signal;
use printing::{code_of, for_terminal, print, report_output};

/// Runs `command` to its end.
pub fn run(command: BenchCommand) -> ExitCode {
    let result = match command {
        BenchCommand::Measure(options) => measure(*options),
        BenchCommand::Sweep(options) => sweep::run(options),
        BenchCommand::Beside(options) => beside::run(*options),
        BenchCommand::FindMax(options) => find_max::run(*options),
        BenchCommand::Merge(options) => merge(options),
        BenchCommand::Compare(options) => compare::run(*options),
    };
    result.unwrap_or_else(|error| {
        let code = fail(&*error);
        if let Some(RunError::Interrupted { signal } | RunError::InterruptedTwice { signal }) =
            error.downcast_ref()
        {
            return exit_code::of_signal(*signal).into();
        }
        code
    })
}

fn measure(options: MeasureOptions) -> Result<ExitCode, Box<dyn Error>> {
    // An output that cannot be written is an error before the measurement, not after it.
    let output = report_output()?;
    let log = options.hlog.map(OutputFile::create).transpose()?;
    let files = ReportFiles::create(&options.report)?;
    if let Err(reason) = refuse_shared(&files.with(log.as_ref())) {
        return Ok(refuse(&reason));
    }
    let (results, logged) = {
        let mut display = Display::stderr();
        warnings::pass_to(display.line_writer());
        let on_event = &mut |event: RunEvent| display.handle(event);
        let ready = load::prepare(options.settings, own_server::command, on_event)?;
        match log {
            None => (run_to_signal(ready, on_event), Ok(())),
            Some(log) => logged::run(ready, BackgroundFile::start(log)?, on_event),
        }
    };
    let results = results?;
    let report = Report::new(&results, options.report.slo.as_ref());
    let response = &results.measurement.total.response;
    let code = publish(&report, response, files, output, &options.report);
    logged?;
    code
}

fn merge(options: MergeOptions) -> Result<ExitCode, Box<dyn Error>> {
    let mut merger = Merger::default();
    for path in &options.files {
        if is_empty(path) {
            note(&format!(
                "{} is empty: its shard ended before it had a report",
                path.display()
            ));
            continue;
        }
        let (name, report) = read_report(path)?;
        merger.add(&name, &report)?;
    }
    let merged = merger.finish(options.report.slo.as_ref(), options.missing())?;
    // The files are opened after the inputs were read: an output may replace an input.
    let files = ReportFiles::create(&options.report)?;
    if let Err(reason) = refuse_shared(&files.with(None)) {
        return Ok(refuse(&reason));
    }
    publish(
        &merged.report,
        &merged.response,
        files,
        report_output()?,
        &options.report,
    )
}

/// Writes the report to all its outputs. An output that fails does not keep the report from the others: a measurement
/// cannot be repeated.
fn publish(
    report: &Report,
    response: &LatencyHistogram,
    files: ReportFiles,
    output: impl Write,
    options: &ReportOptions,
) -> Result<ExitCode, Box<dyn Error>> {
    let json = files
        .json
        .map(|json| json.write(|file| file.write_all(report.to_json().as_bytes())));
    let hgrm = files
        .hgrm
        .map(|hgrm| hgrm.write(|file| load::hgrm::write(file, response)));
    let page = files
        .page
        .map(|file| page::write(file, page::of_run(report)));
    let text = match options.json {
        true => report.to_json(),
        false => for_terminal(load::text(report)),
    };
    print(&text, output)?;
    let files = json.into_iter().chain(hgrm);
    files.collect::<Result<(), _>>()?;
    page.transpose()?;
    Ok(code_of(report.outcome(), options).into())
}

/// The files that a report is written to.
struct ReportFiles {
    json: Option<OutputFile>,
    hgrm: Option<OutputFile>,
    page: Option<OutputFile>,
}

impl ReportFiles {
    fn create(options: &ReportOptions) -> io::Result<Self> {
        let create = |path: &Option<_>| path.clone().map(OutputFile::create).transpose();
        Ok(Self {
            json: create(&options.output)?,
            hgrm: create(&options.hgrm)?,
            page: create(&options.page().cloned())?,
        })
    }

    /// Returns all files, and `other`.
    fn with<'a>(&'a self, other: Option<&'a OutputFile>) -> Vec<&'a OutputFile> {
        let files = [&self.json, &self.hgrm, &self.page].map(Option::as_ref);
        let files = files.into_iter().chain([other]);
        files.flatten().collect()
    }
}
