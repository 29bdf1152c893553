//! All connections of a loop: their slots, the order in which they run, and the timers that end them.
//!
//! A turn of the loop (`net/server.rs`) first calls [`mark_ready`](Connections::mark_ready) for each event, which only
//! sets bits. Then connections run, in this order:
//!
//! 1. [`run_completed`](Connections::run_completed): connections whose message a worker has finished.
//! 2. [`run_fresh`](Connections::run_fresh): connections with an event in this turn.
//! 3. [`run_one_of_backlog`](Connections::run_one_of_backlog): one connection whose budget ran out in an earlier run.
//! 4. [`admit`](Connections::admit): new connections, which the acceptor brings.
//!
//! [`Slot::drive`] in `net/slot.rs` runs a connection: it calls `Connection::drive`, sends the FIN or takes the socket's
//! error when the connection asks for that (and drives it again), and registers for WRITABLE exactly while bytes are
//! pending. The [`Progress`] that it returns tells the loop what is left to do. A connection that closes leaves its places
//! in queues behind: a place holds the key and the connection's id, and is skipped if the slot now has another connection
//! or none (`net/run_queue.rs`).
//!
//! With workers, a connection whose message waits for one is in the queue of `net/offload.rs`: `push` adds the connection,
//! `submit_jobs` gives messages to the workers while they have room, and `is_runnable` returns true if there are replies,
//! or room for a message that waits. The threads are in `net/workers.rs`: `withdraw` takes the message of a connection
//! that closes out of their queue.
//!
//! # Fresh before backlog
//!
//! A connection with little traffic runs in the turn of its event, and not after all the work that others have queued.
//! The backlog does not starve: one of its connections runs in every turn. The effect was measured on one core, with 8
//! connections of 1 MiB messages beside an echo of 64 bytes every millisecond, timed from the intended send:
//!
//! - Servers fall behind by seconds if they drain a socket completely before the next (libuv, io_uring with a buffer
//!   ring), or if they run one task per connection (tokio, Go).
//! - A server with this order has a p99 of 0.55 ms, and Boost.Asio of 0.6 ms.

mod figures;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Registry, Token};
use slab::Slab;
use socket2::SockRef;

use super::bind::UserTimeout;
use super::ids::ConnectionIds;
use super::limits::Limits;
use super::log_throttle::LogThrottle;
use super::offload::OffloadQueue;
use super::poll::readiness_of;
use super::registration::Registration;
use super::run_queue::RunQueue;
use super::scope::ScopedAddress;
use super::slot::{CoarseTime, Kernel, Place, Places, Slot};
use super::socket::reset_on_close;
use super::stats::ListenerStats;
use super::timers::{NEVER, TimerNode, Timers};
use super::workers::Workers;
use super::{Config, bind, connection_log, platform};
use crate::conn::{Buffers, CloseReason, Connection, Progress, Settings, Timer};

/// How long a connection that we close waits for the peer's FIN, counted from ours. It leaves time for a retransmission
/// after TCP's initial timeout of one second (RFC 6298, section 2), and does not hold up a stop for long.
const LINGER: Duration = Duration::from_secs(2);

/// The end of the range of keys. The tokens of all sources that are not connections start here.
pub(super) const KEYS_END: usize = usize::MAX / 2;

/// The connections of one loop.
pub(super) struct Connections {
    slots: Slab<Slot>,
    limits: Limits,
    /// Connections whose budget ran out.
    backlog: RunQueue,
    timers: Timers,
    buffers: Buffers,
    kernel: Kernel,
    offload: Option<OffloadQueue>,
    config: Arc<Config>,
    /// The banner of the last client. Its memory is used again.
    banner: String,
    ids: ConnectionIds,
    /// What was counted for each listener, without the figures of the connections that are open.
    listeners: Vec<ListenerStats>,
    refusals: LogThrottle,
    failures: LogThrottle,
}

