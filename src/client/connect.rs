//! Connecting to a target: its addresses are tried in turn, each with a timeout.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};

use super::socket::ClientSocket;
use super::{Config, Failure};
use crate::net::outbound::{ConnectOptions, ConnectStatus, Connecting};
use crate::net::platform::monotonic_now;
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{ConnectError, poll, resolve};

/// A resolved target.
pub(super) struct Target<'a> {
    pub config: &'a Config,
    addresses: Vec<SocketAddr>,
}

/// The connecting of one connection.
#[derive(Default)]
pub(super) struct Connector {
    /// The addresses that were tried before the current one.
    failed: Vec<(SocketAddr, ConnectError)>,
    connecting: Option<Connecting>,
    /// When the current address has failed.
    pub deadline: u64,
}

impl<'a> Target<'a> {
    /// Resolves the target of `config`. Blocks while the name is looked up.
    pub(super) fn resolve(config: &'a Config) -> Result<Self, Failure> {
        match resolve(&config.target, config.family) {
            Ok(addresses) => Ok(Self { config, addresses }),
            Err(source) => Err(Failure::Unresolved {
                target: config.target.clone(),
                source,
            }),
        }
    }
}

impl Connector {
    /// Records what an event reported.
    pub(super) fn handle_event(&mut self, event: &Event) {
        if let Some(connecting) = &mut self.connecting {
            connecting.handle_ready(poll::readiness_of(event));
        }
    }

    /// Advances as far as possible at `now`: looks at the current address, and starts with the next one after a failure.
    /// Returns `None` if the current address has not answered yet. An event or the deadline comes next.
    ///
    /// # Errors
    ///
    /// Returns [`Failure::Unconnected`] if no address of the target could be connected to.
    pub(super) fn advance(
        &mut self,
        target: &Target<'_>,
        registry: &Registry,
        token: Token,
        now: u64,
    ) -> Result<Option<ClientSocket>, Failure> {
        let timeout = target.config.connect_timeout;
        while let Some(address) = target.addresses.get(self.failed.len()).copied() {
            match self.try_address(address, timeout, registry, token, now) {
                Ok(socket) => return Ok(socket),
                Err(error) => self.failed.push((address, error)),
            }
        }
        Err(Failure::Unconnected {
            target: target.config.target.clone(),
            attempts: mem::take(&mut self.failed),
        })
    }

    fn try_address(
        &mut self,
        address: SocketAddr,
        timeout: Option<Duration>,
        registry: &Registry,
        token: Token,
        now: u64,
    ) -> Result<Option<ClientSocket>, ConnectError> {
        let Some(connecting) = self.connecting.take() else {
            let options = ConnectOptions::default();
            let connecting = Connecting::start(address, options, registry, token)?;
            self.connecting = Some(connecting);
            self.deadline = deadline_after(now, timeout);
            return Ok(None);
        };
        match connecting.finish(registry)? {
            ConnectStatus::Connected(connected) => Ok(Some(ClientSocket::new(connected, token))),
            ConnectStatus::Pending(_) if now >= self.deadline => Err(ConnectError::timed_out()),
            ConnectStatus::Pending(connecting) => {
                self.connecting = Some(connecting);
                Ok(None)
            }
        }
    }
}

/// Connects to the target, and blocks until the connection is established.
pub(super) fn connect(
    target: &Target<'_>,
    poll: &mut Poll,
    events: &mut Events,
    token: Token,
) -> Result<ClientSocket, Failure> {
    let mut connector = Connector::default();
    loop {
        let now = monotonic_now();
        if let Some(socket) = connector.advance(target, poll.registry(), token, now)? {
            return Ok(socket);
        }
        wait_until(connector.deadline, now, poll, events)?;
        for event in events.iter() {
            connector.handle_event(event);
        }
    }
}

/// Returns the time `timeout` after `now`, or [`NEVER`] without a timeout.
pub(super) fn deadline_after(now: u64, timeout: Option<Duration>) -> u64 {
    timeout.map_or(NEVER, |timeout| now.saturating_add(nanoseconds(timeout)))
}

/// Waits for events until `deadline`.
pub(super) fn wait_until(
    deadline: u64,
    now: u64,
    poll: &mut Poll,
    events: &mut Events,
) -> Result<(), Failure> {
    poll::wait(poll, events, poll::timeout_until(deadline, now)).map_err(Failure::Poll)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::net::IpFamily;

    const TOKEN: Token = Token(3);

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn connect(addresses: Vec<SocketAddr>) -> Result<ClientSocket, Failure> {
        let config = &Config {
            target: "name:7".into(),
            family: IpFamily::Any,
            connect_timeout: Some(Duration::from_secs(20)),
            skip: 0,
        };
        let target = Target { config, addresses };
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(8);
        super::connect(&target, &mut poll, &mut events, TOKEN)
    }

    #[test]
    fn addresses_are_tried_in_turn_until_one_answers() {
        let (closed, (listener, open)) = (listener().1, listener());
        let mut socket = connect(vec![closed, closed, open, closed]).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert!(socket.can_write());
        assert_eq!(socket.write(b"hello"), 5);
        let mut got = [0; 5];
        std::io::Read::read_exact(&mut peer, &mut got).unwrap();
        assert_eq!(&got, b"hello");
    }

    #[test]
    fn the_failure_names_every_address_and_its_error() {
        let (first, second) = (listener().1, listener().1);
        let failure = connect(vec![first, second]).err().unwrap().to_string();
        let start = format!("cannot connect to name:7: {first} refused: ");
        assert!(failure.starts_with(&start), "{failure}");
        let middle = format!("; {second} refused: ");
        assert!(failure.contains(&middle), "{failure}");
    }
}
