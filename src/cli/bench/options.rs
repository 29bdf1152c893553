//! The options of `bench`, resolved.

use std::path::PathBuf;

use mio_echo::load::{RunSettings, Slo};

/// What `bench` is to do.
#[derive(Clone, Debug)]
pub enum BenchCommand {
    /// Measure a server.
    Measure(Box<MeasureOptions>),
    /// Merge the reports of the shards of one load.
    Merge(MergeOptions),
}

/// The options of a measurement.
#[derive(Clone, Debug)]
pub struct MeasureOptions {
    /// The settings of the load generator.
    pub settings: RunSettings,
    /// The file for the histograms of each interval.
    pub hlog: Option<PathBuf>,
    /// What happens to the report.
    pub report: ReportOptions,
}

/// The options of `bench merge`.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// Reports in JSON, one for each shard.
    pub files: Vec<PathBuf>,
    /// What happens to the merged report.
    pub report: ReportOptions,
}

/// What happens to a report.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The file for the report in JSON.
    pub json_file: Option<PathBuf>,
    /// The file for the distribution of the response times.
    pub hgrm_file: Option<PathBuf>,
    /// Print JSON on standard output instead of text.
    pub json_on_stdout: bool,
    /// The objectives that the report has to meet.
    pub slo: Option<Slo>,
    /// A suspect measurement is a failure.
    pub strict: bool,
}
