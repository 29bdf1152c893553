//! The options of `bench compare` as they are typed.

use std::path::PathBuf;

use clap::{Arg, Args};
use mio_echo::load::{CommandLine, Figure};

use super::options::{CompareOutputs, Undecided};
use crate::cli::bench::run_args::RunArgs;
use crate::cli::bench::server::{Server, parse_command, parse_server};
use crate::cli::definition::COMPARISON;
use crate::cli::values::{Expected, Words, count_in, one_of, split_unit};

/// With one round, nothing is known about the uncertainty. A larger number than the last one is a typing error.
const ROUNDS: std::ops::RangeInclusive<usize> = 2..=10_000;

/// The names of the figures.
const METRIC: Words<Figure> = &[
    ("rate", Figure::MessagesPerSec),
    ("per-cpu", Figure::MessagesPerCpuSecond),
    ("p50", Figure::P50),
    ("p99", Figure::P99),
];

/// What an undecided limit means.
const UNDECIDED: Words<Undecided> = &[("fail", Undecided::Fails), ("pass", Undecided::Passes)];

// Not a doc comment: it would become the first line of the help.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// A and B: HOST:PORT, or a command that contains {port} and starts a server there; with --a and --b: one server for
    /// both, default: the own server
    #[arg(value_name = "SERVER", value_parser = parse_server, num_args = 0..=2)]
    pub servers: Vec<Server>,

    /// Options of a run that A has of its own, such as '-p 1'; default: A and B have the same options
    #[arg(long, value_name = "OPTIONS", requires = "b", help_heading = COMPARISON)]
    pub a: Option<String>,

    /// Options of a run that B has of its own, such as '-p 16'; default: A and B have the same options
    #[arg(long, value_name = "OPTIONS", requires = "a", help_heading = COMPARISON)]
    pub b: Option<String>,

    /// Reports of runs of A that bench wrote with -o or -J, at least 5; default: measure
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "new",
          conflicts_with_all = ["servers", "a", "b", "rounds", "prepare"], help_heading = COMPARISON)]
    pub base: Vec<PathBuf>,

    /// Reports of runs of B that bench wrote with -o or -J, at least 5; default: measure
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "base", help_heading = COMPARISON)]
    pub new: Vec<PathBuf>,

    /// Number of rounds
    #[arg(long, value_name = "N", value_parser = count_in(ROUNDS), default_value = "12", help_heading = COMPARISON)]
    pub rounds: usize,

    /// Command to run before each run, to its end; no shell runs it; default: none
    #[arg(long, value_name = "COMMAND", value_parser = parse_command, help_heading = COMPARISON)]
    pub prepare: Option<CommandLine>,

    /// Figure that decides: `rate` (messages/s), `per-cpu` (messages per server CPU second), `p50` or `p99`; default: rate
    /// in a closed loop, p99 in an open loop
    #[arg(long, value_name = "FIGURE", value_parser = one_of(METRIC), help_heading = COMPARISON)]
    pub metric: Option<Figure>,

    /// Exit with 6 if B is slower than A by more than this share, such as 2%: the whole interval lies beyond; with 7 if the
    /// interval lies across; default: exit with 0
    #[arg(long, value_name = "SHARE", value_parser = parse_share, help_heading = COMPARISON)]
    pub fail_if_slower: Option<f64>,

    /// What it means if --fail-if-slower is undecided: `fail` (exit with 7) or `pass` (exit with 0)
    #[arg(long, value_name = "WHAT", value_parser = one_of(UNDECIDED), default_value = "fail",
          requires = "fail_if_slower", help_heading = COMPARISON)]
    pub undecided: Undecided,

    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub outputs: CompareOutputs,
}

/// Changes the help of an option of a run: another default, and no options that a comparison refuses or that show what stays
/// hidden.
pub fn in_compare(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "duration" => option
            .help("How long to measure, after the warm-up; default: 3s, or no limit with --count"),
        "shard" | "start_at" | "interval" => option.hide(true),
        _ => option,
    }
}

/// Parses a percentage from 0 % to 100 % as a share.
fn parse_share(text: &str) -> Result<f64, Expected> {
    let (number, unit) = split_unit(text);
    let percent = number.parse().ok().filter(|_| unit == "%");
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(|percent: f64| percent / 100.0)
        .ok_or("expected a share from 0% to 100%, such as 2%")
}
