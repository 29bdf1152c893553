//! `bench --sweep`: one measurement for each value of a parameter.

use std::error::Error;
use std::process::ExitCode;

use mio_echo::load::{Report, SweepReport, SweepStep};

use super::page;
use super::series::{RunSeries, SeriesOutputs, SeriesReport};
use crate::cli::SweepOptions;
use crate::program::failure::refuse;

/// Measures all steps. A signal, or a step that cannot run, ends the sweep: the report has the steps until then.
pub fn run(options: SweepOptions) -> Result<ExitCode, Box<dyn Error>> {
    let outputs = SeriesOutputs::create(
        options.report.output.as_ref(),
        options.csv.as_ref(),
        options.report.page(),
    )?;
    if let Err(reason) = outputs.refuse_shared() {
        return Ok(refuse(&reason));
    }
    let parameter = options.parameter;
    let mut sweep = SweepReport::new(parameter);
    let mut series = RunSeries::new();
    let mut ended = Ok(());
    let count = options.steps.len();
    for (index, (value, settings)) in options.steps.into_iter().enumerate() {
        let step = index + 1;
        series.note(format!("step {step} of {count}: {parameter} {value}"));
        match series.run(settings) {
            Ok(results) => {
                let report = Report::new(&results, options.report.slo.as_ref());
                sweep.steps.push(SweepStep { value, report });
                if results.measurement.interrupted.is_some() {
                    break;
                }
            }
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
    }
    series.finish();
    match ended {
        Err(error) if sweep.steps.is_empty() => Err(error.into()),
        ended => outputs.publish(&sweep, sweep.outcome(), ended, &options.report),
    }
}

impl SeriesReport for SweepReport {
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
        page::of_sweep(self)
    }
}
