//! `--metrics` and `--metrics-file`. The tests of `src/metrics` have every kind of HTTP client.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::options::{expect_refusal, run};
use crate::support::server::serve;
use crate::support::temp_dir::TempDir;
use crate::support::{Client, DEADLINE, Data, Server, wait_for};

/// The values of all metrics, by their names and labels as they are written.
pub struct Metrics(HashMap<String, u64>);

impl Metrics {
    /// Asks the endpoint of `server`.
    #[track_caller]
    pub fn of(server: &Server) -> Self {
        let response = response(server, "/metrics");
        let (head, body) = response.split_once("\r\n\r\n").expect("an empty line");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        Self::parse(body)
    }

    fn parse(text: &str) -> Self {
        let values = text.lines().filter(|line| !line.starts_with('#'));
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name.to_owned(), value.parse().expect("a whole number"))
        };
        Self(values.map(value).collect())
    }

    #[track_caller]
    pub fn get(&self, name: &str) -> u64 {
        let value = self.0.get(name);
        *value.unwrap_or_else(|| panic!("no `{name}` in {:?}", self.0))
    }

    /// Returns the value for the listener at `address`.
    #[track_caller]
    fn of_listener(&self, name: &str, address: SocketAddr, framing: &str) -> u64 {
        self.get(&format!(
            "{name}{{listener=\"{address}\",framing=\"{framing}\"}}"
        ))
    }
}

/// Returns the response of the endpoint of `server` to a request for `path`.
#[track_caller]
pub fn response(server: &Server, path: &str) -> String {
    let line = server.await_output("metrics on http://");
    let url = line.strip_prefix("metrics on http://").expect("a URL");
    let address = url.strip_suffix("/metrics").expect("the path");
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect(address).expect("connecting");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sending");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    response
}

#[test]
fn each_listener_has_its_own_figures() {
    let mut command = serve();
    command.args(["-l", "127.0.0.1:0", "-l", "nul@127.0.0.1:0"]);
    command.args(["--metrics", "127.0.0.1:0", "--stop-on-eof"]);
    let server = Server::spawn_with_listeners(command, 2);
    let (raw, nul) = (server.addresses()[0], server.addresses()[1]);
    let first = Client::connect(raw);
    first.echo(b"hello");
    let second = Client::connect(nul);
    second.send(b"hi\0");
    second.expect(b"hi");
    // The NUL has ended the session, so this is discarded.
    second.send(b"later");
    second.half_close();
    second.expect_fin();
    let closed = format!(
        "mio_echo_connections_closed_total{{listener=\"{nul}\",framing=\"nul\",reason=\"nul received\"}}"
    );
    wait_for("the end of a connection", DEADLINE, || {
        Metrics::of(&server).get(&closed) == 1
    });
    let metrics = Metrics::of(&server);
    for (name, of_raw, of_nul) in [
        ("mio_echo_connections_accepted_total", 1, 1),
        ("mio_echo_connections_refused_total", 0, 0),
        ("mio_echo_connections_active", 1, 0),
        ("mio_echo_echoed_bytes_total", 5, 2),
        ("mio_echo_discarded_bytes_total", 0, 5),
        ("mio_echo_pending_bytes", 0, 0),
    ] {
        let values = (
            metrics.of_listener(name, raw, "raw"),
            metrics.of_listener(name, nul, "nul"),
        );
        assert_eq!(values, (of_raw, of_nul), "{name}");
    }
    let figures = server.stop().figures();
    assert_eq!(figures.get("accepted"), 2);
    assert_eq!(figures.get("echoed"), 7);
    assert_eq!(figures.get("discarded"), 5);
}

#[test]
fn pending_bytes_and_memory_are_those_of_a_client_that_does_not_read() {
    let server = Server::start(&["--metrics", "127.0.0.1:0"]);
    let before = Metrics::of(&server).get("mio_echo_memory_used_bytes");
    let client = Client::connect_with_small_buffers(server.address(), 4096);
    let mut data = Data::new(1);
    client.send_until_blocked(&mut data, 100 << 20);
    let metrics = Metrics::of(&server);
    let pending = metrics.of_listener("mio_echo_pending_bytes", server.address(), "raw");
    assert!(pending >= 64 << 10, "{pending}");
    let used = metrics.get("mio_echo_memory_used_bytes");
    assert!(used >= before + pending, "{before} {used}");
    assert!(used <= metrics.get("mio_echo_memory_bound_bytes"), "{used}");
    drop(client);
    wait_for("the end of the connection", DEADLINE, || {
        let metrics = Metrics::of(&server);
        metrics.of_listener("mio_echo_pending_bytes", server.address(), "raw") == 0
            && metrics.get("mio_echo_memory_used_bytes") == before
    });
    server.stop();
}

#[test]
fn fault_e3_an_address_of_metrics_that_is_in_use_is_named_and_exits_with_1() {
    let first = Server::start(&[]);
    let address = first.address().to_string();
    let second = run(&["--listen", "127.0.0.1:0", "--metrics", &address]);
    expect_refusal(&second, 1, &["in use", &address]);
    Client::connect(first.address()).echo(b"not affected");
}

#[cfg(target_os = "linux")]
#[test]
fn fault_e5_metrics_are_served_while_clients_hold_all_other_descriptors() {
    let mut command = crate::support::unix::shell(r#"ulimit -n 100; exec "$0" "$@""#);
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
        "--stop-on-eof",
    ]);
    let server = Server::spawn(command);
    let promised = 100 - 32 - 12 - crate::support::proc::inheritable();
    server.await_log(&format!("up to {promised} connections"));
    let clients = (0..promised).map(|_| Client::connect(server.address()));
    let clients: Vec<_> = clients.collect();
    clients.iter().for_each(|client| client.echo(b"hello"));
    let metrics = Metrics::of(&server);
    let active = metrics.of_listener("mio_echo_connections_active", server.address(), "raw");
    assert_eq!(active, promised as u64);
    drop(clients);
    server.stop().expect_no_warning();
}

#[test]
fn the_file_of_metrics_is_there_soon_and_has_the_last_figures_at_the_end() {
    let dir = TempDir::new("metrics-file");
    let path = dir.file("echo.prom");
    let server = Server::start(&["--metrics-file", path.to_str().expect("UTF-8")]);
    wait_for("the file", DEADLINE, || path.exists());
    let name = format!(
        "mio_echo_echoed_bytes_total{{listener=\"{}\",framing=\"raw\"}}",
        server.address()
    );
    let read = || Metrics::parse(&fs::read_to_string(&path).expect("the file"));
    assert_eq!(read().get(&name), 0);
    Client::connect(server.address()).echo(b"hello");
    server.stop().expect_no_warning();
    assert_eq!(read().get(&name), 5);
    assert_eq!(read().get("mio_echo_stopping"), 1);
}

#[test]
fn fault_e4_a_file_of_metrics_that_cannot_be_written_is_one_warning_and_the_server_serves() {
    let dir = TempDir::new("metrics-file-fails");
    let path = dir.file("no-such-directory/echo.prom");
    let server = Server::start(&["--metrics-file", path.to_str().expect("UTF-8")]);
    server.await_log("cannot write metrics to ");
    Client::connect(server.address()).echo(b"hello");
    let log = server.stop().log;
    let warnings = log.iter().filter(|line| line.contains("WARN"));
    assert_eq!(warnings.count(), 1, "{log:#?}");
}
