//! Listening sockets that a service manager has opened for this program: socket activation, see sd_listen_fds(3).
//!
//! The manager passes the sockets as the descriptors from 3 on. `LISTEN_FDS` is their number, `LISTEN_PID` the process that
//! they are for, and `LISTEN_FDNAMES` their names, separated by colons.

use std::env;
use std::ffi::OsString;
use std::net::TcpListener;

use listenfd::ListenFd;
use socket2::{Protocol, SockRef};

use crate::cli::InheritedSocket;

/// The first descriptor that a service manager passes.
const FIRST_DESCRIPTOR: usize = 3;

/// Takes the sockets. They are marked close-on-exec, and `LISTEN_FDS` and `LISTEN_PID` are removed from the environment,
/// so call this before there is a second thread.
///
/// # Errors
///
/// Returns the line that refuses `LISTEN_FDS`, or a descriptor that is no listening TCP socket.
pub fn take() -> Result<Vec<InheritedSocket>, String> {
    check_count(env::var_os("LISTEN_FDS"))?;
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut descriptors = ListenFd::from_env();
    let count = descriptors.len();
    let take = |index| {
        let name = names.next().unwrap_or_default().to_owned();
        match descriptors.take_tcp_listener(index) {
            Ok(Some(socket)) if is_listening_tcp(&socket) => Ok(InheritedSocket { name, socket }),
            Ok(_) | Err(_) => Err(refusal(FIRST_DESCRIPTOR + index, &name)),
        }
    };
    (0..count).map(take).collect()
}

/// Refuses a number that the crate would ignore, or that no process can have as descriptors.
fn check_count(count: Option<OsString>) -> Result<(), String> {
    let Some(count) = count else { return Ok(()) };
    let count = count.to_string_lossy();
    match count.parse::<u16>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "invalid value '{count}' for 'LISTEN_FDS': expected a number from 0 to {}",
            u16::MAX
        )),
    }
}

fn is_listening_tcp(socket: &TcpListener) -> bool {
    let socket = SockRef::from(socket);
    let is_tcp = |protocol| [Protocol::TCP, Protocol::MPTCP].contains(&protocol);
    socket.is_listener().unwrap_or(false) && socket.protocol().ok().flatten().is_some_and(is_tcp)
}

fn refusal(descriptor: usize, name: &str) -> String {
    format!(
        "invalid descriptor {descriptor} '{name}' of LISTEN_FDS: expected a listening TCP socket, as of ListenStream= with a \
         port, and Accept=no"
    )
}
