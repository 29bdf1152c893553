//! The slot of one connection: its state machine, its socket and what the loop keeps beside them.
//!
//! [`Slot::drive`] does what the connection asks for and what a transport of reads and writes cannot do: it sends the
//! FIN, it takes the error of a dead socket, and it arms and disarms WRITABLE. The connection makes every decision.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Registry, Token};
use socket2::SockRef;

use super::bind::UserTimeout;
use super::peer_address::PeerAddress;
use super::platform;
use super::registration::Registration;
use super::socket::tune;
use super::timers::{HasTimerNode, NEVER, TimerNode, Timers};
use crate::conn::{Buffers, Connection, Progress, SocketCall, SocketError, Timer};

/// A connection, its socket and its places in the loop's queues.
pub(super) struct Slot {
    pub connection: Connection,
    pub socket: TcpStream,
    pub peer: PeerAddress,
    pub timer_node: TimerNode,
    pub registration: Registration,
    /// When the session timer expires. There are 4 bytes for it before a slot takes more than 160.
    pub session_end: CoarseTime,
    /// Where the connection has a place. It has at most one in each queue.
    pub places: Places,
}

/// Where a connection can have a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The backlog.
    Backlog,
    /// The queue for room in the workers' queue.
    OffloadQueue,
    /// The workers, which have a message of the connection.
    WorkerPool,
}

/// A set of [`Place`]s, in one byte, because a slot must stay small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(u8);

impl Places {
    /// Adds `place` to the set.
    pub(super) fn insert(&mut self, place: Place) {
        self.0 |= 1 << place as u8;
    }

    /// Removes `place` from the set, if the set contains it.
    pub(super) fn remove(&mut self, place: Place) {
        self.0 &= !(1 << place as u8);
    }

    /// Returns true if the set contains `place`.
    #[inline(always)]
    pub(super) fn contains(self, place: Place) -> bool {
        self.0 & 1 << place as u8 != 0
    }
}

/// A time of the loop's clock in 4 bytes: in units of 134 ms, rounded up. [`NEVER`] is a time of its own, and so is every
/// time after 18 years of a machine that runs without a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoarseTime(u32);

impl CoarseTime {
    const UNIT: u64 = 1 << 27;

    /// Returns the first time that is not before `time`, in nanoseconds.
    pub(super) fn not_before(time: u64) -> Self {
        Self(u32::try_from(time.div_ceil(Self::UNIT)).unwrap_or(u32::MAX))
    }

    /// Returns this time in nanoseconds.
    fn nanoseconds(self) -> u64 {
        match self.0 {
            u32::MAX => NEVER,
            units => u64::from(units) * Self::UNIT,
        }
    }
}

/// What the slots of one loop tell the kernel with.
pub(super) struct Kernel {
    pub registry: Registry,
    pub user_timeout: UserTimeout,
}

/// The size of a slot in bytes. The socket takes 4 of them, and more on systems where mio keeps its own state beside it.
pub(super) const SLOT_BYTES: usize = size_of::<Slot>();
const _: () = assert!(SLOT_BYTES - size_of::<TcpStream>() <= 160);

impl HasTimerNode for Slot {
    fn timer_node(&self) -> &TimerNode {
        &self.timer_node
    }
    fn timer_node_mut(&mut self) -> &mut TimerNode {
        &mut self.timer_node
    }
}

impl Slot {
    /// Runs the connection, does what the connection asks of its socket, and tells the kernel whether the connection
    /// waits for WRITABLE.
    ///
    /// The result is never [`Progress::SendFin`] or [`Progress::TakeError`].
    #[inline(always)]
    pub(super) fn drive(
        &mut self,
        buffers: &mut Buffers,
        kernel: &Kernel,
        token: Token,
        now: u64,
    ) -> Progress {
        loop {
            let mut socket = NormalizedSocket(&mut self.socket);
            let progress = self.connection.drive(&mut socket, buffers, now);
            let goes_on = matches!(
                progress,
                Progress::Wait | Progress::Again | Progress::Offload
            );
            if goes_on && self.connection.wants_write() == self.registration.is_write_armed()
                || !self.act_on(progress, kernel, token, now)
            {
                return progress;
            }
        }
    }

    /// Does what the connection asks of its socket. Returns true if the connection has to run again.
    ///
    /// This is a function of its own, because a jump table for these requests would cost every echo 3 to 6 instructions
    /// (measured with callgrind).
    #[cold]
    fn act_on(&mut self, progress: Progress, kernel: &Kernel, token: Token, now: u64) -> bool {
        match progress {
            Progress::Wait | Progress::Again | Progress::Offload => {
                let changed = self.change_write_interest(kernel, token);
                if let Err(error) = &changed {
                    self.connection
                        .handle_error(SocketError::new(SocketCall::Register, error));
                }
                changed.is_err()
            }
            Progress::SendFin => {
                self.send_fin(now);
                true
            }
            Progress::TakeError => {
                self.take_error();
                true
            }
            Progress::Close | Progress::Abort => false,
        }
    }

