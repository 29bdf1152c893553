//! The endpoint: a listener for HTTP clients, and the thread that serves them.
//!
//! The thread has few clients, so each turn it simply drives all of them, whatever the events were. There are never more
//! than [`MOST_CLIENTS`]: a further client takes the place of an idle one, so clients that send nothing do not keep out
//! those that ask.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use log::warn;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::client::Client;
use super::questions::Questions;
use crate::conn::Framing;
use crate::net::platform::monotonic_now;
use crate::net::registration::Registration;
use crate::net::timers::NEVER;
use crate::net::{Config, Handle, Listen, StartError, bind, poll, threads};

/// The most clients at once. A client holds at most the head of a request, or a response of about 10 KiB.
const MOST_CLIENTS: usize = 8;

/// The pause after a failed accept, in nanoseconds.
const ACCEPT_RETRY: u64 = 250_000_000;

/// Every turn drives all clients, so only a trace of the system calls tells these tokens apart.
const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
const CLIENT: Token = Token(2);

/// A listener for HTTP clients that ask for the metrics of a server.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// The descriptors that an endpoint needs: its poll, the waker, the listener, its clients, and one client that is
    /// about to be refused.
    pub const DESCRIPTORS: usize = MOST_CLIENTS + 4;

    /// Binds the listener.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be listened on.
    pub fn bind(listen: Listen) -> Result<Self, StartError> {
        let config = Config {
            listen: vec![(listen, Framing::Raw)],
            ..Config::default()
        };
        let listener = bind::bind(listen, &config)?;
        let address = listener.local_addr().map_err(StartError::Poll)?;
        Ok(Self { listener, address })
    }

    /// Returns the address of the listener, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the thread, which serves the figures of `server`.
    pub(super) fn start(mut self, server: Handle) -> io::Result<Arc<Questions>> {
        let (poll, endpoint) = poll::with_waker(WAKER)?;
        let registry = poll.registry();
        registry.register(&mut self.listener, LISTENER, Interest::READABLE)?;
        let questions = Arc::new(Questions::new(server, endpoint));
        let service = Service {
            poll,
            listener: self.listener,
            clients: Vec::with_capacity(MOST_CLIENTS),
            questions: Arc::clone(&questions),
            accept_at: NEVER,
        };
        threads::spawn("metrics", move || {
            if let Err(error) = service.run() {
                warn!("metrics are not served any more: {error}");
            }
        })?;
        Ok(questions)
    }
}

/// What the thread of an endpoint has.
struct Service {
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Client>,
    questions: Arc<Questions>,
    /// When the next accept is due, even without an event.
    accept_at: u64,
}

impl Service {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(MOST_CLIENTS);
        let mut now = monotonic_now();
        while !self.questions.is_closed() {
            let timeout = poll::timeout_until(self.next_deadline(), now);
            poll::wait(&mut self.poll, &mut events, timeout)?;
            now = monotonic_now();
            let registry = self.poll.registry();
            self.clients.retain_mut(|client| {
                client.drive(&self.questions, now) && client.arm(registry, CLIENT)
            });
            self.accept(now);
        }
        Ok(())
    }

    fn next_deadline(&self) -> u64 {
        let clients = self.clients.iter();
        let deadlines = clients.map(|client| client.deadline(&self.questions));
        deadlines.chain([self.accept_at]).min().unwrap_or(NEVER)
    }

    /// Accepts clients, as many as there are places, so that a flood of them does not keep the others waiting.
    fn accept(&mut self, now: u64) {
        self.accept_at = now;
        for _ in 0..MOST_CLIENTS {
            match self.listener.accept() {
                Ok((socket, _)) => self.admit(socket, now),
                Err(error) => {
                    self.accept_at = match error.kind() {
                        ErrorKind::WouldBlock => NEVER,
                        _ => now + ACCEPT_RETRY,
                    };
                    return;
                }
            }
        }
    }

    /// Gives a client a place: a free one, or that of an idle client. Without one, the client is closed.
    fn admit(&mut self, mut socket: TcpStream, now: u64) {
        let registry = self.poll.registry();
        let Ok(registration) = Registration::new(&mut socket, registry, CLIENT) else {
            return;
        };
        let mut client = Client::new(socket, registration, now);
        if !client.drive(&self.questions, now) || !client.arm(registry, CLIENT) {
            return;
        }
        if self.clients.len() == MOST_CLIENTS {
            let mut in_order = self.clients.iter();
            let Some(longest_idle) = in_order.position(Client::is_idle) else {
                return;
            };
            self.clients.remove(longest_idle);
        }
        self.clients.push(client);
    }
}
