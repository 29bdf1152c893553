//! Checks options of `bench` that are valid one by one and contradict each other.

use std::path::{self, PathBuf};

use mio_echo::load::Shard;

use super::args::BenchArgs;
use super::report_args::ReportArgs;
use super::sources::Sources;
use super::values;
use crate::cli::refusal::escape_control;

/// Checks that the options of `args` do not contradict each other.
///
/// # Errors
///
/// The first contradiction, on one line.
pub fn validate(args: &BenchArgs, shard: Option<Shard>) -> Result<(), String> {
    let shards = shard.map_or(1, |shard| shard.count);
    refuse_idle_shards(args, shards)?;
    refuse_idle_threads(args, shards)?;
    refuse_impossible_sizes(args)?;
    refuse_churn_with_pipeline(args)?;
    refuse_arrival_without_rate(args)?;
    refuse_sources_of_other_family(args)?;
    refuse_skip_without_target(args)?;
    refuse_shared_file(&args.report, args.hlog.as_ref())
}

fn refuse_idle_shards(args: &BenchArgs, shards: usize) -> Result<(), String> {
    let expected = format!("expected at least one for each of {shards} shards");
    if args.connections < shards {
        let connections = args.connections;
        return Err(format!(
            "invalid value '{connections}' for '--connections': {expected}"
        ));
    }
    match args.count {
        Some(count) if count < shards as u64 => {
            Err(format!("invalid value '{count}' for '--count': {expected}"))
        }
        Some(_) | None => Ok(()),
    }
}

fn refuse_idle_threads(args: &BenchArgs, shards: usize) -> Result<(), String> {
    let (threads, most) = (args.threads, args.connections / shards);
    if threads <= most {
        return Ok(());
    }
    Err(format!(
        "invalid value '{threads}' for '--threads': expected at most {most}, one for each connection; \
         -d {threads}s is the duration"
    ))
}

fn refuse_impossible_sizes(args: &BenchArgs) -> Result<(), String> {
    let framing = args.framing;
    let possible = values::possible_sizes(framing);
    let impossible = [args.size.smallest(), args.size.largest()]
        .into_iter()
        .find(|size| !possible.contains(size));
    match impossible {
        None => Ok(()),
        Some(size) => Err(format!(
            "invalid value '{size}' for '--size': expected a message with {framing} from {} to {} bytes",
            possible.start(),
            possible.end()
        )),
    }
}

fn refuse_churn_with_pipeline(args: &BenchArgs) -> Result<(), String> {
    match args.pipeline {
        Some(depth) if args.churn && depth > 1 => Err(format!(
            "invalid value '{depth}' for '--pipeline': expected 1 with --churn, where a connection has one message"
        )),
        Some(_) | None => Ok(()),
    }
}

fn refuse_arrival_without_rate(args: &BenchArgs) -> Result<(), String> {
    match args.arrival {
        Some(arrival) if args.rate.is_none() => Err(format!(
            "invalid value '{arrival}' for '--arrival': expected with --rate only, because a closed loop has no schedule"
        )),
        Some(_) | None => Ok(()),
    }
}

fn refuse_skip_without_target(args: &BenchArgs) -> Result<(), String> {
    match args.skip {
        Some(bytes @ 1..) if args.target.is_none() => Err(format!(
            "invalid value '{bytes}' for '--skip': expected with HOST:PORT only, because the child server sends no greeting"
        )),
        Some(_) | None => Ok(()),
    }
}

fn refuse_sources_of_other_family(args: &BenchArgs) -> Result<(), String> {
    let Some(Sources(sources)) = &args.source else {
        return Ok(());
    };
    let other = sources
        .iter()
        .find(|source| (args.ipv4 && source.is_ipv6()) || (args.ipv6 && source.is_ipv4()));
    match other {
        None => Ok(()),
        Some(source) => Err(format!(
            "invalid value '{source}' for '--source': expected an address of the family of -4 or -6"
        )),
    }
}

/// Checks that each output has its own file. Two spellings of one path are found; links are not followed.
///
/// # Errors
///
/// When two outputs share a file.
pub fn refuse_shared_file(report: &ReportArgs, hlog: Option<&PathBuf>) -> Result<(), String> {
    let given = [report.output.as_ref(), report.hgrm.as_ref(), hlog];
    let mut files: Vec<_> = given
        .into_iter()
        .flatten()
        .map(|path| (path::absolute(path).ok(), path))
        .collect();
    files.sort();
    match files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => Err(format!(
            "invalid value '{}' for an output: expected a file of its own for each of --output, --hgrm, --hlog",
            escape_control(&pair[0].1.to_string_lossy())
        )),
    }
}
