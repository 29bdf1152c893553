//! Accepting clients: all listeners of a server, and what happens while no slot or no descriptor is free.
//!
//! Accepting follows the rule of reading. A listener stays marked as ready until accept(2) answers `WouldBlock`
//! (`net/listener.rs`). While all slots are taken or the process has no descriptors left, the mark stays, and clients
//! wait in the kernel's queue. The acceptor tries again after the next connection has closed, or after
//! [`ACCEPT_RETRY`]. No listener is deregistered for that, so no event is lost and the loop never spins.
//!
//! A listener is closed if accept(2) says that the socket itself is unusable. The other listeners go on.
//!
//! An inherited listener belongs to another process, such as systemd, which passes it to the next server too. So a
//! restart refuses no client: this server leaves those that wait, and the next one accepts them.
//!
//! With several loops, the first one has all listeners. The acceptor of another loop admits the clients that the first
//! loop has handed over (`net/arrivals.rs`).
//!
//! A client of a proxy waits in `net/proxy/clients.rs` until it has told its address, and then gets its slot.

use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info, warn};
use mio::net::{TcpListener, TcpStream};
use mio::{Registry, Token};

#[cfg(feature = "threads")]
use super::arrivals::Arrivals;
use super::listener::{AcceptError, Listener, Origin};
use super::log_throttle::LogThrottle;
use super::loops::Loops;
#[cfg(not(feature = "threads"))]
use super::no_siblings::Arrivals;
use super::proxy::{self, ProxiedClients};
use super::scope::ScopedAddress;
use super::stats::ListenerStats;
use super::timers::{NEVER, nanoseconds};
use super::{Config, StartError, WhenFull, bind, platform};
use crate::conn::{Framing, Settings};

/// The pause after the process has run out of descriptors or memory, or after a turn in which every accept of a listener
/// failed. Four attempts a second cost nothing, and a waiting client does not notice a quarter of a second.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(250);

/// The listeners of a server, and the clients that have no slot yet.
pub(super) struct Acceptor {
    /// The listeners. An event tells the index of its listener. A listener that has failed leaves `None`.
    listeners: Vec<Option<Listener>>,
    proxied: ProxiedClients,
    /// The clients from the first loop. `None` in the first loop itself.
    arrivals: Option<Arrivals>,
    when_full: WhenFull,
    /// True if any listener may have a waiting client.
    ready: bool,
    /// When [`run`](Self::run) may have something to do: at once (0), or when the header of a client is late. It is looked
    /// at twice a turn, so it saves every echo a look at all that it depends on.
    due: u64,
    /// The index of the listener that accepts next. Listeners take turns, so a free slot goes to each in turn.
    next: usize,
    pause: Option<AcceptPause>,
    failures: LogThrottle,
    fills: LogThrottle,
}

/// A pause because accepting fails, and would fail again at once.
#[derive(Clone, Copy, Debug)]
struct AcceptPause {
    retry_at: u64,
    /// The number of closed connections at the start of the pause. Another closed connection may free a descriptor.
    closed_before: u64,
}

