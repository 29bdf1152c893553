//! All connections of a loop: their slots, who runs next, and what the kernel is told afterwards.
//!
//! Noting an event only sets bits, so a stale event is harmless. Running is where connections do
//! I/O and where they end: first those that became ready in this turn, then one whose budget ran out in an earlier
//! one. Fresh before backlog is what keeps a ping alive beside bulk traffic.

use std::collections::VecDeque;
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

use super::per_address::PerAddress;
use super::registration::Registration;
use super::seldom::Seldom;
use super::timers::{Timed, Timer, Timers};
use super::{Config, LINGER, Stats, bind, platform};
use crate::conn::{CloseReason, Connection, Progress, Ready, Scratch, Settings};

/// The connections of one loop.
pub(super) struct Connections {
    slots: Slab<Slot>,
    capacity: usize,
    backlog: VecDeque<Ticket>,
    timers: Timers,
    scratch: Scratch,
    registry: Registry,
    per_address: Option<PerAddress>,
    config: Arc<Config>,
    next_id: u64,
    stats: Stats,
    refusals: Seldom,
}

/// One connection and what the loop keeps beside it.
struct Slot {
    connection: Connection,
    socket: TcpStream,
    peer: SocketAddr,
    timer: Timer,
    registration: Registration,
    /// It has one place there at most.
    in_backlog: bool,
}

/// What a connection costs in the slab, in bytes. A debug build of mio adds two words to a socket.
const SLOT_BYTES: usize = size_of::<Slot>();
const _: () = assert!(SLOT_BYTES <= if cfg!(debug_assertions) { 176 } else { 160 });

/// A place in the backlog. A connection can end while it waits there, and its key be given to another.
struct Ticket {
    key: usize,
    id: u64,
}

impl Timed for Slot {
    fn timer(&self) -> &Timer {
        &self.timer
    }
    fn timer_mut(&mut self) -> &mut Timer {
        &mut self.timer
    }
}

impl Connections {
    /// Room for `capacity` connections, all of it reserved now.
    pub(super) fn new(capacity: usize, registry: Registry, config: Arc<Config>) -> Self {
        Self {
            slots: Slab::with_capacity(capacity),
            capacity,
            backlog: VecDeque::new(),
            timers: Timers::new(config.idle_timeout, config.write_timeout, Some(LINGER)),
            scratch: Scratch::new(config.read_buffer),
            registry,
            per_address: config
                .max_per_ip
                .map(|limit| PerAddress::new(limit, capacity)),
            config,
            next_id: 1,
            stats: Stats::default(),
            refusals: Seldom::default(),
        }
    }

    /// The most memory that `capacity` connections can take in this process, in bytes: slots, pending bytes, the
    /// scratch buffer and the spare ones.
    pub(super) fn memory_bound(capacity: usize, config: &Config) -> usize {
        let pending = config.high_water.saturating_add(config.read_buffer);
        let slot = SLOT_BYTES + size_of::<Ticket>();
        let buffers = crate::conn::SPARE_BUFFERS
            .saturating_mul(pending)
            .saturating_add(config.read_buffer);
        capacity
            .saturating_mul(slot.saturating_add(pending))
            .saturating_add(buffers)
    }

