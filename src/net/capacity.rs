//! How many connections a server accepts, and the most memory that they can take. Both are fixed at the start.
//!
//! The bound holds because each part is bounded. A server stops reading from a peer whose pending bytes reach the
//! high-water mark, so at most the mark and one read or one message are pending. Buffers grow to the exact size needed.

use super::per_address::ADDRESS_BYTES;
use super::run_queue::RUN_QUEUE_BYTES;
use super::slot::SLOT_BYTES;
use super::workers::{QUEUE_BYTES, REPLY_BYTES};
use super::{Config, StartError, platform};
use crate::conn::{INBOX_OVERHEAD, POOLED_BUFFERS};

/// The most connections if the configuration sets no number. Their slots take 10 MB.
pub const DEFAULT_CONNECTIONS: usize = 65_536;

/// Descriptors that are not connections: standard streams, the poll, the waker, signals and 16 listeners.
const RESERVED: u64 = 32;
const RESERVED_LISTENERS: usize = 16;

/// The limits of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    /// The most connections at once.
    pub connections: usize,
    /// The most descriptors that the process may open. `None` if the system does not limit sockets that way, or does not
    /// tell the limit.
    pub descriptors: Option<u64>,
}

impl Capacity {
    /// Raises the descriptor limit as far as needed. If the configuration sets no number of connections, a lower limit
    /// reduces that number.
    ///
    /// # Errors
    ///
    /// Returns an error if the limit is too low for the configured number of connections, or for one connection.
    pub(super) fn claim(config: &Config) -> Result<Self, StartError> {
        let wanted = config.max_connections;
        let others = RESERVED + config.listen.len().saturating_sub(RESERVED_LISTENERS) as u64;
        let needed = wanted.unwrap_or(DEFAULT_CONNECTIONS) as u64 + others;
        let descriptors = platform::raise_descriptor_limit(needed);
        Self::within(wanted, others, descriptors)
    }

    /// Returns the most memory that the connections can take in the process, in bytes.
    ///
    /// The sum has these parts: every connection, and one more, because a growing buffer is copied; the read buffer; the
    /// buffer pool; and messages of closed connections that workers still have.
    pub(super) fn memory_bound(&self, config: &Config) -> usize {
        let connections = self.connections.saturating_add(1);
        let pending = config.max_pending().max(config.max_banner_len());
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

    /// Describes the limits for the log.
    pub(super) fn describe(&self, config: &Config) -> String {
        let connections = self.connections;
        let memory = self.memory_bound(config).div_ceil(1 << 20);
        let descriptors = match self.descriptors {
            Some(limit) => format!("{limit} descriptors"),
            None => "no known limit of descriptors".into(),
        };
        format!(
            "up to {connections} connections ({descriptors}); worst case {memory} MiB of process memory if no client reads"
        )
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

/// Returns the most memory of one connection in bytes: its slot, its places in queues, the counter of its address, its
/// pending bytes, its queued messages and the message that a worker has.
fn connection_bytes(config: &Config, pending: usize) -> usize {
    // The backlog, and with workers the queue for them.
    let queues = if config.workers > 0 { 2 } else { 1 };
    let address = config.max_per_ip.map_or(0, |_| ADDRESS_BYTES);
    let inbox = match config.max_message_len() {
        0 => 0,
        message => config
            .read_buffer
            .saturating_add(message)
            .saturating_add(INBOX_OVERHEAD),
    };
    [pending, inbox, job_bytes(config)].into_iter().fold(
        SLOT_BYTES + queues * RUN_QUEUE_BYTES + address,
        usize::saturating_add,
    )
}

/// Returns the most memory of a message on its way to a worker and back, in bytes.
fn job_bytes(config: &Config) -> usize {
    match config.workers {
        0 => 0,
        _ => config.max_message_len().saturating_add(REPLY_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Framing;
    use crate::net::Listen;

    #[test]
    fn without_a_configured_number_the_descriptor_limit_decides() {
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
    fn the_memory_bound_counts_messages_that_workers_have_of_closed_connections() {
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
    fn fault_w3_pending_bytes_are_bounded_by_the_high_water_mark_and_one_read_or_message_or_by_the_banner()
     {
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
            let inbox = if framing.has_messages() {
                read_buffer + max_message + INBOX_OVERHEAD
            } else {
                0
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
    fn a_descriptor_limit_too_low_for_one_connection_is_an_error() {
        let refused = Capacity::within(None, RESERVED, Some(32)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "33 descriptors are needed to serve 1 connections at once; the limit is 32 (ulimit -Hn raises it)"
        );
    }

    #[test]
    fn fault_l2_a_number_over_the_descriptor_limit_is_an_error_that_names_both_numbers() {
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
