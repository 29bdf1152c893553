//! The exchange of messages over many connections at once, on one loop.
//!
//! A run of a connection makes one read and handles what it brought, so no connection holds up the others. A connection
//! that is still believed to be readable runs again in the next turn.

use std::collections::VecDeque;
use std::io::Write;

use mio::{Events, Poll, Registry, Token};

use super::connect::{Connector, Target, deadline_after, wait_until};
use super::conversation::{Conversation, Received};
use super::reply_writer::ReplyWriter;
use super::socket::ClientSocket;
use super::{Config, ExchangeSummary, Failure, Messages};
use crate::net::poll::EVENTS_PER_WAIT;
use crate::net::timers::NEVER;
use crate::net::{platform, poll};

/// The size of the read buffer in bytes. A larger reply takes several reads.
const READ_BUFFER: usize = 64 * 1024;

/// The most connections that are connecting at the same time. A connection attempt that finds the listener's backlog full
/// waits for the kernel's next attempt, a second later.
const MAX_CONNECTING: usize = 256;

/// Descriptors that are not connections.
const OTHER_DESCRIPTORS: u64 = 32;

/// Exchanges `messages` with the server of `config`, on all connections at once.
///
/// Each connection sends a message when the reply to the previous one is complete, and compares every reply. After the
/// last reply it half-closes and waits for the server to close. Each reply is a line of `output`: `1: Hello`.
///
/// # Errors
///
/// Returns an error that concerns all connections, of the name or the poll. The failure of one connection is part of the
/// summary, and the other connections go on. An error of `output` ends all connections and is part of the summary too.
pub fn exchange(
    config: &Config,
    messages: &Messages,
    output: &mut impl Write,
) -> Result<ExchangeSummary, Failure> {
    let target = Target::resolve(config)?;
    // If the limit stays too low, connecting fails and says so.
    let others = OTHER_DESCRIPTORS + platform::inherited_descriptors();
    let _ = platform::raise_descriptor_limit(messages.connections as u64 + others);
    let output = ReplyWriter::new(output);
    let exchange = Exchange {
        messages,
        target,
        poll: poll::new().map_err(Failure::Poll)?,
        connections: Vec::new(),
        ready: VecDeque::new(),
        connecting: 0,
        open: 0,
        next_deadline: NEVER,
        now: output.now(),
        output,
        read_buffer: vec![0; READ_BUFFER].into_boxed_slice(),
        summary: ExchangeSummary {
            all: messages.count(),
            ..ExchangeSummary::default()
        },
    };
    exchange.run()
}

struct Exchange<'a, W> {
    messages: &'a Messages,
    target: Target<'a>,
    poll: Poll,
    /// The connections by token. The number of a connection is its token plus one.
    connections: Vec<ClientConnection>,
    /// The tokens of the connections to run.
    ready: VecDeque<usize>,
    /// The number of connections that are connecting.
    connecting: usize,
    /// The number of connections that are connecting or active.
    open: usize,
    /// A time that no deadline precedes.
    next_deadline: u64,
    /// The time of this turn. It and all deadlines are times of [`ReplyWriter::now`].
    now: u64,
    output: ReplyWriter<W>,
    read_buffer: Box<[u8]>,
    summary: ExchangeSummary,
}

struct ClientConnection {
    state: ConnectionState,
    deadline: u64,
    /// True while the connection is in [`Exchange::ready`].
    is_queued: bool,
}

enum ConnectionState {
    Connecting(Connector),
    Active(Active),
    Ended,
}

/// A connected socket and what is said over it.
struct Active {
    socket: ClientSocket,
    conversation: Conversation,
}

