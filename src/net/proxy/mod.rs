//! The PROXY protocol: a proxy begins each connection with a header, which tells the address of the client.
//!
//! The configuration names the networks of the proxies. A connection from there must begin with a header of version 1
//! or 2; a connection from anywhere else is served plainly. The specification forbids to guess, because a client could
//! then choose its own address. Without the feature `proxy` there is no such network.

#[cfg(not(feature = "proxy"))]
mod absent;
#[cfg(feature = "proxy")]
mod clients;
#[cfg(feature = "proxy")]
mod header;

#[cfg(not(feature = "proxy"))]
pub(super) use absent::ProxiedClients;
#[cfg(feature = "proxy")]
pub(super) use clients::ProxiedClients;
#[cfg(feature = "proxy")]
pub use header::{BadHeader, LONGEST_HEADER, ProxyHeader, decode};
#[cfg(feature = "proxy")]
pub use ipnet::IpNet;

/// The index of the client with key 0 among the sources of the acceptor. Lower indices belong to listeners.
pub(super) const FIRST_INDEX: usize = usize::MAX / 4;
