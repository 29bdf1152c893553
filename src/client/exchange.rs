//! Messages over many connections at once, each with its own conversation, on one loop.
//!
//! A run of a connection is one read and what it leads to, so that none holds up the others. Whoever is still believed
//! to be readable then runs again in the next turn.

use std::collections::VecDeque;
use std::io::Write;

use mio::{Events, Poll, Registry, Token};

use super::conversation::{Conversation, Received};
use super::dialing::{Dialing, Step, Target, deadline, wait_until};
use super::link::Link;
use super::reply_writer::ReplyWriter;
use super::{Config, ExchangeSummary, Failure, Messages};
use crate::net::platform;
use crate::net::poll::EVENTS_PER_WAIT;
use crate::net::timers::NEVER;

/// Where reads land; a larger reply takes several.
const SCRATCH: usize = 64 * 1024;

/// Most connections that are being connected at once: more than fit into a listener's backlog would only wait for the
/// next try of the kernel, a second later.
const DIALING: usize = 256;

/// Descriptors beside the connections.
const OTHER_DESCRIPTORS: u64 = 32;

/// Connects, sends each message once the one before it has come back, compares, half-closes, and waits for the server to
/// close; on all connections at once. Each reply is a line of `output`: `1: Hello`.
///
/// # Errors
///
/// What concerns all connections: the name, the poll. The failure of one is in the report, and the others go on. So is an
/// error of `output`, with which all end.
pub fn exchange(
    config: &Config,
    messages: &Messages,
    output: &mut impl Write,
) -> Result<ExchangeSummary, Failure> {
    let route = Target::find(config)?;
    // Where the limit stays too low, connecting says so.
    let _ = platform::raise_descriptor_limit(messages.connections as u64 + OTHER_DESCRIPTORS);
    let lines = ReplyWriter::new(output);
    let exchange = Exchange {
        messages,
        route,
        skip: config.skip,
        poll: Poll::new().map_err(Failure::polling)?,
        peers: Vec::new(),
        ready: VecDeque::new(),
        dialing: 0,
        open: 0,
        alarm: NEVER,
        now: lines.now(),
        lines,
        scratch: vec![0; SCRATCH].into_boxed_slice(),
        report: ExchangeSummary {
            equal: 0,
            all: messages.count(),
            failures: Vec::new(),
            output_error: None,
        },
    };
    exchange.run()
}

struct Exchange<'a, W> {
    messages: &'a Messages,
    route: Target,
    skip: usize,
    poll: Poll,
    /// By token; the number of a connection is one more.
    peers: Vec<Peer>,
    /// Tokens of those to be run.
    ready: VecDeque<usize>,
    /// Connections on their way.
    dialing: usize,
    /// Those and the connected.
    open: usize,
    /// No deadline is earlier.
    alarm: u64,
    /// Of the clock of `lines`, as all deadlines are.
    now: u64,
    lines: ReplyWriter<W>,
    scratch: Box<[u8]>,
    report: ExchangeSummary,
}

struct Peer {
    state: State,
    deadline: u64,
    /// Whether it is among the ready.
    is_queued: bool,
}

enum State {
    Dialing(Dialing),
    Active(Active),
    Ended,
}

struct Active {
    link: Link,
    conversation: Conversation,
}

