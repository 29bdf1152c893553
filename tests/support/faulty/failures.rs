//! Servers that do not answer, or not to the end.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::{Connection, FaultyServer};

/// Accepts, and reads nothing.
pub fn never_reads() -> FaultyServer {
    let held = Mutex::new(Vec::new());
    FaultyServer::start(move |connection| {
        held.lock()
            .expect("the connections")
            .push(connection.stream);
        Ok(())
    })
}

/// Accepts and reads, and answers nothing.
pub fn never_answers() -> FaultyServer {
    FaultyServer::start(|mut connection| connection.discard())
}

/// Accepts, and closes in order without a byte.
pub fn closes_at_once() -> FaultyServer {
    FaultyServer::start(|mut connection| {
        connection.stream.shutdown(Shutdown::Write)?;
        connection.discard()
    })
}

/// Echoes `whole` messages of `size` bytes on each connection, half of the next one, and closes in order.
pub fn closes_mid_reply(whole: usize, size: usize) -> FaultyServer {
    FaultyServer::start(move |mut connection| {
        echo_and_half(&mut connection, whole, size)?;
        connection.stream.shutdown(Shutdown::Write)?;
        // Closing with unread input would be a reset.
        connection.discard()
    })
}

/// Echoes one message of `size` bytes on each connection, with `more` behind it, and closes at once.
pub fn echoes_once(size: usize, more: &'static [u8]) -> FaultyServer {
    FaultyServer::start(move |mut connection| {
        let message = connection.message(size)?;
        connection.stream.write_all(&[&message, more].concat())?;
        connection.stream.shutdown(Shutdown::Both)
    })
}

/// Echoes on its first `connections`, and closes all others at once.
pub fn serves_only_first(connections: usize) -> FaultyServer {
    FaultyServer::start(move |connection| match connection.number < connections {
        true => connection.echo(|| {}),
        false => connection.stream.shutdown(Shutdown::Both),
    })
}

/// Echoes `whole` messages of `size` bytes on each connection, half of the next one, and resets.
pub fn resets_mid_reply(whole: usize, size: usize) -> FaultyServer {
    FaultyServer::start(move |mut connection| {
        echo_and_half(&mut connection, whole, size)?;
        SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO))
    })
}

fn echo_and_half(connection: &mut Connection, whole: usize, size: usize) -> std::io::Result<()> {
    for _ in 0..whole {
        let message = connection.message(size)?;
        connection.stream.write_all(&message)?;
    }
    let message = connection.message(size)?;
    connection.stream.write_all(&message[..size / 2])
}

/// An address that unused else gets and where unused listens: connecting is refused.
pub struct UnusedAddress(Socket);

impl UnusedAddress {
    pub fn bind() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let free: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&free.into()).expect("binding");
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        let address = self.0.local_addr().expect("the address");
        address.as_socket().expect("an IP address")
    }
}
