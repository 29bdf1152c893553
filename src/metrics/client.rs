//! One client of the endpoint, from its connect to its close. Each step has a deadline.
//!
//! | state   | what is awaited            | at most | after that                |
//! |---------|----------------------------|---------|---------------------------|
//! | reading | the head of the request    | 5 s     | the connection is closed  |
//! | asking  | the answer of the loop     | 2 s     | the response is a 503     |
//! | writing | room for the response      | 5 s     | the connection is closed  |
//! | closing | the client's FIN           | 1 s     | the connection is closed  |

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Registry, Token};

use super::http::{self, LONGEST_HEAD, Method, Request, Resource, Status};
use super::questions::{Health, Questions};
use super::{page, text};
use crate::net::registration::Registration;

/// How long each state may take, in nanoseconds. Probes of Kubernetes wait for 1 s, scrapes of Prometheus for 10 s.
const READING: u64 = 5_000_000_000;
const ASKING: u64 = 2_000_000_000;
const WRITING: u64 = 5_000_000_000;
const CLOSING: u64 = 1_000_000_000;

/// The most bytes that are read after the response. A client that sends more is reset.
const MOST_DISCARDED: usize = 64 * 1024;

/// A connection of the endpoint.
pub(super) struct Client {
    socket: TcpStream,
    registration: Registration,
    state: State,
    /// When the state ends at the latest, in nanoseconds of the endpoint's clock.
    deadline: u64,
}

enum State {
    Reading { head: Vec<u8> },
    Asking { request: Request, question: u64 },
    Writing { response: Vec<u8>, written: usize },
    Closing { discarded: usize },
}

impl Client {
    /// Creates a client that was accepted at `now`, and registered.
    pub(super) fn new(socket: TcpStream, registration: Registration, now: u64) -> Self {
        Self {
            socket,
            registration,
            state: State::Reading { head: Vec::new() },
            deadline: now + READING,
        }
    }

    /// Registers WRITABLE exactly while a response waits for room: on poll(2) and Windows, a read that finds nothing arms all
    /// that is registered, and a socket that is writable then would end every wait at once. Returns false if the socket is
    /// dead.
    pub(super) fn arm(&mut self, registry: &Registry, token: Token) -> bool {
        let is_writing = match self.state {
            State::Writing { .. } => true,
            State::Reading { .. } | State::Asking { .. } | State::Closing { .. } => false,
        };
        let armed = self
            .registration
            .arm_write(is_writing, &mut self.socket, registry, token);
        armed.is_ok()
    }

    /// Returns when this client must be driven, even without an event: at once if the loop has answered.
    ///
    /// The endpoint looks at this right before its wait, because the wake of the answer is only a hint (`net/server.rs`).
    pub(super) fn deadline(&self, questions: &Questions) -> u64 {
        match self.state {
            State::Asking { request, question } if is_answered(request, question, questions) => 0,
            State::Reading { .. }
            | State::Asking { .. }
            | State::Writing { .. }
            | State::Closing { .. } => self.deadline,
        }
    }

    /// Returns true if this client is owed nothing: it has not sent its request, or has its response.
    pub(super) fn is_idle(&self) -> bool {
        match self.state {
            State::Reading { .. } | State::Closing { .. } => true,
            State::Asking { .. } | State::Writing { .. } => false,
        }
    }

    /// Does what can be done at `now` without waiting. Returns true if the connection goes on.
    pub(super) fn drive(&mut self, questions: &Questions, now: u64) -> bool {
        loop {
            let step = match self.step(questions, now) {
                Ok(step) => step,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The client waits for the other side until the deadline. Any other error is the end of the connection.
                Err(error) => return error.kind() == ErrorKind::WouldBlock && now < self.deadline,
            };
            match step {
                Some((state, time)) => {
                    self.state = state;
                    self.deadline = now + time;
                }
                None => return false,
            }
        }
    }

