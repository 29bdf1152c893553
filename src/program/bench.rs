//! `mio-echo bench`: measures, or adds up reports, then says what came of it.

mod background_writer;
mod display;
mod files;
mod interrupted;
mod logged;
mod own_server;
mod progress;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::{fmt, fs};

use mio_echo::load::{self, LatencyHistogram, Outcome, Report, RunError};
use mio_echo::patient::RetryingWriter;

use super::{exit_code, fail};
use crate::cli::{Bench, Measure, Merge, Outputs};
use display::Display;
use files::OutputFile;
use interrupted::run_to_signal;

/// Does what was asked for.
pub fn bench(asked: Bench) -> ExitCode {
    let outcome = match asked {
        Bench::Measure(asked) => measure(*asked),
        Bench::Merge(asked) => merge(asked),
    };
    outcome.unwrap_or_else(|error| {
        let failed = fail(&*error);
        match error.downcast_ref() {
            Some(RunError::Interrupted { signal } | RunError::InterruptedTwice { signal }) => {
                exit_code::of_signal(*signal).into()
            }
            _ => failed,
        }
    })
}

fn measure(asked: Measure) -> Result<ExitCode, Box<dyn Error>> {
    let Measure {
        config,
        hlog,
        outputs,
    } = asked;
    // A file that cannot be written is known before the measurement.
    let log = hlog.map(OutputFile::create).transpose()?;
    let files = Files::create(&outputs)?;
    let (results, is_logged) = {
        let display = Display::start();
        let on_event = &mut |event: load::RunEvent| display.handle(event);
        let prepared = load::prepare(config, own_server::command, on_event)?;
        match log {
            None => (run_to_signal(prepared, on_event), Ok(())),
            Some(log) => logged::run(prepared, log, on_event),
        }
    };
    let results = results?;
    let report = Report::new(&results, outputs.slo.as_ref());
    let code = publish(
        &report,
        &results.measurement.total.response,
        files,
        &outputs,
    );
    is_logged?;
    code
}

fn merge(asked: Merge) -> Result<ExitCode, Box<dyn Error>> {
    let Merge { files, outputs } = asked;
    let mut reports = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let json = fs::read_to_string(&path).map_err(|source| ReadError {
            name: name.clone(),
            source,
        })?;
        let report = load::read(&name, &json)?;
        reports.push((name, report));
    }
    let merged = load::merge(reports, outputs.slo.as_ref())?;
    // Not earlier: an output may replace an input.
    let files = Files::create(&outputs)?;
    publish(&merged.report, &merged.response, files, &outputs)
}

/// Writes what was asked for where it belongs, and says how the program ends. An output that fails keeps nothing from
/// the others: a measurement is not made twice.
fn publish(
    report: &Report,
    response: &LatencyHistogram,
    files: Files,
    outputs: &Outputs,
) -> Result<ExitCode, Box<dyn Error>> {
    let json = files
        .json
        .map(|json| json.write(|file| file.write_all(report.to_json().as_bytes())));
    let hgrm = files
        .hgrm
        .map(|hgrm| hgrm.write(|file| load::hgrm::write(file, response)));
    let text = match outputs.json_on_stdout {
        true => report.to_json(),
        false => load::text(report),
    };
    let mut output = RetryingWriter(io::stdout().lock());
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(Unprinted)?;
    json.into_iter().chain(hgrm).collect::<Result<(), _>>()?;
    Ok(exit_code_of(report.outcome(), outputs).into())
}

fn exit_code_of(outcome: Outcome, outputs: &Outputs) -> u8 {
    match outcome {
        Outcome::WrongBytes => exit_code::WRONG_BYTES,
        Outcome::ObjectiveMissed => exit_code::OBJECTIVE_MISSED,
        Outcome::Interrupted(signal) => exit_code::of_signal(signal),
        Outcome::NothingAnswered => exit_code::FAILED,
        Outcome::Suspect if outputs.strict => exit_code::SUSPECT,
        Outcome::Suspect | Outcome::Finished => exit_code::FINISHED,
    }
}

struct Files {
    json: Option<OutputFile>,
    hgrm: Option<OutputFile>,
}

impl Files {
    fn create(outputs: &Outputs) -> Result<Self, files::WriteError> {
        Ok(Self {
            json: outputs
                .json_file
                .clone()
                .map(OutputFile::create)
                .transpose()?,
            hgrm: outputs.hgrm.clone().map(OutputFile::create).transpose()?,
        })
    }
}

/// A report that could not be read.
#[derive(Debug)]
struct ReadError {
    name: String,
    source: io::Error,
}

/// Standard output took no report.
#[derive(Debug)]
struct Unprinted(io::Error);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}: {}", self.name, self.source)
    }
}

impl Error for ReadError {}

impl fmt::Display for Unprinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot print the report: {}", self.0)
    }
}

impl Error for Unprinted {}
