//! What the loop believes about a socket.
//!
//! **An event makes the loop believe that a socket is ready. Only the socket's own answer disproves it: `WouldBlock`,
//! or, on epoll, a read that came back short.** At an urgent mark or a queued FIN a short read proves nothing.
//!
//! [`Readiness`] holds these beliefs as *sticky* bits: a set bit stays set until the socket gives such an answer,
//! however many runs that takes. For example, a connection that pauses at the high-water mark still believes that its
//! socket is readable, and reads on after the pause without another event. So no connection waits for an event that
//! has already been delivered. This file performs no I/O, and only this file changes the bits.
//!
//! # Why the bits are sticky: systems differ in when they report the next event
//!
//! | back end         | an event is reported                  | the next event follows             | a short read   |
//! |------------------|---------------------------------------|------------------------------------|----------------|
//! | epoll, `EPOLLET` | once for each arrival                 | the next arrival                   | proves empty   |
//! | kqueue           | once for each arrival                 | the next arrival                   | is not trusted |
//! | Windows (AFD)    | once, then that direction is disarmed | `WouldBlock` or a new registration | proves nothing |
//! | poll(2)          | once, then that direction is disarmed | `WouldBlock` or a new registration | proves nothing |
//!
//! On Windows (mio waits through IOCP and the AFD driver) and on poll(2), a loop hangs if it stops reading before
//! `WouldBlock` and then waits for an event: without a new registration, mio arms the direction again only when a call
//! through the mio type answers `WouldBlock`. kqueue is not trusted to behave like epoll, so there the loop also reads to `WouldBlock`.
//!
//! The simulation in `conn/sim/` tests the sticky bits. It has a small model of the kernel: a few bytes, a FIN, a reset, an
//! urgent mark. It plays every order in which their events can reach a connection, once for a poll that reports each
//! arrival (epoll) and once for a poll that disarms a direction (Windows). No order may leave a byte unread for ever.

/// What one event of the poll reported, independent of the back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read may succeed.
    pub readable: bool,
    /// A write may succeed.
    pub writable: bool,
    /// The peer has finished sending. Data may be queued before its FIN, so only a read that returns 0 is the end.
    pub read_closed: bool,
    /// Nothing can be sent any more. This is a reset, unless we have sent a FIN ourselves.
    pub write_closed: bool,
    /// An urgent mark is queued. A read stops short in front of the mark.
    pub priority: bool,
    /// The socket has failed.
    pub error: bool,
}

/// What a *short read* proves: a read that returns fewer bytes than its buffer has room for.
///
/// A connection receives this rule as a value, so that both rules are tested on every system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortRead {
    /// The socket is empty, and the next arrival causes a new event (epoll).
    ProvesEmpty,
    /// Nothing. On Windows and poll(2) the next event comes only after `WouldBlock`. On kqueue the loop does not rely on
    /// the next arrival to cause an event.
    ProvesNothing,
}

/// The sticky bits of one socket.
///
/// A unit test reads this table and compares it with what the methods do.
///
/// | bit                  | set by                                       | cleared by                                     |
/// |----------------------|----------------------------------------------|------------------------------------------------|
/// | `READABLE`           | `record`, `assume_readable`, `assume_unread` | `read_would_block`, `read_came_short`, `clear` |
/// | `READ_UNTIL_BLOCKED` | `record`, `assume_unread`                    | `read_would_block`, `clear`                    |
/// | `BLOCK_MAY_BE_FALSE` | `record`, `assume_unread`                    | `read_would_block`, `clear`                    |
/// | `WRITABLE`           | `new`, `record`, `assume_writable`           | `write_would_block`, `clear`                   |
/// | `WRITE_CLOSED`       | `record`                                     | `clear`                                        |
/// | `FAILED`             | `record`                                     | `clear`                                        |
///
/// - `READABLE` and `WRITABLE` are the beliefs.
/// - `READ_UNTIL_BLOCKED` forbids the conclusion from a short read: read on until `WouldBlock` or the end. An event with
///   `read_closed` sets it, because data and a FIN that are queued together cause one event. An event with `priority`
///   sets it, because a read stops short at an urgent mark and no further event follows (both measured on Linux).
///   `assume_unread` sets it, because input may be queued whose event has not been seen.
/// - `BLOCK_MAY_BE_FALSE` is set together with `READ_UNTIL_BLOCKED`, and forbids the conclusion from the next `WouldBlock`.
///   At an urgent mark, Linux answers a read with `EAGAIN` while a signal is pending, whatever is queued (measured;
///   `tcp_recvmsg_locked` in net/ipv4/tcp.c). The signal is handled before the next read, so the next read tells the truth.
/// - `WRITE_CLOSED` and `FAILED` are facts about the socket. Only `clear` removes them, when the connection closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    short_read: ShortRead,
    bits: u8,
    /// The facts that mean a reset.
    fatal: u8,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
