//! What the next run of a connection has to find out.
//!
//! Neither an expired timer nor a stop of the server ends a session by itself. Each leaves a check behind, and the next
//! [`drive`](super::Connection::drive) asks the socket. The connection removes a check as soon as bytes move that answer
//! it. A check that is still there at the end of the run has failed, and the session ends.

/// A question that only a read or a write can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// The server stops: what has already arrived? Answered by the first read.
    Stop,
    /// The write timer expired: does the socket take bytes? Answered by a write that takes some.
    WriteTimer,
    /// The idle timer expired: is the peer silent? Answered by any byte in either direction.
    IdleTimer,
    /// The frame timer expired: is the begun message still incomplete? Answered by its last byte.
    FrameTimer,
}

/// A set of [`Check`]s, in one byte, because a connection must stay small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PendingChecks(u8);

impl PendingChecks {
    /// Adds `check`.
    pub(super) fn insert(&mut self, check: Check) {
        self.0 |= 1 << check as u8;
    }

    /// Removes `check`, if it is there.
    pub(super) fn remove(&mut self, check: Check) {
        self.0 &= !(1 << check as u8);
    }

    /// Returns true if `check` is there.
    pub(super) fn contains(self, check: Check) -> bool {
        self.0 & 1 << check as u8 != 0
    }

    /// Returns true if there is no check.
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}
