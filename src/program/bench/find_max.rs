//! `bench --find-max`: a search for the highest rate that meets the objectives.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use mio_echo::load::{
    FindMaxReport, FindMaxStep, Load, Next, Report, RunError, RunSettings, Search, Stage, Step,
    StepResult, step_window,
};

use super::page;
use super::series::{RunSeries, SeriesOutputs, SeriesReport};
use crate::cli::FindMaxOptions;
use crate::program::failure::refuse;

/// Searches. A signal, or a run that fails, ends the search: the report has the runs until then.
pub fn run(options: FindMaxOptions) -> Result<ExitCode, Box<dyn Error>> {
    let outputs = SeriesOutputs::create(
        options.report.output.as_ref(),
        options.csv.as_ref(),
        options.report.page(),
    )?;
    if let Err(reason) = outputs.refuse_shared() {
        return Ok(refuse(&reason));
    }
    let (report, ended) = search(&options);
    match ended {
        Err(error) if report.steps.is_empty() => Err(error.into()),
        ended => outputs.publish(&report, report.outcome(), ended, &options.report),
    }
}

impl SeriesReport for FindMaxReport {
    fn text(&self) -> String {
        self.text()
    }

    fn json(&self) -> String {
        self.to_json()
    }

    fn table(&self) -> String {
        self.to_csv()
    }

    fn page(&self) -> Result<String, Box<dyn Error>> {
        page::of_search(self)
    }
}

/// Returns the report, and the error if a run has failed.
fn search(options: &FindMaxOptions) -> (FindMaxReport, Result<(), RunError>) {
    let (range, slo) = (options.range, &options.slo);
    let mut search = Search::new(range.low, range.high);
    let mut report = FindMaxReport::new(slo, range.low, range.high);
    let mut series = RunSeries::new();
    let mut ended = Ok(());
    loop {
        let step = match search.next() {
            Next::Measure(step) => step,
            Next::Finished(answer) => {
                report.answer = Some(answer);
                break;
            }
        };
        let number = report.steps.len() + 1;
        let (rate, stage) = (step.rate, step.stage.words());
        series.note(format!("run {number}: {rate} messages/s, {stage}"));
        let results = match series.run(settings_of(step, number as u64, options)) {
            Ok(results) => results,
            Err(error) => {
                ended = Err(error);
                break;
            }
        };
        let measured = Report::new(&results, Some(slo));
        let is_whole = results.measurement.interrupted.is_none();
        let result = is_whole.then(|| StepResult::of(&measured));
        report.steps.push(FindMaxStep::new(step, result, measured));
        match result {
            Some(result) => {
                if result == StepResult::Disturbed {
                    series.note("the machine was disturbed".into());
                }
                search.record(result);
            }
            None => break,
        }
    }
    series.finish();
    report.highest_met_per_s = search.highest_met();
    (report, ended)
}

/// Returns the settings of the run with this number. Each run has a seed of its own: random arrivals that are the same again
/// would decide nothing.
fn settings_of(step: Step, number: u64, options: &FindMaxOptions) -> RunSettings {
    let mut settings = options.settings.clone();
    if let Load::Open { rate, .. } = &mut settings.load {
        *rate = step.rate;
    }
    settings.stop.duration = Some(window(step, options));
    settings.seed = settings.seed.wrapping_add(number - 1);
    settings
}

fn window(step: Step, options: &FindMaxOptions) -> Duration {
    match step.stage {
        Stage::Confirmation => options.duration,
        Stage::Doubling | Stage::Bisection | Stage::BestOfThree => {
            step_window(&options.slo, step.rate, options.duration)
        }
    }
}
