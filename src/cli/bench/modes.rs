//! Resolves the options that ask for several measurements: which settings each of them has.

use clap::ArgMatches;
use clap::parser::ValueSource;
use mio_echo::load::{Parameter, RunSettings, Sizes, Slo, StopCondition, least_window};

use super::args::BenchArgs;
use super::beside::BesideArg;
use super::find_max::RateRange;
use super::options::{BesideOptions, FindMaxOptions, SweepOptions};
use super::outputs::resolve_outputs;
use super::run_args::RunArgs;
use super::server::Server;
use super::settings::{DEFAULT_DURATION, resolve_run};
use super::sweep::SweepArg;
use super::values::{DEEPEST_PIPELINE, possible_sizes};
use crate::cli::refusal::refuse;

/// The most connections of the load beside bulk connections if --connections is not given: a ping is one message at a time.
const PINGS: usize = 1;

/// The bytes that a bulk connection may have unanswered, besides the message whose reply arrives. The largest send buffer
/// and the largest receive buffer of Linux's autotuning have 4 to 6 MiB, so the sockets are kept full on any path.
const BULK_IN_FLIGHT: usize = 4 << 20;

/// Resolves the options of a sweep.
///
/// # Errors
///
/// When options contradict each other, or a value of the sweep.
pub fn resolve_sweep(
    mut args: BenchArgs,
    SweepArg { parameter, values }: SweepArg,
    matches: &ArgMatches,
) -> Result<SweepOptions, String> {
    // The name of the parameter is the name of its option.
    let name = parameter.to_string();
    let twice = Some(&name).filter(|name| is_typed(matches, name));
    let expected = format!("expected without --{name}, which has one value");
    refuse(twice, "--sweep", &expected)?;
    resolve_outputs(&mut args.report, args.csv.as_ref())?;
    let server = args.target.map_or(Server::Own, Server::Running);
    let step = |value: f64| {
        let settings = step_settings(args.run.clone(), &server, parameter, value)?;
        Ok((value, settings))
    };
    Ok(SweepOptions {
        parameter,
        steps: values
            .into_iter()
            .map(step)
            .collect::<Result<_, String>>()?,
        csv: args.csv,
        report: args.report,
    })
}

fn step_settings(
    mut args: RunArgs,
    server: &Server,
    parameter: Parameter,
    value: f64,
) -> Result<RunSettings, String> {
    match parameter {
        Parameter::Size => args.size = Sizes::one(value as usize),
        Parameter::Rate => args.rate = Some(value),
        Parameter::Connections => args.connections = value as usize,
        Parameter::Pipeline => args.pipeline = Some(value as usize),
    }
    // A sweep has no shards, so no variable names one.
    resolve_run(args, server, DEFAULT_DURATION, |_| None)
}

/// Resolves the options of a measurement beside bulk connections.
///
/// # Errors
///
/// When options contradict each other.
pub fn resolve_beside(
    mut args: BenchArgs,
    bulk: BesideArg,
    matches: &ArgMatches,
) -> Result<BesideOptions, String> {
    let (framing, possible) = (args.run.framing, possible_sizes(args.run.framing));
    let impossible = Some(bulk.size).filter(|size| !possible.contains(size));
    let (least, most) = (possible.start(), possible.end());
    let expected = format!("expected a message with {framing} from {least} to {most} bytes");
    refuse(impossible, "--beside", &expected)?;
    resolve_outputs(&mut args.report, None)?;
    if !is_typed(matches, "connections") {
        args.run.connections = PINGS;
    }
    let server = args.target.map_or(Server::Own, Server::Running);
    let bulk = bulk_args(args.run.clone(), bulk);
    // A measurement beside bulk has no shards, so no variable names one.
    let resolve = |args| resolve_run(args, &server, DEFAULT_DURATION, |_| None);
    Ok(BesideOptions {
        ping: resolve(args.run)?,
        bulk: RunSettings {
            stop: StopCondition::NEVER,
            ..resolve(bulk)?
        },
        report: args.report,
    })
}

/// Resolves the options of a search for the highest rate in `range` that meets `slo`.
///
/// # Errors
///
/// When options contradict each other, or the runs at the low end would be too short for the percentiles of `slo`.
pub fn resolve_find_max(
    mut args: BenchArgs,
    range: RateRange,
    slo: Slo,
) -> Result<FindMaxOptions, String> {
    let duration = args.run.duration.unwrap_or(DEFAULT_DURATION);
    let least = least_window(&slo, range.low);
    let short = Some(duration).filter(|duration| *duration < least);
    let expected = format!(
        "expected at least {} s, in which {} messages/s are enough for the percentile of --slo",
        least.as_secs_f64(),
        range.low
    );
    let short = short.map(|duration| format!("{}s", duration.as_secs_f64()));
    refuse(short, "--duration", &expected)?;
    resolve_outputs(&mut args.report, args.csv.as_ref())?;
    args.run.rate = Some(range.low);
    let server = args.target.map_or(Server::Own, Server::Running);
    // A search has no shards, so no variable names one.
    let settings = resolve_run(args.run, &server, duration, |_| None)?;
    Ok(FindMaxOptions {
        range,
        settings,
        duration,
        slo,
        csv: args.csv,
        report: args.report,
    })
}

/// Returns the options of the bulk connections: those of the ping, apart from its load.
fn bulk_args(ping: RunArgs, bulk: BesideArg) -> RunArgs {
    let depth = 1 + BULK_IN_FLIGHT.div_ceil(bulk.size);
    RunArgs {
        connections: bulk.connections,
        size: Sizes::one(bulk.size),
        pipeline: Some(depth.min(DEEPEST_PIPELINE)),
        threads: 1,
        count: None,
        rate: None,
        arrival: None,
        connect_rate: None,
        churn: false,
        ..ping
    }
}

/// Returns true if the option with this name was typed.
pub fn is_typed(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(ValueSource::CommandLine)
}
