//! Limits on connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::support::server::serve;
use crate::support::unused::free_address;
use crate::support::{Client, DEADLINE, End, Server, most_warnings, skip, wait_for, within};

#[test]
fn fault_l1_seed_s1_3_a_full_server_closes_the_next_client_at_once() {
    let server = Server::start(&["--max-connections", "5", "--when-full", "close"]);
    let clients = [(); 5].map(|()| Client::connect(server.address()));
    clients.iter().for_each(|client| client.echo(b"hello"));
    let start = Instant::now();
    for _ in 0..20 {
        within(Duration::from_millis(50), || {
            expect_refusal(server.address())
        });
    }
    clients
        .iter()
        .for_each(|client| client.echo(b"still connected"));

    let [leaving, staying @ ..] = clients;
    leaving.half_close();
    leaving.expect_fin();
    Client::connect(server.address()).echo(b"a free slot");
    drop(staying);

    let finished = server.stop();
    let warnings = finished.log.iter().filter(|line| line.contains("WARN"));
    assert!(
        warnings.count() <= most_warnings(start.elapsed()),
        "too many warnings: {:#?}",
        finished.log
    );
    let figures = finished.figures();
    assert_eq!(figures.get("refused"), 20);
    assert_eq!(figures.closed(), 6);
}

#[test]
fn seed_s3_5_port_workers_and_limits_are_options() {
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["-l", &format!("line@{address}"), "--stop-on-eof"]);
    command.args(["--workers", "2", "--work-time", "1ms"]);
    command.args(["--max-connections", "1", "--when-full", "close"]);
    let server = Server::spawn(command);
    assert_eq!(server.address(), address);
    let client = Client::connect(address);
    client.echo(b"through the pool\n");
    expect_refusal(address);
    client.echo(b"not affected\n");
}

#[test]
fn fault_l3_max_per_ip_holds_over_all_listeners_and_mapped_addresses() {
    let mut command = serve();
    command.args(["-l", "[::]:0", "-l", "127.0.0.1:0", "--stop-on-eof"]);
    command.args(["--max-per-ip", "2"]);
    let server = Server::spawn_with_listeners(command, 2);
    let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST, server.addresses()[0].port()));
    let plain = server.addresses()[1];

    let first = Client::connect(mapped);
    first.echo(b"first");
    let second = Client::connect(plain);
    second.echo(b"second");
    expect_refusal(mapped);
    expect_refusal(plain);
    first.echo(b"not affected");

    first.half_close();
    first.expect_fin();
    wait_for_free_slot(plain);
    drop(second);
    server.stop();
}

#[test]
fn fault_l3_max_per_ip_counts_ipv6_clients() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skip("fault_l3 (IPv6)", "there is no IPv6");
    }
    let mut command = serve();
    command.args(["-l", "[::1]:0", "--stop-on-eof", "--max-per-ip", "1"]);
    let server = Server::spawn(command);
    let client = Client::connect(server.address());
    client.echo(b"first");
    expect_refusal(server.address());
    client.echo(b"not affected");
}

#[test]
#[cfg(target_os = "linux")]
fn fault_l3_max_per_ip_counts_each_address_alone() {
    let server = Server::start(&["--max-per-ip", "1"]);
    let from =
        |last: u8| Client::connect_from(Ipv4Addr::new(127, 0, 0, last).into(), server.address());
    let (first, second) = (from(1), from(2));
    first.echo(b"first");
    second.echo(b"second");
    expect_refusal(server.address());
}

/// Requires that the server accepts the next client and resets it without a byte.
#[track_caller]
pub fn expect_refusal(server: SocketAddr) {
    // The reset may arrive before the connect has finished.
    if let Ok(client) = Client::try_connect(server) {
        assert_eq!(client.receive_to_end(), (Vec::new(), End::Reset));
    }
}

/// Waits until `server` serves one more client.
#[track_caller]
fn wait_for_free_slot(server: SocketAddr) {
    wait_for("a free slot", DEADLINE, || {
        let Ok(client) = Client::try_connect(server) else {
            return false;
        };
        // A refused client receives an end instead of its byte.
        client.try_send(b"?").is_ok()
            && client.read_by(&mut [0], Instant::now() + DEADLINE).ok() == Some(1)
    });
}
