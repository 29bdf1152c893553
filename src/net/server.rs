//! The server: a loop of one thread that serves all connections, or with `--threads` several such loops.
//!
//! The loop repeats one *turn*:
//!
//! ```text
//!          +---------------------------------------------------------------------+
//!          |  wait     until an event, a deadline or a wake;                     |
//!          |           with a timeout of zero while anything is runnable         |
//!          |  record   events -> readiness bits; no I/O, nothing is closed       |
//!          |  run      worker replies, fresh connections, one connection of the  |
//!          |           backlog, accept                                           |
//!          |  expire   timers that are due                                       |
//!          +---------------------------------------------------------------------+
//! ```
//!
//! - A *key* is the index of a connection's slot. The poll returns it with each event of the connection's socket, as
//!   the event's *token*. The tokens of listeners, of the waker and of signals start far above every key.
//! - A connection is *runnable* if its socket is believed to be ready and the connection wants to use it. Work on a
//!   runnable connection needs no event.
//! - A connection is *fresh* if an event of this turn was for it and it is not in the backlog.
//! - A run of a connection ends when its *budget* of bytes and reads is spent (`conn/drive.rs`). A connection that is
//!   still runnable then joins the *backlog*. `net/connections.rs` explains why fresh connections go first.
//!
//! Recording an event only sets bits. All I/O and every close happen later in the turn, and a key is used again only at
//! the end of a turn. So a stale event (for a connection that has closed since) finds no slot and is harmless.
//!
//! With several loops, each is this loop. The first one has the listeners and signals, and hands accepted clients over to
//! the others (`net/loops.rs`).
//!
//! No peer can end the loop. A failure of a peer is a [`CloseReason`](crate::conn::CloseReason) of its own connection.
//! Only an error of the poll, or the loss of the last listener, ends [`Server::run`] without a request.
//!
//! # A wake is only a hint
//!
//! Another thread (a [`Handle`], a worker) first publishes its request and then wakes the loop. Immediately before every
//! wait, the loop looks at the stop flag, at signals and at the workers' replies, and does not block if there are any. So
//! it does no harm that mio's poll(2) back end can lose a wake which comes before the wait (mio#1874).
//!
//! # How the server stops
//!
//! 1. The first signal, or [`Handle::stop`], starts the stop delay. The server still accepts: a load balancer that has
//!    been told to use another server needs that time.
//! 2. After the delay, and as long as slots are free, the server accepts the clients that the kernel has queued. Then it
//!    closes its listeners. The kernel resets the clients that are still queued, so that a load balancer tries another
//!    server.
//! 3. Each connection echoes everything that the kernel has received for it by now. The connection is told an
//!    upper bound of these bytes, so that a peer cannot put off the end by sending more. The echo takes as many runs as needed, and
//!    the later ones come from the backlog.
//! 4. Each connection then delivers what is owed, sends its FIN and waits for the peer's. Later input is discarded, and
//!    counted in [`Stats::discarded`](super::Stats::discarded).
//! 5. The server ends when no connection is left. When the drain timeout is over, the remaining connections are closed:
//!    with a reset if their peers are still owed something, or if input of before the stop may be unread.
//!
//! With several loops, the first one tells the others to stop after its last accept, and ends after they have ended.
//!
//! A second signal closes all connections at once, in the way of step 5. Neither the drain timeout nor a second signal
//! waits for a worker that is busy.
//!
//! A server whose last listener has failed stops in the same way, without the stop delay.
//!
//! An inherited listener is given up at the start of step 1: another process holds it, and clients that wait there are
//! left to the next server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{Level, info, log_enabled};
use mio::{Events, Poll, Token};

#[cfg(test)]
use super::Stats;
use super::acceptor::Acceptor;
use super::connections::KEYS_END;
use super::loops::Loops;
use super::observer::{Observation, Observer};
use super::poll::{self, EVENTS_PER_WAIT};
use super::reporter::StatsLog;
use super::signals::{SignalRequest, Signals};
use super::timers::{NEVER, nanoseconds};
use super::{Config, Handle, platform};

