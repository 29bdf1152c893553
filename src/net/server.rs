//! The server: a loop of one thread that serves all connections.
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
//! No peer can end the loop. A failure of a peer is a [`CloseReason`](crate::conn::CloseReason) of its own connection.
//! Only an error of the poll, or the loss of the last listener, ends [`Server::run`] without a request.
//!
//! # A wake is only a hint
//!
//! Another thread (a [`Handle`], a worker) first publishes its request and then wakes the loop. Immediately before every
//! wait, the loop looks at the stop flag and at the workers' replies, and does not block if there are any. So it does no
//! harm that mio's poll(2) back end can lose a wake which comes before the wait (mio#1874).
//!
//! # How the server stops
//!
//! 1. The first signal, or [`Handle::stop`], starts the stop delay. The server still accepts: a load balancer that has
//!    been told to use another server needs that time.
//! 2. After the delay, and as long as slots are free, the server accepts the clients that the kernel has queued. Then it
//!    closes its listeners. The kernel resets the clients that are still queued, so that a load balancer tries another
//!    server.
//! 3. Each connection echoes everything that the kernel has received for it by now. The connection is told how much that
//!    can be at most, so that a peer cannot put off the end by sending more. The echo takes as many runs as needed, and
//!    the later ones come from the backlog.
//! 4. Each connection then delivers what is owed, sends its FIN and waits for the peer's. Later input is discarded, and
//!    counted in [`Stats::discarded`].
//! 5. The server ends when no connection is left. When the drain timeout is over, the remaining connections are closed:
//!    with a reset if their peers are still owed something, or if input of before the stop may be unread.
//!
//! A second signal closes all connections at once, in the way of step 4. Neither the drain timeout nor a second signal
//! waits for a worker that is busy.
//!
//! A server whose last listener has failed stops in the same way, without the stop delay.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::info;
use mio::{Events, Poll, Registry, Token};

use super::acceptor::Acceptor;
use super::capacity::Capacity;
use super::connections::{Connections, KEYS_END};
use super::listener::Listener;
use super::memory_needs::MemoryNeeds;
use super::poll::{self, EVENTS_PER_WAIT};
use super::signals::{SignalRequest, Signals};
use super::timers::{NEVER, nanoseconds};
use super::workers::{Work, WorkerPool};
use super::{Config, Handle, StartError, Stats, bind, platform};
use crate::conn::Settings;

/// The token of the first listener. Tokens below it are the keys of connections.
const FIRST_LISTENER: usize = KEYS_END;
const WAKER: Token = Token(usize::MAX - 1);
const SIGNALS: Token = Token(usize::MAX - 2);

/// An echo server whose listeners are bound. [`run`](Self::run) serves clients.
pub struct Server {
    poll: Poll,
    events: Events,
    pub(super) acceptor: Acceptor,
    connections: Connections,
    addresses: Vec<SocketAddr>,
    /// For each address, true if the listener accepts both families.
    takes_both_families: Vec<bool>,
    handle: Handle,
    signals: Option<Signals>,
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
}

