//! `mio-echo serve`: its options as they are typed, and as the server uses them.

mod notes;

use std::fmt::Display;
use std::net::TcpListener;
#[cfg(feature = "metrics")]
use std::path::PathBuf;
#[cfg(feature = "threads")]
use std::thread::available_parallelism;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args};
use log::LevelFilter;
use mio_echo::conn::Framing;
#[cfg(feature = "metrics")]
use mio_echo::metrics::Endpoint;
#[cfg(feature = "metrics")]
use mio_echo::net::Listen;
#[cfg(feature = "proxy")]
use mio_echo::net::proxy::IpNet;
use mio_echo::net::{Config, OffloadPolicy, WhenFull};

#[cfg(feature = "metrics")]
use super::address::parse_metrics_address;
use super::address::{ListenArg, parse_framing, parse_listener};
use super::definition::{
    BUFFERS, CONNECTIONS, MESSAGES, OUTPUT, STOP, TIMEOUTS, allow_hyphen_values,
};
use super::environment::variable_name;
#[cfg(feature = "proxy")]
use super::network::parse_network;
use super::refusal::refusal;
use super::values::{
    BOOL, Words, count_in, nonzero, one_of, parse_banner, parse_duration, parse_keepalive,
    parse_memory, parse_size,
};

pub use notes::{NOTES, SERVICE_MANAGER};

/// A larger number is a typing error. A slot takes about 160 bytes from the start.
const MOST_CONNECTIONS: usize = 10_000_000;

/// The system call takes an `int`.
const LONGEST_BACKLOG: u32 = i32::MAX as u32;

/// A larger number is a typing error.
const MOST_WORKERS: usize = 1024;

/// A larger number is a typing error: a loop takes a CPU.
#[cfg(feature = "threads")]
const MOST_THREADS: usize = 1024;

/// The longest header or terminator of a message, in bytes: that of len16, len16le and crlf.
const LONGEST_HEADER: usize = 2;

const WHEN_FULL: Words<WhenFull> = &[("wait", WhenFull::Wait), ("close", WhenFull::Close)];

const OFFLOAD: Words<OffloadPolicy> =
    &[("all", OffloadPolicy::All), ("large", OffloadPolicy::Large)];

const LOG_FORMAT: Words<LogFormat> = &[
    ("auto", LogFormat::Auto),
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("systemd", LogFormat::Systemd),
];

/// A listening socket that this process has inherited.
#[derive(Debug)]
pub struct InheritedSocket {
    /// The name that a service manager has given the socket. The name of a framing sets the framing.
    pub name: String,
    /// The socket.
    pub socket: TcpListener,
}

/// The resolved options of `serve`.
#[derive(Debug)]
pub struct ServeOptions {
    /// The configuration of the server.
    pub config: Config,
    /// The end of standard input is a request to stop.
    pub stop_on_eof: bool,
    /// The level of the log.
    pub level: LevelFilter,
    /// The format of the log.
    pub log_format: LogFormat,
    /// Where the metrics are shown.
    #[cfg(feature = "metrics")]
    pub metrics: MetricsOptions,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal's if standard error is the journal, else text.
    Auto,
    /// The time, the level, the module and the text.
    Text,
    /// A JSON object a line.
    Json,
    /// The level as a prefix for the journal, and the text.
    Systemd,
}

