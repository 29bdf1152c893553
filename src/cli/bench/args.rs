//! The options of `bench` as they are typed.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::beside::{BesideArg, parse_beside};
use super::compare::{CompareArgs, in_compare};
use super::find_max::{RateRange, parse_rate_range};
use super::notes::{COMPARE_NOTES, COMPARE_USAGE, MERGE_NOTES};
use super::options::{MergeOptions, ReportOptions};
use super::run_args::RunArgs;
use super::sweep::{SweepArg, parse_sweep};
use super::values;
use crate::cli::definition::{OUTPUT, SERIES, allow_hyphen_values};

// Not a doc comment: it would become the first line of the help.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, mut_args = allow_hyphen_values)]
#[command(group = ArgGroup::new("series").args(["sweep", "find_max"]))]
pub struct BenchArgs {
    #[command(subcommand)]
    pub subcommand: Option<BenchSubcommand>,

    /// Server to measure; default: start one as a child process for the measurement
    #[arg(value_name = "HOST:PORT", value_parser = values::parse_target)]
    pub target: Option<String>,

    #[command(flatten)]
    pub run: RunArgs,

    /// Write the response times of each interval to this file (HdrHistogram log 1.2); default: no file
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub hlog: Option<PathBuf>,

    /// Measure once for each value of size, rate, connections or pipeline, and print a line for each: size=64,1k,16k, or
    /// size=64..64k (doubled), or rate=10k..200k/10 (10 values at equal distances); default: measure once
    #[arg(long, value_name = "KEY=VALUES", value_parser = parse_sweep, help_heading = SERIES,
          conflicts_with_all = ["shard", "start_at", "hlog", "hgrm"])]
    pub sweep: Option<SweepArg>,

    /// Search this range, such as 1k..1m messages per second, for the highest rate of an open loop that meets --slo;
    /// default: no search
    #[arg(long, value_name = "LOW..HIGH", value_parser = parse_rate_range, help_heading = SERIES, requires = "slo",
          conflicts_with_all = ["beside", "rate", "count", "shard", "start_at", "hlog", "hgrm"])]
    pub find_max: Option<RateRange>,

    /// Write the table of --sweep or --find-max to this file as CSV; default: no file
    #[arg(long, value_name = "FILE", requires = "series", help_heading = SERIES)]
    pub csv: Option<PathBuf>,

    /// Latency under load: measure the load of the other options (the ping) alone, then beside N bulk connections that send
    /// messages of this size in a closed loop, on a thread of their own; --connections is 1 then, unless it is given;
    /// default: measure alone
    #[arg(long, value_name = "NxSIZE", value_parser = parse_beside, help_heading = SERIES,
          conflicts_with_all = ["sweep", "csv", "shard", "start_at", "hlog", "hgrm"])]
    pub beside: Option<BesideArg>,

    #[command(flatten)]
    pub report: ReportOptions,
}

#[derive(Subcommand, Clone, Debug)]
pub enum BenchSubcommand {
    /// Merges the JSON reports of the shards of one load
    #[command(mut_args = allow_hyphen_values, after_help = MERGE_NOTES)]
    Merge(MergeOptions),
    /// Compares two servers, or two settings, over rounds of runs: which is faster, and how sure that is
    #[command(mut_args = allow_hyphen_values, mut_args = in_compare, after_help = COMPARE_NOTES,
              override_usage = COMPARE_USAGE)]
    Compare(Box<CompareArgs>),
}
