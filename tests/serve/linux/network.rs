//! A network that loses, delays and reorders.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use crate::support::server::serve;
use crate::support::{Client, Data, Server, skip};

/// A network namespace with an address of its own behind a bad link; gone when dropped.
struct FarAway {
    name: String,
}

impl FarAway {
    fn set_up() -> Result<Self, String> {
        let number = std::process::id();
        let (near, far) = (format!("near{number}"), format!("far{number}"));
        let there = Self {
            name: format!("mio-echo-{number}"),
        };
        let name = &there.name;
        let netem = "netem delay 50ms 5ms loss 1% reorder 5% 50%";
        let steps = [
            format!("ip netns add {name}"),
            format!("ip link add {near} type veth peer name {far} netns {name}"),
            format!("ip addr add 198.18.0.1/30 dev {near}"),
            format!("ip link set {near} up"),
            format!("ip -n {name} addr add 198.18.0.2/30 dev {far}"),
            format!("ip -n {name} link set {far} up"),
            format!("ip -n {name} link set lo up"),
            format!("tc qdisc add dev {near} root {netem}"),
            format!("tc -n {name} qdisc add dev {far} root {netem}"),
        ];
        for step in &steps {
            run(step)?;
        }
        Ok(there)
    }

    fn command(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there
            .args(["netns", "exec", &self.name])
            .arg(command.get_program());
        there.args(command.get_args());
        there
    }
}

impl Drop for FarAway {
    fn drop(&mut self) {
        // The pair of links goes with it.
        if let Err(error) = run(&format!("ip netns del {}", self.name)) {
            eprintln!("{error}");
        }
    }
}

fn run(step: &str) -> Result<(), String> {
    let mut words = step.split(' ');
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .output()
        .map_err(|error| format!("{step}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{step}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_n1_a_bad_network_brings_no_wrong_byte_and_no_stuck_connection() {
    let there = match FarAway::set_up() {
        Ok(there) => there,
        Err(error) => return skip("fault_n1", &error),
    };
    let mut command = there.command(&serve());
    command.args(["--listen", "198.18.0.2:7007", "--stop-on-eof"]);
    let server = Server::spawn(command);
    let address: SocketAddr = server.address();
    thread::scope(|scope| {
        for seed in 0..20 {
            scope.spawn(move || {
                let client = Client::connect(address);
                let data = Data::new(seed);
                client.exchange(&data, 300 << 10);
                for _ in 0..20 {
                    client.echo(b"ping");
                }
                client.finish();
                client.expect_fin();
            });
        }
    });
    let finished = server.stop();
    assert_eq!(finished.figures().get("peer finished"), 20);
    finished.expect_no_complaint();
}
