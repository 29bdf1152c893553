//! How many connections there may be and what they may take, decided once, at the start.

use super::per_address::SOURCE_BYTES;
use super::pool::{QUEUE_BYTES, REPLY_BYTES};
use super::run_queue::RUN_QUEUE_BYTES;
use super::slot::SLOT_BYTES;
use super::{Config, StartError, platform};
use crate::conn::{INBOX_OVERHEAD, POOLED_BUFFERS};

/// Most connections unless told otherwise: 10 MB of slots.
pub const DEFAULT_CONNECTIONS: usize = 65_536;

/// Descriptors for everything that is not a connection: standard streams, the poll, the waker, signals, 16 listeners.
const RESERVED: u64 = 32;
const RESERVED_LISTENERS: usize = 16;

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
    pub(super) fn claim(config: &Config) -> Result<Self, StartError> {
        let wanted = config.max_connections;
        let others = RESERVED + config.listen.len().saturating_sub(RESERVED_LISTENERS) as u64;
        let needed = wanted.unwrap_or(DEFAULT_CONNECTIONS) as u64 + others;
        let descriptors = platform::raise_descriptor_limit(needed).map_err(StartError::Poll)?;
        Self::within(wanted, others, descriptors)
    }

    /// The most memory that these connections can take in the process, in bytes: each of them, and one more, because what
    /// grows may be copied; the scratch buffer, and the spare ones; what workers still have of connections that have gone.
    pub(super) fn memory_bound(&self, config: &Config) -> usize {
        let connections = self.connections.saturating_add(1);
        let pending = config.max_pending().max(config.most_of_a_greeting());
        let orphan = job_bytes(config).saturating_add(QUEUE_BYTES);
        [
            connections.saturating_mul(connection_bytes(config, pending)),
            POOLED_BUFFERS.saturating_mul(pending),
            config.workers.saturating_mul(orphan),
            config.read_buffer,
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    fn within(
        wanted: Option<usize>,
        others: u64,
        descriptors: Option<u64>,
    ) -> Result<Self, StartError> {
        let room = descriptors.map_or(usize::MAX, |limit| {
            usize::try_from(limit.saturating_sub(others)).unwrap_or(usize::MAX)
        });
        let connections = wanted.unwrap_or(DEFAULT_CONNECTIONS.min(room).max(1));
        if let Some(limit) = descriptors.filter(|_| connections > room) {
            return Err(StartError::Descriptors {
                connections,
                needed: connections as u64 + others,
                limit,
            });
        }
        Ok(Self {
            connections,
            descriptors,
        })
    }
}

/// What one connection takes at most: its slot and places in lines, the count of where it comes from, pending bytes,
/// messages that wait, and the one that a worker has.
fn connection_bytes(config: &Config, pending: usize) -> usize {
    // One for those whose budget ran out, one for those who find no worker.
    let lines = if config.workers > 0 { 2 } else { 1 };
    let source = config.max_per_ip.map_or(0, |_| SOURCE_BYTES);
    let inbox = match config.most_of_a_message() {
        0 => 0,
        message => config
            .read_buffer
            .saturating_add(message)
            .saturating_add(INBOX_OVERHEAD),
    };
    [pending, inbox, job_bytes(config)].into_iter().fold(
        SLOT_BYTES + lines * RUN_QUEUE_BYTES + source,
        usize::saturating_add,
    )
}

/// What a message takes on its way to a worker and back.
fn job_bytes(config: &Config) -> usize {
    match config.workers {
        0 => 0,
        _ => config.most_of_a_message().saturating_add(REPLY_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Framing;
    use crate::net::Listen;

    #[test]
    fn without_a_number_the_descriptor_limit_decides() {
        assert_eq!(
            Capacity::within(None, RESERVED, Some(1024))
                .unwrap()
                .connections,
            1024 - 32
        );
        assert_eq!(
            Capacity::within(None, RESERVED, Some(1 << 20))
                .unwrap()
                .connections,
            65_536
        );
        assert_eq!(
            Capacity::within(None, RESERVED, None).unwrap().connections,
            65_536
        );
        assert_eq!(
            Capacity::within(None, RESERVED, Some(33))
                .unwrap()
                .connections,
            1
        );
    }

    fn bound(connections: usize, config: &Config) -> usize {
        let capacity = Capacity {
            connections,
            descriptors: None,
        };
        capacity.memory_bound(config)
    }

    #[test]
    fn a_message_that_a_worker_has_outlives_its_connection() {
        let bound = |workers| {
            let config = Config {
                listen: vec![(Listen::Wildcard(7), Framing::Line)],
                max_message: 1 << 20,
                workers,
                ..Config::default()
            };
            bound(1, &config)
        };
        assert_eq!(
            bound(100) - bound(1),
            99 * ((1 << 20) + QUEUE_BYTES + REPLY_BYTES)
        );
    }

    #[test]
    fn fault_w3_pending_is_the_high_water_mark_and_one_read_or_one_message_or_a_greeting() {
        let peer = "{peer}".repeat(100);
        // "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" has 47 bytes.
        for (framing, read_buffer, max_message, banner, pending) in [
            (Framing::Raw, 5000, 9000, "", 1000 + 5000),
            (Framing::Line, 5000, 4000, "", 1000 + 5000),
            (Framing::Line, 5000, 9000, "", 1000 + 9000),
            (Framing::Raw, 1, 0, "hello", 1000 + 1),
            (Framing::Raw, 1, 0, &peer, 4700),
        ] {
            let config = Config {
                listen: vec![(Listen::Wildcard(7), framing)],
                high_water: 1000,
                read_buffer,
                max_message,
                banner: banner.into(),
                ..Config::default()
            };
            let inbox = match framing {
                Framing::Line => read_buffer + max_message + INBOX_OVERHEAD,
                _ => 0,
            };
            let each = bound(2, &config) - bound(1, &config);
            assert_eq!(
                each,
                SLOT_BYTES + RUN_QUEUE_BYTES + pending + inbox,
                "{config:?}"
            );
        }
    }

    #[test]
    fn a_descriptor_limit_that_leaves_no_room_for_a_connection_is_refused() {
        let refused = Capacity::within(None, RESERVED, Some(32)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "33 descriptors are needed to serve 1 at once; the limit is 32 (ulimit -Hn)"
        );
    }

    #[test]
    fn fault_l2_a_number_over_the_descriptor_limit_is_refused_with_both_numbers() {
        assert_eq!(
            Capacity::within(Some(992), RESERVED, Some(1024))
                .unwrap()
                .connections,
            992
        );
        let message = Capacity::within(Some(993), RESERVED, Some(1024))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("993") && message.contains("1025") && message.contains("1024"),
            "{message}"
        );
    }
}
