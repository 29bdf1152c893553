//! How many connections there may be and what they may take, decided once, at the start.

use super::slot::SLOT_BYTES;
use super::{Config, StartError, platform};
use crate::conn::{INBOX_STEP, SPARE_BUFFERS};

/// Most connections unless told otherwise: 10 MB of slots.
pub(crate) const DEFAULT_CONNECTIONS: usize = 65_536;

/// Descriptors for everything that is not a connection: standard streams, the poll, the waker, signals, listeners.
const RESERVED: u64 = 32;

/// A place in the backlog, or in the line for a worker, in bytes.
const QUEUE_PLACE: usize = 16;

/// What the process can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    /// Connections at once.
    pub connections: usize,
    /// Descriptors that the process may open; none where sockets are not limited that way.
    pub descriptors: Option<u64>,
}

impl Capacity {
    /// Raises the descriptor limit as far as needed, and settles for less only where nobody asked for a number.
    pub(super) fn claim(wanted: Option<usize>) -> Result<Self, StartError> {
        let needed = wanted.unwrap_or(DEFAULT_CONNECTIONS) as u64 + RESERVED;
        let descriptors = platform::raise_descriptor_limit(needed).map_err(StartError::Poll)?;
        Self::within(wanted, descriptors)
    }

    /// The most memory that these connections can take in the process, in bytes: slots, pending bytes, messages
    /// that wait, the scratch buffer and the spare ones.
    pub(super) fn memory_bound(&self, config: &Config) -> usize {
        let message = config.most_of_a_message();
        let pending = config.most_pending();
        let inbox = if message > 0 {
            config
                .read_buffer
                .saturating_add(message)
                .saturating_add(INBOX_STEP)
        } else {
            0
        };
        let job = if config.workers > 0 { message } else { 0 };
        let slot = SLOT_BYTES + QUEUE_PLACE;
        let connection = [pending, inbox, job]
            .into_iter()
            .fold(slot, usize::saturating_add);
        let spare = SPARE_BUFFERS.saturating_mul(pending);
        [spare, config.read_buffer].into_iter().fold(
            self.connections.saturating_mul(connection),
            usize::saturating_add,
        )
    }

    fn within(wanted: Option<usize>, descriptors: Option<u64>) -> Result<Self, StartError> {
        let room = descriptors.map_or(usize::MAX, |limit| {
            usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX)
        });
        let connections = wanted.unwrap_or(DEFAULT_CONNECTIONS.min(room).max(1));
        if let Some(limit) = descriptors.filter(|_| connections > room) {
            return Err(StartError::Descriptors {
                connections,
                needed: connections as u64 + RESERVED,
                limit,
            });
        }
        Ok(Self {
            connections,
            descriptors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_number_the_descriptor_limit_decides() {
        assert_eq!(
            Capacity::within(None, Some(1024)).unwrap().connections,
            1024 - 32
        );
        assert_eq!(
            Capacity::within(None, Some(1 << 20)).unwrap().connections,
            65_536
        );
        assert_eq!(Capacity::within(None, None).unwrap().connections, 65_536);
        assert_eq!(Capacity::within(None, Some(33)).unwrap().connections, 1);
    }

    #[test]
    fn a_descriptor_limit_that_leaves_no_room_for_a_connection_is_refused() {
        let refused = Capacity::within(None, Some(32)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "33 descriptors are needed to serve 1 at once; the limit is 32 (ulimit -Hn)"
        );
    }

    #[test]
    fn fault_l2_a_number_over_the_descriptor_limit_is_refused_with_both_numbers() {
        assert_eq!(
            Capacity::within(Some(992), Some(1024)).unwrap().connections,
            992
        );
        let message = Capacity::within(Some(993), Some(1024))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("993") && message.contains("1025") && message.contains("1024"),
            "{message}"
        );
    }
}
