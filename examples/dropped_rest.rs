//! An echo server of one thread, which waits for events of all sockets and never blocks on one. mio tells only that bytes
//! have arrived (it is edge-triggered), so each event is followed by reads until the socket answers `WouldBlock`.
//!
//! The fault: a socket whose send buffer is full takes a part of a write, or nothing. This server drops the rest. A
//! client that sends before it reads gets an echo with gaps.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(0);

fn main() -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(128);
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on {}", listener.local_addr()?);
    let mut clients = HashMap::new();
    let mut tokens = (1..).map(Token);
    loop {
        poll.poll(&mut events, None)?;
        for token in events.iter().map(|event| event.token()) {
            if token == LISTENER {
                while let Ok((mut client, _)) = listener.accept() {
                    let token = tokens.next().expect("a token");
                    registry.register(&mut client, token, Interest::READABLE)?;
                    clients.insert(token, client);
                }
            } else if let Some(client) = clients.get_mut(&token)
                && echo(client)
            {
                clients.remove(&token);
            }
        }
    }
}

/// Echoes until there is no more input. Returns true if the connection is over.
fn echo(client: &mut TcpStream) -> bool {
    let mut buffer = [0; 16 * 1024];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return true,
            Ok(length) => {
                // THE FAULT: the number of bytes that were taken is ignored, and so is `WouldBlock`.
                let _ = client.write(&buffer[..length]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // There is no more input now. The next event tells when there is.
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}