/// Where the metrics are shown.
#[cfg(feature = "metrics")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsOptions {
    /// The address of the endpoint.
    pub listen: Option<Listen>,
    /// The file.
    pub file: Option<PathBuf>,
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

    /// Threads that serve connections, each with a loop of its own: a number, or `auto` for the CPUs that this process may
    /// use. A client stays with the thread that has the fewest connections when it connects. All limits are those of the
    /// whole server; each thread has an equal share of --max-memory
    #[arg(short, long, value_name = "N", value_parser = parse_threads, default_value = "1",
          help_heading = CONNECTIONS)]
    #[cfg(feature = "threads")]
    threads: usize,

    /// Most connections at once; default: 65,536, or less: what --max-memory holds, or the limit of descriptors less 32 and
    /// less those that the server has inherited
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

    /// Networks of proxies. A connection from there must begin with a PROXY header, version 1 or 2, and the address in the
    /// header is the client's, also for --max-per-ip. A header that is malformed, over 4 KiB, or incomplete after
    /// --frame-timeout is reset. Other connections are served plainly; default: no network
    #[cfg(feature = "proxy")]
    #[arg(long, value_name = "CIDR[,CIDR]", value_delimiter = ',', value_parser = parse_network,
          help_heading = CONNECTIONS)]
    proxy_protocol: Vec<IpNet>,

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

    /// Serve the figures of the server over HTTP at this address: /metrics for Prometheus, /healthz for probes (200, and 503
    /// once the server stops or if its loop hangs) and / for people; the line `metrics on URL` tells the port; there is
    /// no access control, and it takes 12 descriptors; default: no endpoint
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_metrics_address, help_heading = OUTPUT)]
    metrics: Option<Listen>,

    /// Write the figures of /metrics to this file every 10 s and at the end; the server waits for each write, so the file
    /// should be on a local disk; default: no file
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    metrics_file: Option<PathBuf>,

    // Declared before `verbose`: if both variables are set, the one that asks for more wins.
    /// Log errors only
    #[arg(short, long, value_name = "BOOL", value_parser = one_of(BOOL), default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = OUTPUT)]
    quiet: bool,

    /// Log one line for each connection, with its address; given twice, one line for each change of a connection's
    /// state too; default: the start and stop of the server, and warnings
    #[arg(short, long, action = ArgAction::Count, help_heading = OUTPUT)]
    verbose: u8,

    /// How a line of the log is written: `text` (the time, the level, the module and the text), `json` (an object with time,
    /// level, target and message, and where they apply conn, peer, listener, reason and bytes, the number of echoed bytes),
    /// `systemd` (the level as <6> and the text, for the journal), or `auto`, which is `systemd` if standard error is the
    /// journal's and else `text`
    #[arg(long, value_name = "FORMAT", value_parser = one_of(LOG_FORMAT), default_value = "auto",
          help_heading = OUTPUT)]
    log_format: LogFormat,

    /// Print the value of every option, where it comes from, and what it means on this system, and exit without listening:
    /// 0 if the server would start, as far as that is known, or else 2
    #[arg(long, value_name = "BOOL", value_parser = one_of(BOOL), default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = OUTPUT)]
    pub check: bool,
}

impl ServeArgs {
    /// Resolves the options. `matches` are the matches of `serve`. The `inherited` sockets replace the default listener.
    ///
    /// # Errors
    ///
    /// When options contradict each other.
    pub fn resolve(
        mut self,
        matches: &ArgMatches,
        inherited: Vec<InheritedSocket>,
    ) -> Result<ServeOptions, clap::Error> {
        let (stop_on_eof, level) = (self.stop_on_eof, self.log_level(matches));
        let log_format = self.log_format;
        #[cfg(feature = "metrics")]
        let metrics = MetricsOptions {
            listen: self.metrics,
            file: self.metrics_file.clone(),
        };
        let is_default = matches.value_source("listen") == Some(ValueSource::DefaultValue);
        if is_default && !inherited.is_empty() {
            self.listen.clear();
        }
        let config = self.into_config(inherited);
        validate(&config).map_err(refusal)?;
        Ok(ServeOptions {
            config,
            stop_on_eof,
            level,
            log_format,
            #[cfg(feature = "metrics")]
            metrics,
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

    /// Returns how many descriptors the program needs beside those of the server.
    fn other_descriptors(&self) -> usize {
        #[cfg(feature = "metrics")]
        if self.metrics.is_some() {
            return Endpoint::DESCRIPTORS;
        }
        0
    }

    fn into_config(self, inherited: Vec<InheritedSocket>) -> Config {
        let other_descriptors = self.other_descriptors();
        let framing_of = |name: &str| parse_framing(name).unwrap_or(self.framing);
        Config {
            listen: self
                .listen
                .iter()
                .map(|listener| (listener.at, listener.framing.unwrap_or(self.framing)))
                .collect(),
            inherited: inherited
                .into_iter()
                .map(|inherited| (inherited.socket, framing_of(&inherited.name)))
                .collect(),
            #[cfg(feature = "threads")]
            threads: self.threads,
            banner: self.banner.unwrap_or_default(),
            max_connections: self.max_connections,
            other_descriptors,
            when_full: self.when_full,
            max_per_ip: self.max_per_ip,
            #[cfg(feature = "proxy")]
            proxy_networks: self.proxy_protocol,
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

/// Parses a number of threads. `auto` is the number of CPUs that this process may use.
#[cfg(feature = "threads")]
fn parse_threads(text: &str) -> Result<usize, String> {
    match text {
        "auto" => Ok(available_parallelism().map_or(1, |cpus| cpus.get().min(MOST_THREADS))),
        number => {
            count_in(1..=MOST_THREADS)(number).map_err(|expected| format!("{expected}, or auto"))
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
    if config.workers > 0 && !config.framings().any(Framing::has_messages) {
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
