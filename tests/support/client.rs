//! A client of the server under test. Every operation has a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::server::is_at_rest;
use super::{DEADLINE, Data, wait_for};

const CHUNK: usize = 64 * 1024;

/// If a socket accepts no byte this many times in a row, a millisecond apart, while the server is at rest, the server reads
/// no more. Only Linux tells whether the server is at rest, so other systems need more patience.
const MAX_BLOCKED_WRITES: usize = if cfg!(target_os = "linux") { 200 } else { 1000 };

pub struct Client {
    stream: TcpStream,
    /// True once a write has failed because of a reset. The system reports a reset only once, to a read or to a write.
    was_reset: AtomicBool,
}

/// How the server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
}

impl Client {
    #[track_caller]
    pub fn connect(server: SocketAddr) -> Self {
        Self::try_connect(server)
            .unwrap_or_else(|error| panic!("cannot connect to {server}: {error}"))
    }

    pub fn try_connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, DEADLINE)?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            was_reset: AtomicBool::new(false),
        }
    }

    /// Connects from the address `source`.
    #[track_caller]
    pub fn connect_from(source: IpAddr, server: SocketAddr) -> Self {
        Self::connect_with(server, |socket| {
            socket.bind(&SocketAddr::new(source, 0).into())
        })
    }

    /// Connects with socket buffers of about `bytes`. If this client does not read, the server is soon blocked.
    #[track_caller]
    pub fn connect_with_small_buffers(server: SocketAddr, bytes: usize) -> Self {
        Self::connect_with(server, |socket| {
            socket.set_send_buffer_size(bytes)?;
            socket.set_recv_buffer_size(bytes)
        })
    }

    #[track_caller]
    /// Connects with a socket that `prepare` has set up.
    pub fn connect_with(server: SocketAddr, prepare: impl Fn(&Socket) -> io::Result<()>) -> Self {
        let connect = || {
            let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
            prepare(&socket)?;
            socket.connect_timeout(&server.into(), DEADLINE)?;
            socket.set_tcp_nodelay(true)?;
            Ok(socket)
        };
        let connected: io::Result<Socket> = connect();
        Self::new(connected.expect("connecting").into())
    }

    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("the client's address")
    }

    #[track_caller]
    pub fn send(&self, bytes: &[u8]) {
        self.stream
            .set_write_timeout(Some(DEADLINE))
            .expect("setting a timeout");
        (&self.stream)
            .write_all(bytes)
            .unwrap_or_else(|error| panic!("sending {} bytes: {error}", bytes.len()));
    }

    /// Sends until the server resets the connection. Reads nothing.
    #[track_caller]
    pub fn send_until_reset(&self) {
        self.stream.set_nonblocking(true).expect("non-blocking");
        wait_for("a reset", DEADLINE, || {
            loop {
                match self.write(&[0; CHUNK]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                    Err(error) if is_reset(&error) => return true,
                    Err(error) => panic!("sending: {error}"),
                }
            }
        });
    }

    /// Sends one urgent byte.
    #[track_caller]
    pub fn send_urgent(&self, byte: u8) {
        let sent = SockRef::from(&self.stream).send_out_of_band(&[byte]);
        assert_eq!(sent.expect("sending an urgent byte"), 1);
    }

    /// Sends from `data` until the socket accepts no more, `most` bytes are sent, or the server closes. Returns the
    /// number of bytes sent.
    #[track_caller]
    pub fn send_until_blocked(&self, data: &mut Data, most: usize) -> usize {
        let start = data.clone();
        let sent = self.send_chunks_until_blocked(|sent| {
            let mut ahead = start.clone();
            ahead.skip(sent);
            ahead.take(CHUNK.min(most - sent))
        });
        data.skip(sent);
        sent
    }

    /// Sends `bytes` until the socket accepts no more, all bytes are sent, or the server closes. Returns the number
    /// of bytes sent.
    #[track_caller]
    pub fn send_bytes_until_blocked(&self, bytes: &[u8]) -> usize {
        self.send_chunks_until_blocked(|sent| {
            bytes[sent..].chunks(CHUNK).next().unwrap_or(&[]).to_vec()
        })
    }

    /// Calls `chunk` with the number of bytes sent, and sends the returned bytes. An empty chunk ends the data.
    #[track_caller]
    fn send_chunks_until_blocked(&self, chunk: impl Fn(usize) -> Vec<u8>) -> usize {
        let server = self.stream.peer_addr().ok();
        self.stream.set_nonblocking(true).expect("non-blocking");
        let (mut sent, mut blocked) = (0, 0);
        let mut until = Instant::now() + DEADLINE;
        while blocked < MAX_BLOCKED_WRITES {
            let bytes = chunk(sent);
            if bytes.is_empty() {
                break;
            }
            match self.write(&bytes) {
                Ok(taken) => {
                    sent += taken;
                    blocked = 0;
                    until = Instant::now() + DEADLINE;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // A server that was not scheduled for a while still has work, and may read on.
                    blocked = match server.is_none_or(is_at_rest) {
                        true => blocked + 1,
                        false => 0,
                    };
                    assert!(Instant::now() < until, "the server neither reads nor rests");
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) if is_reset(&error) => break,
                Err(error) => panic!("sending after {sent} bytes: {error}"),
            }
        }
        self.stream.set_nonblocking(false).expect("blocking");
        sent
    }

    /// Sends `bytes` and receives them at the same time.
    #[track_caller]
    pub fn exchange_bytes(&self, bytes: &[u8]) {
        thread::scope(|scope| {
            scope.spawn(|| self.send(bytes));
            self.expect(bytes);
        });
    }

    /// Sends a FIN and stays able to receive. If the connection has ended, only receiving tells how.
    #[track_caller]
    pub fn half_close(&self) {
        match self.stream.shutdown(Shutdown::Write) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotConnected || is_reset(&error) => {}
            Err(error) => panic!("half-closing: {error}"),
        }
    }

    /// Writes once, and remembers a reset.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&self.stream).write(bytes);
        if written.as_ref().is_err_and(is_reset) {
            self.was_reset.store(true, Ordering::Relaxed);
        }
        written
    }

    /// Closes with a reset.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("setting linger");
    }

    #[track_caller]
    pub fn receive(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.receive_into(&mut bytes);
        bytes
    }

    /// Receives exactly the next `length` bytes of `data`.
    #[track_caller]
    pub fn expect_data(&self, data: &mut Data, length: usize) {
        let mut bytes = vec![0; CHUNK];
        let mut received = 0;
        while received < length {
            let wanted = CHUNK.min(length - received);
            self.receive_into(&mut bytes[..wanted]);
            assert_equal(received, &bytes[..wanted], &data.take(wanted));
            received += wanted;
        }
    }

    #[track_caller]
    pub fn expect(&self, expected: &[u8]) {
        assert_equal(0, &self.receive(expected.len()), expected);
    }

    /// Sends `bytes`, which must fit into the socket buffers, and expects them back.
    #[track_caller]
    pub fn echo(&self, bytes: &[u8]) {
        self.send(bytes);
        self.expect(bytes);
    }

    /// Sends `length` bytes of `data` and receives them at the same time.
    #[track_caller]
    pub fn exchange(&self, data: &Data, length: usize) {
        thread::scope(|scope| {
            let mut outgoing = data.clone();
            let sender = scope.spawn(move || {
                for at in (0..length).step_by(CHUNK) {
                    self.send(&outgoing.take(CHUNK.min(length - at)));
                }
            });
            self.expect_data(&mut data.clone(), length);
            sender.join().expect("sending");
        });
    }

    #[track_caller]
    pub fn expect_fin(&self) {
        let (rest, end) = self.receive_to_end();
        assert_eq!(end, End::Fin);
        assert!(rest.is_empty(), "{} bytes more than expected", rest.len());
    }

    /// Receives until the end of the connection, which must be a reset.
    #[track_caller]
    pub fn expect_reset(&self) {
        assert_eq!(self.receive_to_end().1, End::Reset);
    }

    #[track_caller]
    /// Receives until the end of the connection.
    pub fn receive_to_end(&self) -> (Vec<u8>, End) {
        let until = Instant::now() + DEADLINE;
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; CHUNK]);
        loop {
            match self.read_by(&mut chunk, until) {
                Ok(0) => return (bytes, self.end_of_stream()),
                Ok(got) => bytes.extend_from_slice(&chunk[..got]),
                Err(error) if is_reset(&error) => return (bytes, End::Reset),
                Err(error) => panic!("no end after {} bytes: {error}", bytes.len()),
            }
        }
    }

    /// Returns the meaning of a read that returned 0 bytes.
    #[cfg(not(windows))]
    fn end_of_stream(&self) -> End {
        match self.was_reset.load(Ordering::Relaxed) {
            true => End::Reset,
            false => End::Fin,
        }
    }

    /// Returns the meaning of a read that returned 0 bytes.
    ///
    /// Wine's server process consumes the error of a socket that it polls. A read after that returns 0 although the
    /// connection was reset. Only another poll still reports the reset.
    #[cfg(windows)]
    fn end_of_stream(&self) -> End {
        if self.was_reset.load(Ordering::Relaxed) {
            return End::Reset;
        }
        let clone = self.stream.try_clone().expect("another handle");
        clone.set_nonblocking(true).expect("non-blocking");
        let mut stream = mio::net::TcpStream::from_std(clone);
        let mut poll = mio::Poll::new().expect("a poll");
        let mut events = mio::Events::with_capacity(1);
        poll.registry()
            .register(&mut stream, mio::Token(0), mio::Interest::READABLE)
            .expect("registering");
        poll.poll(&mut events, Some(DEADLINE)).expect("polling");
        let event = events.iter().next().expect("a second report of the end");
        match event.is_write_closed() {
            true => End::Reset,
            false => End::Fin,
        }
    }

    /// Requires that neither bytes nor an end arrive for `time`.
    #[track_caller]
    pub fn expect_silence(&self, time: Duration) {
        match self.read_by(&mut [0], Instant::now() + time) {
            Err(error) if is_timeout(&error) => {}
            other => panic!("expected silence, got {other:?}"),
        }
    }

    /// Returns true if a byte or an end has arrived. Consumes nothing.
    #[track_caller]
    pub fn has_input(&self) -> bool {
        self.stream.set_nonblocking(true).expect("non-blocking");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("blocking");
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads once, into `buffer`, and fails at `until`.
    pub fn read_by(&self, buffer: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match (&self.stream).read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Writes once, and fails with `WouldBlock` if the socket accepts nothing. Returns the number of bytes that the socket
    /// accepted.
    pub fn send_without_waiting(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let sent = self.write(bytes);
        self.stream.set_nonblocking(false)?;
        sent
    }

    /// Reads and discards everything that has arrived.
    #[track_caller]
    pub fn discard_input(&self) {
        while self.has_input() {
            if self
                .read_by(&mut [0; CHUNK], Instant::now() + DEADLINE)
                .expect("receiving")
                == 0
            {
                return;
            }
        }
    }

    /// Writes once. Returns the number of bytes that the socket accepted.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_by(bytes, Instant::now() + DEADLINE)
    }

    /// Writes once, and fails at `until`. Returns the number of bytes that the socket accepted.
    pub fn write_by(&self, bytes: &[u8], until: Instant) -> io::Result<usize> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_write_timeout(Some(left))?;
        self.write(bytes)
    }

    #[track_caller]
    fn receive_into(&self, bytes: &mut [u8]) {
        let until = Instant::now() + DEADLINE;
        let mut received = 0;
        while received < bytes.len() {
            match self.read_by(&mut bytes[received..], until) {
                Ok(0) => panic!("end after {received} of {} bytes", bytes.len()),
                Ok(got) => received += got,
                Err(error) => panic!("after {received} of {} bytes: {error}", bytes.len()),
            }
        }
    }
}

/// Requires that `got` is `expected`, and prints only the first bytes that differ.
#[track_caller]
fn assert_equal(offset: usize, got: &[u8], expected: &[u8]) {
    if got == expected {
        return;
    }
    let at = got.iter().zip(expected).position(|(a, b)| a != b);
    let at = at.expect("equal lengths");
    panic!(
        "wrong byte at offset {}: got {:02x?}, expected {:02x?}",
        offset + at,
        &got[at..(at + 8).min(got.len())],
        &expected[at..(at + 8).min(expected.len())],
    );
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

/// Returns true if `error` means that a deadline has passed.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
