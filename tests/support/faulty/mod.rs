//! Echo servers with one fault each, which a load generator must notice. They use plain threads and real sockets.
//!
//! Each connection has a thread, which ends with the connection. Dropping a server stops it. Drop its clients first.

mod damage;
mod delays;
mod failures;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

pub use damage::{DAMAGED_MESSAGE, Damage, DamagingServer};
pub use delays::{RecordingServer, delays_every, delays_first, drips, limits_rate, stalls_once};
pub use failures::{
    closes_at_once, closes_mid_reply, echoes_once, never_answers, never_reads, resets_mid_reply,
    serves_only_first,
};

const CHUNK: usize = 64 * 1024;

/// A running server on a free port of 127.0.0.1.
pub struct FaultyServer {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// One accepted connection.
struct Connection {
    stream: TcpStream,
    /// The position in the order of acceptance, from 0.
    number: usize,
}

impl FaultyServer {
    /// Starts a server that runs `serve` for each connection, on a new thread. An error ends that connection.
    fn start(serve: impl Fn(Connection) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listening");
        let address = listener.local_addr().expect("the address");
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_stopped);
        let serve = Arc::new(serve);
        let accept = move || {
            for (number, stream) in listener.incoming().enumerate() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let stream = stream.expect("accepting");
                stream.set_nodelay(true).expect("setting an option");
                let serve = Arc::clone(&serve);
                // The result is ignored, because the client may leave at any time.
                thread::spawn(move || serve(Connection { stream, number }));
            }
        };
        Self {
            address,
            is_stopped,
            accepting: Some(thread::spawn(accept)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        // The connection wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        let accepting = self.accepting.take().expect("stopped once");
        assert!(accepting.join().is_ok() || thread::panicking(), "accepting");
    }
}

impl Connection {
    /// Echoes one read at a time until the end of input. Calls `before` between reading and writing.
    fn echo(mut self, mut before: impl FnMut()) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.stream.read(&mut chunk)? {
                0 => return Ok(()),
                got => {
                    before();
                    self.stream.write_all(&chunk[..got])?;
                }
            }
        }
    }

    /// Returns the next message of `size` bytes, or an error at the end of input.
    fn message(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let mut message = vec![0; size];
        self.stream.read_exact(&mut message)?;
        Ok(message)
    }

    /// Reads until the end of input and answers nothing.
    fn discard(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }
}
