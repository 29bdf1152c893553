//! Listeners that fail while the server runs.

use std::net::SocketAddr;
use std::process::Command;

use crate::support::proc::TcpState;
use crate::support::server::serve;
use crate::support::strace::Strace;
use crate::support::{Client, DEADLINE, Server, proc, skip};

/// Destroys the listening socket of `address` with `ss -K`. Returns false, and prints that `test` is skipped, if the
/// system refuses that.
fn destroy(test: &str, server: &Server, address: SocketAddr) -> bool {
    let filter = format!("sport = :{}", address.port());
    let output = Command::new("ss")
        .args(["-K", "-t", "state", "listening", &filter])
        .output();
    let why = match output {
        Err(error) => format!("no ss: {error}"),
        Ok(_) if proc::sockets(server.pid(), address.port(), TcpState::Listen) == 0 => return true,
        Ok(output) => format!(
            "ss -K destroys no socket (CONFIG_INET_DIAG_DESTROY): {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    };
    skip(test, &why);
    false
}

/// Starts a server with `listeners` listeners.
fn server_with(listeners: usize) -> Server {
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0"].repeat(listeners));
    Server::spawn_with_listeners(command, listeners)
}

fn stopped_listening(address: SocketAddr) -> String {
    format!("stopped listening on {address}: accept: ")
}

/// Requires that `server` delivers what is pending and ends by itself because of its last listener, which was at
/// `address`. `client` is the only connection.
#[track_caller]
fn expect_orderly_end(server: Server, address: SocketAddr, client: Client) {
    client.expect_fin();
    drop(client);
    let finished = server.finished();
    assert_eq!(finished.status.code(), Some(1), "{:#?}", finished.log);
    let figures = finished.figures();
    assert_eq!(figures.get("accepted"), figures.closed());
    assert_eq!(figures.get("stopped"), 1);
    let ended = stopped_listening(address);
    assert!(finished.log.iter().any(|line| line.contains(&ended)));
    let last = finished.log.last().expect("a last line");
    assert_eq!(last, "mio-echo: no listener is left");
}

#[test]
fn fault_a8_a_destroyed_listener_ends_alone_and_the_last_one_ends_the_server() {
    let server = server_with(2);
    let [first, last] = [server.addresses()[0], server.addresses()[1]];
    let old = Client::connect(first);
    old.echo(b"old");
    if !destroy("fault_a8 (ss -K)", &server, first) {
        return;
    }
    server.await_log(&stopped_listening(first));
    assert!(Client::try_connect(first).is_err());
    Client::connect(last).echo(b"the other listener goes on");
    server.await_active(1, DEADLINE);
    old.echo(b"and so do connections");

    assert!(destroy("fault_a8 (ss -K)", &server, last));
    expect_orderly_end(server, last, old);
}

#[test]
fn fault_a8_a_permanent_error_of_accept_ends_the_server_after_it_has_delivered() {
    for error in ["EBADF", "EINVAL", "EOPNOTSUPP", "ENOTSOCK"] {
        let server = server_with(1);
        let address = server.address();
        let old = Client::connect(address);
        old.echo(b"old");
        // The turn that accepted the client is over, and its last accept has found no further client.
        old.echo(b"old");
        let fault = format!("accept4:error={error}");
        let Some(strace) = Strace::inject("fault_a8 (strace)", server.pid(), &fault) else {
            return;
        };
        // The reset may come before the client knows that it is connected.
        let refused = Client::try_connect(address);
        expect_orderly_end(server, address, old);
        if let Ok(refused) = refused {
            refused.expect_reset();
        }
        drop(strace);
    }
}
