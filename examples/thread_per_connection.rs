//! An echo server with a thread for each connection.
//!
//! The fault: a client that only connects takes a thread with its stack. Clients that do nothing use up the memory, and
//! then `thread::spawn` panics and ends the server for all.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    for client in listener.incoming() {
        let client = client?;
        // THE FAULT: nothing limits the number of threads.
        thread::spawn(move || echo(client));
    }
    Ok(())
}

/// Echoes until the client has finished sending. Each call blocks this thread, so the order of events needs no thought.
fn echo(mut client: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => client.write_all(&buffer[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
