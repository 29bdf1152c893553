//! `mio-echo serve`: the options as they are typed, and what they mean.

use std::time::Duration;

use clap::{ArgAction, Args};
use log::LevelFilter;
use mio_echo::net::{Config, WhenFull};

use super::address::{self, Framing, Listener};
use super::values;

/// A slot takes about 160 bytes from the start; more than this is a slip of the finger.
const MOST_CONNECTIONS: usize = 10_000_000;

/// The system call takes an `int`.
const LONGEST_BACKLOG: u32 = i32::MAX as u32;

/// What `serve` was asked to do.
#[derive(Clone, Debug)]
pub struct Serve {
    /// For the server.
    pub config: Config,
    /// The framing of each listener, in the order of `config.listen`.
    pub framings: Vec<Framing>,
    /// The end of standard input is a request to stop.
    pub stop_on_eof: bool,
    /// Of the log.
    pub level: LevelFilter,
}

/// The options of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    // Not a doc comment: rustdoc takes brackets for links.
    #[arg(
        short,
        long,
        value_name = "ADDR:PORT",
        value_parser = address::listener,
        default_value = "127.0.0.1:7007",
        help = "Where to listen, repeatable: [FRAMING@]ADDR:PORT; ADDR an IP literal, [IPv6] or * (also :PORT or PORT)"
    )]
    listen: Vec<Listener>,

    /// How bytes form messages, where a listener has no prefix of its own: raw
    #[arg(long, value_name = "NAME", value_parser = address::framing, default_value = "raw")]
    framing: Framing,

    /// Sent on connect, at most 4 KiB: \r \n \t \\ are escapes, {peer} and {id} expand; default: nothing
    #[arg(long, value_name = "TEXT", value_parser = values::banner)]
    banner: Option<String>,

    /// Most connections at once; default: 65,536, or the descriptor limit less 32, whichever is less
    #[arg(long, value_name = "N", value_parser = values::count(1..=MOST_CONNECTIONS))]
    max_connections: Option<usize>,

    /// One connection too many: wait (the kernel queues it) or close (it is accepted and reset at once)
    #[arg(long, value_name = "WHAT", value_parser = values::when_full, default_value = "wait")]
    when_full: WhenFull,

    /// Most connections from one IPv4 address or IPv6 /64, one more is reset at once; default: no limit
    #[arg(long, value_name = "N", value_parser = values::count(1..=u32::MAX))]
    max_per_ip: Option<u32>,

    /// Ends a connection in which nothing came or went for so long; 0 is never
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "0")]
    idle_timeout: Duration,

    /// Resets a peer that is owed bytes and takes none for so long; 0 is never
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "30s")]
    write_timeout: Duration,

    /// How long to go on accepting after the first signal
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "0")]
    stop_delay: Duration,

    /// How long pending echoes may take after that
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "5s")]
    drain_timeout: Duration,

    /// Probes a connection idle for so long, 3 times, DUR/4 apart; 0 is off
    #[arg(long, value_name = "DUR", value_parser = values::keepalive, default_value = "60s")]
    keepalive: Duration,

    /// Connections that the kernel queues, at most what the system allows
    #[arg(long, value_name = "N", value_parser = values::count(1..=LONGEST_BACKLOG), default_value = "4096")]
    backlog: u32,

    /// The loop's scratch buffer
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "256k")]
    read_buffer: usize,

    /// Stops reading from a peer that has this many bytes pending
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "64k")]
    high_water: usize,

    /// SO_SNDBUF and SO_RCVBUF; default: the system's autotuning
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    socket_buffer: Option<usize>,

    /// Takes the end of standard input as a request to stop
    #[arg(long, value_name = "BOOL", value_parser = values::boolean, default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    stop_on_eof: bool,

    // Before `verbose`, so that of two variables the one that asks for more prevails.
    /// Logs errors only
    #[arg(short, long, value_name = "BOOL", value_parser = values::boolean, default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true", overrides_with = "verbose")]
    quiet: bool,

    /// Logs a line a connection too, with its address; twice: a line a state change; default: info
    #[arg(short, long, action = ArgAction::Count, overrides_with = "quiet")]
    verbose: u8,
}

impl From<ServeArgs> for Serve {
    fn from(args: ServeArgs) -> Self {
        Self {
            framings: args.framings(),
            stop_on_eof: args.stop_on_eof,
            level: args.level(),
            config: args.into_config(),
        }
    }
}

impl ServeArgs {
    fn framings(&self) -> Vec<Framing> {
        let own_or_common = |listener: &Listener| listener.framing.unwrap_or(self.framing);
        self.listen.iter().map(own_or_common).collect()
    }

    fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::Error,
            (false, 0) => LevelFilter::Info,
            (false, 1) => LevelFilter::Debug,
            (false, _) => LevelFilter::Trace,
        }
    }

    fn into_config(self) -> Config {
        Config {
            listen: self.listen.iter().map(|listener| listener.at).collect(),
            banner: self.banner.unwrap_or_default(),
            max_connections: self.max_connections,
            when_full: self.when_full,
            max_per_ip: self.max_per_ip,
            idle_timeout: unless_zero(self.idle_timeout),
            write_timeout: unless_zero(self.write_timeout),
            stop_delay: self.stop_delay,
            drain_timeout: self.drain_timeout,
            keepalive: unless_zero(self.keepalive),
            backlog: self.backlog,
            read_buffer: self.read_buffer,
            high_water: self.high_water,
            socket_buffer: self.socket_buffer,
        }
    }
}

fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}
