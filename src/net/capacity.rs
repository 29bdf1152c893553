//! How many connections there may be, decided once, at the start.

use super::{StartError, platform};

/// Most connections unless told otherwise: 10 MB of slots.
const DEFAULT_CONNECTIONS: usize = 65_536;

/// Descriptors for everything that is not a connection: standard streams, the poll, the waker, signals, listeners.
const RESERVED: u64 = 32;

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

    fn within(wanted: Option<usize>, descriptors: Option<u64>) -> Result<Self, StartError> {
        let room = descriptors.map_or(usize::MAX, |limit| {
            usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX)
        });
        let connections = match (wanted, descriptors) {
            (Some(connections), Some(limit)) if connections > room => {
                let needed = connections as u64 + RESERVED;
                return Err(StartError::Descriptors {
                    connections,
                    needed,
                    limit,
                });
            }
            (Some(connections), _) => connections,
            (None, _) => DEFAULT_CONNECTIONS.min(room).max(1),
        };
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
        assert_eq!(Capacity::within(None, Some(3)).unwrap().connections, 1);
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