const READ_UNTIL_BLOCKED: u8 = 4;
const BLOCK_MAY_BE_FALSE: u8 = 8;
const WRITE_CLOSED: u8 = 16;
const FAILED: u8 = 32;

/// The bits of a socket that has to be read until it proves that it is empty.
const UNREAD: u8 = READABLE | READ_UNTIL_BLOCKED | BLOCK_MAY_BE_FALSE;

impl Readiness {
    /// Returns the beliefs about a new socket: its send buffer is empty, and only an event tells whether there is
    /// input.
    pub(crate) fn new(short_read: ShortRead) -> Self {
        Self {
            short_read,
            bits: WRITABLE,
            fatal: WRITE_CLOSED | FAILED,
        }
    }

    /// Records what an event reported.
    pub(crate) fn record(&mut self, ready: Ready) {
        self.set(READABLE, ready.readable);
        self.set(WRITABLE, ready.writable);
        let may_stop_short = ready.read_closed | ready.priority;
        self.set(UNREAD, may_stop_short);
        self.set(WRITE_CLOSED, ready.write_closed);
        self.set(FAILED, ready.error);
    }

    /// Records that we have sent a FIN: from now on, a closed sending side is no sign of a reset.
    pub(crate) fn record_fin_sent(&mut self) {
        self.fatal = FAILED;
    }

    /// Returns true if we have sent a FIN.
    pub(crate) fn is_fin_sent(self) -> bool {
        self.fatal & WRITE_CLOSED == 0
    }

    /// Believes that the socket is readable, without an event. The next read tells whether that is true.
    #[cfg(feature = "client")]
    pub(crate) fn assume_readable(&mut self) {
        self.bits |= READABLE;
    }

    /// Believes that there is input whose event has not been seen. Only a second `WouldBlock` disproves this.
    pub(crate) fn assume_unread(&mut self) {
        self.bits |= UNREAD;
    }

    /// Believes that the socket is writable, without an event. The next write tells whether that is true.
    pub(crate) fn assume_writable(&mut self) {
        self.bits |= WRITABLE;
    }

    /// Drops all beliefs and facts, because the socket must not be used any more.
    pub(crate) fn clear(&mut self) {
        self.bits = 0;
    }

    /// Records that a read answered `WouldBlock`.
    pub(crate) fn read_would_block(&mut self) {
        self.bits &= match self.bits & BLOCK_MAY_BE_FALSE {
            0 => !(READABLE | READ_UNTIL_BLOCKED),
            _ => !BLOCK_MAY_BE_FALSE,
        };
    }

    /// Records that a read returned fewer bytes than it was offered room for.
    pub(crate) fn read_came_short(&mut self) {
        if self.short_read == ShortRead::ProvesEmpty && self.bits & READ_UNTIL_BLOCKED == 0 {
            self.bits &= !READABLE;
        }
    }

    /// Records that a write answered `WouldBlock`.
    pub(crate) fn write_would_block(&mut self) {
        self.bits &= !WRITABLE;
    }

    /// Returns true if the socket is believed to be readable.
    pub(crate) fn is_readable(self) -> bool {
        self.bits & READABLE != 0
    }

    /// Returns true if the socket is believed to be writable.
    pub(crate) fn is_writable(self) -> bool {
        self.bits & WRITABLE != 0
    }

    /// Returns true if the connection has been reset.
    pub(crate) fn is_reset(self) -> bool {
        self.bits & self.fatal != 0
    }

    /// Returns the name of each bit, in the order of the table, and true if the bit is set.
    #[cfg(any(test, feature = "player"))]
    pub(crate) fn bits(self) -> [(&'static str, bool); 6] {
        [
            ("READABLE", READABLE),
            ("READ_UNTIL_BLOCKED", READ_UNTIL_BLOCKED),
            ("BLOCK_MAY_BE_FALSE", BLOCK_MAY_BE_FALSE),
            ("WRITABLE", WRITABLE),
            ("WRITE_CLOSED", WRITE_CLOSED),
            ("FAILED", FAILED),
        ]
        .map(|(name, bit)| (name, self.bits & bit != 0))
    }

    fn set(&mut self, bits: u8, condition: bool) {
        self.bits |= if condition { bits } else { 0 };
    }
}

#[cfg(test)]
mod tests;
