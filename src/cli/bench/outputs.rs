//! What becomes of results: the options that a measurement and a sum of reports share.

use std::path::PathBuf;

use clap::Args;
use mio_echo::load::Slo;

use super::slo;

/// What becomes of results.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// Where the JSON goes.
    pub json_file: Option<PathBuf>,
    /// Where the distribution of the response times goes.
    pub hgrm: Option<PathBuf>,
    /// JSON on standard output instead of text.
    pub json_on_stdout: bool,
    /// What the results have to meet.
    pub slo: Option<Slo>,
    /// A measurement that is suspect is a failure.
    pub strict: bool,
}

// Not a doc comment, which would be the first line of the help.
#[derive(Args, Debug)]
pub struct OutputArgs {
    /// Writes the report as JSON too; default: nowhere
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Writes the distribution of the response times, in milliseconds, for HdrHistogram's plotter; default: nowhere
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,

    /// Prints the report as JSON on standard output, and nothing else there; default: text
    #[arg(short = 'J', long)]
    json: bool,

    /// What has to be met, or the exit code is 3, as in p99<1ms,errors<0.1%: p50, p90, p99, p99.9, p99.99, max and mean of
    /// response, and errors; default: nothing
    #[arg(long, value_name = "TEXT", value_parser = slo::slo)]
    slo: Option<Slo>,

    /// Exits with 5 when the measurement is suspect; default: with 0
    #[arg(long)]
    strict: bool,
}

impl From<OutputArgs> for Outputs {
    fn from(args: OutputArgs) -> Self {
        Self {
            json_file: args.output,
            hgrm: args.hgrm,
            json_on_stdout: args.json,
            slo: args.slo,
            strict: args.strict,
        }
    }
}
