//! Servers that do not answer, or stop in the middle of an answer.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Mutex;
use std::time::Duration;

use socket2::SockRef;

use super::{Connection, FaultyServer};

/// Starts a server that accepts and reads nothing.
pub fn never_reads() -> FaultyServer {
    let held = Mutex::new(Vec::new());
    FaultyServer::start(move |connection| {
        held.lock()
            .expect("the connections")
            .push(connection.stream);
        Ok(())
    })
}

/// Starts a server that accepts, reads, and answers nothing.
pub fn never_answers() -> FaultyServer {
    FaultyServer::start(|mut connection| connection.discard())
}

/// Starts a server that accepts and sends a FIN without a byte.
pub fn closes_at_once() -> FaultyServer {
    FaultyServer::start(|mut connection| {
        connection.stream.shutdown(Shutdown::Write)?;
        connection.discard()
    })
}

/// Starts a server that echoes `whole` messages of `size` bytes and half a message on each connection, and sends a FIN.
pub fn closes_mid_reply(whole: usize, size: usize) -> FaultyServer {
    FaultyServer::start(move |mut connection| {
        echo_and_half(&mut connection, whole, size)?;
        connection.stream.shutdown(Shutdown::Write)?;
        // Closing a socket with unread input sends a reset.
        connection.discard()
    })
}

/// Starts a server that echoes one message of `size` bytes on each connection, adds `more`, and closes at once.
pub fn echoes_once(size: usize, more: &'static [u8]) -> FaultyServer {
    FaultyServer::start(move |mut connection| {
        let message = connection.message(size)?;
        connection.stream.write_all(&[&message, more].concat())?;
        connection.stream.shutdown(Shutdown::Both)
    })
}

/// Starts a server that echoes on its first `connections`, and closes every later connection at once.
pub fn serves_only_first(connections: usize) -> FaultyServer {
    FaultyServer::start(move |connection| match connection.number < connections {
        true => connection.echo(|| {}),
        false => connection.stream.shutdown(Shutdown::Both),
    })
}

/// Starts a server that echoes `whole` messages of `size` bytes and half a message on each connection, and resets.
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