impl<W: Write> Exchange<'_, W> {
    fn run(mut self) -> Result<ExchangeSummary, Failure> {
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        loop {
            self.connect_more();
            self.output.flush();
            if self.open == 0 || self.output.has_failed() {
                return Ok(self.into_summary());
            }
            let until = match self.ready.is_empty() {
                true => self.next_deadline,
                false => 0,
            };
            wait_until(until, self.now, &mut self.poll, &mut events)?;
            self.now = self.output.now();
            self.record(&events);
            for _ in 0..self.ready.len() {
                if let Some(key) = self.ready.pop_front() {
                    self.connections[key].is_queued = false;
                    self.run_connection(key);
                }
            }
            self.expire();
        }
    }

    fn into_summary(mut self) -> ExchangeSummary {
        self.summary.failures.sort_by_key(|(number, _)| *number);
        self.summary.output_error = self.output.error;
        self.summary
    }

    fn connect_more(&mut self) {
        while self.connections.len() < self.messages.connections && self.connecting < MAX_CONNECTING
        {
            let key = self.connections.len();
            self.connections.push(ClientConnection {
                state: ConnectionState::Connecting(Connector::default()),
                deadline: NEVER,
                is_queued: false,
            });
            self.connecting += 1;
            self.open += 1;
            self.run_connection(key);
        }
    }

    fn record(&mut self, events: &Events) {
        for event in events {
            let Token(key) = event.token();
            match &mut self.connections[key].state {
                ConnectionState::Connecting(connector) => connector.handle_event(event),
                ConnectionState::Active(active) => active.socket.handle_event(event),
                ConnectionState::Ended => continue,
            }
            self.queue(key);
        }
    }

    fn queue(&mut self, key: usize) {
        if !self.connections[key].is_queued {
            self.connections[key].is_queued = true;
            self.ready.push_back(key);
        }
    }

    fn run_connection(&mut self, key: usize) {
        let registry = self.poll.registry();
        match &mut self.connections[key].state {
            ConnectionState::Connecting(connector) => {
                let result = connector.advance(&self.target, registry, Token(key), self.now);
                let deadline = connector.deadline;
                match result {
                    Ok(Some(socket)) => self.start_conversation(key, socket),
                    Ok(None) => self.set_deadline(key, deadline),
                    Err(failure) => self.end(key, Err(failure)),
                }
            }
            ConnectionState::Active(active) => match active.run(registry, &mut self.read_buffer) {
                Ok(Some(received)) => self.handle_received(key, received),
                Ok(None) => self.end(key, Ok(())),
                Err(failure) => self.end(key, Err(failure)),
            },
            ConnectionState::Ended => {}
        }
    }

    fn start_conversation(&mut self, key: usize, socket: ClientSocket) {
        match Conversation::new(self.messages, key + 1, self.target.config.skip) {
            Ok(conversation) => {
                self.connecting -= 1;
                self.connections[key].state = ConnectionState::Active(Active {
                    socket,
                    conversation,
                });
                self.restart_timeout(key);
                self.queue(key);
            }
            Err(error) => self.end(key, Err(Failure::Encode(error))),
        }
    }

    fn handle_received(&mut self, key: usize, received: Received) {
        match received {
            Received::Part => {}
            Received::Greeting => self.restart_timeout(key),
            Received::Reply(text) => {
                self.summary.equal += 1;
                self.restart_timeout(key);
                self.output.write_reply(key + 1, &text);
            }
        }
        if let ConnectionState::Active(active) = &self.connections[key].state
            && active.socket.can_read()
        {
            self.queue(key);
        }
    }

    fn end(&mut self, key: usize, result: Result<(), Failure>) {
        let connection = &mut self.connections[key];
        if let ConnectionState::Connecting(_) = connection.state {
            self.connecting -= 1;
        }
        (connection.state, connection.deadline) = (ConnectionState::Ended, NEVER);
        self.open -= 1;
        if let Err(failure) = result {
            self.summary.failures.push((key + 1, failure));
        }
    }

    fn restart_timeout(&mut self, key: usize) {
        self.set_deadline(key, deadline_after(self.now, self.messages.timeout));
    }

    fn set_deadline(&mut self, key: usize, deadline: u64) {
        self.connections[key].deadline = deadline;
        self.next_deadline = self.next_deadline.min(deadline);
    }

    /// Handles expired timeouts. It looks at all connections, which costs little: once per shortest timeout at most.
    fn expire(&mut self) {
        if self.now < self.next_deadline {
            return;
        }
        for key in 0..self.connections.len() {
            if self.connections[key].deadline <= self.now {
                self.handle_timeout(key);
            }
        }
        let deadlines = self
            .connections
            .iter()
            .map(|connection| connection.deadline);
        self.next_deadline = deadlines.min().unwrap_or(NEVER);
    }

    /// Reads once more, because the reply may have come while the client itself was busy, then ends the connection if the
    /// deadline still stands.
    fn handle_timeout(&mut self, key: usize) {
        if let ConnectionState::Active(active) = &mut self.connections[key].state {
            active.socket.assume_readable();
        }
        self.run_connection(key);
        if let ConnectionState::Active(active) = &self.connections[key].state
            && self.connections[key].deadline <= self.now
        {
            let failure = Failure::TimedOut {
                awaited: active.conversation.awaited(),
                after: self.messages.timeout.unwrap_or_default(),
                bytes: active.conversation.progress(),
            };
            self.end(key, Err(failure));
        }
    }
}

impl Active {
    /// Sends, reads once, and sends again. Returns `None` at the end of the conversation.
    fn run(
        &mut self,
        registry: &Registry,
        read_buffer: &mut [u8],
    ) -> Result<Option<Received>, Failure> {
        self.send();
        let mut received = Received::Part;
        if self.socket.can_read() {
            match self.socket.read(read_buffer) {
                Ok(Some(0)) => return self.conversation.on_end().map(|()| None),
                Ok(Some(got)) => {
                    let result = self.conversation.on_bytes(&read_buffer[..got]);
                    received = result.map_err(Failure::Differs)?;
                }
                Ok(None) => {}
                Err(source) => {
                    let bytes = self.conversation.echo;
                    return Err(Failure::Reset { bytes, source });
                }
            }
        }
        self.send();
        let wanted = !self.conversation.outgoing().is_empty() && !self.socket.is_broken();
        self.socket.arm_write(wanted, registry);
        Ok(Some(received))
    }

    fn send(&mut self) {
        while !self.conversation.outgoing().is_empty() && self.socket.can_write() {
            let taken = self.socket.write(self.conversation.outgoing());
            self.conversation.on_sent(taken);
        }
        if self.conversation.wants_fin() {
            self.socket.send_fin();
        }
    }
}