/// The token of the first listener. Tokens below it are the keys of connections.
pub(super) const FIRST_LISTENER: usize = KEYS_END;
pub(super) const WAKER: Token = Token(usize::MAX - 1);
const SIGNALS: Token = Token(usize::MAX - 2);

/// An echo server whose listeners are bound. [`run`](Self::run) serves clients.
pub struct Server {
    poll: Poll,
    events: Events,
    pub(super) acceptor: Acceptor,
    pub(super) loops: Loops,
    addresses: Vec<SocketAddr>,
    /// For each address, true if the listener accepts both families.
    takes_both_families: Vec<bool>,
    handle: Handle,
    signals: Option<Signals>,
    observers: Vec<Box<dyn Observer>>,
    config: Arc<Config>,
    phase: ServerPhase,
    /// When the phase ends, as a time of [`Server::now`]. [`NEVER`] while no stop was requested.
    phase_end: u64,
    was_signalled: bool,
    /// How the server ends once everything is delivered.
    outcome: Outcome,
    started: Instant,
    /// The time of this turn, read once after the wait. Monotonic, in nanoseconds.
    now: u64,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server stopped on request, after it had delivered what was pending or after the drain timeout.
    Stopped,
    /// A second signal ended the server at once.
    Interrupted {
        /// The number of the second signal.
        signal: i32,
    },
    /// The last listener failed. What was pending then was delivered, as at a stop on request.
    ListenersFailed,
}

/// The phases from the start of a server to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerPhase {
    /// No stop was requested.
    Running,
    /// A stop was requested, and the server still accepts clients.
    StopDelay,
    /// The listeners are closed, and connections deliver what is pending.
    Draining,
    /// There is no further turn.
    Ended,
}

impl Server {
    /// Creates a server from its parts (`net/start.rs`).
    pub(super) fn new(
        poll: Poll,
        handle: Handle,
        acceptor: Acceptor,
        loops: Loops,
        config: Arc<Config>,
    ) -> Self {
        let (addresses, takes_both_families) = acceptor.addresses().unzip();
        Self {
            addresses,
            takes_both_families,
            poll,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            acceptor,
            loops,
            handle,
            signals: None,
            observers: Vec::new(),
            config,
            phase: ServerPhase::Running,
            phase_end: NEVER,
            was_signalled: false,
            outcome: Outcome::Stopped,
            started: Instant::now(),
            now: platform::monotonic_now(),
        }
    }

    /// Serves clients until the server is stopped, then logs the statistics.
    ///
    /// # Errors
    ///
    /// Returns an error only if the poll of a loop fails, or if another loop panics. All connections are reset then.
    pub fn run(mut self) -> io::Result<Outcome> {
        let ended = self.run_loop();
        self.log_stats();
        ended
    }

    /// Runs the loop until the server is stopped, and lets the observers look at the end.
    #[inline(never)]
    pub(super) fn run_loop(&mut self) -> io::Result<Outcome> {
        let ended = loop {
            if let Some(ended) = self.turn().transpose() {
                break ended;
            }
        };
        let joined = self.loops.join();
        self.phase = ServerPhase::Ended;
        self.call_observers();
        self.loops.log_each(self.started.elapsed());
        ended.and_then(|outcome| joined.map(|()| outcome))
    }

    /// Serves clients until the server is stopped, and returns the statistics.
    #[cfg(test)]
    pub(super) fn run_for_stats(mut self) -> io::Result<Stats> {
        self.run_loop()?;
        let request = self.loops.request_stats();
        let stats = self.loops.stats(request, self.started.elapsed());
        Ok(stats.expect("the end"))
    }

