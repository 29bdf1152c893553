//! Servers that get their listening sockets from the test, as from systemd.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use socket2::{Domain, Socket, Type};

use super::unix::shell;

/// The first descriptor that systemd passes.
const FIRST_DESCRIPTOR: i32 = 3;

/// The most clients that wait for a server.
const BACKLOG: i32 = 4096;

/// Returns a listening socket and its address. The test holds the socket, however many servers get it.
#[track_caller]
pub fn listening() -> (TcpListener, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).expect("a free port");
    socket.listen(BACKLOG).expect("a listener");
    let socket = TcpListener::from(socket);
    let address = socket.local_addr().expect("its address");
    (socket, address)
}

/// Returns the command `mio-echo serve` that gets these descriptors with their names.
#[track_caller]
pub fn activated(descriptors: &[(&str, &dyn AsFd)]) -> Command {
    // The server is the process that the shell becomes.
    let mut command = shell(r#"export LISTEN_PID=$$ && exec "$0" "$@""#);
    pass(&mut command, descriptors);
    command
}

/// Passes these descriptors with their names to the process of `command`, which must set `LISTEN_PID` itself.
#[track_caller]
pub fn pass(command: &mut Command, descriptors: &[(&str, &dyn AsFd)]) {
    let names: Vec<_> = descriptors.iter().map(|(name, _)| *name).collect();
    command.env("LISTEN_FDS", names.len().to_string());
    command.env("LISTEN_FDNAMES", names.join(":"));
    let mappings = descriptors.iter().zip(FIRST_DESCRIPTOR..);
    let mappings = mappings.map(|((_, descriptor), child_fd)| FdMapping {
        parent_fd: descriptor
            .as_fd()
            .try_clone_to_owned()
            .expect("a duplicate"),
        child_fd,
    });
    command
        .fd_mappings(mappings.collect())
        .expect("different numbers");
}
