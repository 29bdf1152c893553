//! The loop.
//!
//! ```text
//!          +--------------------------------------------------------------------+
//!          |  wait     block until an event, a timer, a wake; not at all while  |
//!          |           somebody is runnable                                     |
//!          |  note     events -> sticky bits and keys; no I/O, nothing ends     |
//!          |  run      finished jobs, fresh connections, one of the backlog,    |
//!          |           accept                                                   |
//!          |  expire   timers that are due                                      |
//!          +--------------------------------------------------------------------+
//! ```
//!
//! One thread does all of it and blocks nowhere but in `wait`. No peer can end it: what a peer does wrong is a
//! [`CloseReason`](crate::conn::CloseReason) of its own connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::info;
use mio::net::TcpListener;
use mio::{Events, Poll, Registry, Token, Waker};

use super::acceptor::Acceptor;
use super::capacity::Capacity;
use super::connections::Connections;
use super::listener::Listener;
use super::poll::{self, EVENTS_PER_WAIT};
use super::pool::{Pool, Work};
use super::signals::{Request, Signals};
use super::timers::{NEVER, nanoseconds};
use super::{Config, Handle, StartError, bind, platform};
use crate::conn::{Framing, Settings};

/// Tokens below this are keys of connections; from here on they are listeners.
const LISTENERS: usize = usize::MAX / 2;
const WAKER: Token = Token(usize::MAX - 1);
const SIGNALS: Token = Token(usize::MAX - 2);

/// An echo server that listens already; [`run`](Self::run) serves.
pub struct Server {
    poll: Poll,
    events: Events,
    pub(super) acceptor: Acceptor,
    connections: Connections,
    addresses: Vec<SocketAddr>,
    handle: Handle,
    signals: Option<Signals>,
    config: Arc<Config>,
    phase: Phase,
    signalled: bool,
    started: Instant,
    now: u64,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was asked to stop and did.
    Stopped,
    /// A second signal ended it at once.
    Interrupted {
        /// The number of that signal.
        signal: i32,
    },
}

/// Where the server is on its way to the end. Times are those of the loop's clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Asked to stop; still accepting, so that balancers can notice.
    Delaying {
        until: u64,
    },
    /// No longer listening; what is owed is delivered.
    Draining {
        until: u64,
    },
}

