//! Servers that follow a script, for replies that an echo server does not send.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::support::DEADLINE;

/// The server's side of one connection.
pub struct Session {
    stream: TcpStream,
}

/// Starts a server that runs `serve` for each client, on a new thread, until the test ends.
pub fn serve(serve: impl Fn(Session) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(Session::new(stream)));
        }
    });
    address
}

impl Session {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        Self { stream }
    }

    pub fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("receiving");
        bytes
    }

    pub fn receive_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).expect("receiving");
        bytes
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("sending");
    }

    /// Sends, unless the client has closed.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a FIN.
    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("half-closing");
    }

    /// Closes with a reset.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("setting linger");
    }
}
