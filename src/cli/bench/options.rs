//! The options of a report, and the resolved options of `bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mio_echo::load::{MissingShards, Parameter, RunSettings, Shard, Slo};

use super::compare::CompareOptions;
use super::file_names::expand;
use super::find_max::RateRange;
use super::objectives::parse_objectives;
use crate::cli::definition::OUTPUT;

/// What `bench` is to do.
#[derive(Clone, Debug)]
pub enum BenchCommand {
    /// Measure a server.
    Measure(Box<MeasureOptions>),
    /// Measure a server once for each value of a parameter.
    Sweep(SweepOptions),
    /// Measure a server alone and beside bulk connections.
    Beside(Box<BesideOptions>),
    /// Search for the highest rate that meets objectives.
    FindMax(Box<FindMaxOptions>),
    /// Merge the reports of the shards of one load.
    Merge(MergeOptions),
    /// Compare two servers, or two settings.
    Compare(Box<CompareOptions>),
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

/// The options of a sweep.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// What the sweep varies.
    pub parameter: Parameter,
    /// The values with the settings of their measurements.
    pub steps: Vec<(f64, RunSettings)>,
    /// The file for the table as CSV.
    pub csv: Option<PathBuf>,
    /// What happens to the report.
    pub report: ReportOptions,
}

/// The options of a measurement beside bulk connections.
#[derive(Clone, Debug)]
pub struct BesideOptions {
    /// The settings of the load that is measured.
    pub ping: RunSettings,
    /// The settings of the bulk connections.
    pub bulk: RunSettings,
    /// What happens to the report.
    pub report: ReportOptions,
}

/// The options of a search for the highest rate.
#[derive(Clone, Debug)]
pub struct FindMaxOptions {
    /// The range of the rates.
    pub range: RateRange,
    /// The settings of the run over the full duration at the low end of the range.
    pub settings: RunSettings,
    /// The full duration.
    pub duration: Duration,
    /// The objectives that a rate has to meet.
    pub slo: Slo,
    /// The file for the table as CSV.
    pub csv: Option<PathBuf>,
    /// What happens to the report.
    pub report: ReportOptions,
}

// Not a doc comment: it would become the first line of the help.
#[derive(Args, Clone, Debug)]
pub struct MergeOptions {
    /// Reports that bench wrote with -o or -J, one for each shard
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Merge the shards that are there, and call the sum suspect; default: refuse it if a shard is missing
    #[arg(long)]
    pub partial: bool,

    #[command(flatten)]
    pub report: ReportOptions,
}

impl MergeOptions {
    /// Returns what happens if shards are missing.
    pub fn missing(&self) -> MissingShards {
        match self.partial {
            true => MissingShards::Suspect,
            false => MissingShards::Refused,
        }
    }
}

// The options that a measurement and a merge share: what happens to the report. Not a doc comment: it would become the
// first line of the help.
#[derive(Args, Clone, Debug)]
pub struct ReportOptions {
    /// Write the report to this file as JSON; `-` is standard output, without the text of the report; default: no file
    #[arg(short, long, value_name = "FILE", help_heading = OUTPUT)]
    pub output: Option<PathBuf>,

    /// Write the distribution of the response times to this file, in milliseconds, for HdrHistogram's plotter;
    /// default: no file
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub hgrm: Option<PathBuf>,

    /// Write the report to this file as a page of HTML with plots, for a browser; default: no file
    #[cfg(feature = "html")]
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,

    /// Print the report as JSON on standard output, and nothing else there; default: print text
    #[arg(short = 'J', long, help_heading = OUTPUT)]
    pub json: bool,

    /// Objectives, separated by commas, such as p99<1ms,errors<0.1%: limits of the response's p50, p90, p99, p99.9,
    /// p99.99, max and mean, and of the share of errors; the exit code is 3 if one is not met; default: no objectives
    #[arg(long, value_name = "OBJECTIVES", value_parser = parse_objectives, help_heading = OUTPUT)]
    pub slo: Option<Slo>,

    /// Exit with 5 if the measurement is suspect; default: exit with 0
    #[arg(long, help_heading = OUTPUT)]
    pub strict: bool,
}

impl ReportOptions {
    /// Replaces the placeholders in the names of the files.
    ///
    /// # Errors
    ///
    /// When a placeholder has no value.
    pub fn expand_names(&mut self, shard: Option<Shard>) -> Result<(), String> {
        expand(&mut self.output, "--output", shard)?;
        expand(&mut self.hgrm, "--hgrm", shard)?;
        #[cfg(feature = "html")]
        expand(&mut self.html, "--html", shard)?;
        Ok(())
    }

    /// Returns the file for the page of HTML. A build without the feature `html` has none.
    pub fn page(&self) -> Option<&PathBuf> {
        #[cfg(feature = "html")]
        return self.html.as_ref();
        #[cfg(not(feature = "html"))]
        None
    }
}