impl Acceptor {
    /// Binds every address of `config`, in order, and registers its listener. Then registers the `inherited` sockets. The
    /// first token is `first_token`.
    ///
    /// # Errors
    ///
    /// Returns the error of the first address that cannot be bound. The other listeners are closed then.
    pub(super) fn listen(
        config: &Arc<Config>,
        inherited: Vec<(net::TcpListener, Framing)>,
        proxied: ProxiedClients,
        registry: &Registry,
        first_token: usize,
    ) -> Result<Self, StartError> {
        let backlog = bind::effective_backlog(config.backlog);
        let mut listeners = Vec::new();
        let mut register = |socket, origin, framing| {
            let index = listeners.len();
            let settings = Settings {
                high_water: config.high_water,
                short_read: platform::SHORT_READ,
                framing,
                max_message: config.max_message,
                offload: config.offload(),
                listener: index,
            };
            let (settings, token) = (Arc::new(settings), Token(first_token + index));
            let listener = Listener::new(socket, origin, settings, registry, token)?;
            listeners.push(Some(listener));
            Ok(())
        };
        for (listen, framing) in &config.listen {
            let socket = bind::bind(*listen, config)?;
            register(socket, Origin::Bound { backlog }, *framing).map_err(StartError::Poll)?;
        }
        for (socket, framing) in inherited {
            socket.set_nonblocking(true).map_err(StartError::Poll)?;
            let (socket, config) = (TcpListener::from_std(socket), Arc::clone(config));
            register(socket, Origin::Inherited { config }, framing).map_err(StartError::Poll)?;
        }
        Ok(Self {
            listeners,
            due: NEVER,
            ..Self::new(proxied, config)
        })
    }

    /// Creates the acceptor of a loop that gets its clients from another loop, by `arrivals`.
    #[cfg(feature = "threads")]
    pub(super) fn without_listeners(arrivals: Arrivals, config: &Config) -> Self {
        Self {
            arrivals: Some(arrivals),
            // Always: the other loop can hand over a client at any time.
            due: 0,
            ..Self::new(ProxiedClients::new(config, 0), config)
        }
    }

    fn new(proxied: ProxiedClients, config: &Config) -> Self {
        Self {
            listeners: Vec::new(),
            proxied,
            arrivals: None,
            when_full: config.when_full,
            ready: false,
            due: NEVER,
            next: 0,
            pause: None,
            failures: LogThrottle::default(),
            fills: LogThrottle::default(),
        }
    }

