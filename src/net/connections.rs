//! All connections of a loop: their slots, who runs next, and what the kernel is told afterwards.
//!
//! Noting an event only sets bits, so a stale event is harmless. Running is where connections do I/O and where they
//! end: first those that became ready in this turn, then one whose budget ran out in an earlier one. Fresh before
//! backlog is what keeps a ping alive beside bulk traffic.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, warn};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Registry, Token};
use slab::Slab;
use socket2::SockRef;

use super::abortive_close::reset_on_close;
use super::log_throttle::LogThrottle;
use super::per_address::PerAddress;
use super::pool::Pool;
use super::registration::Registration;
use super::run_queue::RunQueue;
use super::slot::Slot;
use super::timers::{NEVER, TimerNode, Timers};
use super::{Config, LINGER, Stats, bind, platform};
use crate::conn::{Buffers, CloseReason, Connection, Progress, Settings, Timer};

/// The connections of one loop.
pub(super) struct Connections {
    pub(super) slots: Slab<Slot>,
    capacity: usize,
    /// Whose budget ran out.
    backlog: RunQueue,
    timers: Timers,
    buffers: Buffers,
    registry: Registry,
    per_address: Option<PerAddress>,
    pub(super) pool: Option<Pool>,
    /// Who found no room in the pool.
    pub(super) waiting: RunQueue,
    config: Arc<Config>,
    next_id: u64,
    stats: Stats,
    refusals: LogThrottle,
}

impl Connections {
    /// Room for `capacity` connections, reserved now; a line grows where more wait in it than ever before.
    pub(super) fn new(
        capacity: usize,
        registry: Registry,
        pool: Option<Pool>,
        config: Arc<Config>,
    ) -> Self {
        let most_waiting = pool.as_ref().map_or(0, |_| capacity);
        Self {
            slots: Slab::with_capacity(capacity),
            capacity,
            backlog: RunQueue::new(capacity),
            timers: Timers::new(|timer| match timer {
                Timer::Idle => config.idle_timeout,
                Timer::Write => config.write_timeout,
                Timer::Frame => config.frame_timeout,
                Timer::Linger => Some(LINGER),
            }),
            buffers: Buffers::new(config.read_buffer),
            registry,
            per_address: config
                .max_per_ip
                .map(|limit| PerAddress::new(limit, capacity)),
            pool,
            waiting: RunQueue::new(most_waiting),
            config,
            next_id: 1,
            stats: Stats::default(),
            refusals: LogThrottle::default(),
        }
    }

