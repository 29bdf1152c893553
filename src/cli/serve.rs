//! `mio-echo serve`: its options as they are typed, and as the server uses them.

use std::fmt::Display;
use std::time::Duration;

use clap::{ArgAction, ArgMatches, Args};
use log::LevelFilter;
use mio_echo::conn::Framing;
use mio_echo::net::{Config, OffloadPolicy, WhenFull};

use super::address::{ListenArg, parse_framing, parse_listener};
use super::definition::{
    BUFFERS, CONNECTIONS, MESSAGES, OUTPUT, STOP, TIMEOUTS, allow_hyphen_values,
};
use super::environment::variable_name;
use super::refusal::refusal;
use super::values::{
    BOOL, Words, count_in, nonzero, one_of, parse_banner, parse_duration, parse_keepalive,
    parse_memory, parse_size,
};

/// A larger number is a typing error. A slot takes about 160 bytes from the start.
const MOST_CONNECTIONS: usize = 10_000_000;

/// The system call takes an `int`.
const LONGEST_BACKLOG: u32 = i32::MAX as u32;

/// A larger number is a typing error.
const MOST_WORKERS: usize = 1024;

/// The longest header or terminator of a message, in bytes: that of len16, len16le and crlf.
const LONGEST_HEADER: usize = 2;

const WHEN_FULL: Words<WhenFull> = &[("wait", WhenFull::Wait), ("close", WhenFull::Close)];

const OFFLOAD: Words<OffloadPolicy> =
    &[("all", OffloadPolicy::All), ("large", OffloadPolicy::Large)];

/// The end of the help.
pub const NOTES: &str = "  \
BOOL is true, 1, false or 0; the option without a value means true.

Environment:
  Every option --a-b is also a variable MIO_ECHO_A_B. The command line wins. An empty variable is unset. Blanks separate \
the items of a list. MIO_ECHO_VERBOSE is 0, 1 or 2. Another variable MIO_ECHO_* is warned about, unless it is one that \
Kubernetes sets for a service.

Exit code:
  0 stopped, 1 could not start or run, 2 command line refused, 129, 130 or 143 ended by a second SIGHUP, \
SIGINT or SIGTERM.

Signals:
  SIGINT, SIGTERM and SIGHUP stop the server. SIGUSR1 logs the counters. SIGHUP has no effect if it was ignored at the \
start, as under nohup. Systems other than Linux do not tell that: there SIGHUP keeps the action that it had. A \
server in the background that writes to a terminal under `stty tostop` is suspended by SIGTTOU; redirect its output.";

/// The resolved options of `serve`.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The configuration of the server.
    pub config: Config,
    /// The end of standard input is a request to stop.
    pub stop_on_eof: bool,
    /// The level of the log.
    pub level: LevelFilter,
}

