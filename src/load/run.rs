//! One measurement, from the first connect to the last figure.
//!
//! Loops run on threads of their own. This one tells them when to begin, adds up what they report, watches the clock of
//! the server and of this process, and listens for signals.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use mio::{Events, Poll, Token, Waker};

use super::child::ChildServer;
use super::control::{Control, News, Reporter, Timeline};
use super::generator::{Generator, Part};
use super::payload::Payload;
use super::usage::Usage;
use super::{
    Close, Config, Interval, Load, Phase, Progress, Results, RunError, ServerUsage, Tally, Target,
};
use crate::net::signals::{Request, Signals};
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{ConnectError, Handle, platform, resolve};

const WAKER: Token = Token(0);
const SIGNALS: Token = Token(1);

/// How often progress is shown at least.
const TICK: Duration = Duration::from_millis(500);

/// How long a closed connection keeps its port (Linux: TCP_TIMEWAIT_LEN).
const TIME_WAIT: Duration = Duration::from_secs(60);

/// Descriptors for everything that is not a connection, and for each loop.
const RESERVED: u64 = 32;
const PER_THREAD: u64 = 4;

/// Measures.
///
/// # Errors
///
/// When there is nothing to measure: the target does not resolve or lets nobody connect, the server of our own does not
/// start, or the system refuses what the connections need.
pub fn run(config: Config, progress: &mut dyn Progress) -> Result<Results, RunError> {
    claim_descriptors(&config)?;
    let server = match &config.target {
        Target::Child(program) => {
            Some(ChildServer::start(program, &config).map_err(RunError::Server)?)
        }
        Target::Remote(_) => None,
    };
    let address = match (&server, &config.target) {
        (Some(server), _) => server.address(),
        (None, Target::Remote(target)) => choose_address(target, &config)?,
        (None, Target::Child(_)) => unreachable!("a child was started"),
    };
    if server.is_some() {
        progress.note(&format!("no target: started mio-echo serve on {address}"));
    }
    warn_of_ports(&config, progress);
    Run::start(config, address, server)?.finish(progress)
}

/// A measurement that has begun.
struct Run {
    config: Arc<Config>,
    address: SocketAddr,
    server: Option<ChildServer>,
    poll: Poll,
    events: Events,
    signals: Signals,
    control: Arc<Control>,
    loops: Vec<(JoinHandle<io::Result<()>>, Handle)>,
    reports: mpsc::Receiver<News>,
    usages: Usages,
    timeline: Option<Timeline>,
    /// Loops that have connected, and those that are done.
    connected: usize,
    done: usize,
    connections: usize,
    total: Tally,
    intervals: Vec<(usize, Tally)>,
    ended: u64,
    signal: Option<i32>,
    phase_began: u64,
    ticked: u64,
}

/// What was taken when.
#[derive(Debug, Default)]
struct Usages {
    server_idle: Usage,
    server_connected: Usage,
    /// Of this process and of the server, when the window began and when it ended.
    begin: Option<[Usage; 2]>,
    end: Option<[Usage; 2]>,
}

impl Run {
    fn start(
        config: Config,
        address: SocketAddr,
        server: Option<ChildServer>,
    ) -> Result<Self, RunError> {
        let config = Arc::new(config);
        let poll = Poll::new().map_err(RunError::System)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(RunError::System)?;
        let handle = Handle::new(waker);
        let signals = Signals::install(poll.registry(), SIGNALS, handle.clone());
        let (sender, reports) = mpsc::channel();
        let mut run = Self {
            address,
            poll,
            events: Events::with_capacity(4),
            signals: signals.map_err(RunError::System)?,
            control: Arc::default(),
            loops: Vec::new(),
            reports,
            usages: Usages::default(),
            timeline: None,
            connected: 0,
            done: 0,
            connections: 0,
            total: Tally::default(),
            intervals: Vec::new(),
            ended: 0,
            signal: None,
            phase_began: platform::monotonic_now(),
            ticked: 0,
            server,
            config,
        };
        run.usages.server_idle = run.server_usage();
        run.start_loops(&Reporter::new(sender, handle))
            .map_err(RunError::System)?;
        Ok(run)
    }

