//! Standard input to the server, what comes back to standard output. Neither direction waits for the other.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::{Events, Poll, Token, Waker};

use super::dialing::{connect, wait_until};
use super::link::Link;
use super::stdio::{CHUNKS, Chunk, Stdio, StdioEvent};
use super::{Config, Failure};
use crate::net::timers::NEVER;

const SERVER: Token = Token(0);
const WAKER: Token = Token(1);

/// Events taken from the poll at once: there are only two sources.
const EVENTS: usize = 8;

/// Connects, sends all of `input`, half-closes, and writes what comes back to `output`, until the server closes. Uses a
/// fixed amount of memory. Two threads that it starts may outlive it, blocked in `input` or `output`.
///
/// `is_readable` is asked, when the server has closed, whether `input` can be read without waiting. If so, that is
/// waited for: what was there to be sent and was not read yet is missing in the echo too.
///
/// # Errors
///
/// When there is no connection, it breaks, a stream fails, or the server closes before as much came back as was read
/// from `input`.
pub fn pipe(
    config: &Config,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    is_readable: impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut poll = Poll::new().map_err(Failure::polling)?;
    let mut events = Events::with_capacity(EVENTS);
    let waker = Waker::new(poll.registry(), WAKER).map_err(Failure::polling)?;
    let link = connect(config, &mut poll, &mut events, SERVER)?;
    let (stdio, free) = Stdio::start(waker, input, output)?;
    let pipe = Pipe {
        link,
        stdio,
        is_readable,
        unsent: VecDeque::with_capacity(CHUNKS),
        free,
        input_ended: false,
        server_ended: None,
        read: 0,
        received: 0,
        skip: config.skip as u64,
    };
    pipe.run(&mut poll, &mut events)
}

struct Pipe<F> {
    link: Link,
    stdio: Stdio,
    /// Whether standard input can be read without waiting.
    is_readable: F,
    /// From standard input, for the server.
    unsent: VecDeque<Chunk>,
    /// For what comes from the server. The others are at standard output.
    free: Vec<Chunk>,
    input_ended: bool,
    /// In order, or not.
    server_ended: Option<io::Result<()>>,
    /// Bytes from standard input.
    read: u64,
    /// Bytes from the server, greeting included.
    received: u64,
    /// Bytes of the greeting.
    skip: u64,
}

impl<F: Fn() -> bool> Pipe<F> {
    fn run(mut self, poll: &mut Poll, events: &mut Events) -> Result<(), Failure> {
        loop {
            // The waker is only a hint, and mio's poll(2) back end can lose it (mio#1874): look right before waiting.
            let has_news = self.take_reports()?;
            if let Some(end) = self.end() {
                return end;
            }
            let deadline = if has_news || self.is_runnable() {
                0
            } else {
                NEVER
            };
            wait_until(deadline, 0, poll, events)?;
            for event in events.iter().filter(|event| event.token() == SERVER) {
                self.link.note(event);
            }
            self.take_reports()?;
            self.send();
            self.receive();
            let wanted = self.wants_write();
            self.link.arm_write(wanted, poll.registry());
        }
    }

    /// Whether there were any.
    fn take_reports(&mut self) -> Result<bool, Failure> {
        let mut has_news = false;
        while let Some(report) = self.stdio.report() {
            has_news = true;
            match report {
                StdioEvent::Read(chunk) => {
                    self.read += chunk.bytes().len() as u64;
                    self.unsent.push_back(chunk);
                }
                StdioEvent::InputEnded => self.input_ended = true,
                StdioEvent::InputFailed(error) => return Err(Failure::Input(error)),
                StdioEvent::Written(chunk) => self.free.push(chunk),
                StdioEvent::OutputFailed(error) => return Err(Failure::Output(error)),
            }
        }
        Ok(has_news)
    }

    fn send(&mut self) {
        while self.wants_write()
            && self.link.can_write()
            && let Some(chunk) = self.unsent.front_mut()
        {
            let taken = self.link.write(chunk.bytes());
            chunk.consume(taken);
            if chunk.bytes().is_empty()
                && let Some(empty) = self.unsent.pop_front()
            {
                self.stdio.return_to_reader(empty);
            }
        }
        if self.input_ended && self.unsent.is_empty() {
            self.link.finish();
        }
    }

    fn receive(&mut self) {
        while self.wants_read()
            && self.link.can_read()
            && let Some(mut chunk) = self.free.pop()
        {
            match self.link.read(chunk.room()) {
                Ok(Some(0)) => self.server_ended = Some(Ok(())),
                Ok(Some(got)) => {
                    chunk.filled(got);
                    if self.discard_greeting(&mut chunk) {
                        self.stdio.send_to_writer(chunk);
                        continue;
                    }
                }
                Ok(None) => {}
                Err(error) => self.server_ended = Some(Err(error)),
            }
            self.free.push(chunk);
        }
    }

    /// Whether anything is left.
    fn discard_greeting(&mut self, chunk: &mut Chunk) -> bool {
        let greeting = self.skip.saturating_sub(self.received);
        let got = chunk.bytes().len();
        self.received += got as u64;
        let discarded = usize::try_from(greeting).map_or(got, |greeting| greeting.min(got));
        chunk.consume(discarded);
        discarded < got
    }

    fn wants_write(&self) -> bool {
        !self.unsent.is_empty() && self.server_ended.is_none() && !self.link.is_broken()
    }

    fn wants_read(&self) -> bool {
        !self.free.is_empty() && self.server_ended.is_none()
    }

    fn is_runnable(&self) -> bool {
        (self.wants_write() && self.link.can_write()) || (self.wants_read() && self.link.can_read())
    }

    /// Whether nothing is missing of what was read, and the thread at standard input is about to tell of more, or of
    /// its end. It has a buffer for that unless something is unsent.
    fn is_about_to_read(&self) -> bool {
        let received = self.received.saturating_sub(self.skip);
        self.server_ended.as_ref().is_some_and(Result::is_ok)
            && received >= self.read
            && self.unsent.is_empty()
            && !self.input_ended
            && (self.is_readable)()
    }

    /// How it ended: the server has closed, and standard output has got all.
    fn end(&mut self) -> Option<Result<(), Failure>> {
        if self.free.len() < CHUNKS || self.is_about_to_read() {
            return None;
        }
        let ended = self.server_ended.take()?;
        let received = self.received.saturating_sub(self.skip);
        Some(match ended {
            Ok(()) if self.received < self.skip => Err(Failure::NoGreeting {
                received: self.received,
                expected: self.skip,
            }),
            Ok(()) if received < self.read => Err(Failure::ClosedEarly {
                received,
                expected: self.read,
            }),
            Ok(()) => Ok(()),
            Err(source) => Err(Failure::Reset {
                received,
                expected: self.read,
                source,
            }),
        })
    }
}
