//! An echo server of one thread, which keeps what a socket does not take and writes it after the next event.
//!
//! The fault: the server always waits for room in the send buffers too. Almost every socket has room almost always. mio is
//! edge-triggered, but each registration reports anew what is ready, so the wait returns at once, and an idle client keeps
//! the processor busy.

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
                    clients.insert(token, (client, Vec::new()));
                }
            } else if let Some((client, pending)) = clients.get_mut(&token) {
                if echo(client, pending).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                    // THE FAULT: each registration reports again that the socket is writable, although nothing is pending.
                    registry.reregister(client, token, Interest::READABLE | Interest::WRITABLE)?;
                } else {
                    clients.remove(&token);
                }
            }
        }
    }
}

/// Echoes until the socket blocks, which is the error `WouldBlock`, or until the connection is over.
fn echo(client: &mut TcpStream, pending: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        while !pending.is_empty() {
            let taken = client.write(pending)?;
            pending.drain(..taken);
        }
        match client.read(&mut buffer)? {
            0 => return Ok(()),
            length => pending.extend(&buffer[..length]),
        }
    }
}
