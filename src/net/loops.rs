//! All loops of a server, as the first loop sees them: its own connections, and its siblings.
//!
//! The first loop accepts every client and gives it to the loop with the fewest connections. With one loop, that is the
//! loop itself, and nothing is shared. The limits of connections and of addresses are those of the whole server. The
//! first loop counts a client when it hands the client over, and learns later than the sibling that a connection has
//! closed. So a sibling with `ceil(limit / loops)` slots always has one for the client.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use log::debug;
#[cfg(feature = "proxy")]
use mio::Registry;
use mio::net::TcpStream;

use super::Stats;
#[cfg(feature = "threads")]
use super::arrivals::Arrival;
use super::connections::Connections;
#[cfg(not(feature = "threads"))]
use super::no_siblings::Arrival;
#[cfg(not(feature = "threads"))]
use super::no_siblings::Sibling;
use super::per_address::SharedAddressLimit;
#[cfg(feature = "threads")]
use super::sibling::Sibling;
use crate::conn::Settings;

/// The loops of a server.
pub(super) struct Loops {
    /// The connections of the first loop.
    pub own: Connections,
    siblings: Vec<Sibling>,
    /// The most connections of all loops.
    limit: usize,
    per_address: Option<SharedAddressLimit>,
    /// The number of the latest request to the siblings.
    latest_request: Cell<u64>,
    /// Turns of the first loop, and events of its waits, while it is observed.
    turns: u64,
    events: u64,
    /// The request whose answer is to be logged.
    log_request: Cell<Option<StatsRequest>>,
    /// True if there is an observer that logs.
    has_log: Cell<bool>,
}

/// A request to all loops to turn.
#[derive(Clone, Copy, Debug)]
pub struct TurnRequest(u64);

/// A request to all loops for their statistics.
#[derive(Clone, Copy, Debug)]
pub struct StatsRequest(u64);

impl Loops {
    /// Creates the loops of a server with at most `limit` connections.
    pub(super) fn new(
        own: Connections,
        siblings: Vec<Sibling>,
        limit: usize,
        per_address: Option<SharedAddressLimit>,
    ) -> Self {
        Self {
            own,
            siblings,
            limit,
            per_address,
            latest_request: Cell::new(0),
            turns: 0,
            events: 0,
            log_request: Cell::new(None),
            has_log: Cell::new(false),
        }
    }

    /// Adds a loop that a test has made.
    #[cfg(all(test, feature = "threads"))]
    pub(super) fn add(&mut self, sibling: Sibling) {
        self.siblings.push(sibling);
    }

    /// Gives an accepted client to the loop with the fewest connections, with the next [`deliver`](Self::deliver). Rejects
    /// the client if its address has too many connections already. The caller has checked that the loops are not
    /// [full](Self::is_full).
    #[inline(never)]
    pub(super) fn admit(
        &mut self,
        socket: TcpStream,
        peer: SocketAddr,
        settings: &Arc<Settings>,
        now: u64,
    ) {
        if let Some(limit) = &self.per_address
            && !limit.try_add(peer)
        {
            let why = "too many connections from its address";
            return self.own.reject(socket, peer, settings.listener, why, now);
        }
        let siblings = self.siblings.iter_mut();
        let running = siblings.filter(|sibling| !sibling.has_ended());
        match running.min_by_key(|sibling| sibling.active()) {
            Some(sibling) if sibling.active() < self.own.len() => sibling.admit(Arrival {
                socket,
                peer,
                settings: Arc::clone(settings),
            }),
            Some(_) | None => self.own.admit(socket, peer, settings, now),
        }
    }

    /// Sends the clients of this turn to their loops. Refuses a client if its loop has failed, because the
    /// whole server is about to end then.
    pub(super) fn deliver(&mut self) {
        for sibling in &mut self.siblings {
            if let Err(clients) = sibling.deliver() {
                for client in clients {
                    self.own.refuse(&client.socket, client.settings.listener);
                }
            }
        }
    }

    /// Returns true if at most `reserved` slots are free. The next connection that closes then wakes the first loop.
    pub(super) fn is_full(&self, reserved: usize) -> bool {
        let is_full = || self.active() + reserved >= self.limit;
        if is_full() {
            self.await_release();
            return is_full();
        }
        false
    }

    /// Lets the next connection that a sibling closes wake the first loop.
    pub(super) fn await_release(&self) {
        for sibling in &self.siblings {
            sibling.await_release();
        }
    }

    /// Returns the number of connections. A connection on its way to its loop counts.
    pub(super) fn active(&self) -> usize {
        let siblings = self.siblings.iter().map(Sibling::active);
        self.own.len() + siblings.sum::<usize>()
    }

    /// Returns true if no connection is left, and no sibling.
    pub(super) fn is_empty(&self) -> bool {
        let mut siblings = self.siblings.iter();
        self.own.is_empty() && siblings.all(|sibling| sibling.has_ended())
    }