// Not a doc comment: it would become the first line of the help.
#[derive(Args, Debug)]
#[command(mut_args = allow_hyphen_values)]
pub struct ServeArgs {
    // Not a doc comment: rustdoc takes brackets for links.
    #[arg(
        short, long, value_name = "ADDR:PORT", value_parser = parse_listener, default_value = "127.0.0.1:7007",
        help_heading = CONNECTIONS,
        help = "Listen on this address, [FRAMING@]ADDR:PORT; may be repeated. ADDR is an IP literal, [IPv6] or *. \
                `*`, `:PORT` and a bare `PORT` listen on every interface. A link-local address has its interface, on \
                Windows its number: [fe80::1%eth0]. The line `listening on ADDR:PORT FRAMING` ends with \
                `both-families` if an IPv6 listener of every interface takes IPv4 too"
    )]
    listen: Vec<ListenArg>,

    /// Most connections at once; default: 65,536, or the limit of descriptors less 32, and less those that the server
    /// has inherited, if that is less
    #[arg(long, value_name = "N", value_parser = count_in(1..=MOST_CONNECTIONS), help_heading = CONNECTIONS)]
    max_connections: Option<usize>,

    /// What happens to a connection above --max-connections: `wait` leaves it in the kernel's queue, `close` accepts
    /// and resets it
    #[arg(long, value_name = "ACTION", value_parser = one_of(WHEN_FULL), default_value = "wait",
          help_heading = CONNECTIONS)]
    when_full: WhenFull,

    /// Most connections from one IPv4 address or one IPv6 /64 (link-local: one interface); a further one is
    /// accepted and reset; default: no limit
    #[arg(long, value_name = "N", value_parser = count_in(1..=u32::MAX), help_heading = CONNECTIONS)]
    max_per_ip: Option<u32>,

    /// Most connections that the kernel queues until they are accepted; the system may set a lower limit
    #[arg(long, value_name = "N", value_parser = count_in(1..=LONGEST_BACKLOG), default_value = "4096",
          help_heading = CONNECTIONS)]
    backlog: u32,

    /// Probe a connection that was idle for this long: 3 probes, DUR/4 apart, then close it; 0 sends no probes. The
    /// kernel counts whole seconds, at least 1. A dead client is gone after DUR and 3 probes: 105 s by default, 4 s with
    /// 1s; with --write-timeout 0, only if it has acknowledged every byte
    #[arg(long, value_name = "DUR", value_parser = parse_keepalive, default_value = "60s", help_heading = CONNECTIONS)]
    keepalive: Duration,

    /// How bytes form messages, for listeners without a prefix: raw (there are none), nul (none, and a NUL ends the
    /// session), line (ends with LF), crlf (ends with CR LF), len8, len16 or len16le (begins with its length in 1 byte, 2
    /// bytes, or 2 bytes little-endian; the length includes them)
    #[arg(long, value_name = "FRAMING", value_parser = parse_framing, default_value = "raw", help_heading = MESSAGES)]
    framing: Framing,

    /// Largest message in bytes, header or terminator included
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "64k", help_heading = MESSAGES)]
    max_message: usize,

    /// Text sent on connect, at most 4 KiB; \r \n \t \\ are escapes, {peer} is the client's address and {id} the
    /// connection's number; default: no text
    #[arg(long, value_name = "TEXT", value_parser = parse_banner, help_heading = MESSAGES)]
    banner: Option<String>,

    /// Threads that work on messages before they are echoed; 0 starts none
    #[arg(long, value_name = "N", value_parser = count_in(0..=MOST_WORKERS), default_value = "0",
          help_heading = MESSAGES)]
    workers: usize,

    /// Time that a worker spends on each message, to simulate a call that blocks
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "0", help_heading = MESSAGES)]
    work_time: Duration,

    /// Which messages go to the workers: `all`, or `large` for those larger than the read buffer
    #[arg(long, value_name = "WHICH", value_parser = one_of(OFFLOAD), default_value = "all", help_heading = MESSAGES)]
    offload: OffloadPolicy,

    /// Close a connection on which no byte moves in either direction for this long; 0 disables the limit
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "0", help_heading = TIMEOUTS)]
    idle_timeout: Duration,

    /// Reset a connection whose client accepts no byte of its pending echo for this long; 0 disables the limit
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "30s", help_heading = TIMEOUTS)]
    write_timeout: Duration,

    /// Close a connection whose message stays incomplete for this long; 0 disables the limit
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "30s", help_heading = TIMEOUTS)]
    frame_timeout: Duration,

    /// Close a connection of this age, however active it is; a client that does not take its echo within 2 s more is
    /// reset; 0 disables the limit
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "0", help_heading = TIMEOUTS)]
    session_timeout: Duration,

    /// How long to keep accepting connections after the request to stop
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "0", help_heading = STOP)]
    stop_delay: Duration,

    /// How long pending echoes may take after the last accept; 0 drops what cannot be echoed at once
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "5s", help_heading = STOP)]
    drain_timeout: Duration,

    /// Stop when standard input ends
    #[arg(long, value_name = "BOOL", value_parser = one_of(BOOL), default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = STOP)]
    stop_on_eof: bool,

    /// Buffer that all connections are read into, in bytes; with --workers at most --max-message or 16k, whichever is
    /// more
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256k", help_heading = BUFFERS)]
    read_buffer: usize,

    /// Stop reading from a client while this many bytes of its echo are pending
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "64k", help_heading = BUFFERS)]
    high_water: usize,

    /// Most memory that connections hold in the process, in bytes: pending echoes, unfinished messages, jobs and replies of
    /// workers. The kernel's buffers come on top: --socket-buffer bounds them; default: a quarter of the smallest of
    /// physical memory, the cgroup's limit and the address space limit (ulimit -v)
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, help_heading = BUFFERS)]
    max_memory: Option<usize>,

    /// SO_SNDBUF and SO_RCVBUF, in bytes; default: the system's autotuning
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = BUFFERS)]
    socket_buffer: Option<usize>,

    // Declared before `verbose`: if both variables are set, the one that asks for more wins.
    /// Log errors only
    #[arg(short, long, value_name = "BOOL", value_parser = one_of(BOOL), default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = OUTPUT)]
    quiet: bool,

    /// Log one line for each connection, with its address; given twice, one line for each change of a connection's
    /// state too; default: the start and stop of the server, and warnings
    #[arg(short, long, action = ArgAction::Count, help_heading = OUTPUT)]
    verbose: u8,
}