    /// Tries to leave the state. Returns the next state and how long it may take, or `None` if the connection has ended.
    ///
    /// # Errors
    ///
    /// Returns `WouldBlock` if the state goes on, and the errors of the socket.
    fn step(&mut self, questions: &Questions, now: u64) -> io::Result<Option<(State, u64)>> {
        let write = |response| {
            let written = 0;
            Some((State::Writing { response, written }, WRITING))
        };
        match &mut self.state {
            State::Reading { head } => Ok(match read_head(&mut self.socket, head)? {
                Some(Ok(request)) => {
                    let question = match request.resource {
                        Resource::Metrics | Resource::Page => questions.ask_for_figures(),
                        Resource::Health => questions.ask_for_health(),
                    };
                    Some((State::Asking { request, question }, ASKING))
                }
                Some(Err(status)) => {
                    write(http::short_response(status, Method::Get, status.line()))
                }
                None => None,
            }),
            State::Asking { request, question } => match respond(*request, *question, questions) {
                Some(response) => Ok(write(response)),
                None if now >= self.deadline => Ok(write(http::short_response(
                    Status::Unavailable,
                    request.method,
                    "the event loop does not answer",
                ))),
                None => Err(ErrorKind::WouldBlock.into()),
            },
            State::Writing { response, written } => {
                while *written < response.len() {
                    match self.socket.write(&response[*written..])? {
                        0 => return Ok(None),
                        sent => *written += sent,
                    }
                }
                // A client that reads until the end needs our FIN. If the socket was closed while it has unread input,
                // such as a second request, the client would see a reset, and might lose the response.
                self.socket.shutdown(Shutdown::Write)?;
                Ok(Some((State::Closing { discarded: 0 }, CLOSING)))
            }
            State::Closing { discarded } => {
                while *discarded < MOST_DISCARDED {
                    match self.socket.read(&mut [0; 1024])? {
                        0 => break,
                        got => *discarded += got,
                    }
                }
                Ok(None)
            }
        }
    }
}

/// Reads until `head` has the head of a request. Returns `None` if the client has closed before that.
fn read_head(
    socket: &mut TcpStream,
    head: &mut Vec<u8>,
) -> io::Result<Option<Result<Request, Status>>> {
    loop {
        let mut input = [0; 1024];
        let room = input.len().min(LONGEST_HEAD - head.len());
        match socket.read(&mut input[..room])? {
            0 => return Ok(None),
            got => head.extend_from_slice(&input[..got]),
        }
        let parsed = http::parse(head);
        if parsed.is_some() {
            return Ok(parsed);
        }
    }
}

/// Returns true if the loop has answered `question`, which `request` has led to.
fn is_answered(request: Request, question: u64, questions: &Questions) -> bool {
    match request.resource {
        Resource::Metrics | Resource::Page => questions.figures.answer_to(question).is_some(),
        Resource::Health => questions.health.answer_to(question).is_some(),
    }
}

/// Returns the response to a request, or `None` if the loop has not answered its `question` yet.
fn respond(
    Request { resource, method }: Request,
    question: u64,
    questions: &Questions,
) -> Option<Vec<u8>> {
    let figures = || questions.figures.answer_to(question);
    Some(match resource {
        Resource::Metrics => {
            let body = text::of(&*figures()?);
            http::response(Status::Ok, method, text::CONTENT_TYPE, &body)
        }
        Resource::Page => {
            let body = page::of(&*figures()?);
            http::response(Status::Ok, method, page::CONTENT_TYPE, &body)
        }
        Resource::Health => match questions.health.answer_to(question)? {
            Health::Serving => http::short_response(Status::Ok, method, "ok"),
            Health::Stopping => http::short_response(Status::Unavailable, method, "stopping"),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream as Peer};

    use super::*;
    use crate::net::poll;

    /// Returns a client that was accepted at the time 0, its peer, and questions without a loop.
    fn client() -> (Client, Peer, Questions) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let peer = Peer::connect(address).expect("connecting");
        let (socket, _) = listener.accept().expect("a client");
        socket.set_nonblocking(true).expect("non-blocking");
        let (poll, handle) = poll::with_waker(Token(0)).expect("a poll");
        let mut socket = TcpStream::from_std(socket);
        let registration = Registration::new(&mut socket, poll.registry(), Token(1));
        let client = Client::new(socket, registration.expect("a registration"), 0);
        (client, peer, Questions::new(handle.clone(), handle))
    }

    #[test]
    fn fault_e1_a_client_that_sends_nothing_is_closed_after_its_time() {
        let (mut client, _peer, questions) = client();
        assert!(client.drive(&questions, READING - 1));
        assert_eq!(client.deadline(&questions), READING);
        assert!(!client.drive(&questions, READING));
    }

    #[test]
    fn fault_e2_a_question_without_an_answer_is_a_503_and_the_close_has_its_time() {
        let (mut client, mut peer, questions) = client();
        let request = b"GET /healthz HTTP/1.0\r\n\r\n";
        peer.write_all(request).expect("sending");
        while client.is_idle() {
            assert!(client.drive(&questions, 1), "the request may be on its way");
        }
        assert_eq!(questions.health.latest_question(), 1);
        assert!(client.drive(&questions, ASKING));
        assert!(!client.is_idle());
        assert!(client.drive(&questions, 1 + ASKING));
        let mut response = String::new();
        peer.read_to_string(&mut response).expect("a response");
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        assert!(client.drive(&questions, ASKING + CLOSING));
        assert!(!client.drive(&questions, 1 + ASKING + CLOSING));
    }
}