    /// Runs one turn. Returns the outcome if it was the last turn.
    fn turn(&mut self) -> io::Result<Option<Outcome>> {
        if let Some(signal) = self.handle_signals() {
            // A peer that is owed bytes must see a reset, and not a FIN that makes a part look like the whole echo.
            self.loops.abort_all();
            return Ok(Some(Outcome::Interrupted { signal }));
        }
        self.wait()?;
        self.record_events();
        self.loops.own.run_completed(self.now);
        self.loops.own.run_fresh(&self.events, self.now);
        self.loops.own.run_one_of_backlog(self.now);
        if self.acceptor.is_runnable(&self.loops, self.now) {
            self.accept();
        }
        self.loops.own.expire(self.now);
        Ok(self.advance_phase().then_some(self.outcome))
    }

    fn wait(&mut self) -> io::Result<()> {
        if self.handle.stop_requested() {
            self.begin_stop();
        }
        let mut timeout = self.timeout();
        if !self.observers.is_empty() {
            self.loops.count_turn(self.events.iter().count());
            let theirs = self.call_observers();
            // An iterator over both would take 50 instructions more (measured with callgrind).
            timeout = match (timeout, theirs) {
                (Some(own), Some(theirs)) => Some(own.min(theirs)),
                (own, theirs) => own.or(theirs),
            };
        }
        if let Err(error) = poll::wait(&mut self.poll, &mut self.events, timeout) {
            self.acceptor.fail(&mut self.loops, error.kind(), self.now);
            return Err(error);
        }
        self.now = platform::monotonic_now();
        Ok(())
    }

    /// Returns zero if anything is runnable, else the time until the next deadline, or `None` if there is no deadline.
    fn timeout(&self) -> Option<Duration> {
        if self.loops.own.has_runnable() {
            return Some(Duration::ZERO);
        }
        let of_connections = self.loops.own.next_deadline();
        let of_listeners = self.acceptor.next_deadline(&self.loops, self.now);
        let deadline = of_connections.min(of_listeners).min(self.phase_end);
        poll::timeout_until(deadline, self.now)
    }

    /// Calls every observer. Returns the time until the first of their deadlines, or `None` if there is no deadline.
    #[cold]
    fn call_observers(&mut self) -> Option<Duration> {
        let observation = Observation {
            now: self.now,
            is_stopping: self.phase != ServerPhase::Running,
            has_ended: self.phase == ServerPhase::Ended,
            loops: &self.loops,
            started: self.started,
        };
        let observers = self.observers.iter_mut();
        let deadlines = observers.map(|observer| {
            observer.observe(&observation);
            observer.next_deadline()
        });
        poll::timeout_until(deadlines.min()?, self.now)
    }

    fn record_events(&mut self) {
        for event in &self.events {
            match event.token() {
                Token(key) if key < FIRST_LISTENER => self.loops.own.mark_ready(key, event),
                // The wake has ended the wait. What it announces is looked at before every wait.
                WAKER => {}
                SIGNALS => self.signals.iter_mut().for_each(Signals::mark_ready),
                Token(other) => self.acceptor.mark_ready(other - FIRST_LISTENER),
            }
        }
    }

    /// Accepts waiting clients. If the last listener fails, the server stops without a stop delay.
    fn accept(&mut self) {
        self.acceptor.run(&mut self.loops, self.now);
        if self.phase == ServerPhase::Running && self.acceptor.is_empty() {
            info!("no listener is left: pending echoes are delivered");
            self.outcome = Outcome::ListenersFailed;
            self.enter(ServerPhase::StopDelay, Duration::ZERO);
        }
    }

    /// Does what signals ask for. Returns the signal if it is the second one, which ends the server at once.
    fn handle_signals(&mut self) -> Option<i32> {
        let signals = self.signals.as_mut()?;
        for request in signals.take_requests(self.poll.registry()) {
            match request {
                SignalRequest::LogStats => self.log_stats(),
                SignalRequest::Stop(signal) if self.was_signalled => return Some(signal),
                SignalRequest::Stop(_) => {
                    self.was_signalled = true;
                    self.begin_stop();
                }
            }
        }
        None
    }

