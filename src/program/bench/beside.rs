//! `bench --beside`: one measurement alone, and one beside bulk connections.

use std::error::Error;
use std::process::ExitCode;

use mio_echo::load::{BesideReport, Report};

use super::page;
use super::series::{RunSeries, SeriesOutputs, SeriesReport};
use crate::cli::BesideOptions;
use crate::program::failure::refuse;

/// Measures alone and beside the bulk connections. If a signal ends the first measurement, or the second one cannot run,
/// the report has the first one alone.
pub fn run(options: BesideOptions) -> Result<ExitCode, Box<dyn Error>> {
    let outputs =
        SeriesOutputs::create(options.report.output.as_ref(), None, options.report.page())?;
    if let Err(reason) = outputs.refuse_shared() {
        return Ok(refuse(&reason));
    }
    let slo = options.report.slo.as_ref();
    let mut series = RunSeries::new();
    series.note("idle: the ping alone".to_owned());
    let idle = series.run(options.ping.clone())?;
    let report = BesideReport::of_idle(Report::new(&idle, slo));
    let (report, ended) = match idle.measurement.interrupted {
        Some(_) => (report, Ok(())),
        None => {
            series.note("loaded: the ping beside the bulk connections".to_owned());
            match series.run_beside(options.ping, options.bulk) {
                Ok(loads) => {
                    let [loaded, bulk] = [(&loads.ping, slo), (&loads.bulk, None)]
                        .map(|(load, slo)| Report::new(load, slo));
                    (BesideReport::new(report.idle, loaded, bulk), Ok(()))
                }
                Err(error) => (report, Err(error)),
            }
        }
    };
    series.finish();
    outputs.publish(&report, report.outcome(), ended, &options.report)
}

impl SeriesReport for BesideReport {
    fn text(&self) -> String {
        self.text()
    }

    fn json(&self) -> String {
        self.to_json()
    }

    fn table(&self) -> String {
        String::new()
    }

    fn page(&self) -> Result<String, Box<dyn Error>> {
        page::of_beside(self)
    }
}
