//! The figures of a server at one time, and all metrics: their names, their kinds and their meanings.
//!
//! The names follow the conventions of Prometheus: the unit comes last, before the `_total` of a counter, and metrics of
//! the whole process begin with `process_`.

use crate::net::{ListenerStats, Stats, resident_memory};

/// The figures of a server at one time.
#[derive(Debug)]
pub(super) struct Figures {
    pub stats: Stats,
    /// True from the request to stop on.
    pub is_stopping: bool,
    /// When the server started, in seconds since 1970.
    pub started: u64,
}

/// How a metric changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value only grows, from 0 at the start of the process.
    Counter,
    /// The value is what is there now.
    Gauge,
}

/// A metric with one value for each `T`.
pub(super) struct Metric<T> {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    /// Returns the value, or `None` if the system does not tell it.
    pub value: fn(&T) -> Option<u64>,
}

/// The metrics of a listener.
pub(super) const OF_LISTENER: [Metric<ListenerStats>; 7] = [
    Metric {
        name: "mio_echo_connections_accepted_total",
        kind: Kind::Counter,
        help: "Clients that were accepted and served.",
        value: |listener| Some(listener.accepted),
    },
    Metric {
        name: "mio_echo_connections_refused_total",
        kind: Kind::Counter,
        help: "Clients that were reset at once: no slot was free, their address had too many connections, their socket could \
               not be registered with the poll, or their PROXY header was bad or late.",
        value: |listener| Some(listener.refused),
    },
    Metric {
        name: "mio_echo_connections_active",
        kind: Kind::Gauge,
        help: "Connections that are open now.",
        value: |listener| Some(listener.active),
    },
    Metric {
        name: "mio_echo_echoed_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of echoes that the kernel has taken for delivery, without banners.",
        value: |listener| Some(listener.echoed),
    },
    Metric {
        name: "mio_echo_discarded_bytes_total",
        kind: Kind::Counter,
        help: "Bytes that were read and not echoed, because the server had ended their session.",
        value: |listener| Some(listener.discarded),
    },
    Metric {
        name: "mio_echo_pending_bytes",
        kind: Kind::Gauge,
        help: "Bytes of echoes that wait in the process until the kernel takes them.",
        value: |listener| Some(listener.pending),
    },
    Metric {
        name: "mio_echo_accept_pauses_total",
        kind: Kind::Counter,
        help: "Pauses of accepting of 250 ms, because the process had no descriptor or memory left, or every accept failed.",
        value: |listener| Some(listener.accept_pauses),
    },
];

/// The metric with one value for each listener and each reason.
pub(super) const CLOSED: Metric<u64> = Metric {
    name: "mio_echo_connections_closed_total",
    kind: Kind::Counter,
    help: "Connections that were closed, by reason.",
    value: |count| Some(*count),
};

/// The metrics of the whole server.
pub(super) const OF_SERVER: [Metric<Figures>; 9] = [
    Metric {
        name: "mio_echo_max_connections",
        kind: Kind::Gauge,
        help: "Most connections at once (--max-connections).",
        value: |figures| Some(figures.stats.max_connections as u64),
    },
    Metric {
        name: "mio_echo_memory_bound_bytes",
        kind: Kind::Gauge,
        help: "Most memory that connections may hold in the process (--max-memory, or less if they cannot use that much).",
        value: |figures| Some(figures.stats.memory_bound as u64),
    },
    Metric {
        name: "mio_echo_memory_used_bytes",
        kind: Kind::Gauge,
        help: "Memory of that bound which is in use: the read buffer, the jobs of workers, and what open connections hold.",
        value: |figures| Some(figures.stats.memory_used as u64),
    },
    Metric {
        name: "mio_echo_loop_turns_total",
        kind: Kind::Counter,
        help: "Turns of the event loops.",
        value: |figures| Some(figures.stats.turns),
    },
    Metric {
        name: "mio_echo_loop_events_total",
        kind: Kind::Counter,
        help: "Events that the event loops have received from the kernel.",
        value: |figures| Some(figures.stats.events),
    },
    Metric {
        name: "mio_echo_loop_backlog_connections",
        kind: Kind::Gauge,
        help: "Connections in the backlog: their last run was too short for all that they had to do.",
        value: |figures| Some(figures.stats.backlog as u64),
    },
    Metric {
        name: "mio_echo_stopping",
        kind: Kind::Gauge,
        help: "1 from the request to stop on, 0 before.",
        value: |figures| Some(figures.is_stopping.into()),
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        help: "When the server started, in seconds since 1970.",
        value: |figures| Some(figures.started),
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        help: "Resident memory of the process.",
        value: |_| resident_memory(),
    },
];

/// A metric whose labels tell what is running. Its value is always 1.
pub(super) const BUILD: Metric<()> = Metric {
    name: "mio_echo_build_info",
    kind: Kind::Gauge,
    help: "The version of mio-echo, and the readiness back end of its loop.",
    value: |()| Some(1),
};
