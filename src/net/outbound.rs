//! Outbound connections of the client and the load generator.
//!
//! [`resolve`] turns a name into addresses. [`Connecting`] turns one address into a connected socket, or into a
//! [`ConnectError`] of a kind that reports can count. The caller owns the timeout and the choice of the next address.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::{error, fmt};

use mio::net::TcpStream;
use mio::{Registry, Token};
use socket2::Socket;

use super::platform;
use super::registration::Registration;
use super::scope::{AddressError, ScopedAddress, parse_socket_address};
use super::socket::{new_socket, set_buffer_sizes, tune};
use crate::conn::{Readiness, Ready};

/// The address family that [`resolve`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpFamily {
    /// Both families, in the order of the resolver.
    #[default]
    Any,
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
}

/// Options of a socket that are set before it connects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectOptions {
    /// The source address, with port 0. `None` leaves the choice to the system.
    pub source: Option<SocketAddr>,
    /// SO_SNDBUF and SO_RCVBUF in bytes. `None` leaves them to the system's autotuning.
    pub socket_buffer: Option<usize>,
}

/// The kind of a failed connect. Reports count failures by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The target answered with a reset: no process listens on the port.
    Refused,
    /// There is no route to the target, or the network is down.
    Unreachable,
    /// The name has no address of the requested family.
    Unresolved,
    /// The target did not answer in time.
    TimedOut,
    /// The source address has no free port, or it is not an address of this machine.
    NoSourcePort,
    /// The process or the system has reached its limit of descriptors.
    Descriptors,
    /// The socket was connected to itself, because the system chose the target port as its source port.
    SelfConnect,
    /// The connection was accepted and reset at once.
    Reset,
    /// Any other failure.
    Other,
}

/// The error of a failed connect.
#[derive(Debug)]
pub struct ConnectError {
    /// The kind of the failure.
    pub failure: ConnectFailure,
    /// The error of the system.
    pub source: io::Error,
}

/// A socket whose connection is not established yet.
pub(crate) struct Connecting {
    token: Token,
    connected: Connected,
}

/// The parts of an established connection.
pub(crate) struct Connected {
    pub socket: TcpStream,
    pub registration: Registration,
    /// Everything that events have reported so far.
    pub readiness: Readiness,
}

/// The answer of [`Connecting::finish`].
pub(crate) enum ConnectStatus {
    /// The connection is established.
    Connected(Connected),
    /// The target has not answered yet.
    Pending(Connecting),
}

impl Connecting {
    /// Starts to connect to `address` and registers the socket as `token`. NODELAY is set, unless the system refuses that.
    ///
    /// # Errors
    ///
    /// Returns the error if the system refuses the connect at once or cannot register the socket.
    pub(crate) fn start(
        address: SocketAddr,
        options: ConnectOptions,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, ConnectError> {
        let mut socket = start_connect(address, options)?;
        let registration = Registration::connecting(&mut socket, registry, token)?;
        Ok(Self {
            token,
            connected: Connected {
                socket,
                registration,
                readiness: Readiness::new(platform::SHORT_READ),
            },
        })
    }

    /// Records what an event reported about the socket.
    pub(crate) fn handle_ready(&mut self, ready: Ready) {
        self.connected.readiness.record(ready);
    }

    /// Returns the socket.
    #[cfg(feature = "bench")]
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.connected.socket
    }

    /// Asks the socket whether the connection is established. Call it after each event and when the time is over.
    ///
    /// An event is only a hint here too. If the connection is still pending, WRITABLE is armed again: poll(2) and
    /// Windows disarm a direction with its event, and no call on the socket has answered `WouldBlock` since.
    ///
    /// # Errors
    ///
    /// Returns the error if the attempt has failed, or if the socket was connected to itself.
    pub(crate) fn finish(mut self, registry: &Registry) -> Result<ConnectStatus, ConnectError> {
        let Connected {
            socket,
            registration,
            readiness,
        } = &mut self.connected;
        if is_connected(socket)? {
            return Ok(ConnectStatus::Connected(self.connected));
        }
        if readiness.is_reset() {
            return Err(io::Error::from(ErrorKind::ConnectionReset).into());
        }
        registration.reregister(true, socket, registry, self.token)?;
        Ok(ConnectStatus::Pending(self))
    }
}

