//! Addresses without a listener. They stay unused while the test holds the socket that has the port.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use super::serves_on_windows;

/// Returns an address of 127.0.0.1 that refuses clients while the socket, which does not listen, exists.
#[track_caller]
pub fn unused_address() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    #[cfg(unix)]
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).expect("a free port");
    let address = socket.local_addr().expect("its address");
    (socket, address.as_socket().expect("an IP address"))
}

/// Returns an address of 127.0.0.1 for a server that is told its port.
///
/// While the socket exists, Linux assigns the port to nobody, but lets a server that asks for the port listen: both set
/// SO_REUSEADDR, and only one of them listens. Other systems refuse the server, so there is no socket, and another process
/// could take the port before the server does.
#[track_caller]
pub fn free_address() -> (Option<Socket>, SocketAddr) {
    let (socket, address) = unused_address();
    let can_share = cfg!(target_os = "linux") && !serves_on_windows();
    (can_share.then_some(socket), address)
}
