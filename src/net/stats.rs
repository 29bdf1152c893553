//! The statistics of a server, and the log line that shows them.

use std::fmt;
use std::time::Duration;

use crate::conn::CloseReason;

/// Counters since the start. `accepted` always equals `active` plus the sum of `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Clients that were accepted and given a slot.
    pub accepted: u64,
    /// Clients that were refused, because no slot was free, their address had too many connections, or their socket could
    /// not be registered with the poll.
    pub refused: u64,
    /// Connections that are open now.
    pub active: u64,
    /// Echoed bytes that the kernel has taken for delivery. Banners do not count.
    pub echoed: u64,
    /// Bytes that were read and discarded, because their session had ended for a reason on our side: a stop, a timeout, a
    /// NUL or a bad frame. Bytes that came in the same read as the end of the session do not count.
    pub discarded: u64,
    /// Closed connections by [`CloseReason::index`].
    pub closed: [u64; CloseReason::COUNT],
    /// The time since the start.
    pub uptime: Duration,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = CloseReason::ALL.map(|reason| {
            let count = self.closed[reason.index()];
            format!("{} {count}", reason.explain())
        });
        // Whole numbers alone: the code that prints floating-point numbers takes 13 kB of a server.
        let tenths = (self.uptime.as_millis() + 50) / 100;
        write!(
            f,
            "accepted {}, refused {}, active {}, echoed {} bytes, discarded {} bytes, closed: {}; {}.{} s",
            self.accepted,
            self.refused,
            self.active,
            self.echoed,
            self.discarded,
            closed.join(", "),
            tenths / 10,
            tenths % 10
        )
    }
}
