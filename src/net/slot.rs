//! One connection and its socket.
//!
//! What a connection asks for and a transport of reads and writes cannot do is done here: the FIN, the reset, the
//! registration. The connection stays the only one to decide.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};

use super::platform;
use super::poll::readiness_of;
use super::registration::Registration;
use super::timers::{NEVER, Timed, TimerNode, Timers};
use crate::conn::{Buffers, Connection, Progress, Timer};

/// One connection and what the loop keeps beside it.
pub(super) struct Slot {
    pub connection: Connection,
    pub socket: TcpStream,
    /// Apart, these take 12 bytes less than a `SocketAddr` with its room for IPv6 scopes.
    pub peer: (IpAddr, u16),
    pub timer_node: TimerNode,
    pub registration: Registration,
    /// Whether it waits for another run; it has one place there at most.
    pub in_backlog: bool,
    /// Whether it waits for room in the pool; likewise.
    pub in_waiting: bool,
    /// Whether the pool has a message of it.
    pub in_pool: bool,
}

/// What a connection costs in the slab, in bytes. The socket is 4 of them, and more where mio keeps notes beside it.
pub(super) const SLOT_BYTES: usize = size_of::<Slot>();
const _: () = assert!(SLOT_BYTES - size_of::<TcpStream>() <= 160);

impl Timed for Slot {
    fn timer_node(&self) -> &TimerNode {
        &self.timer_node
    }
    fn timer_node_mut(&mut self) -> &mut TimerNode {
        &mut self.timer_node
    }
}

impl Slot {
    /// Notes what an event reported.
    pub(super) fn mark_ready(&mut self, event: &Event) {
        self.connection.handle_ready(readiness_of(event));
    }

    /// Drives the connection, does what it asks for that is not reading or writing, and tells the kernel what it wants.
    #[inline(always)]
    pub(super) fn drive(
        &mut self,
        buffers: &mut Buffers,
        registry: &Registry,
        token: Token,
        now: u64,
    ) -> Progress {
        loop {
            let mut wire = Wire(&mut self.socket);
            let progress = self.connection.drive(&mut wire, buffers, now);
            match progress {
                Progress::Wait | Progress::Again | Progress::Offload => {
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

    /// Which timer runs, and when the first one runs out.
    pub(super) fn deadline(&self, timers: &Timers) -> (Option<Timer>, u64) {
        let timer = self.connection.timer();
        (
            timer,
            self.running_timers()
                .map(|(timer, since)| timers.deadline(timer, since))
                .min()
                .unwrap_or(NEVER),
        )
    }

    /// The timer that has run out at `now`, if it has not been restarted.
    pub(super) fn ran_out(&self, timers: &Timers, now: u64) -> Option<Timer> {
        self.running_timers()
            .find(|(timer, since)| timers.deadline(*timer, *since) <= now)
            .map(|(timer, _)| timer)
    }

    /// The timers that run, and since when: beside the frame timer, the idle timer.
    fn running_timers(&self) -> impl Iterator<Item = (Timer, u64)> {
        let since = self.connection.timer_started();
        let timers = match (
            self.connection.timer(),
            self.connection.frame_timer_started(),
        ) {
            (Some(Timer::Frame), begun) => [
                Some((Timer::Idle, since)),
                begun.map(|begun| (Timer::Frame, begun)),
            ],
            (timer, _) => [timer.map(|timer| (timer, since)), None],
        };
        timers.into_iter().flatten()
    }

    #[cold]
    fn send_fin(&mut self, now: u64) {
        match self.socket.shutdown(Shutdown::Write) {
            Ok(()) => self.connection.handle_fin_sent(now),
            Err(_not_connected) => self.connection.handle_reset(),
        }
    }
}

/// A socket that calls its errors by kinds that the connection knows, whatever the system calls them.
struct Wire<'a>(&'a mut TcpStream);

impl Read for Wire<'_> {
    #[inline(always)]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(platform::normalize_error)
    }
}

impl Write for Wire<'_> {
    #[inline(always)]
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.write(from).map_err(platform::normalize_error)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