impl<W: Write> Exchange<'_, W> {
    fn run(mut self) -> Result<ExchangeSummary, Failure> {
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        loop {
            self.dial_more();
            self.lines.flush();
            if self.open == 0 || self.lines.have_failed() {
                return Ok(self.report());
            }
            let until = if self.ready.is_empty() { self.alarm } else { 0 };
            wait_until(until, self.now, &mut self.poll, &mut events)?;
            self.now = self.lines.now();
            self.note(&events);
            for _ in 0..self.ready.len() {
                let Some(key) = self.ready.pop_front() else {
                    break;
                };
                self.peers[key].is_queued = false;
                self.run_peer(key);
            }
            self.expire();
        }
    }

    fn report(mut self) -> ExchangeSummary {
        self.report.failures.sort_by_key(|(number, _)| *number);
        self.report.output_error = self.lines.into_error();
        self.report
    }

    fn dial_more(&mut self) {
        while self.peers.len() < self.messages.connections && self.dialing < DIALING {
            let key = self.peers.len();
            self.peers.push(Peer {
                state: State::Dialing(Dialing::default()),
                deadline: NEVER,
                is_queued: false,
            });
            self.dialing += 1;
            self.open += 1;
            self.run_peer(key);
        }
    }

    fn note(&mut self, events: &Events) {
        for event in events {
            let Token(key) = event.token();
            match &mut self.peers[key].state {
                State::Dialing(dialing) => dialing.note(event),
                State::Active(talk) => talk.link.note(event),
                State::Ended => continue,
            }
            self.queue(key);
        }
    }

    fn queue(&mut self, key: usize) {
        if !self.peers[key].is_queued {
            self.peers[key].is_queued = true;
            self.ready.push_back(key);
        }
    }

    fn run_peer(&mut self, key: usize) {
        match &mut self.peers[key].state {
            State::Dialing(dialing) => {
                let registry = self.poll.registry();
                match dialing.advance(&self.route, registry, Token(key), self.now) {
                    Step::Wait { deadline } => self.set_deadline(key, deadline),
                    Step::Connected(link) => self.begin(key, link),
                    Step::Failed(failure) => self.end(key, Err(failure)),
                }
            }
            State::Active(talk) => match talk.run(self.poll.registry(), &mut self.scratch) {
                Ok(Some(heard)) => self.go_on(key, heard),
                Ok(None) => self.end(key, Ok(())),
                Err(failure) => self.end(key, Err(failure)),
            },
            State::Ended => {}
        }
    }

    fn begin(&mut self, key: usize, link: Link) {
        match Conversation::new(self.messages, key + 1, self.skip) {
            Ok(conversation) => {
                self.dialing -= 1;
                self.peers[key].state = State::Active(Active { link, conversation });
                self.restart_clock(key);
                self.queue(key);
            }
            Err(error) => self.end(key, Err(Failure::EncodeError(error))),
        }
    }

    fn go_on(&mut self, key: usize, heard: Received) {
        match heard {
            Received::Part => {}
            Received::Greeting => self.restart_clock(key),
            Received::Reply(text) => {
                self.report.equal += 1;
                self.restart_clock(key);
                self.lines.reply(key + 1, &text);
            }
        }
        if let State::Active(talk) = &self.peers[key].state
            && talk.link.can_read()
        {
            self.queue(key);
        }
    }

    fn end(&mut self, key: usize, result: Result<(), Failure>) {
        if let State::Dialing(_) = self.peers[key].state {
            self.dialing -= 1;
        }
        self.peers[key].state = State::Ended;
        self.open -= 1;
        if let Err(failure) = result {
            self.report.failures.push((key + 1, failure));
        }
    }

    fn restart_clock(&mut self, key: usize) {
        self.set_deadline(key, deadline(self.now, self.messages.timeout));
    }

    fn set_deadline(&mut self, key: usize, deadline: u64) {
        self.peers[key].deadline = deadline;
        self.alarm = self.alarm.min(deadline);
    }

    /// Ends those whose time is over. The look at all of them costs little: it is due once in the shortest time at most.
    fn expire(&mut self) {
        if self.now < self.alarm {
            return;
        }
        for key in 0..self.peers.len() {
            if self.peers[key].deadline <= self.now {
                self.try_once_more(key);
            }
        }
        let is_open = |peer: &&Peer| !matches!(peer.state, State::Ended);
        let open = self.peers.iter().filter(is_open);
        self.alarm = open.map(|peer| peer.deadline).min().unwrap_or(NEVER);
    }

    /// The reply may have come while we were held up ourselves: only the socket can tell.
    fn try_once_more(&mut self, key: usize) {
        if let State::Active(talk) = &mut self.peers[key].state {
            talk.link.assume_readable();
        }
        self.run_peer(key);
        if let State::Active(talk) = &self.peers[key].state
            && self.peers[key].deadline <= self.now
        {
            let (received, expected) = talk.conversation.progress();
            let failure = Failure::TimedOut {
                awaited: talk.conversation.awaits(),
                after: self.messages.timeout.unwrap_or_default(),
                received,
                expected,
            };
            self.end(key, Err(failure));
        }
    }
}

impl Active {
    /// Sends, reads once, and sends what that led to. None: it has come to its end.
    fn run(
        &mut self,
        registry: &Registry,
        scratch: &mut [u8],
    ) -> Result<Option<Received>, Failure> {
        self.send();
        let mut heard = Received::Part;
        if self.link.can_read() {
            match self.link.read(scratch) {
                Ok(Some(0)) => return self.conversation.on_end().map(|()| None),
                Ok(Some(got)) => {
                    let bytes = &scratch[..got];
                    heard = self
                        .conversation
                        .on_bytes(bytes)
                        .map_err(Failure::Differs)?;
                }
                Ok(None) => {}
                Err(source) => {
                    return Err(Failure::Reset {
                        received: self.conversation.received(),
                        expected: self.conversation.expected(),
                        source,
                    });
                }
            }
        }
        self.send();
        let wanted = !self.conversation.outgoing().is_empty() && !self.link.is_broken();
        self.link.arm_write(wanted, registry);
        Ok(Some(heard))
    }

    fn send(&mut self) {
        while !self.conversation.outgoing().is_empty() && self.link.can_write() {
            let taken = self.link.write(self.conversation.outgoing());
            self.conversation.note_sent(taken);
        }
        if self.conversation.wants_fin() {
            self.link.finish();
        }
    }
}