impl Server {
    /// Binds every address of `config` and reserves the memory for all connections.
    ///
    /// # Errors
    ///
    /// Returns an error if an address cannot be listened on, if the process may not open enough descriptors, or if the
    /// poll or a worker thread cannot be created.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        // An echo needs no work. A worker simulates a call that blocks, and replies with the message.
        let simulated_work = config.simulated_work;
        Self::bind_with(config, Arc::new(move |_| thread::sleep(simulated_work)))
    }

    /// Binds like [`bind`](Self::bind), with `work` as the function that workers apply to each message.
    pub(super) fn bind_with(config: Config, work: Work) -> Result<Self, StartError> {
        let memory = MemoryNeeds::of(&config);
        let capacity = Capacity::claim(&config, &memory)?;
        let buffers = memory.buffers(capacity.connections)?;
        info!("{}", capacity.describe(&memory));
        let (poll, handle) = poll::with_waker(WAKER).map_err(StartError::Poll)?;
        let registry = poll.registry().try_clone();
        let registry = registry
            .map_err(poll::explain("cannot clone the poll"))
            .map_err(StartError::Poll)?;
        let listeners = listeners(&config, &registry)?;
        let addresses = listeners.iter().map(|listener| listener.address).collect();
        let both = listeners
            .iter()
            .map(|listener| listener.takes_both_families);
        let takes_both_families = both.collect();
        let workers = (config.workers > 0)
            .then(|| WorkerPool::start(config.workers, config.max_message, &work, handle.clone()))
            .transpose()
            .map_err(StartError::Workers)?;
        let config = Arc::new(config);
        Ok(Self {
            addresses,
            takes_both_families,
            poll,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            acceptor: Acceptor::new(listeners, config.when_full),
            connections: Connections::new(
                capacity.connections,
                buffers,
                registry,
                workers,
                Arc::clone(&config),
            ),
            handle,
            signals: None,
            config,
            phase: ServerPhase::Running,
            phase_end: NEVER,
            was_signalled: false,
            outcome: Outcome::Stopped,
            started: Instant::now(),
            now: platform::monotonic_now(),
        })
    }

    /// Returns the addresses of the listeners in the order of the configuration, with the ports that the system chose.
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
    /// stop it. A SIGHUP that the process ignores stays ignored, and so does one of which the system does not tell that.
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

    /// Serves clients until the server is stopped, then logs the statistics.
    ///
    /// # Errors
    ///
    /// Returns an error only if the poll itself fails. All connections are reset then.
    pub fn run(mut self) -> io::Result<Outcome> {
        let ended = loop {
            if let Some(ended) = self.turn().transpose() {
                break ended;
            }
        };
        self.log_stats();
        ended
    }

    /// Serves clients until the server is stopped, and returns the statistics.
    #[cfg(test)]
    pub(super) fn run_for_stats(mut self) -> io::Result<Stats> {
        while self.turn()?.is_none() {}
        Ok(self.stats())
    }

    /// Runs one turn. Returns the outcome if it was the last turn.
    fn turn(&mut self) -> io::Result<Option<Outcome>> {
        self.wait()?;
        self.record_events();
        if let Some(signal) = self.handle_signals() {
            // A peer that is owed bytes must see a reset, and not a FIN that makes a part look like the whole echo.
            self.connections.abort_all(self.now);
            return Ok(Some(Outcome::Interrupted { signal }));
        }
        self.connections.run_completed(self.now);
        self.connections.run_fresh(&self.events, self.now);
        self.connections.run_one_of_backlog(self.now);
        if self.acceptor.is_runnable(&self.connections, self.now) {
            self.accept();
        }
        self.connections.expire(self.now);
        Ok(self.advance_phase().then_some(self.outcome))
    }

    fn wait(&mut self) -> io::Result<()> {
        if self.handle.stop_requested() {
            self.start_stop();
        }
        let timeout = self.timeout();
        if let Err(error) = poll::wait(&mut self.poll, &mut self.events, timeout) {
            self.connections.fail_all(error.kind(), self.now);
            return Err(error);
        }
        self.now = platform::monotonic_now();
        Ok(())
    }

    /// Returns zero if anything is runnable, else the time until the next deadline, or `None` if there is no deadline.
    fn timeout(&self) -> Option<Duration> {
        if self.connections.has_runnable() || self.acceptor.is_runnable(&self.connections, self.now)
        {
            return Some(Duration::ZERO);
        }
        let deadline = self
            .connections
            .next_deadline()
            .min(self.acceptor.next_deadline())
            .min(self.phase_end);
        poll::timeout_until(deadline, self.now)
    }

    fn record_events(&mut self) {
        for event in &self.events {
            match event.token() {
                Token(key) if key < FIRST_LISTENER => self.connections.mark_ready(key, event),
                // The wake has ended the wait. What it announces is looked at before every wait.
                WAKER => {}
                SIGNALS => self.signals.iter_mut().for_each(Signals::mark_ready),
                Token(listener) => self.acceptor.mark_ready(listener - FIRST_LISTENER),
            }
        }
    }

    /// Accepts waiting clients. If the last listener fails, the server stops without a stop delay.
    fn accept(&mut self) {
        self.acceptor.run(&mut self.connections, self.now);
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
                    self.start_stop();
                }
            }
        }
        None
    }

    /// Starts the stop delay, if no stop was requested before.
    fn start_stop(&mut self) {
        if self.phase != ServerPhase::Running {
            return;
        }
        let delay = self.config.stop_delay;
        if delay.is_zero() {
            info!("stop requested: pending echoes are delivered");
        } else {
            info!(
                "stop requested: clients are accepted for another {delay:?}, then pending echoes are delivered"
            );
        }
        self.enter(ServerPhase::StopDelay, delay);
    }

    /// Enters the next phase when its time has come. Returns true if the server is done.
    fn advance_phase(&mut self) -> bool {
        if self.now >= self.phase_end {
            match self.phase {
                ServerPhase::Running => {}
                ServerPhase::StopDelay => {
                    // `net/acceptor.rs` accepts the queued clients for which slots are free, then closes the listeners.
                    self.acceptor.close(&mut self.connections, self.now);
                    self.connections.shut_down(self.now);
                    self.enter(ServerPhase::Draining, self.config.drain_timeout);
                }
                ServerPhase::Draining => self.connections.abort_all(self.now),
            }
        }
        self.phase == ServerPhase::Draining && self.connections.is_empty()
    }

    fn enter(&mut self, phase: ServerPhase, duration: Duration) {
        self.phase = phase;
        self.phase_end = self.now.saturating_add(nanoseconds(duration));
    }

    fn log_stats(&self) {
        info!("{}", self.stats());
    }

    fn stats(&self) -> Stats {
        self.connections.stats(self.started.elapsed())
    }
}

/// Binds every address of `config`, in order, and registers its listener.
///
/// # Errors
///
/// Returns the error of the first address that cannot be bound. The other listeners are closed then.
fn listeners(config: &Config, registry: &Registry) -> Result<Vec<Listener>, StartError> {
    let backlog = bind::effective_backlog(config.backlog);
    let addresses = config.listen.iter().enumerate();
    addresses
        .map(|(index, (listen, framing))| {
            let settings = Settings {
                high_water: config.high_water,
                short_read: platform::SHORT_READ,
                framing: *framing,
                // The buffers count what all listeners discard in one place.
                listener: 0,
                max_message: config.max_message,
                offload: config.offload(),
            };
            let socket = bind::bind(*listen, config)?;
            let token = Token(FIRST_LISTENER + index);
            Listener::new(socket, Arc::new(settings), backlog, registry, token)
                .map_err(StartError::Poll)
        })
        .collect()
}