    fn start_loops(&mut self, reporter: &Reporter) -> io::Result<()> {
        let payload = Arc::new(Payload::new(self.config.framing, self.config.seed));
        let threads = self
            .config
            .threads
            .min(self.config.own_connections())
            .max(1);
        for thread in 0..threads {
            let part = Part {
                thread,
                threads,
                quota: quota(&self.config, thread, threads),
            };
            let (generator, handle) = Generator::new(
                Arc::clone(&self.config),
                self.address,
                Arc::clone(&payload),
                Arc::clone(&self.control),
                reporter.clone(),
                part,
            )?;
            let loop_ = thread::Builder::new()
                .name(format!("load {thread}"))
                .spawn(|| generator.run())?;
            self.loops.push((loop_, handle));
        }
        Ok(())
    }

    fn finish(mut self, progress: &mut dyn Progress) -> Result<Results, RunError> {
        progress.phase(Phase::Connecting);
        while self.done < self.loops.len() {
            self.wait()?;
            self.tick(progress);
            self.obey_signals(progress)?;
            let ended = self.ended_loops();
            self.take_reports(progress)?;
            self.take_usages(progress);
            // A loop that ended without a word has failed.
            if ended > self.done {
                break;
            }
        }
        for (loop_, _) in std::mem::take(&mut self.loops) {
            loop_
                .join()
                .map_err(|_| RunError::Panicked)?
                .map_err(RunError::System)?;
        }
        self.take_usage_at_end();
        self.results()
    }

