//! `mio-echo serve`: the options as they are typed, and what they mean.

use std::time::Duration;

use clap::Args;
use clap::error::ErrorKind;
use log::LevelFilter;
use mio_echo::conn::Framing;
use mio_echo::net::{Config, OffloadPolicy, WhenFull};

use super::address::{self, Listener};
use super::verbosity::Verbosity;
use super::{option_takes_hyphens, values};

/// A slot takes about 160 bytes from the start; more than this is a slip of the finger.
const MOST_CONNECTIONS: usize = 10_000_000;

/// The system call takes an `int`.
const LONGEST_BACKLOG: u32 = i32::MAX as u32;

/// More threads than this is a slip of the finger.
const MOST_WORKERS: usize = 1024;

/// Of a message, in bytes: len16, len16le, and the terminator of crlf.
const LONGEST_HEADER: usize = 2;

/// What `serve` was asked to do.
#[derive(Clone, Debug)]
pub struct Serve {
    /// For the server.
    pub config: Config,
    /// The end of standard input is a request to stop.
    pub stop_on_eof: bool,
    /// Of the log.
    pub level: LevelFilter,
}

// The options of `serve`. Not a doc comment, which would be the first line of the help.
#[derive(Args, Debug)]
#[command(mut_args = option_takes_hyphens)]
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

    /// How bytes form messages, where a listener has no prefix of its own: raw, nul, line, crlf, len8, len16, len16le
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

    /// Ends a connection whose message began and did not end for so long, however it drips; 0 is never
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "30s")]
    frame_timeout: Duration,

    /// How long to go on accepting after the request to stop
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "0")]
    stop_delay: Duration,

    /// How long pending echoes may take, once nobody is accepted; 0 drops what does not go out at once
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

    /// The most bytes that a message may have, header or terminator included
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "64k")]
    max_message: usize,

    /// Threads that work on messages before they are echoed; 0 is none
    #[arg(long, value_name = "N", value_parser = values::count(0..=MOST_WORKERS), default_value = "0")]
    workers: usize,

    /// What a worker spends on each message: it stands for a call that blocks
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "0")]
    work_time: Duration,

    /// Which messages the workers get: all, or large (those larger than the read buffer)
    #[arg(long, value_name = "WHICH", value_parser = values::offload, default_value = "all")]
    offload: OffloadPolicy,

    /// Takes the end of standard input as a request to stop
    #[arg(long, value_name = "BOOL", value_parser = values::boolean, default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    stop_on_eof: bool,

    #[command(flatten)]
    verbosity: Verbosity,
}

impl TryFrom<ServeArgs> for Serve {
    type Error = clap::Error;

    fn try_from(args: ServeArgs) -> Result<Self, clap::Error> {
        let (stop_on_eof, Verbosity(level)) = (args.stop_on_eof, args.verbosity);
        let config = args.into_config();
        refuse_tiny_messages(&config)?;
        refuse_idle_workers(&config)?;
        refuse_empty_offload(&config)?;
        Ok(Self {
            config,
            stop_on_eof,
            level,
        })
    }
}

fn refuse_tiny_messages(config: &Config) -> Result<(), clap::Error> {
    if config.max_message >= LONGEST_HEADER {
        return Ok(());
    }
    Err(refusal(format!(
        "invalid value '{}' for '--max-message' (MIO_ECHO_MAX_MESSAGE): expected at least {LONGEST_HEADER}, the longest header",
        config.max_message
    )))
}

fn refuse_idle_workers(config: &Config) -> Result<(), clap::Error> {
    let has_messages = config
        .listen
        .iter()
        .any(|(_, framing)| framing.has_messages());
    if config.workers == 0 || has_messages {
        return Ok(());
    }
    Err(refusal(format!(
        "invalid value '{}' for '--workers' (MIO_ECHO_WORKERS): raw and nul have no messages, expected a listener with line, crlf, len8, \
         len16 or len16le",
        config.workers
    )))
}

fn refuse_empty_offload(config: &Config) -> Result<(), clap::Error> {
    if config.offload == OffloadPolicy::All || config.read_buffer < config.max_message {
        return Ok(());
    }
    Err(refusal(format!(
        "invalid value 'large' for '--offload' (MIO_ECHO_OFFLOAD): no message is larger than the read buffer, expected \
         --read-buffer ({}) under --max-message ({})",
        config.read_buffer, config.max_message
    )))
}

pub(super) fn refusal(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, message)
}

impl ServeArgs {
    fn into_config(self) -> Config {
        Config {
            listen: self
                .listen
                .iter()
                .map(|listener| (listener.at, listener.framing.unwrap_or(self.framing)))
                .collect(),
            banner: self.banner.unwrap_or_default(),
            max_connections: self.max_connections,
            when_full: self.when_full,
            max_per_ip: self.max_per_ip,
            idle_timeout: nonzero(self.idle_timeout),
            write_timeout: nonzero(self.write_timeout),
            frame_timeout: nonzero(self.frame_timeout),
            stop_delay: self.stop_delay,
            drain_timeout: self.drain_timeout,
            keepalive: nonzero(self.keepalive),
            backlog: self.backlog,
            read_buffer: self.read_buffer,
            high_water: self.high_water,
            max_message: self.max_message,
            workers: self.workers,
            simulated_work: self.work_time,
            offload: self.offload,
            socket_buffer: self.socket_buffer,
        }
    }
}

pub(super) fn nonzero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}
