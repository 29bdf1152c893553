//! The limits of a loop's connections and of their memory, and how much of that memory is in use.

use super::per_address::SharedAddressLimit;
use crate::conn::Buffers;

/// What bounds the connections of a loop.
pub(super) struct Limits {
    /// The most connections at once.
    pub connections: usize,
    /// The most memory that they can take, in bytes.
    pub memory: usize,
    /// The part of the memory that does not depend on the connections that are open, in bytes.
    pub shared: usize,
    /// What a connection takes without its blocks, in bytes.
    pub connection: usize,
    /// The limit of connections per address, which all loops share.
    pub per_address: Option<SharedAddressLimit>,
}

impl Limits {
    /// Returns how much of the memory is in use while `connections` connections are open, in bytes.
    pub(super) fn memory_used(&self, connections: usize, buffers: &Buffers) -> usize {
        self.shared + self.connection * connections + buffers.bytes_in_use()
    }
}
