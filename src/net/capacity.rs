//! How many connections a server accepts, and the most memory that they can take. Both are fixed at the start.

use super::memory_limit::resident_memory;
use super::memory_needs::MemoryNeeds;
use super::{Config, StartError, platform};

/// The most connections if the configuration sets no number. Their slots take 10 MB.
pub const DEFAULT_CONNECTIONS: usize = 65_536;

const MIB: u64 = 1 << 20;

/// Descriptors that are not connections: standard streams, the poll, the waker, signals and 16 listeners.
const RESERVED: u64 = 32;
const RESERVED_LISTENERS: usize = 16;

/// The descriptors of a loop: the poll, its copy and the waker, which takes two where it is a pipe.
const LOOP_DESCRIPTORS: usize = 4;

/// The limits of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    /// The most connections at once.
    pub connections: usize,
    /// The number of connections before the limit of memory has reduced it.
    without_memory_limit: usize,
    /// The most descriptors that the process may open. `None` if the system does not limit sockets that way, or does not
    /// tell the limit.
    descriptors: Option<u64>,
}

impl Capacity {
    /// Raises the descriptor limit as far as needed. If the configuration sets no number of connections, the limits of
    /// descriptors and of memory reduce that number.
    ///
    /// # Errors
    ///
    /// Returns an error if a limit is too low for the configured number of connections, or for one connection.
    pub(super) fn claim(config: &Config, memory: &MemoryNeeds) -> Result<Self, StartError> {
        let wanted = config.max_connections;
        let more_listeners = config.listen.len().saturating_sub(RESERVED_LISTENERS) as u64;
        let more_loops = (LOOP_DESCRIPTORS * (config.loops() - 1)) as u64;
        let more = more_listeners + more_loops + config.other_descriptors as u64;
        let others = RESERVED + more + platform::inherited_descriptors();
        let needed = wanted.unwrap_or(DEFAULT_CONNECTIONS) as u64 + others;
        let descriptors = platform::raise_descriptor_limit(needed);
        Self::within_descriptors(wanted, others, descriptors)?.within_memory(wanted, memory)
    }

    /// Describes the limits for the log.
    pub(super) fn describe(&self, memory: &MemoryNeeds) -> String {
        let descriptors = match self.descriptors {
            Some(limit) => format!("{limit} descriptors"),
            None => "no known limit of descriptors".into(),
        };
        let lowered = match self.without_memory_limit {
            before if before > self.connections => {
                format!("lowered from {before} to fit the memory; ")
            }
            _ => String::new(),
        };
        let bound = memory.bound(self.connections);
        let source = match memory.is_limiting(self.connections) {
            true => memory.limit.source.to_string(),
            false => "if no client reads".into(),
        };
        let in_use = resident_memory().map_or(String::new(), |bytes| {
            format!(", {} MiB in use now", bytes.div_ceil(MIB))
        });
        let threads = match memory.loops {
            1 => String::new(),
            loops => format!(" on {loops} threads"),
        };
        format!(
            "up to {} connections{threads} ({lowered}{descriptors}); at most {} MiB of process memory ({source}){in_use}; kernel \
             buffers come on top, up to 9.6 MB for a client that does not read (--socket-buffer)",
            self.connections,
            bound.div_ceil(MIB as usize)
        )
    }

