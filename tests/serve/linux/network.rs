//! A network that loses, delays and reorders packets.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use crate::support::link_local::run;
use crate::support::server::serve;
use crate::support::{Client, Data, Server, skip};

const SERVER: &str = "198.18.0.6:7007";

/// A network namespace that is reached through a router, which is a network namespace too. Dropping this value removes
/// both.
///
/// The router loses the packets. If the sending interface lost them, TCP would learn of every loss at once.
struct RemoteNetwork {
    name: String,
    router: String,
}

impl RemoteNetwork {
    fn set_up() -> Result<Self, String> {
        let number = std::process::id();
        let remote = Self {
            name: format!("mio-echo-{number}"),
            router: format!("mio-echo-router-{number}"),
        };
        remote.connect(&format!("near{number}"))?;
        if let Err(error) = remote.spoil_with_netem() {
            remote.spoil_with_detours()?;
            skip(
                "fault_n1 (a steady delay)",
                &format!("{error}; packets are still lost, queued and reordered"),
            );
        }
        Ok(remote)
    }

    fn connect(&self, near: &str) -> Result<(), String> {
        let Self { name, router } = self;
        run(&[
            format!("ip netns add {name}"),
            format!("ip netns add {router}"),
            format!("ip link add {near} type veth peer name left netns {router}"),
            format!("ip -n {router} link add right type veth peer name far netns {name}"),
            format!("ip addr add 198.18.0.1/30 dev {near}"),
            format!("ip -n {router} addr add 198.18.0.2/30 dev left"),
            format!("ip -n {router} addr add 198.18.0.5/30 dev right"),
            format!("ip -n {name} addr add 198.18.0.6/30 dev far"),
            // Segmentation offload would send up to 64 KiB as one packet.
            format!("ip link set {near} gso_max_segs 1 up"),
            format!("ip -n {router} link set left up"),
            format!("ip -n {router} link set right up"),
            format!("ip -n {name} link set far gso_max_segs 1 up"),
            format!("ip -n {name} link set lo up"),
            format!("ip route add 198.18.0.4/30 via 198.18.0.2 dev {near}"),
            format!("ip -n {name} route add default via 198.18.0.5"),
            format!("ip netns exec {router} sysctl -q -w net.ipv4.ip_forward=1"),
        ])
    }

    fn spoil_with_netem(&self) -> Result<(), String> {
        let tc = format!("tc -n {} qdisc add dev", self.router);
        let netem = "root netem delay 50ms 5ms loss 1% reorder 5% 50%";
        run(&[format!("{tc} left {netem}"), format!("{tc} right {netem}")])
    }

    /// Does nearly the same with older parts of the kernel: one packet in a hundred is lost, and one in a hundred
    /// takes a slow path, so that later packets overtake it.
    fn spoil_with_detours(&self) -> Result<(), String> {
        let tc = format!("tc -n {}", self.router);
        for port in ["left", "right"] {
            let class = format!("{tc} class add dev {port} parent 1: classid");
            run(&[
                format!("{tc} qdisc add dev {port} root handle 1: htb default 1"),
                format!("{class} 1:1 htb rate 20mbit burst 3k"),
                format!("{class} 1:2 htb rate 500kbit burst 1600"),
            ])?;
        }
        let iptables = format!("ip netns exec {} iptables", self.router);
        let sometimes = "-m statistic --mode random --probability 0.01";
        run(&[
            format!("{iptables} -A FORWARD {sometimes} -j DROP"),
            format!("{iptables} -t mangle -A POSTROUTING {sometimes} -j CLASSIFY --set-class 1:2"),
        ])
    }

    fn command(&self, command: &Command) -> Command {
        let mut remote = Command::new("ip");
        remote
            .args(["netns", "exec", &self.name])
            .arg(command.get_program());
        remote.args(command.get_args());
        remote
    }
}

impl Drop for RemoteNetwork {
    fn drop(&mut self) {
        // The kernel removes the links with their ends, and the route with its link.
        for name in [&self.name, &self.router] {
            if let Err(error) = run(&[format!("ip netns del {name}")]) {
                eprintln!("{error}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_n1_a_bad_network_brings_no_wrong_byte_and_no_stuck_connection() {
    let remote = match RemoteNetwork::set_up() {
        Ok(remote) => remote,
        Err(error) => return skip("fault_n1", &error),
    };
    let mut command = remote.command(&serve());
    command.args(["--listen", SERVER, "--stop-on-eof"]);
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
                client.half_close();
                client.expect_fin();
            });
        }
    });
    let finished = server.stop();
    assert_eq!(finished.figures().get("peer finished"), 20);
    finished.expect_no_warning();
}
