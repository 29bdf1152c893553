//! What the next runs of a connection have to find out.
//!
//! An expired timer does not end a session by itself, and neither does a stop of the server. Each adds a *check*, and
//! the next run asks the socket. When bytes move that answer a check, the connection removes it. When a timer's check
//! is still pending although the socket has answered `WouldBlock`, the session ends. The check of a stop stays until the
//! session ends.

/// A question that only a read or a write can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// The server stops: has everything been read that the kernel had received by then? Answered by a read that finds
    /// nothing more, or by as many bytes as could have been queued.
    Stop,
    /// The write timer expired: does the socket take bytes? Answered by a write that takes some.
    WriteTimer,
    /// The idle timer expired: is the peer silent? Answered by any byte in either direction.
    IdleTimer,
    /// The frame timer expired: is the message still incomplete? Answered by the last byte of the message.
    FrameTimer,
    /// The session timer expired: has everything been read that had arrived by then? Stays until the session ends.
    SessionTimer,
    /// The session timer expired again: does the peer take what it is owed? Answered by a write that takes everything.
    SessionGrace,
}

/// A set of [`Check`]s, in one byte, because a connection must stay small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PendingChecks(u8);

impl PendingChecks {
    /// Adds `check` to the set.
    pub(super) fn insert(&mut self, check: Check) {
        self.0 |= 1 << check as u8;
    }

    /// Removes `check` from the set, if the set contains it.
    pub(super) fn remove(&mut self, check: Check) {
        self.0 &= !(1 << check as u8);
    }

    /// Returns true if the set contains `check`.
    pub(super) fn contains(self, check: Check) -> bool {
        self.0 & 1 << check as u8 != 0
    }

    /// Returns true if the set contains no check.
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}
