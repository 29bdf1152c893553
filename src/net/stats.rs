//! What the server has done so far, as the one line that operators read.

use std::fmt;
use std::time::Duration;

use crate::conn::CloseReason;

/// Counters since the start. `accepted == active + the sum of closed`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that got a slot.
    pub accepted: u64,
    /// Clients that were turned away: no slot free, or too many from their address.
    pub refused: u64,
    /// Connections that have a slot now.
    pub active: u64,
    /// Bytes that the kernel has taken for peers, without greetings.
    pub echoed: u64,
    /// Connections that ended, by [`CloseReason::index`].
    pub closed: [u64; CloseReason::COUNT],
    /// Time since the start.
    pub uptime: Duration,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            refused,
            active,
            echoed,
            ..
        } = self;
        write!(
            f,
            "accepted {accepted}, refused {refused}, active {active}, echoed {echoed} bytes, closed:"
        )?;
        let mut separator = "";
        for reason in CloseReason::ALL {
            write!(
                f,
                "{separator} {} {}",
                reason.explain(),
                self.closed[reason.index()]
            )?;
            separator = ",";
        }
        write!(f, "; {:.1} s", self.uptime.as_secs_f64())
    }
}
