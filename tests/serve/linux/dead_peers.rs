//! Peers that vanish without a FIN or a reset, and live peers that must not be taken for them.
//!
//! The server runs in a network namespace. A peer is dead once the namespace drops every packet of that peer.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::link_local::run;
use crate::support::proc::queues;
use crate::support::server::serve;
use crate::support::strace::Strace;
use crate::support::{Client, DEADLINE, Data, Server, skip, time_bound, wait_for};

const SECOND: Duration = Duration::from_secs(1);

/// The options of a keepalive that takes 4 s: 1 s of silence, and 3 probes 1 s apart.
const KEEPALIVE: [&str; 3] = ["--keepalive", "1s", "-v"];
const KEEPALIVE_LENGTH: Duration = Duration::from_secs(4);

/// A network namespace behind one link. Dropping this value removes both.
struct Namespace {
    name: String,
    address: String,
}

impl Namespace {
    /// Returns a new namespace, or `None` with a line that says that `test` is skipped.
    fn set_up(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        // Each namespace has four of the 131,072 addresses for benchmarks (RFC 2544). The first are those of `network.rs`.
        let subnet = 2 + (pid * 8 + number) % 32_000;
        let at = |host: u32| {
            let [.., high, low] = (subnet * 4 + host).to_be_bytes();
            format!("198.{}.{high}.{low}", 18 + subnet / 16_384)
        };
        let namespace = Self {
            name: format!("mio-echo-dead-{pid}-{number}"),
            address: at(2),
        };
        let (name, far) = (&namespace.name, &namespace.address);
        let (near, near_link) = (at(1), format!("dead{pid}-{number}"));
        let done = run(&[
            format!("ip netns add {name}"),
            format!("ip link add {near_link} type veth peer name far netns {name}"),
            format!("ip addr add {near}/30 dev {near_link}"),
            format!("ip -n {name} addr add {far}/30 dev far"),
            format!("ip link set {near_link} up"),
            format!("ip -n {name} link set far up"),
            // Fails if packets cannot be dropped.
            format!("ip netns exec {name} iptables -A INPUT -p tcp --sport 1 -j DROP"),
        ]);
        match done {
            Ok(()) => Some(namespace),
            Err(error) => {
                skip(test, &error);
                None
            }
        }
    }

    #[track_caller]
    fn start(&self, options: &[&str]) -> Server {
        let serve = serve();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        command.arg(serve.get_program()).args(serve.get_args());
        command.args(["--listen", &format!("{}:0", self.address), "--stop-on-eof"]);
        command.args(options);
        Server::spawn(command)
    }

    /// Drops every packet of `client` from now on.
    #[track_caller]
    fn kill(&self, client: &Client) {
        let port = client.address().port();
        let rule = format!("iptables -I INPUT -p tcp --sport {port} -j DROP");
        run(&[format!("ip netns exec {} {rule}", self.name)]).expect("dropping packets");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The kernel removes the link with its end.
        if let Err(error) = run(&[format!("ip netns del {}", self.name)]) {
            eprintln!("{error}");
        }
    }
}

/// Waits until the connection of `server` has this many bytes that are not acknowledged, and not read.
#[track_caller]
fn await_queues(server: &Server, expected: (u64, u64)) {
    let port = server.address().port();
    wait_for(&format!("queues of {expected:?} bytes"), DEADLINE, || {
        queues(server.pid(), port) == Some(expected)
    });
}

/// Requires that the only connection of `server` ends for `reason`, not earlier than `after` the time `since`, and at
/// most `late` later.
#[track_caller]
fn expect_end(server: Server, reason: &str, since: Instant, after: Duration, late: Duration) {
    server.await_log(&format!(": {reason}, "));
    let took = since.elapsed();
    assert!(took >= after, "{reason} too early, after {took:?}");
    let latest = after + time_bound(late);
    assert!(took <= latest, "{reason} too late, after {took:?}");
    let finished = server.stop();
    assert_eq!(finished.figures().get(reason), 1);
    assert_eq!(finished.figures().closed(), 1);
    finished.expect_no_warning();
}

