//! The abortive close: a close that sends RST in place of FIN.
//!
//! A close that drops bytes owed to the peer must be seen as a failure, so that a truncated echo never looks complete.

use std::time::Duration;

use log::debug;
use mio::net::TcpStream;
use socket2::SockRef;

/// Makes the coming close of `socket` send RST: it sets SO_LINGER with a timeout of zero.
///
/// An error is only logged. The option fails on a socket whose connection is gone, and such a socket has no peer that
/// could mistake the close.
pub(crate) fn reset_on_close(socket: &TcpStream) {
    if let Err(error) = SockRef::from(socket).set_linger(Some(Duration::ZERO)) {
        debug!("cannot set SO_LINGER to reset the connection: {error}");
    }
}
