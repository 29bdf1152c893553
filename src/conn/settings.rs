//! What all connections of a listener have in common.

use super::framing::Framing;
use super::readiness::ShortRead;

/// The settings of a connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// High-water mark: while at least this many bytes are pending, the connection reads nothing.
    pub high_water: usize,
    /// What a short read proves on this system.
    pub short_read: ShortRead,
    /// How the stream is split into messages.
    pub framing: Framing,
    /// The most bytes that a message may have, header or terminator included.
    pub max_message: usize,
    /// Which messages a worker processes before they are echoed. If any, see [`Buffers::new`](super::Buffers::new).
    pub offload: Offload,
    /// The number of the listener among those of its server, counted from 0. It is for statistics alone.
    pub listener: usize,
}

impl Settings {
    /// Returns settings that echo a plain byte stream.
    pub fn raw(high_water: usize, short_read: ShortRead) -> Self {
        Self {
            high_water,
            short_read,
            framing: Framing::Raw,
            max_message: usize::MAX,
            offload: Offload::Nothing,
            listener: 0,
        }
    }
}

/// Which messages a worker processes before they are echoed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// No message.
    Nothing,
    /// Every message.
    All,
    /// Messages of more bytes than this.
    LargerThan(usize),
}

impl Offload {
    /// Returns true if a worker processes a message of `length` bytes.
    pub(super) fn includes(self, length: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::LargerThan(limit) => length > limit,
        }
    }
}
