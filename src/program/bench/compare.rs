//! `mio-echo bench compare`: compares, and publishes the result.

use std::error::Error;
use std::process::ExitCode;

use mio_echo::load::{self, CompareOutcome, CompareReport};

use super::compare_rounds;
use super::files::read_report;
use super::page;
use super::series::{SeriesOutputs, SeriesReport};
use crate::cli::{CompareInput, CompareOptions, RoundsOptions, Undecided};
use crate::program::exit_code;
use crate::program::failure::{fail, refuse};

/// Compares.
///
/// # Errors
///
/// When nothing could be compared, or when an output cannot be written.
pub fn run(options: CompareOptions) -> Result<ExitCode, Box<dyn Error>> {
    let CompareOptions {
        input,
        limit,
        undecided,
        outputs: paths,
    } = options;
    // Reports are read before the outputs are opened, because an output may replace an input. Runs begin afterwards: an
    // output that cannot be written is an error before the comparison, not after it.
    let input = match input {
        CompareInput::Rounds(rounds) => Input::Rounds(rounds),
        CompareInput::Files { base, new, metric } => {
            let read = |paths: Vec<_>| paths.iter().map(read_report).collect::<Result<_, _>>();
            let (base, new) = (read(base)?, read(new)?);
            Input::Compared(Box::new(load::compare_files(base, new, metric, limit)?))
        }
    };
    let outputs =
        SeriesOutputs::create(paths.output.as_ref(), paths.markdown.as_ref(), paths.page())?;
    if let Err(reason) = outputs.refuse_shared() {
        return Ok(refuse(&reason));
    }
    let report = match input {
        Input::Rounds(rounds) => compare_rounds::run(*rounds, limit)?,
        Input::Compared(report) => *report,
    };
    outputs.write(&report, paths.json)?;
    if let Some(reason) = &report.failure {
        fail(&*Box::<dyn Error>::from(reason.as_str()));
    }
    Ok(code_of(&report, undecided, paths.strict).into())
}

impl SeriesReport for CompareReport {
    fn text(&self) -> String {
        load::compare_text(self)
    }

    fn json(&self) -> String {
        self.to_json()
    }

    fn table(&self) -> String {
        load::compare_markdown(self)
    }

    fn page(&self) -> Result<String, Box<dyn Error>> {
        page::of_comparison(self)
    }
}

/// What is left to do once the reports are read.
enum Input {
    /// The runs.
    Rounds(Box<RoundsOptions>),
    /// Nothing: reports were compared.
    Compared(Box<CompareReport>),
}

fn code_of(report: &CompareReport, undecided: Undecided, is_strict: bool) -> u8 {
    match (report.outcome(), undecided) {
        (CompareOutcome::WrongBytes, _) => exit_code::WRONG_BYTES,
        (CompareOutcome::Interrupted(signal), _) => exit_code::of_signal(signal),
        (CompareOutcome::Failed, _) => exit_code::FAILED,
        (CompareOutcome::TooSlow, _) => exit_code::TOO_SLOW,
        (CompareOutcome::Undecided, Undecided::Fails) => exit_code::UNDECIDED,
        (CompareOutcome::Undecided, Undecided::Passes) | (CompareOutcome::Finished, _) => {
            match is_strict && report.is_suspect() {
                true => exit_code::SUSPECT,
                false => exit_code::FINISHED,
            }
        }
    }
}