/// Returns the addresses of `target`, a `HOST:PORT`, in the order of the resolver. Blocks while a name is looked up.
///
/// # Errors
///
/// Returns [`ConnectFailure::Unresolved`] if the name has no address of the requested family.
pub fn resolve(target: &str, family: IpFamily) -> Result<Vec<SocketAddr>, ConnectError> {
    let unresolved = |source| ConnectError {
        failure: ConnectFailure::Unresolved,
        source,
    };
    let (is_requested, none_found): (fn(&SocketAddr) -> bool, _) = match family {
        IpFamily::Any => (|_| true, "no address"),
        IpFamily::V4 => (SocketAddr::is_ipv4, "no IPv4 address"),
        IpFamily::V6 => (SocketAddr::is_ipv6, "no IPv6 address"),
    };
    let found = look_up(target).map_err(unresolved)?;
    let addresses: Vec<_> = found.into_iter().filter(is_requested).collect();
    if addresses.is_empty() {
        let error = io::Error::new(ErrorKind::NotFound, none_found);
        return Err(unresolved(error));
    }
    Ok(addresses)
}

/// Returns the address that `target` is, or the addresses of the name in `target`.
fn look_up(target: &str) -> io::Result<Vec<SocketAddr>> {
    match parse_socket_address(target) {
        Ok(address) => Ok(vec![address]),
        Err(AddressError::Malformed) => Ok(target.to_socket_addrs()?.collect()),
        Err(why @ (AddressError::NotLinkLocal | AddressError::NoInterface)) => {
            Err(io::Error::new(ErrorKind::InvalidInput, why))
        }
    }
}

/// Checks that connections can come from `source`, from whichever port.
///
/// # Errors
///
/// Returns the error of bind(2) if `source` is not an address of this machine.
pub fn check_source(mut source: SocketAddr) -> io::Result<()> {
    source.set_port(0);
    bind_source(&new_socket(source)?, source)
}

/// Binds `socket` to the address `source`.
fn bind_source(socket: &Socket, source: SocketAddr) -> io::Result<()> {
    let set = platform::choose_port_at_connect(socket);
    tune("IP_BIND_ADDRESS_NO_PORT", set);
    socket.bind(&source.into())
}

fn start_connect(address: SocketAddr, options: ConnectOptions) -> io::Result<TcpStream> {
    let socket = new_socket(address)?;
    socket.set_nonblocking(true)?;
    tune("TCP_NODELAY", set_nodelay(&socket));
    set_buffer_sizes(&socket, options.socket_buffer);
    if let Some(source) = options.source {
        bind_source(&socket, source)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if !platform::is_connecting(&error) => Err(error),
        Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
    }
}

fn set_nodelay(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    match socket.tcp_nodelay()? {
        true => Ok(()),
        false => Err(io::Error::other("the system does not set it")),
    }
}

/// Returns true if `socket` is connected, and false if the attempt is still pending.
fn is_connected(socket: &TcpStream) -> Result<bool, ConnectError> {
    match socket.peer_addr() {
        Ok(peer) if peer == socket.local_addr()? => Err(ConnectError {
            failure: ConnectFailure::SelfConnect,
            source: io::Error::other("the system chose the target port as the source port"),
        }),
        Ok(_) => Ok(true),
        Err(error) if platform::is_not_connected_yet(&error) => match socket.take_error()? {
            Some(error) => Err(error.into()),
            None => Ok(false),
        },
        Err(error) => Err(error.into()),
    }
}

impl ConnectError {
    /// Returns the error of a target that did not answer within the caller's timeout.
    pub fn timed_out() -> Self {
        Self {
            failure: ConnectFailure::TimedOut,
            source: io::Error::new(ErrorKind::TimedOut, "no answer in time"),
        }
    }
}

/// Explains each attempt to connect to `target`. The address is left out if it is the target.
pub(crate) fn explain_attempts(attempts: &[(SocketAddr, ConnectError)], target: &str) -> String {
    match attempts {
        [(address, error)] if ScopedAddress(*address).to_string() == target => error.to_string(),
        _ => {
            let explain = |(address, error): &(SocketAddr, ConnectError)| {
                format!("{} {error}", ScopedAddress(*address))
            };
            attempts.iter().map(explain).collect::<Vec<_>>().join("; ")
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(source: io::Error) -> Self {
        let failure = match source.kind() {
            ErrorKind::ConnectionRefused => ConnectFailure::Refused,
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
                ConnectFailure::Unreachable
            }
            ErrorKind::TimedOut => ConnectFailure::TimedOut,
            ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => ConnectFailure::NoSourcePort,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => ConnectFailure::Reset,
            _ if platform::is_out_of_descriptors(&source) => ConnectFailure::Descriptors,
            _ => ConnectFailure::Other,
        };
        Self { failure, source }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Unresolved => "unresolved",
            Self::TimedOut => "timed out",
            Self::NoSourcePort => "no source address or port",
            Self::Descriptors => "out of descriptors",
            Self::SelfConnect => "connected to itself",
            Self::Reset => "reset",
            Self::Other => "failed",
        })
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.failure, self.source)
    }
}

/// The message contains the error of the system, so there is no `source` that would repeat it.
impl error::Error for ConnectError {}

#[cfg(test)]
mod tests;