    /// Notes what an event reported. An event for a key without a connection is stale.
    #[inline(always)]
    pub(super) fn mark_ready(&mut self, key: usize, event: &Event) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.mark_ready(event);
        }
    }

    /// Drives everybody whom an event of this turn was for. Who waits in the backlog keeps his place there.
    #[inline(never)]
    pub(super) fn run_fresh(&mut self, events: &Events, now: u64) {
        for event in events {
            let Token(key) = event.token();
            let Some(slot) = self.slots.get_mut(key).filter(|slot| !slot.in_backlog) else {
                continue;
            };
            let progress = slot.drive(&mut self.buffers, &self.registry, Token(key), now);
            if progress != Progress::Wait || slot.timer_node.timer() != slot.connection.timer() {
                self.follow_up(key, progress);
            }
        }
    }

    /// Drives the connection that has waited longest in the backlog.
    pub(super) fn run_one_of_backlog(&mut self, now: u64) {
        if let Some(key) = self.backlog.pop(&self.slots) {
            self.slots[key].in_backlog = false;
            self.drive(key, now);
        }
    }

    /// Ends what has waited too long, and lets a timer that was restarted run on.
    pub(super) fn expire(&mut self, now: u64) {
        while let Some(key) = self.timers.pop_due(&mut self.slots, now) {
            let slot = &mut self.slots[key];
            if let Some(timer) = slot.ran_out(&self.timers, now) {
                slot.connection.handle_timeout(timer);
                self.drive(key, now);
            } else {
                self.set_timer(key);
            }
        }
    }

    /// Takes in a client, unless there are too many from its address. Call only while there is room.
    pub(super) fn admit(
        &mut self,
        mut socket: TcpStream,
        peer: SocketAddr,
        settings: &Arc<Settings>,
        now: u64,
    ) {
        if self
            .per_address
            .as_mut()
            .is_some_and(|counts| !counts.enter(peer))
        {
            return self.reject(socket, peer, "too many from its address", now);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.stats.accepted += 1;
        let key = self.slots.vacant_key();
        match self.set_up(&mut socket, key) {
            Ok(registration) => {
                let connection = Connection::new(id, Arc::clone(settings), now);
                self.slots.insert(Slot {
                    connection,
                    socket,
                    peer: (peer.ip(), peer.port()),
                    timer_node: TimerNode::new(),
                    registration,
                    in_backlog: false,
                    in_waiting: false,
                    in_pool: false,
                });
                self.greet(key);
                self.drive(key, now);
            }
            Err(error) => {
                debug!("conn {id} from {peer}: {error}");
                self.record_end(peer, CloseReason::Failed(error.kind()));
            }
        }
    }

    /// Turns a client away, with a reset.
    pub(super) fn reject(&mut self, socket: TcpStream, peer: SocketAddr, why: &str, now: u64) {
        self.stats.refused += 1;
        if let Some(times) = self.refusals.count(now) {
            warn!("refused {peer}: {why} ({times} refused since the last such line)");
        }
        reset_on_close(&socket);
    }

    /// Turns a client away that came before the stop, with a FIN.
    pub(super) fn close_gracefully(&mut self, socket: &TcpStream, peer: SocketAddr) {
        self.stats.refused += 1;
        let fin = socket.shutdown(Shutdown::Write);
        debug!("{peer} came as the server stopped, without a free slot: {fin:?}");
    }

    /// Lets everybody finish: one last run each, then no more input.
    pub(super) fn shut_down(&mut self, now: u64) {
        self.each(now, Connection::handle_shutdown);
    }

    /// Ends everybody who is still there.
    pub(super) fn abort_all(&mut self, now: u64) {
        self.each(now, Connection::handle_drain_deadline);
    }

    /// Whether somebody can be driven without waiting for an event.
    pub(super) fn are_runnable(&self) -> bool {
        !self.backlog.is_empty()
            || self.pool.as_ref().is_some_and(|pool| {
                // A connection that closes withdraws its job, and of the room that makes nobody tells.
                pool.has_completions() || !self.waiting.is_empty() && pool.has_room()
            })
    }

    /// When the next timer runs out, or [`NEVER`].
    pub(super) fn next_deadline(&self) -> u64 {
        self.timers.next_deadline(&self.slots)
    }

    /// Whether there is no room for another.
    pub(super) fn are_full(&self) -> bool {
        self.slots.len() >= self.capacity
    }

    /// Whether nobody is there.
    pub(super) fn are_none(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many have ended.
    pub(super) fn ended(&self) -> u64 {
        self.stats.accepted - self.slots.len() as u64
    }

    /// The figures so far.
    pub(super) fn stats(&self, uptime: Duration) -> Stats {
        let echoed = self.slots.iter().map(|(_, slot)| slot.connection.echoed());
        Stats {
            active: self.slots.len() as u64,
            echoed: self.stats.echoed + echoed.sum::<u64>(),
            uptime,
            ..self.stats.clone()
        }
    }

    fn set_up(&self, socket: &mut TcpStream, key: usize) -> io::Result<Registration> {
        if !platform::ACCEPTED_INHERIT_OPTIONS {
            bind::set_connection_options(SockRef::from(&*socket), &self.config)?;
        }
        Registration::new(socket, &self.registry, Token(key))
    }

    fn greet(&mut self, key: usize) {
        if self.config.banner.is_empty() {
            return;
        }
        let slot = &mut self.slots[key];
        let (peer, connection) = (SocketAddr::from(slot.peer), &mut slot.connection);
        let greeting = self.config.greeting(peer, connection.id());
        connection.greet(greeting.as_bytes(), &mut self.buffers);
    }

    pub(super) fn drive(&mut self, key: usize, now: u64) {
        let progress = self.slots[key].drive(&mut self.buffers, &self.registry, Token(key), now);
        self.follow_up(key, progress);
    }

    /// Does what a run of a connection asks for, and lets its timer run.
    #[cold]
    fn follow_up(&mut self, key: usize, progress: Progress) {
        let slot = &mut self.slots[key];
        match progress {
            Progress::Close | Progress::Abort => return self.close(key, progress),
            Progress::Again if !slot.in_backlog => {
                slot.in_backlog = true;
                self.backlog.push(key, &self.slots);
            }
            Progress::Offload if !slot.in_waiting => self.offload(key),
            Progress::Again | Progress::Offload | Progress::Wait | Progress::SendFin => {}
        }
        self.set_timer(key);
    }

    /// Sets the timer for whichever timer of the connection runs out first.
    fn set_timer(&mut self, key: usize) {
        let (timer, deadline) = self.slots[key].deadline(&self.timers);
        self.timers.set(&mut self.slots, key, timer, deadline);
    }

    fn each(&mut self, now: u64, tell: fn(&mut Connection)) {
        for key in 0..self.slots.capacity() {
            if let Some(slot) = self.slots.get_mut(key) {
                tell(&mut slot.connection);
                self.drive(key, now);
            }
        }
    }

    #[inline(never)]
    fn close(&mut self, key: usize, how: Progress) {
        self.timers.set(&mut self.slots, key, None, NEVER);
        let Slot {
            connection,
            socket,
            peer,
            in_pool,
            ..
        } = self.slots.remove(key);
        let peer = SocketAddr::from(peer);
        let reason = connection.close_reason().unwrap_or(CloseReason::PeerClosed);
        let (id, received, sent) = (connection.id(), connection.received(), connection.sent());
        debug!("conn {id} from {peer}: {reason}, {received} bytes in, {sent} out");
        if in_pool && let Some(pool) = &self.pool {
            pool.withdraw(id);
        }
        self.stats.echoed += connection.echoed();
        self.record_end(peer, reason);
        if how == Progress::Abort {
            reset_on_close(&socket);
        }
    }

    fn record_end(&mut self, peer: SocketAddr, reason: CloseReason) {
        self.stats.closed[reason.index()] += 1;
        if let Some(counts) = &mut self.per_address {
            counts.leave(peer);
        }
    }
}
