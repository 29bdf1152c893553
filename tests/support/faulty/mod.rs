//! Echo servers with one fault each, on plain threads and real sockets: what a load generator must notice.
//!
//! A connection has a thread, which ends with it. The server ends when it is dropped; drop it after its clients.

mod damage;
mod delays;
mod failures;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

pub use damage::{DAMAGED_MESSAGE, Damage, DamagingServer};
pub use delays::{RecordingServer, delays_every, delays_first, limits_rate, stalls_once};
pub use failures::{
    UnusedAddress, closes_at_once, closes_mid_reply, echoes_once, never_answers, never_reads,
    resets_mid_reply, serves_only_first,
};

const CHUNK: usize = 64 * 1024;

/// A running server. It listens on a free port of 127.0.0.1.
pub struct FaultyServer {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// One connection of such a server.
struct Connection {
    stream: TcpStream,
    /// In the order of acceptance, from 0.
    number: usize,
}

impl FaultyServer {
    /// Gives each connection to `serve`, on a thread of its own. An error ends that connection.
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
                // The client may go at any time.
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
        // Only to wake the thread that accepts.
        let _ = TcpStream::connect(self.address);
        let accepting = self.accepting.take().expect("stopped once");
        assert!(accepting.join().is_ok() || thread::panicking(), "accepting");
    }
}

impl Connection {
    /// Echoes what one read gives at a time, to the end; `before` runs between reading and writing.
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

    /// The next message of `size` bytes; an error at the end of input.
    fn message(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let mut message = vec![0; size];
        self.stream.read_exact(&mut message)?;
        Ok(message)
    }

    /// Takes everything to the end of input and answers nothing.
    fn discard(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }
}
