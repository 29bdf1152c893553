//! The resolved options of `bench`.

use std::path::PathBuf;

use mio_echo::load::RunSettings;

use super::report_options::ReportOptions;

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