    fn wait(&mut self) -> Result<(), RunError> {
        let now = platform::monotonic_now();
        let end = self.timeline.map_or(NEVER, |timeline| timeline.end);
        let until_end = match self.usages.end {
            None if end != NEVER => Duration::from_nanos(end.saturating_sub(now)),
            _ => TICK,
        };
        match self.poll.poll(&mut self.events, Some(TICK.min(until_end))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(RunError::System(error));
            }
            Ok(()) | Err(_) => {}
        }
        if self.events.iter().any(|event| event.token() == SIGNALS) {
            self.signals.note_ready();
        }
        Ok(())
    }

    fn tick(&mut self, progress: &mut dyn Progress) {
        let now = platform::monotonic_now();
        if now.saturating_sub(self.ticked) >= nanoseconds(TICK) {
            self.ticked = now;
            progress.tick(Duration::from_nanos(now.saturating_sub(self.phase_began)));
        }
    }

    fn show(&mut self, phase: Phase, progress: &mut dyn Progress) {
        self.phase_began = platform::monotonic_now();
        progress.phase(phase);
    }

    fn obey_signals(&mut self, progress: &mut dyn Progress) -> Result<(), RunError> {
        let requests = self.signals.pending(self.poll.registry());
        for request in requests.map_err(RunError::System)? {
            match (request, self.signal) {
                (Request::Report, _) => {}
                (Request::Stop(signal), Some(_)) => return Err(RunError::Aborted { signal }),
                (Request::Stop(signal), None) => {
                    self.signal = Some(signal);
                    progress.note("interrupted: the figures so far follow");
                    self.control.cut();
                    self.wake_loops();
                }
            }
        }
        Ok(())
    }

    fn take_reports(&mut self, progress: &mut dyn Progress) -> Result<(), RunError> {
        while let Ok(report) = self.reports.try_recv() {
            match report {
                News::Connected { connections, tally } => {
                    self.connections += connections;
                    self.connected += 1;
                    self.total += &tally;
                    if self.connected == self.loops.len() && self.signal.is_none() {
                        self.begin(progress)?;
                    }
                }
                News::WarmedUp => {
                    if self.usages.begin.is_none() {
                        self.usages.begin = Some(self.usage());
                        self.show(Phase::Measuring(self.config.length.duration), progress);
                    }
                }
                News::Interval(index, tally) => self.add_interval(index, &tally, progress),
                News::PeerDoesNotRead(connection) => progress.note(&format!(
                    "connection {connection}: no progress for 5 s: the peer is not reading"
                )),
                News::Done(ended) => {
                    self.done += 1;
                    self.ended = self.ended.max(ended);
                }
            }
        }
        Ok(())
    }

    /// All loops are connected: the load can begin.
    fn begin(&mut self, progress: &mut dyn Progress) -> Result<(), RunError> {
        if self.connections == 0 {
            return Err(RunError::NotConnected {
                address: self.address,
                failures: self.total.failures,
            });
        }
        self.usages.server_connected = self.server_usage();
        let now = platform::monotonic_now();
        let begin = match self.config.start_at {
            None => now,
            Some(at) => {
                let left = at
                    .duration_since(SystemTime::now())
                    .map_err(|_| RunError::TooLate)?;
                now + nanoseconds(left)
            }
        };
        let window = begin + nanoseconds(self.config.warmup);
        let duration = self.config.length.duration.map_or(NEVER, nanoseconds);
        let timeline = Timeline {
            begin,
            window,
            end: window.saturating_add(duration),
        };
        self.timeline = Some(timeline);
        self.show(
            match self.config.start_at {
                None => Phase::WarmUp(self.config.warmup),
                Some(_) => Phase::Waiting(Duration::from_nanos(begin - now)),
            },
            progress,
        );
        // Nobody else sets it.
        let _ = self.control.timeline.set(timeline);
        self.wake_loops();
        Ok(())
    }

    fn add_interval(&mut self, index: usize, tally: &Tally, progress: &mut dyn Progress) {
        if self.intervals.len() <= index {
            self.intervals.resize_with(index + 1, Default::default);
        }
        let (reports, interval) = &mut self.intervals[index];
        *reports += 1;
        *interval += tally;
        if *reports == self.loops.len() {
            progress.interval(&self.interval(index));
        }
    }

    fn interval(&self, index: usize) -> Interval {
        let start = self.config.interval * index as u32;
        Interval {
            start,
            length: self
                .config
                .interval
                .min(self.window().saturating_sub(start)),
            tally: self.intervals[index].1.clone(),
        }
    }

    /// The length of the window, as far as it is known.
    fn window(&self) -> Duration {
        let end = match self.timeline {
            None => return Duration::ZERO,
            Some(_) if self.ended > 0 => self.ended,
            Some(timeline) => timeline.end,
        };
        let begin = self.timeline.map_or(0, |timeline| timeline.window);
        Duration::from_nanos(end.saturating_sub(begin))
    }

    fn take_usages(&mut self, progress: &mut dyn Progress) {
        let end = self.timeline.map_or(NEVER, |timeline| timeline.end);
        if self.usages.end.is_none() && (self.done > 0 || platform::monotonic_now() >= end) {
            self.usages.end = Some(self.usage());
            self.show(Phase::Finishing, progress);
        }
    }

    fn take_usage_at_end(&mut self) {
        if self.usages.end.is_none() {
            self.usages.end = Some(self.usage());
        }
    }

    /// Of this process, and of the server.
    fn usage(&self) -> [Usage; 2] {
        [Usage::of(std::process::id()), self.server_usage()]
    }

    fn server_usage(&self) -> Usage {
        let server = self.server.as_ref();
        server.map_or_else(Usage::default, |server| Usage::of(server.pid()))
    }

    fn ended_loops(&self) -> usize {
        let ended = self.loops.iter().filter(|(loop_, _)| loop_.is_finished());
        ended.count()
    }

    fn wake_loops(&self) {
        for (_, handle) in &self.loops {
            // A loop that cannot be woken looks by itself at its next event.
            let _ = handle.wake();
        }
    }

    fn results(mut self) -> Result<Results, RunError> {
        let Some(timeline) = self.timeline else {
            let signal = self.signal.unwrap_or_default();
            return Err(RunError::Aborted { signal });
        };
        let window = self.window();
        let intervals: Vec<_> = (0..self.intervals.len())
            .map(|index| self.interval(index))
            .collect();
        for interval in &intervals {
            self.total += &interval.tally;
        }
        let [generator, server] = self.cpu();
        let now = platform::monotonic_now();
        let age = Duration::from_nanos(now.saturating_sub(timeline.window));
        Ok(Results {
            address: self.address,
            began: SystemTime::now() - age,
            window,
            connected: self.connections,
            generator_cpu: generator,
            server: self.server.as_ref().map(|_| self.server_figures(server)),
            interrupted: self.signal,
            intervals,
            total: self.total,
            config: Arc::unwrap_or_clone(self.config),
        })
    }

    fn cpu(&self) -> [Option<Duration>; 2] {
        match (self.usages.begin, self.usages.end) {
            (Some(begin), Some(end)) => [end[0].cpu_since(begin[0]), end[1].cpu_since(begin[1])],
            _ => [None, None],
        }
    }

    fn server_figures(&self, cpu: Option<Duration>) -> ServerUsage {
        let grown = self
            .usages
            .server_connected
            .rss
            .zip(self.usages.server_idle.rss);
        ServerUsage {
            cpu,
            rss: self.usages.end.and_then(|usages| usages[1].rss),
            bytes_per_connection: grown.map(|(connected, idle)| {
                connected.saturating_sub(idle) as f64 / self.connections.max(1) as f64
            }),
        }
    }
}