impl ServeArgs {
    /// Resolves the options. `matches` are the matches of `serve`.
    ///
    /// # Errors
    ///
    /// When options contradict each other.
    pub fn resolve(self, matches: &ArgMatches) -> Result<ServeOptions, clap::Error> {
        let (stop_on_eof, level) = (self.stop_on_eof, self.log_level(matches));
        let config = self.into_config();
        validate(&config).map_err(refusal)?;
        Ok(ServeOptions {
            config,
            stop_on_eof,
            level,
        })
    }

    /// Returns the level of the log: the last one typed of `--quiet` and `--verbose` wins. Clap's own overriding ignores
    /// values: `--quiet=false` would cancel a `--verbose`.
    fn log_level(&self, matches: &ArgMatches) -> LevelFilter {
        let last_index = |option| matches.indices_of(option).and_then(Iterator::last);
        match self.verbose {
            0 if self.quiet => LevelFilter::Error,
            0 => LevelFilter::Info,
            _ if self.quiet && last_index("quiet") > last_index("verbose") => LevelFilter::Error,
            1 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }
    }

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
            session_timeout: nonzero(self.session_timeout),
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
            max_memory: self.max_memory,
            socket_buffer: self.socket_buffer,
        }
    }
}

/// Checks that the options do not contradict each other.
fn validate(config: &Config) -> Result<(), String> {
    let (read_buffer, max_message) = (config.read_buffer, config.max_message);
    let refuse = |value: &dyn Display, long, expected| {
        let variable = variable_name(long);
        Err(format!(
            "invalid value '{value}' for '--{long}' ({variable}): {expected}"
        ))
    };
    if max_message < LONGEST_HEADER {
        let expected = format!("expected at least {LONGEST_HEADER} bytes, the longest header");
        return refuse(&max_message, "max-message", expected);
    }
    let has_messages = |(_, framing): &(_, Framing)| framing.has_messages();
    if config.workers > 0 && !config.listen.iter().any(has_messages) {
        let expected = "raw and nul have no messages, expected a listener with line, crlf, len8, len16 or len16le";
        return refuse(&config.workers, "workers", expected.into());
    }
    if config.offload == OffloadPolicy::Large && read_buffer >= max_message {
        let expected = format!(
            "no message is larger than the read buffer, expected --read-buffer ({read_buffer}) below --max-message ({max_message})"
        );
        return refuse(&"large", "offload", expected);
    }
    Ok(())
}
