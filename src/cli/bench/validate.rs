//! Checks options of `bench` that are valid one by one and contradict each other.

use mio_echo::load::{CAN_PIN, Shard};
use mio_echo::net::ScopedIp;

use super::run_args::RunArgs;
use super::server::Server;
use super::sources::Sources;
use super::values;
use crate::cli::refusal::refuse;

/// Checks that the options of `args` contradict neither each other nor `server`.
///
/// # Errors
///
/// The first contradiction, on one line.
pub fn validate(args: &RunArgs, server: &Server, shard: Option<Shard>) -> Result<(), String> {
    let shards = shard.map_or(1, |shard| shard.count);
    let idle = Some(args.connections).filter(|connections| *connections < shards);
    let expected = format!("expected at least one for each of {shards} shards");
    refuse(idle, "--connections", &expected)?;
    let idle = args.count.filter(|count| *count < shards as u64);
    refuse(idle, "--count", &expected)?;

    let (threads, most) = (args.threads, args.connections / shards);
    let idle = Some(threads).filter(|threads| *threads > most);
    let expected =
        format!("expected at most {most}, one for each connection; -d {threads}s is the duration");
    refuse(idle, "--threads", &expected)?;

    let (framing, possible) = (args.framing, values::possible_sizes(args.framing));
    let (least, most) = (possible.start(), possible.end());
    let mut sizes = [args.size.smallest(), args.size.largest()].into_iter();
    let impossible = sizes.find(|size| !possible.contains(size));
    let expected = format!("expected a message with {framing} from {least} to {most} bytes");
    refuse(impossible, "--size", &expected)?;

    let deep = args.pipeline.filter(|depth| args.churn && *depth > 1);
    let expected = "expected 1 with --churn, where a connection has one message";
    refuse(deep, "--pipeline", expected)?;

    let without_rate = args.arrival.filter(|_| args.rate.is_none());
    let expected = "expected with --rate only, because a closed loop has no schedule";
    refuse(without_rate, "--arrival", expected)?;

    let mut sources = args.source.iter().flat_map(|Sources(sources)| sources);
    let of_other_family =
        sources.find(|source| (args.ipv4 && source.is_ipv6()) || (args.ipv6 && source.is_ipv4()));
    let expected = "expected an address of the family of -4 or -6";
    refuse(of_other_family.copied().map(ScopedIp), "--source", expected)?;

    let is_own_server = *server == Server::Own;
    let is_running = matches!(server, Server::Running(_));
    let skipped = args.skip.filter(|bytes| *bytes > 0);
    let without_target = skipped.filter(|_| is_own_server);
    let expected = "expected with HOST:PORT only, because the child server sends no greeting";
    refuse(without_target, "--skip", expected)?;

    let without_target = args.server_pid.filter(|_| !is_running);
    let expected =
        "expected with HOST:PORT only, because bench knows the process of a server that it starts";
    refuse(without_target, "--server-pid", expected)?;

    let expected =
        "expected on Linux, Android or FreeBSD only: this system cannot pin threads to CPUs";
    for (pin, option) in [(&args.pin, "--pin"), (&args.server_pin, "--server-pin")] {
        refuse(pin.as_ref().filter(|_| !CAN_PIN), option, expected)?;
    }
    let pin = args.server_pin.as_ref();
    let of_target = pin.filter(|_| is_running);
    let expected =
        "expected without HOST:PORT only, because bench pins only a server that it starts";
    refuse(of_target, "--server-pin", expected)
}
