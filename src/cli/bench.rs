//! `mio-echo bench`: the options as they are typed, and what they mean.

mod moment;
mod outputs;
mod shard;
mod slo;
mod source;
#[cfg(test)]
mod tests;
mod validate;
mod values;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::error::ErrorKind;
use clap::{Args, Subcommand};
use mio_echo::conn::Framing;
use mio_echo::load::{Arrival, Close, Load, RunSettings, Shard, Sizes, StopCondition, Target};
use mio_echo::net::IpFamily;

use super::option_takes_hyphens;
use super::values::{count, size, size_or_none};
use outputs::OutputArgs;
pub use outputs::Outputs;
use shard::TypedShard;
use source::Sources;

/// More than this is a slip of the finger.
const MOST_CONNECTIONS: usize = 10_000_000;

/// Below the help.
pub const NOTES: &str = "\
Exit code: 0 finished, 1 could not run or nothing answered, 2 usage, 3 --slo not met, 4 wrong bytes,
5 suspect with --strict, 130 SIGINT, 143 SIGTERM (with the results so far, if there are any).";

const MERGE_NOTES: &str = "\
A limit of --slo is a time with ns, us, ms, s, m or h, seconds without one; of errors it is a share in %.
Exit code: 0 finished, 1 could not merge or nothing answered, 2 usage, 3 --slo not met, 4 wrong bytes,
5 suspect with --strict, 130 SIGINT, 143 SIGTERM (which ended a shard).";

/// As long as neither `--duration` nor `--count` is given.
const USUAL_DURATION: Duration = Duration::from_secs(10);

/// In an open loop, where `--pipeline` is not given: no bound that a server which answers would notice.
const OPEN_PIPELINE: usize = values::DEEPEST_PIPELINE;

/// What `bench` was asked to do.
#[derive(Clone, Debug)]
pub enum Bench {
    /// To measure.
    Measure(Box<Measure>),
    /// To add up the reports of measurements that ran at once.
    Merge(Merge),
}

/// A measurement.
#[derive(Clone, Debug)]
pub struct Measure {
    /// For the load generator.
    pub config: RunSettings,
    /// Where every interval's histograms go.
    pub hlog: Option<PathBuf>,
    /// What becomes of the results.
    pub outputs: Outputs,
}

/// Reports to add up.
#[derive(Clone, Debug)]
pub struct Merge {
    /// In JSON, one a process.
    pub files: Vec<PathBuf>,
    /// What becomes of the sum.
    pub outputs: Outputs,
}

// The options of `bench`. Not a doc comment, which would be the first line of the help.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, mut_args = option_takes_hyphens)]
pub struct BenchArgs {
    #[command(subcommand)]
    merge: Option<TypedMerge>,

    /// Whom to measure; default: a server of its own, started for the measurement
    #[arg(value_name = "HOST:PORT", value_parser = values::target)]
    target: Option<String>,

    /// Connections at once, over all threads and shards
    #[arg(short, long, value_name = "N", value_parser = count(1..=MOST_CONNECTIONS), default_value = "64")]
    connections: usize,

    /// How long to measure, after the warm-up; default: 10s, or until --count
    #[arg(short, long, short_alias = 'z', value_name = "DUR", value_parser = values::longer_than_0)]
    duration: Option<Duration>,

    /// Ends after so many messages, over all connections; default: --duration decides
    #[arg(short = 'n', long, value_name = "N", value_parser = count(1..=u64::MAX))]
    count: Option<u64>,

    /// Loops that share the connections, each on a thread of its own
    #[arg(short, long, value_name = "N", value_parser = values::threads, default_value = "1")]
    threads: usize,

    /// Size of a message in bytes, header or terminator included: 64, a range 1..4k, or weights 64:9,16k:1
    #[arg(short, long, value_name = "SIZE", value_parser = values::sizes, default_value = "64")]
    size: Sizes,

    /// Most unanswered messages a connection, at most 1024; default: 1; with --rate and without --churn 1024
    #[arg(short, long, value_name = "N", value_parser = values::pipeline)]
    pipeline: Option<usize>,

    /// Messages a second over all connections, whatever the answers (an open loop); default: closed loop, each answer
    /// brings the next message
    #[arg(short, long, short_alias = 'R', alias = "qps", value_name = "N", value_parser = values::rate)]
    rate: Option<f64>,

    /// How the messages of --rate are spread: constant or poisson; default: constant
    #[arg(long, value_name = "HOW", value_parser = values::arrival)]
    arrival: Option<Arrival>,

    /// Load before the window that is measured
    #[arg(short, long, value_name = "DUR", value_parser = values::warmup, default_value = "1s")]
    warmup: Duration,

    /// How often figures are shown, at most every 10ms
    #[arg(short, long, value_name = "DUR", value_parser = values::interval, default_value = "1s")]
    interval: Duration,

    /// How long a connect or a reply may take
    #[arg(long, value_name = "DUR", value_parser = values::longer_than_0, default_value = "10s")]
    timeout: Duration,

    /// Connects a second at the start; default: as fast as they are answered, 256 at once
    #[arg(long, value_name = "N", value_parser = values::rate)]
    connect_rate: Option<f64>,

    /// Connect, one message, close, again: response starts at the intended connect; default: connections stay
    #[arg(long)]
    churn: bool,

    /// How connections are closed: fin, or rst, which leaves no TIME_WAIT behind
    #[arg(long, value_name = "HOW", value_parser = values::close, default_value = "fin")]
    close: Close,

