//! Tests of the endpoint over real sockets, with a server in this process.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Endpoint, MetricsObserver};
use crate::conn::Framing;
use crate::net::{Config, Handle, Listen, Outcome, Server};

/// The deadline of one step. A busy machine may stop a thread for seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server with an endpoint.
struct Served {
    server: SocketAddr,
    endpoint: SocketAddr,
    handle: Handle,
    outcome: mpsc::Receiver<Outcome>,
}

fn local() -> Listen {
    Listen::At(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Binds a server with an endpoint. The server does not run.
fn bind(config: Config) -> (Server, SocketAddr) {
    let config = Config {
        listen: vec![(local(), Framing::Raw)],
        max_connections: Some(64),
        ..config
    };
    let mut server = Server::bind(config).expect("a free port");
    let endpoint = Endpoint::bind(local()).expect("a free port");
    let address = endpoint.address();
    let mut observer = MetricsObserver::new();
    observer
        .serve_at(endpoint, server.handle())
        .expect("a thread");
    server.observe(Box::new(observer));
    (server, address)
}

impl Served {
    fn start(config: Config) -> Self {
        let (server, endpoint) = bind(config);
        let (address, handle) = (server.addresses()[0], server.handle());
        let (sender, outcome) = mpsc::channel();
        thread::spawn(move || sender.send(server.run().expect("no error of the poll")));
        Self {
            server: address,
            endpoint,
            handle,
            outcome,
        }
    }

    fn get(&self, path: &str) -> Response {
        get(self.endpoint, path)
    }

    /// Returns the value of the only line of `/metrics` that starts with `name`.
    fn metric(&self, name: &str) -> u64 {
        let body = self.get("/metrics").body;
        let mut lines = body.lines().filter(|line| line.starts_with(name));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            panic!("not one line `{name}`: {body}");
        };
        let (_, value) = line.rsplit_once(' ').expect("a value");
        value.parse().expect("a whole number")
    }

    fn stop(self) {
        self.handle.stop().expect("a wake");
        let outcome = self.outcome.recv_timeout(DEADLINE);
        assert_eq!(outcome.expect("the end"), Outcome::Stopped);
    }
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
        let status = head.split(' ').nth(1).expect("a status");
        Self {
            status: status.parse().expect("a number"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connecting");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Sends `request` and reads until the endpoint closes.
fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = connect(address);
    stream.write_all(request).expect("sending");
    read_response(&mut stream)
}

fn read_response(stream: &mut TcpStream) -> Response {
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    Response::parse(&response)
}

fn is_reset(error: &io::Error) -> bool {
    let kinds = [
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::BrokenPipe,
    ];
    kinds.contains(&error.kind())
}

fn get(address: SocketAddr, path: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    exchange(address, request.as_bytes())
}

#[test]
fn the_metrics_are_those_of_the_moment_of_the_request() {
    let served = Served::start(Config::default());
    let mut client = connect(served.server);
    for round in 1..=100 {
        client.write_all(b"hello").expect("sending");
        client.read_exact(&mut [0; 5]).expect("an echo");
        assert_eq!(served.metric("mio_echo_echoed_bytes_total"), 5 * round);
    }
    assert_eq!(served.metric("mio_echo_connections_active"), 1);
    assert!(served.metric("mio_echo_loop_turns_total") >= 200);
    assert!(served.metric("mio_echo_loop_events_total") >= 200);
    client.shutdown(Shutdown::Write).expect("a FIN");
    assert_eq!(client.read(&mut [0; 1]).expect("a FIN"), 0);
    let closed = "mio_echo_connections_closed_total";
    let address = served.server;
    let name =
        format!("{closed}{{listener=\"{address}\",framing=\"raw\",reason=\"peer finished\"}}");
    assert_eq!(served.metric(&name), 1);
    assert_eq!(served.metric("mio_echo_connections_accepted_total"), 1);
    assert_eq!(served.metric("mio_echo_connections_active"), 0);
    assert_eq!(served.metric("mio_echo_echoed_bytes_total"), 500);
    served.stop();
}

#[test]
fn a_page_for_people_has_all_metrics_and_loads_nothing() {
    let served = Served::start(Config::default());
    let Response { status, head, body } = served.get("/");
    assert_eq!(status, 200);
    assert!(head.contains("Content-Type: text/html"), "{head}");
    for line in served.get("/metrics").body.lines() {
        let name = line
            .strip_prefix("# TYPE ")
            .map(|rest| rest.split(' ').next());
        if let Some(Some(name)) = name.filter(|name| *name != Some("mio_echo_build_info")) {
            assert!(body.contains(&format!("<code>{name}</code>")), "{name}");
        }
    }
    for loads in ["src=", "<script", "<link", "url("] {
        assert!(!body.contains(loads), "{loads}: {body}");
    }
    served.stop();
}

#[test]
fn health_is_503_from_the_request_to_stop_on() {
    let served = Served::start(Config {
        stop_delay: DEADLINE * 60,
        ..Config::default()
    });
    let Response { status, body, .. } = served.get("/healthz");
    assert_eq!((status, &body[..]), (200, "ok\n"));
    served.handle.stop().expect("a wake");
    // A turn that began before the request may still answer.
    let until = Instant::now() + DEADLINE;
    while served.get("/healthz").status == 200 && Instant::now() < until {}
    let Response { status, body, .. } = served.get("/healthz");
    assert_eq!((status, &body[..]), (503, "stopping\n"));
    assert_eq!(served.metric("mio_echo_stopping"), 1);
}

#[test]
fn fault_e2_a_loop_that_does_not_answer_is_a_503_after_two_seconds() {
    // The server does not run.
    let (_server, endpoint) = bind(Config::default());
    let start = Instant::now();
    let ask = |path| {
        let mut stream = connect(endpoint);
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sending");
        stream
    };
    for mut stream in ["/metrics", "/healthz"].map(ask) {
        let Response { status, body, .. } = read_response(&mut stream);
        assert_eq!(
            (status, &body[..]),
            (503, "the event loop does not answer\n")
        );
        assert!(start.elapsed() >= Duration::from_secs(2));
    }
    // What needs no figures is answered at once.
    assert_eq!(get(endpoint, "/other").status, 404);
}

#[test]
fn fault_e1_requests_that_are_not_served_have_their_status() {
    let served = Served::start(Config::default());
    for (request, status, field) in [
        ("GET /other HTTP/1.1\r\nHost: a\r\n\r\n", 404, ""),
        (
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
            405,
            "\r\nAllow: GET, HEAD",
        ),
        ("\x16\x03\x01\x02\x00\x01", 400, ""),
        ("hello\r\n\r\n", 400, ""),
    ] {
        let response = exchange(served.endpoint, request.as_bytes());
        assert_eq!(response.status, status, "{request}");
        assert!(
            response.head.contains(field),
            "{request}: {}",
            response.head
        );
    }
    let head = exchange(
        served.endpoint,
        b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!((head.status, &head.body[..]), (200, ""));
    assert!(head.head.contains("Content-Length: 3"), "{}", head.head);
    served.stop();
}

#[test]
fn fault_e1_a_head_may_come_byte_by_byte_and_may_not_be_endless() {
    let served = Served::start(Config::default());
    let mut slow = connect(served.endpoint);
    slow.set_nodelay(true).expect("TCP_NODELAY");
    for byte in b"GET /healthz HTTP/1.0\r\n\r\n" {
        slow.write_all(&[*byte]).expect("sending");
    }
    assert_eq!(read_response(&mut slow).status, 200);

    // The endpoint reads some of what is too much, so that the client finds the response.
    let huge = format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(20_000));
    assert_eq!(exchange(served.endpoint, huge.as_bytes()).status, 431);
    served.stop();
}

#[test]
fn fault_e1_one_request_of_a_connection_is_answered() {
    let served = Served::start(Config::default());
    let request = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let response = exchange(served.endpoint, request.repeat(100).as_bytes());
    assert_eq!((response.status, &response.body[..]), (200, "ok\n"));
    assert!(response.head.contains("\r\nConnection: close"));
    served.stop();
}

#[test]
fn fault_e1_clients_that_send_nothing_do_not_keep_out_others() {
    let served = Served::start(Config::default());
    let silent: Vec<_> = (0..100).map(|_| connect(served.endpoint)).collect();
    for _ in 0..10 {
        assert_eq!(served.get("/healthz").status, 200);
    }
    // The earliest of them have lost their places.
    for mut stream in silent.into_iter().take(50) {
        match stream.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if is_reset(&error) => {}
            other => panic!("{other:?}"),
        }
    }
    served.stop();
}

#[test]
fn fault_e1_many_clients_at_once_are_all_answered_or_closed() {
    let served = Served::start(Config::default());
    let endpoint = served.endpoint;
    let ask = move || {
        for _ in 0..50 {
            let mut stream = connect(endpoint);
            let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
            let mut response = String::new();
            let answered = stream
                .write_all(request)
                .and_then(|()| stream.read_to_string(&mut response));
            match answered {
                Ok(_) if !response.is_empty() => {
                    // A loop that the other threads keep from running for two seconds is a 503.
                    let status = Response::parse(&response).status;
                    assert!([200, 503].contains(&status), "{status}");
                }
                Ok(_) => {}
                Err(error) if is_reset(&error) => {}
                Err(error) => panic!("neither answered nor closed: {error}"),
            }
        }
    };
    let threads: Vec<_> = (0..12).map(|_| thread::spawn(ask)).collect();
    for thread in threads {
        thread.join().expect("no failed check");
    }
    assert_eq!(served.get("/healthz").status, 200);
    served.stop();
}

#[test]
fn fault_e3_a_port_that_is_taken_is_an_error_that_names_the_address() {
    let first = Endpoint::bind(local()).expect("a free port");
    let refused = Endpoint::bind(Listen::At(first.address())).expect_err("the port is taken");
    let line = refused.to_string();
    let expected = format!("cannot listen on {}: ", first.address());
    assert!(line.starts_with(&expected), "{line}");
}

#[test]
fn the_thread_ends_with_its_server() {
    let served = Served::start(Config::default());
    let endpoint = served.endpoint;
    served.stop();
    let start = Instant::now();
    while TcpStream::connect(endpoint).is_ok() {
        assert!(start.elapsed() < DEADLINE, "the endpoint still listens");
        thread::yield_now();
    }
}
