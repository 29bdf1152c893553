//! Outbound connections: a name becomes addresses, an attempt becomes a connected socket, or a failure with a name.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::{error, fmt, vec};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::platform;

/// Which addresses of a name are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpFamily {
    /// All, in the order of the resolver.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// What is set on a socket before it connects.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialOptions {
    /// The address to come from; none leaves it to the system.
    pub source: Option<IpAddr>,
    /// SO_SNDBUF and SO_RCVBUF in bytes; none leaves them to the system's autotuning.
    pub socket_buffer: Option<usize>,
}

/// What kind of failure it was, as reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// Nobody listens there.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// The name has no address.
    Unresolved,
    /// No answer in time.
    TimedOut,
    /// No port is left on the source address, or it is not one of this machine.
    NoSourcePort,
    /// The process or the system may not open another descriptor.
    Descriptors,
    /// The socket was connected to itself: it was given the very port that it asked for.
    SelfConnect,
    /// Accepted and reset at once.
    Reset,
    /// Anything else.
    Other,
}

/// Why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    /// For counting.
    pub failure: ConnectFailure,
    /// What the system said.
    pub source: io::Error,
}

/// The addresses of `target`, a `HOST:PORT`, in the order of the resolver. Blocks while a name is looked up.
///
/// # Errors
///
/// When there is none of the wanted family.
pub fn resolve(target: &str, family: IpFamily) -> Result<Vec<SocketAddr>, ConnectError> {
    let unresolved = |source| ConnectError {
        failure: ConnectFailure::Unresolved,
        source,
    };
    let is_wanted = |address: &SocketAddr| match family {
        IpFamily::Any => true,
        IpFamily::V4 => address.is_ipv4(),
        IpFamily::V6 => address.is_ipv6(),
    };
    let addresses: Vec<_> = look_up(target)
        .map_err(unresolved)?
        .filter(is_wanted)
        .collect();
    if addresses.is_empty() {
        let none = match family {
            IpFamily::Any => "no address",
            IpFamily::V4 => "no IPv4 address",
            IpFamily::V6 => "no IPv6 address",
        };
        return Err(unresolved(io::Error::new(io::ErrorKind::NotFound, none)));
    }
    Ok(addresses)
}

/// What is in brackets may name an interface, which only the resolver of the system knows. It wants no brackets.
fn look_up(target: &str) -> io::Result<vec::IntoIter<SocketAddr>> {
    let bracketed = target
        .strip_prefix('[')
        .and_then(|rest| rest.rsplit_once("]:"));
    match bracketed.map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(port))) => (host, port).to_socket_addrs(),
        Some((_, Err(_))) | None => target.to_socket_addrs(),
    }
}

/// Begins to connect; the socket reports WRITABLE when [`connected`] can tell more. NODELAY is set.
///
/// # Errors
///
/// What the system refuses at once.
pub fn dial(address: SocketAddr, options: DialOptions) -> Result<TcpStream, ConnectError> {
    begin(address, options).map_err(ConnectError::from)
}

/// Whether `socket` is connected by now. None: not yet.
///
/// # Errors
///
/// When the attempt has failed, or ended at the socket itself.
pub fn connected(socket: &TcpStream) -> Result<Option<()>, ConnectError> {
    match socket.peer_addr() {
        Ok(peer) if peer == socket.local_addr()? => Err(ConnectError {
            failure: ConnectFailure::SelfConnect,
            source: io::Error::other("its own port is the one it asked for"),
        }),
        Ok(_) => Ok(Some(())),
        Err(error) if platform::is_not_connected_yet(&error) => match socket.take_error()? {
            Some(error) => Err(error.into()),
            None => Ok(None),
        },
        Err(error) => Err(error.into()),
    }
}

/// Tries whether a connection can come from `source`.
///
/// # Errors
///
/// When it is no address of this machine.
pub fn try_source(source: IpAddr) -> io::Result<()> {
    let socket = socket(SocketAddr::new(source, 0))?;
    platform::bind_without_port(&SockRef::from(&socket), source)
}

fn begin(address: SocketAddr, options: DialOptions) -> io::Result<TcpStream> {
    let socket = socket(address)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if !socket.tcp_nodelay()? {
        return Err(io::Error::other("the system does not set TCP_NODELAY"));
    }
    if let Some(size) = options.socket_buffer {
        socket.set_send_buffer_size(size)?;
        socket.set_recv_buffer_size(size)?;
    }
    if let Some(source) = options.source {
        platform::bind_without_port(&SockRef::from(&socket), source)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if !platform::is_connecting(&error) => Err(error),
        Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
}

impl ConnectError {
    /// No answer within the time that was given.
    pub fn timed_out() -> Self {
        Self {
            failure: ConnectFailure::TimedOut,
            source: io::Error::new(io::ErrorKind::TimedOut, "no answer in time"),
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(source: io::Error) -> Self {
        let failure = match source.kind() {
            io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown => ConnectFailure::Unreachable,
            io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
                ConnectFailure::NoSourcePort
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                ConnectFailure::Reset
            }
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

impl error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests;
