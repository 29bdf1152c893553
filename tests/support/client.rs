//! A client of the server under test. Everything it does has a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::{DEADLINE, Data, wait_for};

const CHUNK: usize = 64 * 1024;

/// So often in turn a socket takes nothing, a millisecond apart, before the server is taken to read no more. Counted and
/// not timed: on a busy machine a server that is kept from reading keeps no other time than its client.
const LOOKS: usize = 200;

pub struct Client {
    stream: TcpStream,
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
        Ok(Self { stream })
    }

    /// A client that comes from `source`.
    #[track_caller]
    pub fn connect_from(source: IpAddr, server: SocketAddr) -> Self {
        Self::connect_with(server, |socket| {
            socket.bind(&SocketAddr::new(source, 0).into())
        })
    }

    /// A client whose kernel holds about `bytes` for it, so that it soon holds up the server when it does not read.
    #[track_caller]
    pub fn connect_with_small_buffers(server: SocketAddr, bytes: usize) -> Self {
        Self::connect_with(server, |socket| {
            socket.set_send_buffer_size(bytes)?;
            socket.set_recv_buffer_size(bytes)
        })
    }

    #[track_caller]
    pub fn connect_with(server: SocketAddr, prepare: impl Fn(&Socket) -> io::Result<()>) -> Self {
        let connect = || {
            let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
            prepare(&socket)?;
            socket.connect_timeout(&server.into(), DEADLINE)?;
            socket.set_tcp_nodelay(true)?;
            Ok(socket)
        };
        let connected: io::Result<Socket> = connect();
        Self {
            stream: connected.expect("connecting").into(),
        }
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

    /// Sends for as long as it takes the server to answer with a reset, and takes nothing from it.
    #[track_caller]
    pub fn send_until_reset(&self) {
        self.stream.set_nonblocking(true).expect("non-blocking");
        wait_for("a reset", DEADLINE, || {
            loop {
                match (&self.stream).write(&[0; CHUNK]) {
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

    /// Sends from `data` until nobody takes any more, `most` bytes are gone or the server closes. Returns how many
    /// bytes went.
    #[track_caller]
    pub fn send_until_blocked(&self, data: &mut Data, most: usize) -> usize {
        let begin = data.clone();
        let sent = self.send_chunks_until_blocked(|sent| {
            let mut ahead = begin.clone();
            ahead.skip(sent);
            ahead.take(CHUNK.min(most - sent))
        });
        data.skip(sent);
        sent
    }

    /// Sends `bytes` until nobody takes any more, all are gone or the server closes. Returns how many went.
    #[track_caller]
    pub fn send_bytes_until_blocked(&self, bytes: &[u8]) -> usize {
        self.send_chunks_until_blocked(|sent| {
            bytes[sent..].chunks(CHUNK).next().unwrap_or(&[]).to_vec()
        })
    }

    /// `chunk` gives what comes after the bytes that are gone; nothing: that was all.
    #[track_caller]
    fn send_chunks_until_blocked(&self, chunk: impl Fn(usize) -> Vec<u8>) -> usize {
        self.stream.set_nonblocking(true).expect("non-blocking");
        let (mut sent, mut in_vain) = (0, 0);
        while in_vain < LOOKS {
            let bytes = chunk(sent);
            if bytes.is_empty() {
                break;
            }
            match (&self.stream).write(&bytes) {
                Ok(taken) => {
                    sent += taken;
                    in_vain = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    in_vain += 1;
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

    /// Half-closes: says that this side has finished sending.
    #[track_caller]
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).expect("half-closing");
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

    /// Sends `bytes`, which the kernels hold easily, and expects them back.
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

    /// Takes whatever still comes and requires that a reset ends it.
    #[track_caller]
    pub fn expect_reset(&self) {
        assert_eq!(self.receive_to_end().1, End::Reset);
    }

    #[track_caller]
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

    /// What a read that gave nothing means.
    #[cfg(not(windows))]
    fn end_of_stream(&self) -> End {
        End::Fin
    }

    /// What a read that gave nothing means. Wine's server process takes the error from a socket that it polls, and a read
    /// then tells of an end where there was a reset; only another poll still knows.
    #[cfg(windows)]
    fn end_of_stream(&self) -> End {
        let clone = self.stream.try_clone().expect("another handle");
        clone.set_nonblocking(true).expect("non-blocking");
        let mut stream = mio::net::TcpStream::from_std(clone);
        let mut poll = mio::Poll::new().expect("a poll");
        let mut events = mio::Events::with_capacity(1);
        poll.registry()
            .register(&mut stream, mio::Token(0), mio::Interest::READABLE)
            .expect("registering");
        poll.poll(&mut events, Some(DEADLINE)).expect("polling");
        let event = events.iter().next().expect("an end is reported again");
        match event.is_write_closed() {
            true => End::Reset,
            false => End::Fin,
        }
    }

    /// Requires that nothing arrives for `time`, neither bytes nor an end.
    #[track_caller]
    pub fn expect_silence(&self, time: Duration) {
        match self.read_by(&mut [0], Instant::now() + time) {
            Err(error) if is_timeout(&error) => {}
            other => panic!("silence expected, not {other:?}"),
        }
    }

    /// Whether something has arrived, a byte or an end; it is not taken.
    #[track_caller]
    pub fn has_input(&self) -> bool {
        self.stream.set_nonblocking(true).expect("non-blocking");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("blocking");
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Takes what one read gives, at most `buffer`, by `until`.
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

    /// Writes what one call takes, or says why not.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(DEADLINE))?;
        (&self.stream).write(bytes)
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

/// Compares without printing megabytes.
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

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