impl Server {
    /// Binds every address of `config` and reserves what the connections need.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on, or the process may not open enough descriptors.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        let simulated_work = config.simulated_work;
        Self::bind_with(config, Arc::new(move |_| thread::sleep(simulated_work)))
    }

    /// Binds with what a worker does to a message.
    pub(super) fn bind_with(config: Config, work: Work) -> Result<Self, StartError> {
        let capacity = Capacity::claim(&config)?;
        log_capacity(capacity, &config);
        let sockets = bind::bind_all(&config)?;
        let poll = Poll::new().map_err(StartError::Poll)?;
        let registry = poll.registry().try_clone().map_err(StartError::Poll)?;
        let handle = Handle::new(Waker::new(&registry, WAKER).map_err(StartError::Poll)?);
        let listeners = listeners(sockets, &config, &registry).map_err(StartError::Poll)?;
        let addresses = listeners
            .iter()
            .map(Listener::address)
            .collect::<io::Result<_>>();
        let pool = (config.workers > 0).then(|| Pool::start(config.workers, &work, handle.clone()));
        let pool = pool.transpose().map_err(StartError::Workers)?;
        let config = Arc::new(config);
        Ok(Self {
            addresses: addresses.map_err(StartError::Poll)?,
            poll,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            acceptor: Acceptor::new(listeners, config.when_full),
            connections: Connections::new(
                capacity.connections,
                registry,
                pool,
                Arc::clone(&config),
            ),
            handle,
            signals: None,
            config,
            phase: Phase::Running,
            signalled: false,
            started: Instant::now(),
            now: platform::monotonic_now(),
        })
    }

    /// The addresses it listens on, in the order of the configuration, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops this server from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Lets SIGINT and SIGTERM stop this server and SIGUSR1 log its figures; on Windows, Ctrl-C and Ctrl-Break. For
    /// programs: it takes the signals of the whole process, so a library does not do it by itself.
    ///
    /// # Errors
    ///
    /// When the system refuses a handler or the poll cannot wait for it.
    pub fn install_signals(&mut self) -> io::Result<()> {
        self.signals = Some(Signals::install(
            self.poll.registry(),
            SIGNALS,
            self.handle(),
        )?);
        Ok(())
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    ///
    /// Only when the poll itself fails.
    pub fn run(mut self) -> io::Result<Outcome> {
        let outcome = loop {
            if let Some(outcome) = self.turn()? {
                break outcome;
            }
        };
        self.report();
        Ok(outcome)
    }

    /// Serves until it is stopped, and returns the figures.
    #[cfg(test)]
    pub(super) fn run_for_figures(mut self) -> io::Result<super::Stats> {
        while self.turn()?.is_none() {}
        Ok(self.connections.stats(self.started.elapsed()))
    }

    /// One turn of the loop. Some: it was the last one.
    fn turn(&mut self) -> io::Result<Option<Outcome>> {
        self.wait()?;
        self.mark_ready();
        if let Some(signal) = self.handle_signals()? {
            // Who is owed something must not take what it has for the whole.
            self.connections.abort_all(self.now);
            return Ok(Some(Outcome::Interrupted { signal }));
        }
        self.run_ready();
        self.connections.expire(self.now);
        Ok(self.advance_phase().then_some(Outcome::Stopped))
    }

    fn wait(&mut self) -> io::Result<()> {
        // A wake is only a hint, and mio's poll(2) back end can lose it (mio#1874): look right before waiting.
        if self.handle.stop_requested() {
            self.begin_stop();
        }
        let timeout = self.timeout();
        poll::wait(&mut self.poll, &mut self.events, timeout)?;
        self.now = platform::monotonic_now();
        Ok(())
    }

    /// Zero if anything can be done at once, else until the next deadline, or a day if that is further, else for ever.
    fn timeout(&self) -> Option<Duration> {
        if self.connections.are_runnable() || self.acceptor.is_runnable(&self.connections, self.now)
        {
            return Some(Duration::ZERO);
        }
        let deadline = self
            .connections
            .next_deadline()
            .min(self.acceptor.next_deadline())
            .min(self.phase.ends());
        poll::timeout_until(deadline, self.now)
    }

    fn mark_ready(&mut self) {
        for event in &self.events {
            match event.token() {
                Token(key) if key < LISTENERS => self.connections.mark_ready(key, event),
                WAKER => {}
                SIGNALS => self.signals.iter_mut().for_each(Signals::mark_ready),
                Token(listener) => self.acceptor.mark_ready(listener - LISTENERS),
            }
        }
    }

    fn run_ready(&mut self) {
        self.connections.run_completed(self.now);
        self.connections.run_fresh(&self.events, self.now);
        self.connections.run_one_of_backlog(self.now);
        self.acceptor.run(&mut self.connections, self.now);
    }

    /// Some: a second signal, which ends the server at once.
    fn handle_signals(&mut self) -> io::Result<Option<i32>> {
        let Some(signals) = &mut self.signals else {
            return Ok(None);
        };
        for request in signals.pending(self.poll.registry())? {
            match request {
                Request::Report => self.report(),
                Request::Stop(signal) if self.signalled => return Ok(Some(signal)),
                Request::Stop(_) => {
                    self.signalled = true;
                    self.begin_stop();
                }
            }
        }
        Ok(None)
    }

    fn begin_stop(&mut self) {
        if self.phase == Phase::Running {
            let delay = self.config.stop_delay;
            if delay.is_zero() {
                info!("asked to stop: pending echoes are delivered");
            } else {
                info!(
                    "asked to stop: clients are accepted for another {delay:?}, then pending echoes delivered"
                );
            }
            self.phase = Phase::Delaying {
                until: self.now.saturating_add(nanoseconds(delay)),
            };
        }
    }

    /// Goes on with the stop where its time has come. True: nothing is left to do.
    fn advance_phase(&mut self) -> bool {
        match self.phase {
            Phase::Running => return false,
            Phase::Delaying { until } if self.now >= until => {
                self.acceptor.close(&mut self.connections, self.now);
                self.connections.shut_down(self.now);
                let timeout = nanoseconds(self.config.drain_timeout);
                self.phase = Phase::Draining {
                    until: self.now.saturating_add(timeout),
                };
            }
            Phase::Draining { until } if self.now >= until => self.connections.abort_all(self.now),
            Phase::Delaying { .. } | Phase::Draining { .. } => {}
        }
        matches!(self.phase, Phase::Draining { .. }) && self.connections.are_none()
    }

    fn report(&self) {
        info!("{}", self.connections.stats(self.started.elapsed()));
    }
}

impl Phase {
    fn ends(self) -> u64 {
        match self {
            Phase::Running => NEVER,
            Phase::Delaying { until } | Phase::Draining { until } => until,
        }
    }
}

fn listeners(
    sockets: Vec<TcpListener>,
    config: &Config,
    registry: &Registry,
) -> io::Result<Vec<Listener>> {
    let backlog = platform::backlog_limit().map_or(config.backlog, |most| config.backlog.min(most));
    let listener = |(index, (socket, (_, framing))): (usize, (TcpListener, &(_, Framing)))| {
        let settings = Settings {
            high_water: config.high_water,
            max_pending: config.max_pending(),
            short_read: platform::SHORT_READ,
            framing: *framing,
            max_message: config.max_message,
            offload: config.offload(),
        };
        Listener::new(
            socket,
            Arc::new(settings),
            backlog,
            registry,
            Token(LISTENERS + index),
        )
    };
    sockets
        .into_iter()
        .zip(&config.listen)
        .enumerate()
        .map(listener)
        .collect()
}

fn log_capacity(capacity: Capacity, config: &Config) {
    let bound = capacity.memory_bound(config).div_ceil(1 << 20);
    let connections = capacity.connections;
    match capacity.descriptors {
        Some(limit) => {
            info!(
                "up to {connections} connections, for which at most {bound} MiB of process memory, {limit} descriptors"
            );
        }
        None => info!(
            "up to {connections} connections, for which at most {bound} MiB of process memory, descriptors unlimited"
        ),
    }
}
