//! The settings of a run that the options of `bench` stand for. Missing options are replaced by their defaults.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use mio_echo::load::{Arrival, Load, RunSettings, StopCondition};
use mio_echo::net::IpFamily;

use super::run_args::RunArgs;
use super::server::Server;
use super::sources::Sources;
use super::validate::validate;
use super::values;
use crate::cli::refusal::escape_control;

/// The default of `--duration` if there is no `--count` either.
pub const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// The default of `--pipeline` in an open loop: a server that replies never reaches this limit.
const OPEN_LOOP_PIPELINE: usize = values::DEEPEST_PIPELINE;

/// Resolves the options of a run against `server`. `duration` is the default of `--duration` if there is no `--count`
/// either.
///
/// # Errors
///
/// When options contradict each other.
pub fn resolve_run(
    args: RunArgs,
    server: &Server,
    duration: Duration,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<RunSettings, String> {
    let shard = args
        .shard
        .map(|shard| shard.resolve(variable))
        .transpose()?;
    validate(&args, server, shard)?;
    Ok(RunSettings {
        family: family(&args),
        stop: stop_condition(&args, duration),
        pipeline: pipeline(&args),
        load: load(&args),
        target: server.target(),
        connections: args.connections,
        threads: args.threads,
        sizes: args.size,
        warmup: args.warmup,
        interval: args.interval,
        timeout: args.timeout,
        connect_rate: args.connect_rate,
        churn: args.churn,
        close: args.close,
        verify: !args.no_verify,
        seed: args.seed,
        sources: args.source.map(|Sources(all)| all).unwrap_or_default(),
        socket_buffer: args.socket_buffer,
        skip: args.skip.unwrap_or(0),
        framing: args.framing,
        shard,
        start_at: args.start_at,
        server_pid: args.server_pid,
        pin: args.pin,
        server_pin: args.server_pin,
        label: args.label.as_deref().map(escape_control),
    })
}

/// Returns the typed family, or that of the source addresses, which all belong to one.
fn family(args: &RunArgs) -> IpFamily {
    let sources = args.source.as_ref();
    let source = sources.and_then(|Sources(sources)| sources.first());
    match (args.ipv4, args.ipv6, source) {
        (true, _, _) | (false, false, Some(SocketAddr::V4(_))) => IpFamily::V4,
        (false, true, _) | (false, false, Some(SocketAddr::V6(_))) => IpFamily::V6,
        (false, false, None) => IpFamily::Any,
    }
}

fn stop_condition(args: &RunArgs, default: Duration) -> StopCondition {
    let default = args.count.is_none().then_some(default);
    StopCondition {
        duration: args.duration.or(default),
        messages: args.count,
    }
}

fn pipeline(args: &RunArgs) -> usize {
    let is_open_loop = args.rate.is_some() && !args.churn;
    let default = if is_open_loop { OPEN_LOOP_PIPELINE } else { 1 };
    args.pipeline.unwrap_or(default)
}

fn load(args: &RunArgs) -> Load {
    match args.rate {
        None => Load::Closed,
        Some(rate) => Load::Open {
            rate,
            arrival: args.arrival.unwrap_or(Arrival::Constant),
        },
    }
}
