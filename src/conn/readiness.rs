//! What a connection believes about its socket.
//!
//! Readiness is a belief. An event from the poll only sets bits here, and only the socket itself, by answering
//! `WouldBlock`, disproves them. Nothing in this file performs I/O, and nothing outside it clears a bit.

/// What one event of the poll reported, in the words of this crate rather than of a back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read may succeed.
    pub readable: bool,
    /// A write may succeed.
    pub writable: bool,
    /// The peer has finished sending. Data may be queued before its FIN, so a read still has the last word.
    pub read_closed: bool,
    /// Nothing can be sent any more: a reset, unless we have sent a FIN ourselves.
    pub write_closed: bool,
    /// An urgent mark is queued; a read stops short in front of it.
    pub priority: bool,
    /// The socket has failed.
    pub error: bool,
}

/// What a read that filled less than its buffer proves.
///
/// Handed to the connection as a value, so that both rules are tested on every system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortRead {
    /// The socket was drained, and the next arrival is a new event (epoll).
    ProvesEmpty,
    /// Nothing: the next event comes only after `WouldBlock` (Windows, poll(2)), or the system is not trusted to
    /// behave otherwise (kqueue).
    ProvesNothing,
}

/// The sticky bits of one connection.
///
/// | bit            | set by                               | cleared by                                   |
/// |----------------|--------------------------------------|----------------------------------------------|
/// | `READABLE`     | an event, a FIN hint, an urgent mark | `WouldBlock`; a short read where that drains |
/// | `WRITABLE`     | an event; birth                      | `WouldBlock`                                 |
/// | `READ_UNTIL_BLOCKED`   | a FIN hint, an urgent mark, a timer  | `WouldBlock`                                 |
/// | `WRITE_CLOSED` | an event                             | nothing: it is a fact                        |
/// | `FAILED`       | an error                             | nothing: it is a fact                        |
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
const WRITE_CLOSED: u8 = 8;
const FAILED: u8 = 16;

impl Readiness {
    /// A new socket has an empty send buffer; whether the peer has sent anything, only an event tells.
    pub(crate) fn new(short_read: ShortRead) -> Self {
        Self {
            short_read,
            bits: WRITABLE,
            fatal: WRITE_CLOSED | FAILED,
        }
    }

    /// Adds what an event reported.
    pub(crate) fn record(&mut self, ready: Ready) {
        self.set(READABLE, ready.readable);
        self.set(WRITABLE, ready.writable);
        // Data and FIN that are queued together give one event, and a read stops short at an urgent mark without
        // another event to follow: in both cases a short read must not be taken for an empty socket.
        self.set(
            READABLE | READ_UNTIL_BLOCKED,
            ready.read_closed | ready.priority,
        );
        self.set(WRITE_CLOSED, ready.write_closed);
        self.set(FAILED, ready.error);
    }

    /// Our own FIN has closed the sending side: that is no sign of a reset any more.
    pub(crate) fn record_fin_sent(&mut self) {
        self.fatal = FAILED;
    }

    /// Believes in a read without an event: the next one will tell.
    #[cfg(feature = "client")]
    pub(crate) fn assume_readable(&mut self) {
        self.bits |= READABLE;
    }

    /// Believes in a read without an event, and in what it tells only when that is `WouldBlock`.
    pub(crate) fn assume_unread(&mut self) {
        self.bits |= READABLE | READ_UNTIL_BLOCKED;
    }

    /// Believes in a write without an event.
    pub(crate) fn assume_writable(&mut self) {
        self.bits |= WRITABLE;
    }

    /// The socket has failed for good.
    pub(crate) fn record_reset(&mut self) {
        self.bits |= FAILED;
    }

    /// The socket is not to be used any more: nothing is believed of it.
    pub(crate) fn clear(&mut self) {
        self.bits = 0;
    }

    /// A read answered `WouldBlock`.
    pub(crate) fn read_would_block(&mut self) {
        self.bits &= !(READABLE | READ_UNTIL_BLOCKED);
    }

    /// A read returned fewer bytes than the buffer had room for.
    pub(crate) fn read_came_short(&mut self) {
        if self.short_read == ShortRead::ProvesEmpty && self.bits & READ_UNTIL_BLOCKED == 0 {
            self.bits &= !READABLE;
        }
    }

    /// A write answered `WouldBlock`.
    pub(crate) fn write_would_block(&mut self) {
        self.bits &= !WRITABLE;
    }

    pub(crate) fn is_readable(self) -> bool {
        self.bits & READABLE != 0
    }

    pub(crate) fn is_writable(self) -> bool {
        self.bits & WRITABLE != 0
    }

    pub(crate) fn is_reset(self) -> bool {
        self.bits & self.fatal != 0
    }

    fn set(&mut self, bits: u8, condition: bool) {
        self.bits |= if condition { bits } else { 0 };
    }
}