    /// Notes what an event reported. An event for a key without a connection is stale.
    #[inline(always)]
    pub(super) fn note(&mut self, key: usize, event: &Event) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.connection.handle_ready(ready(event));
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
            let progress = slot.drive(&mut self.scratch, &self.registry, Token(key), now);
            if progress != Progress::Wait || slot.timer.deadline() != slot.deadline(&self.timers) {
                self.follow_up(key, progress);
            }
        }
    }

    /// Drives the connection that has waited longest in the backlog.
    pub(super) fn run_one_of_backlog(&mut self, now: u64) {
        while let Some(Ticket { key, id }) = self.backlog.pop_front() {
            if let Some(slot) = self
                .slots
                .get_mut(key)
                .filter(|slot| slot.connection.id() == id)
            {
                slot.in_backlog = false;
                return self.drive(key, now);
            }
        }
    }

    /// Ends what has waited too long.
    pub(super) fn expire(&mut self, now: u64) {
        while let Some(key) = self.timers.pop_due(&mut self.slots, now) {
            self.slots[key].connection.handle_timeout();
            self.drive(key, now);
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
            return self.refuse(socket, peer, "too many from its address", now);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.stats.accepted += 1;
        let key = self.slots.vacant_key();
        match self.set_up(&mut socket, key) {
            Ok(registration) => {
                let connection = Connection::new(id, Arc::clone(settings), now);
                let timer = Timer::new();
                self.slots.insert(Slot {
                    connection,
                    socket,
                    peer,
                    timer,
                    registration,
                    in_backlog: false,
                });
                self.greet(key);
                self.drive(key, now);
            }
            Err(error) => {
                debug!("conn {id} from {peer}: {error}");
                self.forget(peer, CloseReason::Failed(error.kind()));
            }
        }
    }

    /// Turns a client away, with a reset.
    pub(super) fn refuse(&mut self, socket: TcpStream, peer: SocketAddr, why: &str, now: u64) {
        self.stats.refused += 1;
        if let Some(times) = self.refusals.count(now) {
            warn!("refused {peer}: {why} ({times} refused since the last such line)");
        }
        reset(&socket);
    }

    /// Turns a client away that came before the stop, with a FIN.
    pub(super) fn dismiss(&mut self, socket: &TcpStream, peer: SocketAddr) {
        self.stats.refused += 1;
        let fin = socket.shutdown(Shutdown::Write);
        debug!("{peer} came as the server stopped, without a free slot: {fin:?}");
    }

    /// Lets everybody finish: one last run each, then no more input.
    pub(super) fn shut_down(&mut self, now: u64) {
        self.each(now, Connection::handle_shutdown);
    }

    /// Ends everybody who is still there.
    pub(super) fn cut(&mut self, now: u64) {
        self.each(now, Connection::handle_drain_deadline);
    }

    /// Whether somebody can be driven without waiting for an event.
    pub(super) fn are_runnable(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// When the next timer runs out, or [`NEVER`](super::timers::NEVER).
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
        let sent = self.slots.iter().map(|(_, slot)| slot.connection.sent());
        Stats {
            active: self.slots.len() as u64,
            echoed: self.stats.echoed + sent.sum::<u64>(),
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
        let Slot {
            connection, peer, ..
        } = &mut self.slots[key];
        let banner = self.config.banner.replace("{peer}", &peer.to_string());
        let banner = banner.replace("{id}", &connection.id().to_string());
        connection.greet(banner.as_bytes(), &mut self.scratch);
    }

    fn drive(&mut self, key: usize, now: u64) {
        let progress = self.slots[key].drive(&mut self.scratch, &self.registry, Token(key), now);
        self.follow_up(key, progress);
    }

    /// Does what a run of a connection asks for, and lets its clock run.
    #[cold]
    fn follow_up(&mut self, key: usize, progress: Progress) {
        let slot = &mut self.slots[key];
        match progress {
            Progress::Close | Progress::Abort => return self.close(key, progress),
            Progress::Again if !slot.in_backlog => {
                slot.in_backlog = true;
                self.backlog.push_back(Ticket {
                    key,
                    id: slot.connection.id(),
                });
            }
            Progress::Again | Progress::Wait | Progress::SendFin => {}
        }
        let (clock, since) = (slot.connection.clock(), slot.connection.clock_since());
        if slot.timer.deadline() != slot.deadline(&self.timers) {
            self.timers.set(&mut self.slots, key, clock, since);
        }
    }

    fn each(&mut self, now: u64, tell: fn(&mut Connection)) {
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            tell(&mut self.slots[key].connection);
            self.drive(key, now);
        }
    }

    #[inline(never)]
    fn close(&mut self, key: usize, how: Progress) {
        self.timers.set(&mut self.slots, key, None, 0);
        let Slot {
            connection,
            socket,
            peer,
            ..
        } = self.slots.remove(key);
        let reason = connection
            .close_reason()
            .unwrap_or(CloseReason::PeerFinished);
        let (id, received, sent) = (connection.id(), connection.received(), connection.sent());
        debug!(
            "conn {id} from {peer}: {}, {received} bytes in, {sent} out",
            reason.explain()
        );
        self.stats.echoed += sent;
        self.forget(peer, reason);
        if how == Progress::Abort {
            reset(&socket);
        }
    }

    fn forget(&mut self, peer: SocketAddr, reason: CloseReason) {
        self.stats.closed[reason.index()] += 1;
        if let Some(counts) = &mut self.per_address {
            counts.leave(peer);
        }
    }
}

impl Slot {
    #[inline(always)]
    fn drive(
        &mut self,
        scratch: &mut Scratch,
        registry: &Registry,
        token: Token,
        now: u64,
    ) -> Progress {
        loop {
            let progress = self.connection.drive(&mut self.socket, scratch, now);
            match progress {
                Progress::Wait | Progress::Again => {
                    let wanted = self.connection.wants_write();
                    match self
                        .registration
                        .arm_write(wanted, &mut self.socket, registry, token)
                    {
                        Ok(()) => return progress,
                        Err(_dropped_by_the_poll) => self.connection.handle_reset(),
                    }
                }
                Progress::SendFin => self.send_fin(now),
                Progress::Close | Progress::Abort => return progress,
            }
        }
    }

    /// When the clock that runs now runs out.
    fn deadline(&self, timers: &Timers) -> u64 {
        timers.deadline(self.connection.clock(), self.connection.clock_since())
    }

    #[cold]
    fn send_fin(&mut self, now: u64) {
        match self.socket.shutdown(Shutdown::Write) {
            Ok(()) => self.connection.handle_fin_sent(now),
            Err(_not_connected) => self.connection.handle_reset(),
        }
    }
}

fn ready(event: &Event) -> Ready {
    Ready {
        readable: event.is_readable(),
        writable: event.is_writable(),
        read_closed: event.is_read_closed(),
        write_closed: event.is_write_closed(),
        priority: event.is_priority(),
        error: event.is_error(),
    }
}

/// Makes the close that follows a reset. If even that fails, the socket has no peer any more.
fn reset(socket: &TcpStream) {
    if let Err(error) = SockRef::from(socket).set_linger(Some(Duration::ZERO)) {
        debug!("no reset could be asked for: {error}");
    }
}
