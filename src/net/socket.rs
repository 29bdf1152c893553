//! What all TCP sockets have in common: their creation, the options that only tune, and the abortive close.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use log::warn;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::platform;

/// Creates a TCP socket of the family of `address`.
pub(super) fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    Socket::new(domain, Type::STREAM, Some(Protocol::TCP))
}

/// The options whose refusal was reported.
static REPORTED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// Takes the result of setting an option that only tunes: without the option a socket is slower or notices a dead peer
/// later, but it carries the same bytes. A refusal is reported once for each option, and is no error.
///
/// Options are refused by security filters (seccomp), and by kernels that lack them for a kind of socket, such as
/// Multipath TCP.
pub(super) fn tune(option: &'static str, set: io::Result<()>) {
    if let Err(error) = set {
        report_refused(option, &error, "sockets are used without it");
    }
}

#[cold]
fn report_refused(option: &'static str, error: &io::Error, consequence: &str) {
    // The peer of an accepted socket may be gone already.
    if platform::is_of_dead_connection(error) {
        return;
    }
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !reported.contains(&option) {
        reported.push(option);
        warn!("cannot set the socket option {option}: {error}; {consequence}");
    }
}

/// Sets SO_SNDBUF and SO_RCVBUF to `size` bytes. `None` leaves them to the system's autotuning.
pub(super) fn set_buffer_sizes(socket: &Socket, size: Option<usize>) {
    if let Some(size) = size {
        tune("SO_SNDBUF", socket.set_send_buffer_size(size));
        tune("SO_RCVBUF", socket.set_recv_buffer_size(size));
    }
}

/// Makes the coming close of `socket` send RST in place of FIN: it sets SO_LINGER with a timeout of zero.
///
/// A close that drops bytes owed to the peer must be seen as a failure, so that a truncated echo never looks complete.
///
/// Linux has a second way, in case that a security filter refuses the option. Other systems have none: see
/// [`platform::disconnect_with_reset`].
///
/// If the system refuses both, that is reported once. On some systems the option fails on a socket whose connection is
/// gone. Such a socket has no peer that could mistake the close.
pub(crate) fn reset_on_close(socket: &TcpStream) {
    if let Err(error) = SockRef::from(socket).set_linger(Some(Duration::ZERO))
        && platform::disconnect_with_reset(socket).is_err()
    {
        let consequence = "a truncated echo may end like a whole one";
        report_refused("SO_LINGER", &error, consequence);
    }
}