/// Makes room for the descriptors that the connections need.
fn claim_descriptors(config: &Config) -> Result<(), RunError> {
    let connections = config.own_connections() as u64;
    let needed = connections + config.threads as u64 * PER_THREAD + RESERVED;
    match platform::raise_descriptor_limit(needed).map_err(RunError::System)? {
        Some(limit) if limit < needed => Err(RunError::Descriptors { needed, limit }),
        _ => Ok(()),
    }
}

/// The first address that lets us connect. With only one there is nothing to try.
fn choose_address(target: &str, config: &Config) -> Result<SocketAddr, RunError> {
    let unreachable = |address, error: ConnectError| RunError::NoConnection { address, error };
    let addresses = resolve(target, config.family).map_err(|error| RunError::Unresolved {
        target: target.into(),
        error,
    })?;
    let mut last = None;
    for address in &addresses {
        if addresses.len() == 1 {
            return Ok(*address);
        }
        match TcpStream::connect_timeout(address, config.timeout) {
            Ok(_) => return Ok(*address),
            Err(error) => last = Some(unreachable(*address, error.into())),
        }
    }
    Err(last.unwrap_or(RunError::Panicked))
}

/// A connection that was closed keeps its port for a minute (TIME_WAIT); a reset one does not.
fn warn_of_ports(config: &Config, progress: &mut dyn Progress) {
    let (Load::Open { rate, .. }, true, Close::Fin) = (config.load, config.churn, config.close)
    else {
        return;
    };
    let Some(ports) = platform::ephemeral_ports() else {
        return;
    };
    let sources = config.sources.len().max(1) as u64;
    let needed = (rate * TIME_WAIT.as_secs_f64()) as u64;
    if needed > ports * sources {
        progress.note(&format!(
            "{rate} connections a second keep {needed} ports in TIME_WAIT; there are {ports} on each of {sources} \
             source addresses: use --source, or --close rst"
        ));
    }
}

/// The part of the messages that a loop may begin: as even as can be, over all loops of all shards.
fn quota(config: &Config, thread: usize, threads: usize) -> Option<u64> {
    let (shard, shards) = config
        .shard
        .map_or((0, 1), |shard| (shard.index, shard.count));
    let (parts, part) = ((threads * shards) as u64, (thread * shards + shard) as u64);
    let messages = config.length.messages?;
    Some(messages / parts + u64::from(part < messages % parts))
}
