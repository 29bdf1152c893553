//! What all TCP sockets have in common: their creation, the sizes of their buffers, and the abortive close.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use log::debug;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::platform;

/// Creates a TCP socket of the family of `address`.
pub(super) fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    Socket::new(domain, Type::STREAM, Some(Protocol::TCP))
}

/// Sets SO_SNDBUF and SO_RCVBUF to `size` bytes. `None` leaves them to the system's autotuning.
pub(super) fn set_buffer_sizes(socket: &Socket, size: Option<usize>) -> io::Result<()> {
    if let Some(size) = size {
        socket.set_send_buffer_size(size)?;
        socket.set_recv_buffer_size(size)?;
    }
    Ok(())
}

/// Makes the coming close of `socket` send RST in place of FIN: it sets SO_LINGER with a timeout of zero.
///
/// A close that drops bytes owed to the peer must be seen as a failure, so that a truncated echo never looks complete.
///
/// Linux has a second way, in case that a security filter refuses the option. Other systems have none: see
/// [`platform::disconnect_with_reset`].
///
/// An error is only logged. On some systems the option fails on a socket whose connection is gone, and such a socket has
/// no peer that could mistake the close.
pub(crate) fn reset_on_close(socket: &TcpStream) {
    let Err(linger) = SockRef::from(socket).set_linger(Some(Duration::ZERO)) else {
        return;
    };
    if let Err(error) = platform::disconnect_with_reset(socket) {
        debug!("cannot reset the connection: SO_LINGER: {linger}; disconnect: {error}");
    }
}
