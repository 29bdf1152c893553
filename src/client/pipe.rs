//! A pipe from standard input to the server and from the server to standard output. Neither direction waits for the other.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::{Events, Poll, Token};

use super::connect::{Target, connect, wait_until};
use super::socket::ClientSocket;
use super::stdio::{BUFFERS, Buffer, Stdio, StdioEvent};
use super::{ByteCount, Config, Failure};
use crate::net::poll;
use crate::net::timers::NEVER;

const SERVER: Token = Token(0);
const WAKER: Token = Token(1);

/// The most events of one wait. There are only two sources.
const EVENTS: usize = 8;

/// Connects, sends all of `input`, half-closes, and writes what comes back to `output`, until the server closes.
///
/// It uses a fixed amount of memory. It starts two threads, which may outlive the call, blocked in `input` or `output`.
///
/// After the server has closed, `is_readable` tells whether `input` can be read without waiting. If so, `pipe` waits for
/// that read: bytes that could have been sent are missing in the echo too.
///
/// # Errors
///
/// Returns an error if no connection can be established, if the connection is reset, if a stream fails, or if the server
/// closes before as many bytes have come back as were read from `input`.
pub fn pipe(
    config: &Config,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    is_readable: impl Fn() -> bool,
) -> Result<(), Failure> {
    let (mut poll, handle) = poll::with_waker(WAKER).map_err(Failure::Poll)?;
    let mut events = Events::with_capacity(EVENTS);
    let target = Target::resolve(config)?;
    let socket = connect(&target, &mut poll, &mut events, SERVER)?;
    let (stdio, free) = Stdio::start(handle, input, output)?;
    let pipe = Pipe {
        socket,
        stdio,
        is_readable,
        unsent: VecDeque::with_capacity(BUFFERS),
        free,
        input_ended: false,
        server_ended: None,
        greeting: ByteCount::expecting(config.skip as u64),
        echo: ByteCount::default(),
    };
    pipe.run(&mut poll, &mut events)
}

struct Pipe<F> {
    socket: ClientSocket,
    stdio: Stdio,
    /// Returns true if standard input can be read without waiting.
    is_readable: F,
    /// Buffers from standard input, for the server.
    unsent: VecDeque<Buffer>,
    /// Free buffers for bytes from the server. The other buffers are at standard output.
    free: Vec<Buffer>,
    input_ended: bool,
    /// The end of the connection: a FIN, or an error.
    server_ended: Option<io::Result<()>>,
    /// The bytes of the greeting, which are discarded.
    greeting: ByteCount,
    /// The other bytes from the server. As many are expected as were read from standard input.
    echo: ByteCount,
}

impl<F: Fn() -> bool> Pipe<F> {
    fn run(mut self, poll: &mut Poll, events: &mut Events) -> Result<(), Failure> {
        loop {
            // A wake is only a hint, and mio's poll(2) back end can lose it (mio#1874). So this looks right before waiting.
            let had_events = self.handle_stdio_events()?;
            if let Some(result) = self.result() {
                return result;
            }
            let deadline = if had_events || self.is_runnable() {
                0
            } else {
                NEVER
            };
            wait_until(deadline, 0, poll, events)?;
            for event in events.iter().filter(|event| event.token() == SERVER) {
                self.socket.handle_event(event);
            }
            self.handle_stdio_events()?;
            self.send();
            self.receive();
            let wanted = self.wants_write();
            self.socket.arm_write(wanted, poll.registry());
        }
    }

    /// Handles the events of the threads at the standard streams. Returns true if there was any.
    fn handle_stdio_events(&mut self) -> Result<bool, Failure> {
        let mut had_events = false;
        while let Some(event) = self.stdio.next_event() {
            had_events = true;
            match event {
                StdioEvent::Read(buffer) => {
                    self.echo.expected += buffer.bytes().len() as u64;
                    self.unsent.push_back(buffer);
                }
                StdioEvent::InputEnded => self.input_ended = true,
                StdioEvent::Written(buffer) => self.free.push(buffer),
                StdioEvent::Failed(failure) => return Err(failure),
            }
        }
        Ok(had_events)
    }

    fn send(&mut self) {
        while self.wants_write()
            && self.socket.can_write()
            && let Some(buffer) = self.unsent.front_mut()
        {
            let taken = self.socket.write(buffer.bytes());
            buffer.consume(taken);
            if buffer.bytes().is_empty()
                && let Some(empty) = self.unsent.pop_front()
            {
                self.stdio.return_to_reader(empty);
            }
        }
        if self.input_ended && self.unsent.is_empty() {
            self.socket.send_fin();
        }
    }

    fn receive(&mut self) {
        while self.wants_read()
            && self.socket.can_read()
            && let Some(mut buffer) = self.free.pop()
        {
            match self.socket.read(buffer.space()) {
                Ok(Some(0)) => self.server_ended = Some(Ok(())),
                Ok(Some(got)) => {
                    buffer.set_len(got);
                    if self.discard_greeting(&mut buffer) {
                        self.stdio.send_to_writer(buffer);
                        continue;
                    }
                }
                Ok(None) => {}
                Err(error) => self.server_ended = Some(Err(error)),
            }
            self.free.push(buffer);
        }
    }

    /// Removes bytes of the greeting from the start of `buffer`. Returns true if other bytes are left.
    fn discard_greeting(&mut self, buffer: &mut Buffer) -> bool {
        let discarded = self.greeting.take(buffer.bytes().len());
        buffer.consume(discarded);
        self.echo.received += buffer.bytes().len() as u64;
        !buffer.bytes().is_empty()
    }

    fn wants_write(&self) -> bool {
        !self.unsent.is_empty() && self.server_ended.is_none() && !self.socket.is_broken()
    }

    fn wants_read(&self) -> bool {
        !self.free.is_empty() && self.server_ended.is_none()
    }

    fn is_runnable(&self) -> bool {
        (self.wants_write() && self.socket.can_write())
            || (self.wants_read() && self.socket.can_read())
    }

    /// Returns true if the echo of everything read is complete and the thread at standard input will report more input, or
    /// its end, at once. The thread has a buffer for that, because nothing is unsent.
    fn expects_more_input(&self) -> bool {
        self.server_ended.as_ref().is_some_and(Result::is_ok)
            && self.echo.missing() == 0
            && self.unsent.is_empty()
            && !self.input_ended
            && (self.is_readable)()
    }

    /// Returns the result once the server has closed and standard output has taken everything.
    fn result(&mut self) -> Option<Result<(), Failure>> {
        if self.free.len() < BUFFERS || self.expects_more_input() {
            return None;
        }
        let ended = self.server_ended.take()?;
        let bytes = self.echo;
        Some(match ended {
            Ok(()) if self.greeting.missing() > 0 => Err(Failure::NoGreeting(self.greeting)),
            Ok(()) if bytes.missing() > 0 => Err(Failure::ClosedEarly(bytes)),
            Ok(()) => Ok(()),
            Err(source) => Err(Failure::Reset { bytes, source }),
        })
    }
}
