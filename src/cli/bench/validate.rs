//! Checks options of `bench` that are valid one by one and contradict each other.

use std::net::IpAddr;
use std::path::{self, PathBuf};

use mio_echo::load::Shard;

use super::args::BenchArgs;
use super::options::ReportOptions;
use super::sources::Sources;
use super::values;
use crate::cli::refusal::{escape_control, invalid_value};

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
    let refuse = |value: u64, option| {
        let expected = format!("expected at least one for each of {shards} shards");
        Err(invalid_value(value, option, &expected))
    };
    match args.count {
        _ if args.connections < shards => refuse(args.connections as u64, "--connections"),
        Some(count) if count < shards as u64 => refuse(count, "--count"),
        Some(_) | None => Ok(()),
    }
}

fn refuse_idle_threads(args: &BenchArgs, shards: usize) -> Result<(), String> {
    let (threads, most) = (args.threads, args.connections / shards);
    let expected =
        format!("expected at most {most}, one for each connection; -d {threads}s is the duration");
    match threads <= most {
        true => Ok(()),
        false => Err(invalid_value(threads, "--threads", &expected)),
    }
}

fn refuse_impossible_sizes(args: &BenchArgs) -> Result<(), String> {
    let (framing, possible) = (args.framing, values::possible_sizes(args.framing));
    let (least, most) = (possible.start(), possible.end());
    let expected = format!("expected a message with {framing} from {least} to {most} bytes");
    match [args.size.smallest(), args.size.largest()]
        .iter()
        .find(|size| !possible.contains(size))
    {
        None => Ok(()),
        Some(size) => Err(invalid_value(size, "--size", &expected)),
    }
}

fn refuse_churn_with_pipeline(args: &BenchArgs) -> Result<(), String> {
    let expected = "expected 1 with --churn, where a connection has one message";
    match args.pipeline {
        Some(depth @ 2..) if args.churn => Err(invalid_value(depth, "--pipeline", expected)),
        Some(_) | None => Ok(()),
    }
}

fn refuse_arrival_without_rate(args: &BenchArgs) -> Result<(), String> {
    let expected = "expected with --rate only, because a closed loop has no schedule";
    match args.arrival {
        Some(arrival) if args.rate.is_none() => Err(invalid_value(arrival, "--arrival", expected)),
        Some(_) | None => Ok(()),
    }
}

fn refuse_skip_without_target(args: &BenchArgs) -> Result<(), String> {
    let expected = "expected with HOST:PORT only, because the child server sends no greeting";
    match args.skip {
        Some(bytes @ 1..) if args.target.is_none() => Err(invalid_value(bytes, "--skip", expected)),
        Some(_) | None => Ok(()),
    }
}

fn refuse_sources_of_other_family(args: &BenchArgs) -> Result<(), String> {
    let mut sources = args.source.iter().flat_map(|Sources(sources)| sources);
    let is_other =
        |source: &&IpAddr| (args.ipv4 && source.is_ipv6()) || (args.ipv6 && source.is_ipv4());
    let expected = "expected an address of the family of -4 or -6";
    match sources.find(is_other) {
        None => Ok(()),
        Some(source) => Err(invalid_value(source, "--source", expected)),
    }
}

/// Checks that each output has its own file. Two spellings of one path are found; links are not followed.
///
/// # Errors
///
/// When two outputs share a file.
pub fn refuse_shared_file(report: &ReportOptions, hlog: Option<&PathBuf>) -> Result<(), String> {
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