#[test]
fn fault_t6_a_dead_idle_peer_is_gone_when_keepalive_is_over() {
    thread::scope(|scope| {
        for write_timeout in ["30s", "0"] {
            scope.spawn(move || {
                let Some(namespace) = Namespace::set_up("fault_t6 (idle)") else {
                    return;
                };
                let options = [&KEEPALIVE[..], &["--write-timeout", write_timeout]].concat();
                let server = namespace.start(&options);
                let client = Client::connect(server.address());
                let since = Instant::now();
                client.echo(b"hello");
                await_queues(&server, (0, 0));
                namespace.kill(&client);
                expect_end(server, "no answer", since, KEEPALIVE_LENGTH, SECOND);
            });
        }
    });
}

#[test]
fn fault_t6_a_dead_peer_that_owes_an_acknowledgement_is_gone_in_the_same_time() {
    let Some(namespace) = Namespace::set_up("fault_t6 (unacknowledged)") else {
        return;
    };
    let server = namespace.start(&KEEPALIVE);
    let client = Client::connect(server.address());
    client.echo(b"hello");
    let frozen = server.freeze();
    client.send(&[1; 100]);
    await_queues(&server, (0, 100));
    namespace.kill(&client);
    let since = Instant::now();
    drop(frozen);
    expect_end(server, "no answer", since, KEEPALIVE_LENGTH, SECOND);
}

#[test]
fn fault_t6_a_dead_peer_with_pending_bytes_is_gone_after_the_write_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(4_800);
    let Some(namespace) = Namespace::set_up("fault_t6 (pending)") else {
        return;
    };
    let server = namespace.start(&[&KEEPALIVE[..], &["--write-timeout", "4800ms"]].concat());
    let client = Client::connect(server.address());
    let since = Instant::now();
    client.send_until_blocked(&mut Data::new(6), 64 << 20);
    namespace.kill(&client);
    // The kernel may take a last byte until the client is blocked.
    expect_end(server, "write timeout", since, TIMEOUT, SECOND);
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_t7_a_live_peer_with_a_closed_window_stays_longer_than_keepalive_takes() {
    thread::scope(|scope| {
        for write_timeout in ["30s", "0"] {
            scope.spawn(move || {
                let Some(namespace) = Namespace::set_up("fault_t7 (closed window)") else {
                    return;
                };
                let options = [&KEEPALIVE[..], &["--write-timeout", write_timeout]].concat();
                let server = namespace.start(&options);
                let client = Client::connect(server.address());
                let data = Data::new(7);
                let sent = client.send_until_blocked(&mut data.clone(), 64 << 20);
                thread::sleep(KEEPALIVE_LENGTH * 2);
                client.expect_data(&mut data.clone(), sent);
                // Nothing is pending any more, so a dead peer is found in the usual time.
                let since = Instant::now();
                client.echo(b"still here");
                await_queues(&server, (0, 0));
                namespace.kill(&client);
                expect_end(server, "no answer", since, KEEPALIVE_LENGTH, SECOND);
            });
        }
    });
}

#[test]
fn fault_t7_the_kernels_timeout_is_longer_only_while_bytes_are_pending() {
    for (keepalive, write_timeout, expected) in [
        ("1s", "30s", &[60_000, 4_000][..]),
        ("1s", "0", &[]),
        ("60s", "30s", &[]),
        ("0", "30s", &[]),
    ] {
        let server = Server::start(&["--keepalive", keepalive, "--write-timeout", write_timeout]);
        let client = Client::connect(server.address());
        client.echo(b"hello");
        let Some(strace) = Strace::attach("fault_t7 (options)", server.pid(), "setsockopt") else {
            return;
        };
        let data = Data::new(7);
        let sent = client.send_until_blocked(&mut data.clone(), 64 << 20);
        client.expect_data(&mut data.clone(), sent);
        client.echo(b"nothing is pending");
        let calls = strace.detach();
        let set = calls.iter().filter_map(|line| {
            let (_, value) = line.split_once("TCP_USER_TIMEOUT, [")?;
            value.split_once(']')?.0.parse::<u32>().ok()
        });
        // While the client reads, bytes can be pending more than once.
        let set: Vec<_> = set.collect();
        assert_eq!(set.is_empty(), expected.is_empty(), "{calls:#?}");
        let mut changes = set.chunks(2);
        assert!(changes.all(|change| change == expected), "{calls:#?}");
    }
}
