//! Servers that do not answer, or not to the end.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::{Faulty, Link};

/// Accepts, and reads nothing.
pub fn never_reads() -> Faulty {
    let held = Mutex::new(Vec::new());
    Faulty::start(move |link| {
        held.lock().expect("the connections").push(link.stream);
        Ok(())
    })
}

/// Accepts and reads, and answers nothing.
pub fn never_answers() -> Faulty {
    Faulty::start(|mut link| link.discard())
}

/// Accepts, and closes in order without a byte.
pub fn closes_at_once() -> Faulty {
    Faulty::start(|mut link| {
        link.stream.shutdown(Shutdown::Write)?;
        link.discard()
    })
}

/// Echoes `whole` messages of `size` bytes on each connection, half of the next one, and closes in order.
pub fn closes_in_the_middle(whole: usize, size: usize) -> Faulty {
    Faulty::start(move |mut link| {
        answer_half(&mut link, whole, size)?;
        link.stream.shutdown(Shutdown::Write)?;
        // Closing with unread input would be a reset.
        link.discard()
    })
}

/// Echoes one message of `size` bytes on each connection, with `more` behind it, and closes at once.
pub fn answers_once(size: usize, more: &'static [u8]) -> Faulty {
    Faulty::start(move |mut link| {
        let message = link.message(size)?;
        link.stream.write_all(&[&message, more].concat())?;
        link.stream.shutdown(Shutdown::Both)
    })
}

/// Echoes on its first `connections`, and closes all others at once.
pub fn serves_the_first(connections: usize) -> Faulty {
    Faulty::start(move |link| match link.number < connections {
        true => link.echo(|| {}),
        false => link.stream.shutdown(Shutdown::Both),
    })
}

/// Echoes `whole` messages of `size` bytes on each connection, half of the next one, and resets.
pub fn resets_in_the_middle(whole: usize, size: usize) -> Faulty {
    Faulty::start(move |mut link| {
        answer_half(&mut link, whole, size)?;
        SockRef::from(&link.stream).set_linger(Some(Duration::ZERO))
    })
}

fn answer_half(link: &mut Link, whole: usize, size: usize) -> std::io::Result<()> {
    for _ in 0..whole {
        let message = link.message(size)?;
        link.stream.write_all(&message)?;
    }
    let message = link.message(size)?;
    link.stream.write_all(&message[..size / 2])
}

/// An address that nobody else gets and where nobody listens: connecting is refused.
pub struct Unheard(Socket);

impl Unheard {
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