    /// Returns the address of each listener, and true if the listener accepts both families.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        let listeners = self.listeners.iter().flatten();
        listeners.map(|listener| (listener.address, listener.takes_both_families))
    }

    /// Returns the statistics of each listener, before any has accepted a client.
    pub(super) fn statistics(&self) -> Vec<ListenerStats> {
        let listeners = self.listeners.iter().flatten();
        listeners.map(Listener::statistics).collect()
    }

    /// Records that the listener at `index` may have a waiting client. From [`proxy::FIRST_INDEX`] on, an index stands for
    /// a client of a proxy, which may have sent its header.
    #[cold]
    pub(super) fn mark_ready(&mut self, index: usize) {
        if let Some(key) = index.checked_sub(proxy::FIRST_INDEX) {
            self.proxied.mark_ready(key);
        } else if let Some(Some(listener)) = self.listeners.get_mut(index) {
            listener.mark_ready();
            self.ready = true;
        }
        self.due = 0;
    }

    /// Admits the clients of proxies that have told their addresses, then accepts waiting clients. Without listeners, admits
    /// the clients that the first loop has handed over.
    pub(super) fn run(&mut self, loops: &mut Loops, now: u64) {
        if let Some(arrivals) = &mut self.arrivals {
            return arrivals.admit(&mut loops.own, now);
        }
        self.proxied.run(loops, now);
        if self.can_accept(loops, now) {
            self.accept(loops, now);
        }
        loops.deliver();
        self.due = match self.ready {
            true => 0,
            false => self.proxied.next_deadline(),
        };
    }

    /// Accepts waiting clients, one of each listener in turn, until every listener is empty or has spent its budget.
    fn accept(&mut self, loops: &mut Loops, now: u64) {
        self.pause = None;
        let listeners = self.listeners.iter_mut().flatten();
        listeners.for_each(Listener::reset_budget);
        // `next_listener` gives the turn to the following listener, so it is called only if a client can be taken.
        while self.takes_clients(loops)
            && let Some(listener) = self.next_listener()
        {
            match listener.accept() {
                Ok((socket, peer)) => {
                    let settings = Arc::clone(&listener.settings);
                    self.admit(socket, peer, &settings, loops, now);
                }
                Err((AcceptError::Empty, _)) => {}
                Err((AcceptError::Transient, error)) => {
                    debug!("a client was gone before it was accepted: {error}");
                    if listener.has_only_failed() {
                        return self.pause(&error, loops, now);
                    }
                }
                Err((AcceptError::Exhausted, error)) => {
                    return self.pause(&error, loops, now);
                }
                Err((AcceptError::Permanent, error)) => self.close_failed(&error),
            }
        }
        if !self.takes_clients(loops) && self.fills.count(now).is_some() {
            info!("all slots are taken: the next clients wait for a free one (--when-full)");
        }
    }

    /// Returns true if clients come from another loop.
    pub(super) fn is_of_sibling(&self) -> bool {
        self.arrivals.is_some()
    }

    /// Returns true if no listener is left, and no other loop that hands over clients.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_of_sibling() && self.listeners.iter().all(Option::is_none)
    }

    /// Returns true if [`run`](Self::run) has something to do without waiting for an event.
    pub(super) fn is_runnable(&self, loops: &Loops, now: u64) -> bool {
        let has_arrivals = || {
            self.arrivals
                .as_ref()
                .is_some_and(|arrivals| !arrivals.is_empty())
        };
        self.due <= now
            && (self.proxied.is_runnable(now) || self.can_accept(loops, now) || has_arrivals())
    }

    /// Returns true if a client can be accepted without waiting for an event.
    fn can_accept(&self, loops: &Loops, now: u64) -> bool {
        let is_paused = |pause: AcceptPause| {
            now < pause.retry_at && loops.closed_count() <= pause.closed_before
        };
        self.ready && self.takes_clients(loops) && !self.pause.is_some_and(is_paused)
    }

    /// Returns when [`run`](Self::run) has something to do: at once (0), when the pause of accepting ends, or when the header
    /// of a client is late. Returns [`NEVER`] if it has nothing to do before the next event.
    pub(super) fn next_deadline(&self, loops: &Loops, now: u64) -> u64 {
        match self.due {
            0 if self.is_runnable(loops, now) => 0,
            0 => {
                let pause_end = self.pause.map_or(NEVER, |pause| pause.retry_at);
                pause_end.min(self.proxied.next_deadline())
            }
            due => due,
        }
    }

    /// Gives up the inherited listeners. Clients that wait there are left to the next server.
    pub(super) fn release_inherited(&mut self, registry: &Registry) {
        let is_inherited = |listener: &mut Listener| match listener.origin {
            Origin::Inherited { .. } => true,
            Origin::Bound { .. } => false,
        };
        for listener in &mut self.listeners {
            if let Some(inherited) = listener.take_if(is_inherited) {
                inherited.release(registry);
            }
        }
    }

    /// Accepts the clients that the kernel has queued, as long as slots are free, then closes the listeners. The inherited
    /// listeners have been [released](Self::release_inherited) before. A client of a proxy is admitted if its whole header
    /// has arrived, and reset otherwise.
    ///
    /// A client that finds no free slot is not accepted. The kernel resets the client when its listener closes, so the
    /// client does not mistake a FIN for the end of its echo, and a load balancer tries another server.
    ///
    /// Without listeners, the clients that were handed over are admitted.
    #[inline(never)]
    pub(super) fn close(&mut self, loops: &mut Loops, now: u64) {
        for mut listener in std::mem::take(&mut self.listeners).into_iter().flatten() {
            let Origin::Bound { backlog } = listener.origin else {
                continue;
            };
            listener.reset_budget();
            // Linux queues one client more than the backlog, and clients that are gone count here too. The bound keeps
            // clients that go on connecting from putting off the stop.
            for _ in 0..2 * (u64::from(backlog) + 1) {
                if self.is_full(loops) {
                    break;
                }
                match listener.accept() {
                    Ok((socket, peer)) => {
                        listener.reset_budget();
                        self.admit(socket, peer, &listener.settings, loops, now);
                    }
                    Err((AcceptError::Empty, _)) => break,
                    Err((AcceptError::Transient, _)) if !listener.has_only_failed() => {}
                    Err((AcceptError::Transient | AcceptError::Exhausted, error)) => {
                        warn!("stopped listening with clients still queued: {error}");
                        break;
                    }
                    Err((AcceptError::Permanent, error)) => {
                        log_failed(&listener, &error);
                        break;
                    }
                }
            }
        }
        self.proxied.finish(loops, now);
        loops.deliver();
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.admit(&mut loops.own, now);
        }
        self.pause = None;
        self.due = NEVER;
    }

    /// Resets every connection and every client that was handed over, because the loop cannot go on.
    pub(super) fn fail(&mut self, loops: &mut Loops, kind: ErrorKind, now: u64) {
        loops.fail_all(kind, now);
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.refuse(&mut loops.own);
        }
    }

    #[cfg(test)]
    pub(super) fn replace_accept(&mut self, accept: super::listener::Accept) {
        let listeners = self.listeners.iter_mut().flatten();
        listeners.for_each(|listener| listener.replace_accept(accept));
    }

    /// Gives an accepted client a slot, or rejects it if no slot is free. A client of a proxy gets the slot once it has
    /// told its address.
    fn admit(
        &mut self,
        socket: TcpStream,
        peer: SocketAddr,
        settings: &Arc<Settings>,
        loops: &mut Loops,
        now: u64,
    ) {
        if self.is_full(loops) {
            let why = "all slots are taken";
            loops.own.reject(socket, peer, settings.listener, why, now);
        } else if self.proxied.takes(peer) {
            self.proxied.add(socket, peer, settings, loops, now);
        } else {
            loops.admit(socket, peer, settings, now);
        }
    }

    /// Returns true if no slot is free. A slot is kept free for each client of a proxy that has none yet.
    fn is_full(&self, loops: &Loops) -> bool {
        loops.is_full(self.proxied.len())
    }

    /// Returns true if there is a free slot for the next client, or if clients without a slot are rejected.
    fn takes_clients(&self, loops: &Loops) -> bool {
        !self.is_full(loops) || self.when_full == WhenFull::Close
    }

    /// Returns the listener that accepts next. Its index is one less than `next` then.
    fn next_listener(&mut self) -> Option<&mut Listener> {
        let count = self.listeners.len();
        let can_accept = |index: &usize| {
            let listener = self.listeners[*index].as_ref();
            listener.is_some_and(Listener::can_accept)
        };
        let mut in_turn = (self.next..self.next + count).map(|index| index % count);
        let Some(index) = in_turn.find(can_accept) else {
            self.ready = self.listeners.iter().flatten().any(Listener::is_ready);
            return None;
        };
        self.next = index + 1;
        self.listeners[index].as_mut()
    }

    /// Closes the listener that has accepted last, because it is unusable.
    fn close_failed(&mut self, error: &io::Error) {
        if let Some(listener) = self.listeners[self.next - 1].take() {
            log_failed(&listener, error);
        }
    }

    /// Pauses, because the listener that has accepted last would fail again at once.
    fn pause(&mut self, error: &io::Error, loops: &mut Loops, now: u64) {
        loops.count_accept_pause(self.next - 1);
        self.pause = Some(AcceptPause {
            retry_at: now + nanoseconds(ACCEPT_RETRY),
            closed_before: loops.closed_count(),
        });
        if let Some(count) = self.failures.count(now) {
            warn!(
                "cannot accept clients: {error}; clients wait in the kernel's queue ({count} failures since the last such line)"
            );
        }
    }
}

fn log_failed(listener: &Listener, error: &io::Error) {
    let address = ScopedAddress(listener.address).to_string();
    error!(
        listener = address.as_str(), reason = error.to_string().as_str();
        "stopped listening on {address}: accept: {error}"
    );
}
