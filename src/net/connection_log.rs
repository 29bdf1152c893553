//! The log lines about single clients, with the fields of `--log-format json`.

use std::net::SocketAddr;

use log::{debug, warn};

use super::scope::ScopedAddress;
use crate::conn::{CloseReason, Connection};

/// Logs the end of a connection from `peer`, which `listener` has accepted.
pub(super) fn closed(
    connection: &Connection,
    reason: CloseReason,
    peer: SocketAddr,
    listener: SocketAddr,
) {
    let (id, received, sent) = (connection.id(), connection.received(), connection.sent());
    debug!(
        conn = id,
        peer = text(peer).as_str(),
        listener = text(listener).as_str(),
        reason = reason.explain(),
        bytes = connection.echoed();
        "conn {id} from {}: {reason}, {received} bytes in, {sent} out", ScopedAddress(peer)
    );
}

/// Warns of the failure of a connection, one of `count` since the last such line.
pub(super) fn failed(
    connection: &Connection,
    reason: CloseReason,
    peer: SocketAddr,
    listener: SocketAddr,
    count: u64,
) {
    let id = connection.id();
    warn!(
        conn = id,
        peer = text(peer).as_str(),
        listener = text(listener).as_str(),
        reason = reason.explain();
        "conn {id} from {}: {reason} ({count} failed connections since the last such line)", ScopedAddress(peer)
    );
}

/// Warns of a client that was refused, one of `count` since the last such line.
pub(super) fn refused(peer: SocketAddr, listener: SocketAddr, why: &str, count: u64) {
    warn!(
        peer = text(peer).as_str(), listener = text(listener).as_str(), reason = why;
        "refused {}: {why} ({count} refused since the last such line)", ScopedAddress(peer)
    );
}

/// Fields take text alone. A line that is not logged creates none.
fn text(address: SocketAddr) -> String {
    ScopedAddress(address).to_string()
}