    /// Returns the number of connections that have closed since the start.
    pub(super) fn closed_count(&self) -> u64 {
        let siblings = self.siblings.iter();
        let released = siblings.map(|sibling| sibling.released() as u64);
        self.own.closed_count() + released.sum::<u64>()
    }

    /// Counts a pause of accepting that `listener` has caused. The next connection that closes may end the pause, and
    /// wakes the first loop.
    pub(super) fn count_accept_pause(&mut self, listener: usize) {
        self.own.count_accept_pause(listener);
        self.await_release();
    }

    /// Returns the registry of the poll of the first loop.
    #[cfg(feature = "proxy")]
    pub(super) fn registry(&self) -> &Registry {
        self.own.registry()
    }

    /// Starts to close every connection. No client can be admitted afterwards.
    pub(super) fn shut_down(&mut self) {
        self.siblings.iter().for_each(Sibling::stop);
        self.own.shut_down();
    }

    /// Closes every connection at once, as [`Connections::abort_all`].
    pub(super) fn abort_all(&mut self) {
        self.siblings.iter().for_each(Sibling::abort);
        self.own.abort_all();
    }

    /// Resets every connection, because the first loop cannot go on.
    pub(super) fn fail_all(&mut self, kind: ErrorKind, now: u64) {
        self.siblings.iter().for_each(Sibling::abort);
        self.own.fail_all(kind, now);
    }

    /// Ends the siblings that have not ended, and waits for them.
    ///
    /// # Errors
    ///
    /// Returns the first error of a sibling.
    pub(super) fn join(&mut self) -> io::Result<()> {
        let ended = self.siblings.iter_mut().map(Sibling::join);
        // Every sibling must be joined, not only those before the first error.
        let ended: Vec<_> = ended.collect();
        ended.into_iter().collect()
    }

    /// Counts a turn of the first loop, whose wait has returned this number of events.
    pub(super) fn count_turn(&mut self, events: usize) {
        self.turns += 1;
        self.events += events as u64;
    }

    /// Asks every loop to turn. Each sibling wakes the first loop when it has answered.
    pub(super) fn request_turn(&self) -> TurnRequest {
        TurnRequest(self.request(Sibling::request_turn))
    }

    /// Returns true if every loop has turned since `request`.
    pub(super) fn have_turned(&self, TurnRequest(request): TurnRequest) -> bool {
        let mut siblings = self.siblings.iter();
        siblings.all(|sibling| sibling.has_turned(request))
    }

    /// Asks every loop for its statistics. Each sibling wakes the first loop when it has answered.
    pub(super) fn request_stats(&self) -> StatsRequest {
        StatsRequest(self.request(Sibling::request_stats))
    }

    /// Returns the statistics of all loops since the start of the server, which was `uptime` ago. Returns `None` while a
    /// sibling has not answered `request`.
    pub(super) fn stats(
        &self,
        StatsRequest(request): StatsRequest,
        uptime: Duration,
    ) -> Option<Stats> {
        let told = self.siblings.iter().map(|sibling| sibling.stats(request));
        let told = told.collect::<Option<Vec<_>>>()?;
        let sum = told
            .iter()
            .fold(self.own_stats(uptime), |sum, stats| sum.plus(stats));
        Some(Stats {
            max_connections: self.limit,
            ..sum
        })
    }

    /// Returns the statistics of the first loop alone.
    pub(super) fn own_stats(&self, uptime: Duration) -> Stats {
        Stats {
            turns: self.turns,
            events: self.events,
            ..self.own.stats(uptime)
        }
    }

    /// Lets the statistics be logged once all loops have answered `request`. Returns true at the first call: then the caller
    /// adds the observer that logs.
    pub(super) fn log_later(&self, request: StatsRequest) -> bool {
        self.log_request.set(Some(request));
        !self.has_log.replace(true)
    }

    /// Returns the statistics that are to be logged, once all loops have answered.
    pub(super) fn take_log(&self, uptime: Duration) -> Option<Stats> {
        let stats = self.stats(self.log_request.get()?, uptime)?;
        self.log_request.set(None);
        Some(stats)
    }

    /// Logs the statistics of each loop for debugging, if there are several.
    pub(super) fn log_each(&self, uptime: Duration) {
        if self.siblings.is_empty() {
            return;
        }
        debug!("loop 1: {}", self.own.stats(uptime));
        for (number, sibling) in (2..).zip(&self.siblings) {
            if let Some(stats) = sibling.stats(0) {
                debug!("loop {number}: {stats}");
            }
        }
    }

    /// Asks every sibling by `ask`, with a new number. Returns the number.
    fn request(&self, ask: fn(&Sibling, u64)) -> u64 {
        let request = self.latest_request.get() + 1;
        self.latest_request.set(request);
        self.siblings
            .iter()
            .for_each(|sibling| ask(sibling, request));
        request
    }
}
