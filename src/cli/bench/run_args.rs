//! The options of a run as they are typed.

use std::time::{Duration, SystemTime};

use clap::Args;
use mio_echo::conn::Framing;
use mio_echo::load::{Arrival, Close, CpuList, Sizes};

use super::cpus::parse_cpus;
use super::shard::{ShardArg, parse_shard};
use super::sources::{Sources, parse_sources};
use super::start_time::parse_start_time;
use super::sweep::MOST_CONNECTIONS;
use super::values;
use crate::cli::definition::{
    BUFFERS, CONNECTIONS, LOAD, MACHINE, MESSAGES, OUTPUT, SHARDS, TIMEOUTS, allow_hyphen_values,
};
use crate::cli::values::{count_in, one_of, parse_size, parse_size_or_zero};

// The options of a run, without its target and what happens to its report. Not a doc comment: it would become the first
// line of the help.
#[derive(Args, Clone, Debug)]
#[command(mut_args = allow_hyphen_values)]
pub struct RunArgs {
    /// How long to measure, after the warm-up; default: 10s, or no limit with --count
    #[arg(short, long, short_alias = 'z', value_name = "DUR", value_parser = values::parse_positive_duration,
          help_heading = LOAD)]
    pub duration: Option<Duration>,

    /// Stop when this many messages of the measurement, over all connections, were answered or have failed; if --duration
    /// is given too, the first limit counts; default: no limit
    #[arg(short = 'n', long, value_name = "N", value_parser = count_in(1..=u64::MAX), help_heading = LOAD)]
    pub count: Option<u64>,

    /// Open loop: send this many messages per second over all connections, whether or not replies arrive; default: closed
    /// loop, where each reply allows the next message
    #[arg(short, long, short_alias = 'R', alias = "qps", value_name = "N", value_parser = values::parse_rate,
          help_heading = LOAD)]
    pub rate: Option<f64>,

    /// How the messages of --rate are spaced: `constant` or `poisson` (random); default: constant
    #[arg(long, value_name = "SPACING", value_parser = one_of(values::ARRIVAL), help_heading = LOAD)]
    pub arrival: Option<Arrival>,

    /// Limit of unanswered messages per connection, 1 to 1024; default: 1, or 1024 with --rate and without --churn
    #[arg(short, long, value_name = "N", value_parser = values::parse_pipeline, help_heading = LOAD)]
    pub pipeline: Option<usize>,

    /// Threads that share the connections; each takes about 4 MB of memory
    #[arg(short, long, value_name = "N", value_parser = values::parse_threads, default_value = "1",
          help_heading = LOAD)]
    pub threads: usize,

    /// How long to apply the load before the measurement
    #[arg(short, long, value_name = "DUR", value_parser = values::parse_warmup, default_value = "1s",
          help_heading = LOAD)]
    pub warmup: Duration,

    /// Seed of the random bytes, sizes and arrivals: the same seed makes the same load
    #[arg(long, value_name = "N", value_parser = count_in(0..=u64::MAX), default_value = "1", help_heading = LOAD)]
    pub seed: u64,

    /// Connections at once, over all threads and shards
    #[arg(short, long, value_name = "N", value_parser = count_in(1..=MOST_CONNECTIONS), default_value = "64",
          help_heading = CONNECTIONS)]
    pub connections: usize,

    /// Connections opened per second at the start; default: as fast as the server accepts, at most 256 attempts at once
    #[arg(long, value_name = "N", value_parser = values::parse_rate, help_heading = CONNECTIONS)]
    pub connect_rate: Option<f64>,

    /// Open a connection for each message and close it after the reply; the response starts with the connection
    /// attempt; default: keep connections
    #[arg(long, help_heading = CONNECTIONS)]
    pub churn: bool,

    /// How to close connections: `fin`, or `rst`, which leaves no connection in TIME_WAIT
    #[arg(long, value_name = "HOW", value_parser = one_of(values::CLOSE), default_value = "fin",
          help_heading = CONNECTIONS)]
    pub close: Close,

    /// Source addresses, used in turn: ADDR,ADDR.. or ADDR/PREFIX, at most 65536; a link-local address has its interface:
    /// fe80::2%eth0, fe80::%eth0/120; default: the system chooses
    #[arg(long, value_name = "ADDRS", value_parser = parse_sources, help_heading = CONNECTIONS)]
    pub source: Option<Sources>,

    /// Use IPv4 only; default: the family of --source, or of the first address of the name
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = CONNECTIONS)]
    pub ipv4: bool,

    /// Use IPv6 only; default: the family of --source, or of the first address of the name
    #[arg(short = '6', long, help_heading = CONNECTIONS)]
    pub ipv6: bool,

    /// Size of a message in bytes, header or terminator included: 64, a range 1..4k, or weighted sizes 64:9,16k:1
    #[arg(short, long, value_name = "SIZE", value_parser = values::parse_sizes, default_value = "64",
          help_heading = MESSAGES)]
    pub size: Sizes,

    /// How bytes form messages, as on the server: raw (no marks), line (ends with LF), crlf (ends with CR LF), len8, len16
    /// or len16le (begins with its length in 1 byte, 2 bytes, or 2 bytes little-endian; the length includes them)
    #[arg(long, value_name = "FRAMING", value_parser = values::parse_framing, default_value = "raw",
          help_heading = MESSAGES)]
    pub framing: Framing,

    /// Length in bytes of the server's greeting (serve --banner), which is discarded on each connection; default: 0
    #[arg(long, value_name = "SIZE", value_parser = parse_size_or_zero, help_heading = MESSAGES)]
    pub skip: Option<usize>,

    /// Do not compare the bytes of replies; default: compare every byte
    #[arg(long, help_heading = MESSAGES)]
    pub no_verify: bool,

    /// Limit of a connection attempt, and of the time in which no byte of the oldest unanswered message is sent or comes
    /// back; what takes longer is an error, and the connection is opened again
    #[arg(long, value_name = "DUR", value_parser = values::parse_positive_duration, default_value = "10s",
          help_heading = TIMEOUTS)]
    pub timeout: Duration,

    /// SO_SNDBUF and SO_RCVBUF, in bytes; default: the system's autotuning
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = BUFFERS)]
    pub socket_buffer: Option<usize>,

    /// Run shard I (from 0) of N processes that make one load: its part of the connections and of the rate; auto: the
    /// shard that MPI, Slurm or AWS Batch says; auto/N: also Kubernetes and GNU parallel; default: the whole load
    #[arg(long, value_name = "I/N", value_parser = parse_shard, help_heading = SHARDS)]
    pub shard: Option<ShardArg>,

    /// When the warm-up starts: RFC 3339, @UNIXTIME, or next:60s for the next whole minute; default: when all
    /// connections are up
    #[arg(long, value_name = "TIME", value_parser = parse_start_time, help_heading = SHARDS)]
    pub start_at: Option<SystemTime>,

    /// CPUs for the threads of bench, as in 0,2-3; default: the system chooses
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus, help_heading = MACHINE)]
    pub pin: Option<CpuList>,

    /// CPUs for the server that bench starts, as in 0,2-3; default: the system chooses
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus, help_heading = MACHINE)]
    pub server_pin: Option<CpuList>,

    /// Process of the server, if it runs on this machine: its processor time and memory are reported, and it does not count
    /// as others that disturb the measurement; default: unknown
    #[arg(long, value_name = "PID", value_parser = count_in(1..=u32::MAX), help_heading = MACHINE)]
    pub server_pid: Option<u32>,

    /// Time between two prints of figures while the measurement runs, 100ms or longer
    #[arg(short, long, value_name = "DUR", value_parser = values::parse_interval, default_value = "1s",
          help_heading = OUTPUT)]
    pub interval: Duration,

    /// Text that the report repeats, to tell reports apart; default: none
    #[arg(long, value_name = "TEXT", help_heading = OUTPUT)]
    pub label: Option<String>,
}
