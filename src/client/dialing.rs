//! From a name to a link: its addresses in turn, each with a time to answer.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};

use super::link::Link;
use super::{Config, Failure};
use crate::net::outbound::{ConnectOptions, ConnectStatus, Connecting};
use crate::net::platform::monotonic_now;
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{ConnectError, poll, resolve};

/// An address that could not be connected to.
#[derive(Debug)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    pub error: ConnectError,
}

/// Where to connect to.
pub(super) struct Target {
    /// `HOST:PORT`
    target: String,
    addresses: Vec<SocketAddr>,
    timeout: Option<Duration>,
}

/// A connection to be.
#[derive(Default)]
pub(super) struct Dialing {
    /// The addresses in front of the one that is tried.
    attempts: Vec<Attempt>,
    connecting: Option<Connecting>,
    deadline: u64,
}

/// How far one has come.
pub(super) enum Step {
    /// Until an event, or the time is over.
    Wait {
        deadline: u64,
    },
    Connected(Link),
    Failed(Failure),
}

impl Target {
    /// Blocks while the name is looked up.
    pub(super) fn find(config: &Config) -> Result<Self, Failure> {
        let target = config.target.clone();
        match resolve(&target, config.family) {
            Ok(addresses) => Ok(Self {
                target,
                addresses,
                timeout: config.connect_timeout,
            }),
            Err(source) => Err(Failure::Unresolved { target, source }),
        }
    }
}

impl Dialing {
    /// Notes what an event reported.
    pub(super) fn note(&mut self, event: &Event) {
        if let Some(connecting) = &mut self.connecting {
            connecting.handle_ready(poll::readiness_of(event));
        }
    }

    /// Goes on as far as it can at `now`.
    pub(super) fn advance(
        &mut self,
        route: &Target,
        registry: &Registry,
        token: Token,
        now: u64,
    ) -> Step {
        while let Some(address) = route.addresses.get(self.attempts.len()).copied() {
            match self.try_address(address, route.timeout, registry, token, now) {
                Ok(Some(link)) => return Step::Connected(link),
                Ok(None) => {
                    return Step::Wait {
                        deadline: self.deadline,
                    };
                }
                Err(error) => self.attempts.push(Attempt { address, error }),
            }
        }
        Step::Failed(Failure::Unconnected {
            target: route.target.clone(),
            attempts: mem::take(&mut self.attempts),
        })
    }

    fn try_address(
        &mut self,
        address: SocketAddr,
        timeout: Option<Duration>,
        registry: &Registry,
        token: Token,
        now: u64,
    ) -> Result<Option<Link>, ConnectError> {
        let Some(connecting) = self.connecting.take() else {
            let options = ConnectOptions::default();
            let connecting = Connecting::start(address, options, registry, token)?;
            self.connecting = Some(connecting);
            self.deadline = deadline(now, timeout);
            return Ok(None);
        };
        match connecting.finish(registry)? {
            ConnectStatus::Connected(connected) => Ok(Some(Link::new(connected, token))),
            ConnectStatus::Pending(_) if now >= self.deadline => Err(ConnectError::timed_out()),
            ConnectStatus::Pending(connecting) => {
                self.connecting = Some(connecting);
                Ok(None)
            }
        }
    }
}

/// Waits for one connection.
pub(super) fn connect(
    config: &Config,
    poll: &mut Poll,
    events: &mut Events,
    token: Token,
) -> Result<Link, Failure> {
    follow(&Target::find(config)?, poll, events, token)
}

fn follow(
    route: &Target,
    poll: &mut Poll,
    events: &mut Events,
    token: Token,
) -> Result<Link, Failure> {
    let mut dialing = Dialing::default();
    loop {
        let now = monotonic_now();
        match dialing.advance(route, poll.registry(), token, now) {
            Step::Wait { deadline } => wait_until(deadline, now, poll, events)?,
            Step::Connected(link) => return Ok(link),
            Step::Failed(failure) => return Err(failure),
        }
        events.iter().for_each(|event| dialing.note(event));
    }
}

/// `timeout` from `now` on.
pub(super) fn deadline(now: u64, timeout: Option<Duration>) -> u64 {
    timeout.map_or(NEVER, |timeout| now.saturating_add(nanoseconds(timeout)))
}

/// Waits for events, at most until `deadline`.
pub(super) fn wait_until(
    deadline: u64,
    now: u64,
    poll: &mut Poll,
    events: &mut Events,
) -> Result<(), Failure> {
    poll::wait(poll, events, poll::timeout_until(deadline, now)).map_err(Failure::polling)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const TOKEN: Token = Token(3);

    fn route(addresses: Vec<SocketAddr>) -> Target {
        Target {
            target: "name:7".into(),
            addresses,
            timeout: Some(Duration::from_secs(20)),
        }
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// What becomes of it.
    fn outcome(route: &Target) -> Result<Link, Failure> {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(8);
        follow(route, &mut poll, &mut events, TOKEN)
    }

    #[test]
    fn the_next_address_is_tried_until_one_answers() {
        let (nobody, somebody) = (listener().1, listener());
        let mut link = outcome(&route(vec![nobody, nobody, somebody.1, nobody])).unwrap();
        let (mut peer, _) = somebody.0.accept().unwrap();
        assert!(link.can_write());
        assert_eq!(link.write(b"hello"), 5);
        let mut got = [0; 5];
        std::io::Read::read_exact(&mut peer, &mut got).unwrap();
        assert_eq!(&got, b"hello");
    }

    #[test]
    fn no_address_that_answers_is_told_with_each() {
        let (first, second) = (listener().1, listener().1);
        let failure = outcome(&route(vec![first, second]))
            .err()
            .unwrap()
            .to_string();
        let begin = format!("cannot connect to name:7: {first} refused: ");
        assert!(failure.starts_with(&begin), "{failure}");
        let middle = format!("; {second} refused: ");
        assert!(failure.contains(&middle), "{failure}");
    }
}
