//! A network namespace behind links on which only link-local addresses are used.

use std::fs;
use std::net::{SocketAddr, SocketAddrV6};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::server::serve;
use super::{Server, skip};

/// A network namespace with the interfaces `left` and `right`. Both have the address fe80::1. The other ends of their
/// links are in the namespace of the test, and have the addresses fe80::2, fe80::4 and fe80::5. Dropping this value removes
/// everything.
pub struct LinkLocal {
    name: String,
    /// The interfaces of the test whose links lead to `left` and `right`.
    pub near: [String; 2],
}

impl LinkLocal {
    /// Returns a new namespace, or `None` with a line that says that `test` is skipped.
    pub fn set_up(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, number) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // The name of an interface has at most 15 bytes.
        let network = Self {
            name: format!("mio-echo-link-{pid}-{number}"),
            near: ["l", "r"].map(|side| format!("e{pid}{side}{number}")),
        };
        match network.connect() {
            Ok(()) => Some(network),
            Err(error) => {
                skip(test, &error);
                None
            }
        }
    }

    fn connect(&self) -> Result<(), String> {
        let name = &self.name;
        run(&[format!("ip netns add {name}")])?;
        for (near, far) in self.near.iter().zip(["left", "right"]) {
            run(&[
                format!("ip link add {near} type veth peer name {far} netns {name}"),
                // Without `nodad` an address cannot be used for the first second or two.
                format!("ip addr add fe80::2/64 dev {near} nodad"),
                format!("ip addr add fe80::4/64 dev {near} nodad"),
                format!("ip addr add fe80::5/64 dev {near} nodad"),
                format!("ip -n {name} addr add fe80::1/64 dev {far} nodad"),
                format!("ip link set {near} up"),
                format!("ip -n {name} link set {far} up"),
            ])?;
        }
        Ok(())
    }

    /// Starts a server in the namespace.
    #[track_caller]
    pub fn serve(&self, args: &[&str]) -> Server {
        let serve = serve();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        command.arg(serve.get_program()).args(serve.get_args());
        command.arg("--stop-on-eof").args(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Server::spawn_without_waiting(command)
    }

    /// Returns the number of `interface` in the namespace.
    #[track_caller]
    pub fn number_of(&self, interface: &str) -> u32 {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-o", "link", "show", interface]);
        let output = command.output().expect("running ip");
        let line = String::from_utf8_lossy(&output.stdout);
        let number = line
            .split(':')
            .next()
            .and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no number in `{line}`"))
    }

    /// Returns the address fe80::1 on the link of `near`.
    #[track_caller]
    pub fn far_address(near: &str, port: u16) -> SocketAddr {
        let number = fs::read_to_string(format!("/sys/class/net/{near}/ifindex"));
        let number = number.expect("an interface").trim().parse();
        let ip = "fe80::1".parse().expect("an address");
        SocketAddrV6::new(ip, port, 0, number.expect("a number")).into()
    }
}

impl Drop for LinkLocal {
    fn drop(&mut self) {
        // The kernel removes the links with their ends.
        if let Err(error) = run(&[format!("ip netns del {}", self.name)]) {
            eprintln!("{error}");
        }
    }
}

/// Returns the port in the start line `line`.
#[track_caller]
pub fn port_of(line: &str) -> u16 {
    let address = line.split(' ').nth(2).expect("an address");
    let (_, port) = address.rsplit_once(':').expect("a port");
    port.parse().expect("a port")
}

/// Runs commands in order, until one fails. Their words are separated by spaces.
pub fn run(steps: &[String]) -> Result<(), String> {
    steps.iter().try_for_each(|step| run_one(step))
}

fn run_one(step: &str) -> Result<(), String> {
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