    /// Returns the timer that the connection reports, and the earliest deadline of all its running timers.
    pub(super) fn deadline(&self, timers: &Timers) -> (Option<Timer>, u64) {
        let deadlines = self.deadlines(timers).map(|(_, deadline)| deadline);
        (self.connection.timer(), deadlines.min().unwrap_or(NEVER))
    }

    /// Returns the timer that has expired at `now`, or `None` if it was restarted.
    pub(super) fn expired_timer(&self, timers: &Timers, now: u64) -> Option<Timer> {
        self.deadlines(timers)
            .find(|(_, deadline)| *deadline <= now)
            .map(|(timer, _)| timer)
    }

    /// Tells the connection that `timer` has expired. If that is the session timer, it expires again after the time of
    /// the linger timer: so long a peer has to take what it is owed.
    pub(super) fn handle_timeout(&mut self, timer: Timer, timers: &Timers, now: u64) {
        if timer == Timer::Session {
            self.session_end = CoarseTime::not_before(timers.deadline(Timer::Linger, now));
        }
        self.connection.handle_timeout(timer);
    }

    /// Returns the running timers with their deadlines. The idle timer runs beside the frame timer, and the session timer
    /// beside all but the linger timer, which runs from our FIN on.
    fn deadlines(&self, timers: &Timers) -> impl Iterator<Item = (Timer, u64)> {
        let connection = &self.connection;
        let since = connection.timer_started();
        let [first, second] = match (connection.timer(), connection.frame_timer_started()) {
            (Some(Timer::Frame), started) => [
                Some((Timer::Idle, since)),
                started.map(|since| (Timer::Frame, since)),
            ],
            (timer, _) => [timer.map(|timer| (timer, since)), None],
        };
        let deadline = |(timer, since)| (timer, timers.deadline(timer, since));
        let session = (Timer::Session, self.session_end.nanoseconds());
        let is_session_limited = connection.timer() != Some(Timer::Linger);
        [
            first.map(deadline),
            second.map(deadline),
            is_session_limited.then_some(session),
        ]
        .into_iter()
        .flatten()
    }

    /// Registers for WRITABLE if bytes are pending, and for READABLE alone otherwise. Sets the kernel's timeout if that
    /// depends on pending bytes.
    fn change_write_interest(&mut self, kernel: &Kernel, token: Token) -> io::Result<()> {
        let wanted = self.connection.wants_write();
        self.registration
            .arm_write(wanted, &mut self.socket, &kernel.registry, token)?;
        let UserTimeout { usual, pending } = kernel.user_timeout;
        if usual != pending
            && let Some(timeout) = if wanted { pending } else { usual }
        {
            let set = platform::set_user_timeout(&SockRef::from(&self.socket), timeout);
            tune("TCP_USER_TIMEOUT", set);
        }
        Ok(())
    }

    /// Tells the connection why its socket is dead. Without an error of the socket, that is a reset.
    fn take_error(&mut self) {
        let error = self.socket.take_error().ok().flatten();
        let kind = error.map_or(ErrorKind::ConnectionReset, |error| {
            platform::normalize_error(error).kind()
        });
        self.connection.handle_taken_error(kind);
    }

    fn send_fin(&mut self, now: u64) {
        match self.socket.shutdown(Shutdown::Write) {
            Ok(()) => self.connection.handle_fin_sent(now),
            Err(error) => {
                let error = SocketError::new(SocketCall::Shutdown, &error);
                self.connection.handle_error(error);
            }
        }
    }
}

/// A socket whose errors have the same kinds on every system; see [`platform::normalize_error`].
struct NormalizedSocket<'a>(&'a mut TcpStream);

impl Read for NormalizedSocket<'_> {
    #[inline(always)]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(platform::normalize_error)
    }
}

impl Write for NormalizedSocket<'_> {
    #[inline(always)]
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.write(from).map_err(platform::normalize_error)
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0
            .write_vectored(from)
            .map_err(platform::normalize_error)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_t8_a_coarse_time_is_late_by_at_most_134_ms_and_never_early() {
        const YEAR: u64 = 365 * 24 * 60 * 60 * 1_000_000_000;
        for time in [
            0,
            1,
            CoarseTime::UNIT,
            CoarseTime::UNIT + 1,
            YEAR,
            18 * YEAR,
        ] {
            let coarse = CoarseTime::not_before(time).nanoseconds();
            assert!((time..time + 134_300_000).contains(&coarse), "{time}");
        }
        for time in [19 * YEAR, NEVER] {
            assert_eq!(CoarseTime::not_before(time).nanoseconds(), NEVER);
        }
    }
}
