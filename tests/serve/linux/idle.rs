//! A server that has nothing to do does nothing.

use std::thread;
use std::time::Duration;

use crate::support::proc::{cpu, sleeps};
use crate::support::{Client, QUIET, Server};

#[test]
fn fault_t4_an_idle_server_never_wakes() {
    for timeouts in [&[][..], &["--idle-timeout", "1h"][..]] {
        let server = Server::start(timeouts);
        let clients: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
        clients.iter().for_each(|client| client.echo(b"hello"));
        thread::sleep(QUIET);
        let before = (sleeps(server.pid()), cpu(server.pid()));
        thread::sleep(Duration::from_millis(1500));
        assert_eq!((sleeps(server.pid()), cpu(server.pid())), before);
        clients.iter().for_each(|client| client.echo(b"still here"));
    }
}