    /// Begins the stop delay, if no stop was requested before. If the end was requested, because another loop ends or has
    /// failed, the connections are closed in this turn.
    fn begin_stop(&mut self) {
        if self.handle.take_abort() {
            self.acceptor.close(&mut self.loops, self.now);
            return self.enter(ServerPhase::Draining, Duration::ZERO);
        }
        if self.phase != ServerPhase::Running {
            return;
        }
        // The last turn began before the request.
        self.now = platform::monotonic_now();
        if self.acceptor.is_of_sibling() {
            // The first loop has logged the stop, and its delay is over.
            return self.enter(ServerPhase::StopDelay, Duration::ZERO);
        }
        self.acceptor.release_inherited(self.poll.registry());
        let delay = self.config.stop_delay;
        if delay.is_zero() {
            info!("stop requested: pending echoes are delivered");
        } else {
            let what = match self.acceptor.is_empty() {
                true => "connections are served",
                false => "clients are accepted",
            };
            info!(
                "stop requested: {what} for another {delay:?}, then pending echoes are delivered"
            );
        }
        self.enter(ServerPhase::StopDelay, delay);
    }

    /// Enters the next phase when its time has come. Returns true if the server is done.
    fn advance_phase(&mut self) -> bool {
        if self.now >= self.phase_end {
            match self.phase {
                ServerPhase::Running | ServerPhase::Ended => {}
                ServerPhase::StopDelay => {
                    // `net/acceptor.rs` accepts the queued clients for which slots are free, then closes the listeners.
                    self.acceptor.close(&mut self.loops, self.now);
                    self.loops.shut_down();
                    self.enter(ServerPhase::Draining, self.config.drain_timeout);
                }
                ServerPhase::Draining => {
                    self.loops.abort_all();
                    self.phase_end = NEVER;
                }
            }
        }
        self.phase == ServerPhase::Draining && self.loops.is_empty()
    }

    fn enter(&mut self, phase: ServerPhase, duration: Duration) {
        self.phase = phase;
        self.phase_end = self.now.saturating_add(nanoseconds(duration));
    }

    fn log_stats(&mut self) {
        // Statistics take memory, which the system may refuse.
        if !log_enabled!(Level::Info) {
            return;
        }
        let request = self.loops.request_stats();
        match self.loops.stats(request, self.started.elapsed()) {
            Some(stats) => info!("{stats}"),
            None if self.loops.log_later(request) => self.observe(Box::new(StatsLog)),
            None => {}
        }
    }
}

/// What a program can set and ask before [`run`](Server::run).
impl Server {
    /// Returns the addresses of the listeners in the order of the configuration, with the ports that the system chose. The
    /// inherited listeners come last.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns for each of [`addresses`](Self::addresses) true if its listener accepts clients of IPv6 and of IPv4. Only the
    /// IPv6 address of all interfaces can.
    pub fn takes_both_families(&self) -> &[bool] {
        &self.takes_both_families
    }

    /// Returns a handle that stops this server from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Lets SIGINT, SIGTERM and SIGHUP stop this server and SIGUSR1 log its statistics; on Windows, lets console events
    /// stop it. SIGHUP stays ignored if the process ignores it, or if the system does not tell whether the process does.
    /// The signals are unblocked in this thread.
    ///
    /// This is for programs: it takes the signals of the whole process, so the library never does it by itself.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses a signal handler or the poll cannot wait for signals.
    pub fn install_signals(&mut self) -> io::Result<()> {
        let signals = Signals::install(self.poll.registry(), SIGNALS, self.handle())
            .map_err(poll::explain("cannot handle signals"))?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Lets `observer` look at this server right before each wait, and when the server has ended.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observers.push(observer);
    }
}