    fn within_descriptors(
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
            without_memory_limit: connections,
            descriptors,
        })
    }

    fn within_memory(
        self,
        wanted: Option<usize>,
        memory: &MemoryNeeds,
    ) -> Result<Self, StartError> {
        let default = self
            .connections
            .min(memory.connections_with_extra_blocks())
            .max(1);
        let connections = wanted.unwrap_or(default);
        let needed = memory.of_connections(connections);
        if needed > memory.limit.bytes {
            return Err(StartError::Memory {
                connections,
                needed,
                limit: memory.limit,
            });
        }
        Ok(Self {
            connections,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_limit::{MemoryLimit, MemorySource};
    use super::*;

    const PLENTY: usize = 1 << 40;

    fn within_descriptors(wanted: Option<usize>, limit: Option<u64>) -> Result<usize, String> {
        Capacity::within_descriptors(wanted, RESERVED, limit)
            .map(|capacity| capacity.connections)
            .map_err(|refused| refused.to_string())
    }

    /// Returns the number of connections of a server that may take `max_memory` bytes.
    fn within_memory(wanted: Option<usize>, max_memory: usize) -> Result<Capacity, String> {
        let config = Config {
            max_memory: Some(max_memory),
            ..Config::default()
        };
        let memory = MemoryNeeds::of(&config);
        Capacity::within_descriptors(wanted, RESERVED, None)
            .and_then(|capacity| capacity.within_memory(wanted, &memory))
            .map_err(|refused| refused.to_string())
    }

    #[test]
    fn without_a_configured_number_the_descriptor_limit_decides() {
        for (limit, connections) in [
            (Some(1024), 1024 - 32),
            (Some(1 << 20), 65_536),
            (None, 65_536),
            (Some(33), 1),
        ] {
            assert_eq!(within_descriptors(None, limit), Ok(connections));
        }
    }

    #[test]
    fn a_descriptor_limit_too_low_for_one_connection_is_an_error() {
        let refused = within_descriptors(None, Some(32)).expect_err("the limit is too low");
        assert_eq!(
            refused,
            "--max-connections 1 needs 33 descriptors; the limit is 32 (ulimit -Hn N, or systemd's LimitNOFILE)"
        );
    }

    #[test]
    fn fault_l2_a_number_over_the_descriptor_limit_is_an_error_that_names_both_numbers() {
        assert_eq!(within_descriptors(Some(992), Some(1024)), Ok(992));
        let message = within_descriptors(Some(993), Some(1024)).expect_err("the limit is too low");
        assert!(
            message.contains("993") && message.contains("1025") && message.contains("1024"),
            "{message}"
        );
    }

    #[test]
    fn fault_l6_without_a_configured_number_connections_fit_into_half_of_the_memory() {
        let all = within_memory(None, PLENTY).expect("enough memory");
        assert_eq!(all.connections, DEFAULT_CONNECTIONS);
        let few = within_memory(None, 64 << 20).expect("enough memory");
        let memory = MemoryNeeds::of(&Config {
            max_memory: Some(64 << 20),
            ..Config::default()
        });
        assert!((1900..2048).contains(&few.connections), "{few:?}");
        assert!(memory.of_connections(few.connections) <= 33 << 20);
        let lowered = format!(
            "up to {} connections (lowered from 65536 to fit",
            few.connections
        );
        let line = few.describe(&memory);
        assert!(line.starts_with(&lowered), "{line}");
        assert!(
            line.contains("at most 64 MiB of process memory (--max-memory)"),
            "{line}"
        );
    }

    #[test]
    fn fault_l6_a_configured_number_that_does_not_fit_is_an_error_that_names_both_numbers() {
        assert!(within_memory(Some(1000), 20 << 20).is_ok());
        let message = within_memory(Some(2000), 20 << 20).expect_err("too little memory");
        assert!(
            message.contains("--max-connections 2000 needs")
                && message.ends_with("--max-memory is 20971520"),
            "{message}"
        );
    }

    #[cfg(feature = "proxy")]
    #[test]
    fn fault_p4_the_bound_of_memory_contains_a_header_for_each_connection() {
        use super::super::proxy::LONGEST_HEADER;
        let plain = Config::default();
        let network = "10.0.0.0/8".parse().expect("a network");
        let behind_proxy = Config {
            proxy_networks: vec![network],
            ..Config::default()
        };
        let needed = |config| MemoryNeeds::of(config).of_connections(1000);
        let more = (needed(&behind_proxy) - needed(&plain)) / 1000;
        assert!(
            (LONGEST_HEADER..LONGEST_HEADER + 200).contains(&more),
            "{more}"
        );
    }

    #[test]
    fn the_bound_is_what_the_connections_could_use_if_that_is_less_than_the_limit() {
        let config = Config {
            max_memory: Some(PLENTY),
            ..Config::default()
        };
        let memory = MemoryNeeds::of(&config);
        let capacity = Capacity::within_descriptors(Some(10), RESERVED, None).expect("10");
        let line = capacity.describe(&memory);
        // 64 KiB and a read of 256 KiB each.
        assert!(
            line.contains("at most 4 MiB of process memory (if no client reads)"),
            "{line}"
        );
        let limit = MemoryLimit {
            bytes: PLENTY,
            source: MemorySource::Configured,
        };
        assert_eq!(memory.limit, limit);
    }
}