    /// Does not compare the bytes of replies; default: every byte is compared
    #[arg(long)]
    no_verify: bool,

    /// Decides the bytes, the sizes and the arrivals of poisson
    #[arg(long, value_name = "N", value_parser = count(0..=u64::MAX), default_value = "1")]
    seed: u64,

    /// Addresses to come from, in turn: ADDR,ADDR.. or ADDR/PREFIX, at most 65536; default: the system's choice
    #[arg(long, value_name = "ADDRS", value_parser = source::sources)]
    source: Option<Sources>,

    /// Uses IPv4 alone; default: the family of --source, or what the name resolves to first
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Uses IPv6 alone; default: the family of --source, or what the name resolves to first
    #[arg(short = '6', long)]
    ipv6: bool,

    /// SO_SNDBUF and SO_RCVBUF; default: the system's autotuning
    #[arg(long, value_name = "SIZE", value_parser = size)]
    socket_buffer: Option<usize>,

    /// Bytes of a greeting, discarded on each connection; default: 0
    #[arg(long, value_name = "SIZE", value_parser = size_or_none)]
    skip: Option<usize>,

    /// How messages are cut, as the server does it: raw, line, crlf, len8, len16, len16le
    #[arg(long, value_name = "NAME", value_parser = values::framing, default_value = "raw")]
    framing: Framing,

    /// Writes every interval's histograms (HdrHistogram log 1.2); default: nowhere
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,

    /// Is part I (from 0) of a load that N processes make: a share of connections and rate; I may be auto, which reads
    /// JOB_COMPLETION_INDEX; default: all of it
    #[arg(long, value_name = "I/N", value_parser = shard::shard)]
    shard: Option<TypedShard>,

    /// Begins the warm-up at a moment: RFC 3339, @UNIXTIME, or next:60s (the next whole minute); default: once connected
    #[arg(long, value_name = "WHEN", value_parser = moment::moment)]
    start_at: Option<SystemTime>,

    #[command(flatten)]
    outputs: OutputArgs,
}

#[derive(Subcommand, Debug)]
enum TypedMerge {
    /// Adds up the JSON reports of the shards of one load
    #[command(mut_args = option_takes_hyphens, after_help = MERGE_NOTES)]
    Merge {
        /// Reports that bench wrote with -o or -J, one a shard
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        outputs: OutputArgs,
    },
}

impl BenchArgs {
    /// What they mean; `variable` is the environment.
    ///
    /// # Errors
    ///
    /// When options contradict each other.
    pub fn resolve(
        self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Bench, clap::Error> {
        match self.merge {
            Some(TypedMerge::Merge { files, outputs }) => {
                validate::refuse_one_file_twice(&outputs, None).map_err(refusal)?;
                Ok(Bench::Merge(Merge {
                    files,
                    outputs: outputs.into(),
                }))
            }
            None => self.measurement(variable).map(Box::new).map(Bench::Measure),
        }
    }

    fn measurement(
        self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Measure, clap::Error> {
        let shard = self.shard.map(|typed| typed.resolve(variable)).transpose();
        let shard = shard.map_err(refusal)?;
        self.refuse_contradictions(shard).map_err(refusal)?;
        let (config, hlog, outputs) = self.parts(shard);
        Ok(Measure {
            config,
            hlog,
            outputs: outputs.into(),
        })
    }

    fn parts(self, shard: Option<Shard>) -> (RunSettings, Option<PathBuf>, OutputArgs) {
        let config = RunSettings {
            family: self.family(),
            stop: self.stop(),
            pipeline: self.depth(),
            load: self.load(),
            target: self.target.map_or(Target::OwnServer, Target::Remote),
            connections: self.connections,
            threads: self.threads,
            sizes: self.size,
            warmup: self.warmup,
            interval: self.interval,
            timeout: self.timeout,
            connect_rate: self.connect_rate,
            churn: self.churn,
            close: self.close,
            verify: !self.no_verify,
            seed: self.seed,
            sources: self
                .source
                .map_or_else(Vec::new, |Sources(sources)| sources),
            socket_buffer: self.socket_buffer,
            skip: self.skip.unwrap_or(0),
            framing: self.framing,
            shard,
            start_at: self.start_at,
        };
        (config, self.hlog, self.outputs)
    }

    /// That of the source addresses, which are of one.
    fn family(&self) -> IpFamily {
        let sources = self.source.as_ref();
        let source = sources.and_then(|Sources(sources)| sources.first());
        match (self.ipv4, self.ipv6, source) {
            (true, _, _) | (false, false, Some(IpAddr::V4(_))) => IpFamily::V4,
            (_, true, _) | (false, false, Some(IpAddr::V6(_))) => IpFamily::V6,
            (false, false, None) => IpFamily::Any,
        }
    }

    fn stop(&self) -> StopCondition {
        let usual = self.count.is_none().then_some(USUAL_DURATION);
        StopCondition {
            duration: self.duration.or(usual),
            messages: self.count,
        }
    }

    fn depth(&self) -> usize {
        let is_open = self.rate.is_some() && !self.churn;
        let usual = if is_open { OPEN_PIPELINE } else { 1 };
        self.pipeline.unwrap_or(usual)
    }

    fn load(&self) -> Load {
        match self.rate {
            None => Load::Closed,
            Some(rate) => Load::Open {
                rate,
                arrival: self.arrival.unwrap_or(Arrival::Constant),
            },
        }
    }
}

fn refusal(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, message)
}
