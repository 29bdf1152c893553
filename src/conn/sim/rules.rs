//! What distinguishes one world from another.

use super::super::readiness::{Ready, ShortRead};
use super::super::settings::{Offload, Settings};
use super::super::{Framing, Timer};
use super::tape::{self, Tape};
use super::words::SECOND;

/// The most bytes that a message may have. The longest valid message of a tape has as many.
pub(super) const MAX_MESSAGE: usize = 3;

/// The rules of a world.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) selector: Selector,
    pub(crate) short_read: ShortRead,
    /// Hides the parts of an event that the selector does not report.
    pub(super) hide: fn(&mut Ready),
    pub(super) framing: Framing,
    pub(super) offload: Offload,
    /// The bytes that the peer sends.
    pub(crate) tape: &'static Tape,
    pub(crate) sizes: Sizes,
    pub(crate) broken: Option<BrokenRule>,
}

/// How much memory there is. Bugs in this kind of code need few steps, so a few bytes are enough.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) read_buffer: usize,
    pub(crate) high_water: usize,
    pub(crate) send_buffer: usize,
}

/// How a kernel reports that a socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    /// epoll with `EPOLLET`, and kqueue: reports each arrival once, and room once after a write that found none.
    Edge,
    /// Windows and poll(2): reports what holds, and then nothing for that direction until a call has blocked.
    DrainToRearm,
}

/// A bug that a world has: the rule of the code that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenRule {
    /// An event does not report the peer's FIN.
    HideFin,
    /// An event does not report an urgent mark.
    HideUrgentMark,
    /// A short read proves the socket empty, although the selector reports the next arrival only after `WouldBlock`.
    TrustShortRead,
    /// The first `WouldBlock` at an urgent mark is believed.
    TrustBlock,
    /// The loop never registers for write events.
    NeverWritable,
    /// The loop registers for write events after every run, whether or not bytes are pending.
    AlwaysWritable,
    /// The loop does not drive a connection again whose budget ran out.
    ForgetBudget,
    /// The belief that a socket is readable ends with the run.
    ForgetBelief,
    /// The loop closes a connection with a FIN that has to be reset.
    FinForReset,
    /// The loop closes the socket where it should send our FIN and wait for the peer's.
    NoLinger,
    /// An expired idle timer ends the session without a read that asks the socket.
    TrustClock,
}

const NOTHING_HIDDEN: fn(&mut Ready) = |_| {};
pub(super) const WITHOUT_URGENT_MARK: fn(&mut Ready) = |ready| ready.priority = false;

impl Rules {
    /// epoll, and a stream without messages.
    pub(crate) const EDGE: Self = Self {
        selector: Selector::Edge,
        short_read: ShortRead::ProvesEmpty,
        hide: NOTHING_HIDDEN,
        framing: Framing::Raw,
        offload: Offload::Nothing,
        tape: &tape::STREAM,
        sizes: Sizes {
            read_buffer: 2,
            high_water: 2,
            send_buffer: 3,
        },
        broken: None,
    };

    /// Windows, and a stream without messages.
    pub(crate) const DRAIN_TO_REARM: Self = Self {
        selector: Selector::DrainToRearm,
        short_read: ShortRead::ProvesNothing,
        hide: WITHOUT_URGENT_MARK,
        ..Self::EDGE
    };

    /// Takes the selector of `other`, and everything else that depends on it.
    pub(crate) fn select(&mut self, other: Self) {
        let Self { sizes, broken, .. } = *self;
        *self = Self {
            sizes,
            broken,
            ..other
        };
    }

    /// Returns the settings of the connection.
    pub(crate) fn settings(&self) -> Settings {
        let short_read = if self.breaks(BrokenRule::TrustShortRead) {
            ShortRead::ProvesEmpty
        } else {
            self.short_read
        };
        Settings {
            framing: self.framing,
            max_message: MAX_MESSAGE,
            offload: self.offload,
            ..Settings::raw(self.sizes.high_water, short_read)
        }
    }

    /// Returns true if this rule is broken.
    pub(super) fn breaks(&self, rule: BrokenRule) -> bool {
        self.broken == Some(rule)
    }
}

/// Returns the timeout of a timer, in nanoseconds.
pub(crate) fn timeout(timer: Timer) -> u64 {
    SECOND
        * match timer {
            Timer::Idle => 60,
            Timer::Write | Timer::Frame => 30,
            Timer::Linger => 2,
            Timer::Session => 300,
        }
}