impl Connections {
    /// Reserves room for as many connections as `limits` tells. Their keys are below that number.
    pub(super) fn new(
        limits: Limits,
        buffers: Buffers,
        registry: Registry,
        workers: Option<Workers>,
        listeners: Vec<ListenerStats>,
        ids: ConnectionIds,
        config: Arc<Config>,
    ) -> Self {
        let capacity = limits.connections;
        assert!(capacity <= KEYS_END, "keys must not reach other tokens");
        Self {
            slots: Slab::with_capacity(capacity),
            limits,
            backlog: RunQueue::new(capacity),
            timers: Timers::new(|timer| match timer {
                Timer::Idle => config.idle_timeout,
                Timer::Write => config.write_timeout,
                Timer::Frame => config.frame_timeout,
                Timer::Session => config.session_timeout,
                Timer::Linger => Some(LINGER),
            }),
            buffers,
            kernel: Kernel {
                registry,
                user_timeout: UserTimeout::new(&config),
            },
            offload: workers.map(|workers| OffloadQueue::new(workers, capacity)),
            banner: String::with_capacity(config.max_banner_len()),
            config,
            ids,
            listeners,
            refusals: LogThrottle::default(),
            failures: LogThrottle::default(),
        }
    }

    /// Records an event of the socket with this key. A key without a connection belongs to a stale event.
    #[inline(always)]
    pub(super) fn mark_ready(&mut self, key: usize, event: &Event) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.connection.handle_ready(readiness_of(event));
        }
    }

    /// Gives the workers' replies to their connections and runs these, then gives the workers new messages.
    pub(super) fn run_completed(&mut self, now: u64) {
        let Some(offload) = &mut self.offload else {
            return;
        };
        let completions = offload.workers.take_completions();
        for completion in &completions {
            // The connection may have closed since, and its key may belong to another connection.
            if let Some(slot) = completion.slot.resolve(&mut self.slots) {
                slot.places.remove(Place::WorkerPool);
                let reply = completion.outcome.map(|()| &completion.message[..]);
                slot.connection.handle_completion(reply, &mut self.buffers);
                self.drive(completion.slot.key, now);
            }
        }
        if let Some(offload) = &mut self.offload {
            offload.workers.recycle(completions);
            offload.submit_jobs(&mut self.slots, &self.buffers);
        }
    }

    /// Runs every connection with an event in this turn. A connection in the backlog keeps its place there instead.
    ///
    /// This is a second walk over the events of the turn. A list of keys, filled by [`mark_ready`](Self::mark_ready),
    /// would cost 10 instructions more per echo with 64 connections, and 28 more with one (measured with callgrind). A
    /// token cannot be mistaken for a key: tokens of other sources start at [`KEYS_END`] and find no slot. A key cannot be
    /// mistaken for the key of a newer connection: keys are reused only by [`admit`](Self::admit), after all events of the turn.
    #[inline(never)]
    pub(super) fn run_fresh(&mut self, events: &Events, now: u64) {
        for event in events {
            let Token(key) = event.token();
            let slot = self.slots.get_mut(key);
            let Some(slot) = slot.filter(|slot| !slot.places.contains(Place::Backlog)) else {
                continue;
            };
            let progress = slot.drive(&mut self.buffers, &self.kernel, Token(key), now);
            // Usually there is nothing to do. A restart of the same timer needs no update here: `expire` finds out.
            if progress != Progress::Wait || slot.timer_node.timer() != slot.connection.timer() {
                self.handle_progress(key, progress, now);
            }
        }
    }

    /// Runs the connection that has been in the backlog for the longest time.
    pub(super) fn run_one_of_backlog(&mut self, now: u64) {
        if let Some(key) = self.backlog.pop(&self.slots) {
            self.slots[key].places.remove(Place::Backlog);
            self.drive(key, now);
        }
    }

    /// Tells connections that their timer has expired, and runs them.
    ///
    /// A connection restarts its timers without telling [`Timers`]. If the timer was restarted in the meantime, it is set
    /// again for the rest of its period.
    pub(super) fn expire(&mut self, now: u64) {
        while let Some(key) = self.timers.pop_due(&mut self.slots, now) {
            let slot = &mut self.slots[key];
            if let Some(timer) = slot.expired_timer(&self.timers, now) {
                slot.handle_timeout(timer, &self.timers, now);
                self.drive(key, now);
            } else {
                self.set_timer(key);
            }
        }
    }

    /// Gives an accepted client a slot and runs the new connection. Rejects the client if its socket cannot be registered.
    /// The caller has checked that a slot is free (`net/loops.rs`).
    #[inline(never)]
    pub(super) fn admit(
        &mut self,
        mut socket: TcpStream,
        peer: SocketAddr,
        settings: &Arc<Settings>,
        now: u64,
    ) {
        let key = self.slots.vacant_key();
        let registration = match self.set_up(&mut socket, key) {
            Ok(registration) => registration,
            Err(error) => {
                self.forget_address(peer);
                let hint = platform::register_hint(&error);
                let why = format!("cannot register its socket with the poll: {error}{hint}");
                return self.reject(socket, peer, settings.listener, &why, now);
            }
        };
        let id = self.ids.take();
        self.listeners[settings.listener].accepted += 1;
        let session_end = self.timers.deadline(Timer::Session, now);
        self.slots.insert(Slot {
            connection: Connection::new(id, Arc::clone(settings), now),
            socket,
            peer: peer.into(),
            timer_node: TimerNode::default(),
            registration,
            session_end: CoarseTime::not_before(session_end),
            places: Places::default(),
        });
        self.send_banner(key);
        self.drive(key, now);
    }

    /// Rejects a client with a reset, so that the client neither waits for an echo nor takes a FIN for the end of one.
    pub(super) fn reject(
        &mut self,
        socket: TcpStream,
        peer: SocketAddr,
        listener: usize,
        why: &str,
        now: u64,
    ) {
        if let Some(count) = self.refusals.count(now) {
            connection_log::refused(peer, self.listeners[listener].address, why, count);
        }
        self.refuse(&socket, listener);
    }

    /// Rejects a client like [`reject`](Self::reject), without a line in the log.
    pub(super) fn refuse(&mut self, socket: &TcpStream, listener: usize) {
        self.listeners[listener].refused += 1;
        reset_on_close(socket);
    }

    /// Starts to close every connection, and runs each. What the kernel has received by now is still echoed, in this run
    /// and, if its budget is too small for that, in runs from the backlog.
    pub(super) fn shut_down(&mut self) {
        self.drive_all(|slot| {
            let queued = platform::receive_queue_bound(&slot.socket);
            slot.connection.handle_shutdown(queued);
        });
    }

    /// Closes every connection at once: with a reset if its peer is owed bytes or messages, or if input may be unread,
    /// else with a FIN.
    pub(super) fn abort_all(&mut self) {
        self.drive_all(|slot| slot.connection.handle_drain_deadline());
    }

    /// Resets every connection, because the loop cannot go on. The caller reports why, so no connection does.
    pub(super) fn fail_all(&mut self, kind: ErrorKind, now: u64) {
        // Counted as a failure that was logged already, this one quiets the lines of the connections.
        let _ = self.failures.count(now);
        self.drive_all(|slot| slot.connection.handle_error(kind));
    }

    /// Returns true if a connection can run without waiting for an event.
    pub(super) fn has_runnable(&self) -> bool {
        !self.backlog.is_empty() || self.offload.as_ref().is_some_and(OffloadQueue::is_runnable)
    }

    /// Returns when the next timer is due, or [`NEVER`].
    pub(super) fn next_deadline(&self) -> u64 {
        self.timers.next_deadline(&self.slots)
    }

    /// Returns the registry of the poll.
    #[cfg(feature = "proxy")]
    pub(super) fn registry(&self) -> &Registry {
        &self.kernel.registry
    }

    /// Returns the number of connections.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns true if there is no connection.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn set_up(&self, socket: &mut TcpStream, key: usize) -> io::Result<Registration> {
        if !platform::ACCEPTED_INHERIT_OPTIONS {
            bind::set_connection_options(SockRef::from(&*socket), &self.config);
        }
        Registration::new(socket, &self.kernel.registry, Token(key))
    }

    fn send_banner(&mut self, key: usize) {
        if self.config.banner.is_empty() {
            return;
        }
        let slot = &mut self.slots[key];
        let peer = ScopedAddress(slot.peer.into());
        let connection = &mut slot.connection;
        // A string takes every text.
        let _ = self
            .config
            .write_banner(&mut self.banner, &peer, connection.id());
        connection.greet(self.banner.as_bytes(), &mut self.buffers);
    }

    fn drive(&mut self, key: usize, now: u64) {
        let progress = self.slots[key].drive(&mut self.buffers, &self.kernel, Token(key), now);
        self.handle_progress(key, progress, now);
    }

    /// Does what a run of a connection asks for, and sets the connection's timer.
    #[cold]
    fn handle_progress(&mut self, key: usize, progress: Progress, now: u64) {
        let slot = &mut self.slots[key];
        match progress {
            Progress::Close | Progress::Abort => return self.close(key, progress, now),
            Progress::Again if !slot.places.contains(Place::Backlog) => {
                slot.places.insert(Place::Backlog);
                self.backlog.push(key, &self.slots);
            }
            Progress::Offload if !slot.places.contains(Place::OffloadQueue) => {
                if let Some(offload) = &mut self.offload {
                    offload.push(key, &mut self.slots, &self.buffers);
                }
            }
            // `Slot::drive` has sent the FIN or taken the error. Connections in a queue keep their place there.
            Progress::Again
            | Progress::Offload
            | Progress::Wait
            | Progress::SendFin
            | Progress::TakeError => {}
        }
        self.set_timer(key);
    }

    /// Sets the timer of a connection to its earliest deadline.
    fn set_timer(&mut self, key: usize) {
        let (timer, deadline) = self.slots[key].deadline(&self.timers);
        self.timers.set(&mut self.slots, key, timer, deadline);
    }

    /// Calls `handle` for every connection and runs it. With many connections this takes seconds, so the clock is read for
    /// each: a peer has the whole linger time from its FIN on.
    fn drive_all(&mut self, handle: impl Fn(&mut Slot)) {
        for key in 0..self.slots.capacity() {
            if let Some(slot) = self.slots.get_mut(key) {
                handle(slot);
                self.drive(key, platform::monotonic_now());
            }
        }
    }

    /// Frees the slot of a connection and closes its socket, with a reset if `progress` is [`Progress::Abort`].
    #[inline(never)]
    fn close(&mut self, key: usize, progress: Progress, now: u64) {
        self.timers.set(&mut self.slots, key, None, NEVER);
        let Slot {
            connection,
            socket,
            peer,
            places,
            ..
        } = self.slots.remove(key);
        let address = SocketAddr::from(peer);
        let reason = connection.close_reason().unwrap_or(CloseReason::PeerClosed);
        let listener = &mut self.listeners[connection.listener()];
        connection_log::closed(&connection, reason, address, listener.address);
        if matches!(reason, CloseReason::Failed(_))
            && let Some(count) = self.failures.count(now)
        {
            connection_log::failed(&connection, reason, address, listener.address, count);
        }
        listener.echoed += connection.echoed();
        listener.closed[reason.index()] += 1;
        if places.contains(Place::WorkerPool)
            && let Some(offload) = &mut self.offload
        {
            offload.workers.withdraw(connection.id());
        }
        self.forget_address(address);
        if progress == Progress::Abort {
            reset_on_close(&socket);
        }
    }

    /// Frees the place that the client at `peer` has taken in the limit of its address.
    fn forget_address(&mut self, peer: SocketAddr) {
        if let Some(limit) = &self.limits.per_address {
            limit.remove(peer);
        }
    }
}
