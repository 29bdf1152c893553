//! Tests with a server in this process, an accept that fails, and workers that a test can hold up.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream as Client};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};

use super::run_queue::SlotRef;
use super::timers::NEVER;
use super::workers::{Work, WorkerPool, Workers, jobs_of_loop};
use super::{Config, Handle, Listen, Observation, Observer, OffloadPolicy, Outcome, Server, Stats};
use crate::conn::{CloseReason, Framing};

#[cfg(feature = "threads")]
mod loops;

/// The deadline of one step. A busy machine may stop a thread for seconds.
const DEADLINE: Duration = Duration::from_secs(60);

thread_local! {
    /// The failures of the next accepts of the server on this thread.
    static FAILURES: RefCell<VecDeque<Failure>> = const { RefCell::new(VecDeque::new()) };
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    /// accept(2) itself fails.
    Errno(i32),
    /// accept(2) succeeds with a socket that the poll refuses to register. mio checks this only in debug builds.
    #[cfg(debug_assertions)]
    Unregistrable,
}

fn failing_accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    match FAILURES.with_borrow_mut(VecDeque::pop_front) {
        None => listener.accept(),
        Some(Failure::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
        #[cfg(debug_assertions)]
        Some(Failure::Unregistrable) => {
            let (mut socket, peer) = listener.accept()?;
            register_elsewhere(&mut socket)?;
            Ok((socket, peer))
        }
    }
}

/// Registers `socket` with a poll that is not the server's.
#[cfg(debug_assertions)]
fn register_elsewhere(socket: &mut TcpStream) -> io::Result<()> {
    let poll = mio::Poll::new()?;
    poll.registry()
        .register(socket, mio::Token(0), mio::Interest::READABLE)
}

fn config() -> Config {
    Config {
        listen: vec![(
            Listen::At(SocketAddr::from(([127, 0, 0, 1], 0))),
            Framing::Raw,
        )],
        max_connections: Some(64),
        ..Config::default()
    }
}

struct Running {
    address: SocketAddr,
    handle: Handle,
    thread: thread::JoinHandle<io::Result<Stats>>,
}

impl Running {
    fn start(config: Config, failures: &[Failure]) -> Self {
        let mut server = Server::bind(config).expect("a free port");
        server.acceptor.replace_accept(failing_accept);
        Self::run(server, failures.iter().copied().collect())
    }

    fn start_with_work(config: Config, work: Work) -> Self {
        let server = Server::bind_with(config, work).expect("a free port");
        Self::run(server, VecDeque::new())
    }

    fn run(server: Server, failures: VecDeque<Failure>) -> Self {
        let (address, handle) = (server.addresses()[0], server.handle());
        let thread = thread::spawn(move || {
            FAILURES.set(failures);
            server.run_for_stats()
        });
        Self {
            address,
            handle,
            thread,
        }
    }

    fn connect(&self) -> Client {
        let client = Client::connect(self.address).expect("it listens");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        client
    }

    /// Stops the server gracefully and returns its statistics.
    fn stop(self) -> Stats {
        self.handle.stop().expect("a wake");
        self.thread.join().expect("no panic").expect("no error")
    }
}

#[track_caller]
fn expect_echo(mut client: &Client) {
    client.write_all(b"ping").expect("a write");
    let mut echo = [0; 4];
    client.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"ping");
}

#[cfg(unix)]
const TRANSIENT: [i32; 7] = [
    libc::ECONNABORTED,
    libc::EPROTO,
    libc::ENETDOWN,
    libc::EHOSTUNREACH,
    libc::EINTR,
    libc::EPERM,
    libc::ECONNRESET,
];
#[cfg(unix)]
const EXHAUSTION: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
#[cfg(unix)]
const PERMANENT: [i32; 4] = [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EOPNOTSUPP];

/// `WSAEINTR`, `WSAENETDOWN`, `WSAECONNABORTED`, `WSAECONNRESET`, `WSAENOTCONN`.
#[cfg(windows)]
const TRANSIENT: [i32; 5] = [10_004, 10_050, 10_053, 10_054, 10_057];
/// `WSAEMFILE`, `WSAENOBUFS`.
#[cfg(windows)]
const EXHAUSTION: [i32; 2] = [10_024, 10_055];
/// `WSAEBADF`, `WSAEINVAL`, `WSAENOTSOCK`, `WSAEOPNOTSUPP`.
#[cfg(windows)]
const PERMANENT: [i32; 4] = [10_009, 10_022, 10_038, 10_045];

#[test]
fn fault_a5_the_next_client_is_served_after_every_error_of_accept() {
    for errno in TRANSIENT.into_iter().chain(EXHAUSTION) {
        let server = Running::start(config(), &[Failure::Errno(errno)]);
        let connected = Instant::now();
        expect_echo(&server.connect());
        let took = connected.elapsed();
        assert!(
            took < DEADLINE,
            "{}: {took:?}",
            io::Error::from_raw_os_error(errno)
        );
        if EXHAUSTION.contains(&errno) {
            let pause = super::acceptor::ACCEPT_RETRY;
            assert!(
                took >= pause,
                "it must not spin: {took:?} is under {pause:?}"
            );
        }
        let pauses = server.stop().listeners[0].accept_pauses;
        assert_eq!(pauses, u64::from(EXHAUSTION.contains(&errno)));
    }
}

#[test]
fn fault_a8_a_permanent_error_of_the_last_listener_ends_the_server() {
    for errno in PERMANENT {
        let config = Config {
            stop_delay: Duration::from_secs(3600),
            ..config()
        };
        let mut server = Server::bind(config).expect("a free port");
        server.acceptor.replace_accept(failing_accept);
        let address = server.addresses()[0];
        let (sender, outcome) = mpsc::channel();
        thread::spawn(move || {
            FAILURES.set(VecDeque::from([Failure::Errno(errno)]));
            sender.send(server.run())
        });
        let client = Client::connect(address).expect("it listens");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let outcome = outcome.recv_timeout(DEADLINE).expect("the server ends");
        assert_eq!(outcome.expect("no error"), Outcome::ListenersFailed);
        expect_reset(&client);
    }
}

/// EPERM, the answer of a security filter, on every system that has one.
#[cfg(unix)]
#[test]
fn fault_a11_a_stop_gives_a_listener_up_after_a_budget_of_errors() {
    const FAILURES_AT_HAND: usize = 10_000;
    let mut server = Server::bind(config()).expect("a free port");
    server.acceptor.replace_accept(failing_accept);
    server.handle().stop().expect("a wake");
    FAILURES.set(VecDeque::from(
        [Failure::Errno(libc::EPERM); FAILURES_AT_HAND],
    ));
    server.run_for_stats().expect("no error");
    let accepts = FAILURES_AT_HAND - FAILURES.with_borrow(VecDeque::len);
    assert_eq!(accepts, 64);
}

#[cfg(debug_assertions)]
#[test]
fn fault_a7_a_socket_that_cannot_be_registered_is_reset_without_harm_to_others() {
    let server = Running::start(config(), &[Failure::Unregistrable]);
    let refused = server.connect();
    let accepted = server.connect();
    expect_echo(&accepted);
    expect_reset(&refused);
    drop(accepted);
    let stats = server.stop();
    assert_eq!((stats.accepted, stats.refused), (1, 1));
    assert_eq!(stats.closed.iter().sum::<u64>(), 1);
}

/// Waits until the first client of one of the queues has an echo, and returns the index of the queue. All clients have
/// sent something.
#[track_caller]
fn await_first_served(queues: &[VecDeque<Client>]) -> usize {
    let until = Instant::now() + DEADLINE;
    loop {
        let is_served = |queue: &VecDeque<Client>| {
            let client = queue.front();
            client.is_some_and(|client| client.peek(&mut [0]).is_ok_and(|got| got > 0))
        };
        if let Some(index) = queues.iter().position(is_served) {
            return index;
        }
        assert!(Instant::now() < until, "no client is served");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn free_slots_go_to_the_listeners_in_turn() {
    let mut config = config();
    config.listen.push(config.listen[0]);
    config.max_connections = Some(1);
    let server = Server::bind(config).expect("free ports");
    let addresses = server.addresses().to_vec();
    let running = Running::run(server, VecDeque::new());
    let connect = |listener: usize| {
        let client = Client::connect(addresses[listener]).expect("it listens");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        client
    };

    let mut served = connect(0);
    expect_echo(&served);
    let mut queued = [0, 1].map(|listener| {
        VecDeque::from([(); 3].map(|()| {
            let mut client = connect(listener);
            client.set_nonblocking(true).expect("non-blocking");
            client.write_all(b"ping").expect("room for it");
            client
        }))
    });
    let mut order = Vec::new();
    while queued.iter().any(|clients| !clients.is_empty()) {
        drop(served);
        let listener = await_first_served(&queued);
        served = queued[listener].pop_front().expect("it is served");
        order.push(listener);
    }
    // Either listener may be the first: the loop may not know of the clients of the second one yet.
    assert!(order.windows(2).all(|two| two[0] != two[1]), "{order:?}");
    drop(served);
    running.stop();
}

#[test]
fn a_handle_stops_the_server_from_another_thread() {
    let server = Running::start(config(), &[]);
    let client = server.connect();
    expect_echo(&client);
    drop(client);
    server.stop();
}

#[test]
fn a_stop_requested_before_the_first_turn_stops_the_server() {
    let server = Server::bind(config()).expect("a free port");
    server.handle().stop().expect("a wake");
    assert_eq!(server.run().expect("no error"), Outcome::Stopped);
}

/// Sends each observation to a test, and wants the next one after a time.
struct Reporter {
    reports: mpsc::Sender<(bool, usize, Stats)>,
    period: Option<u64>,
    next: u64,
}

impl Reporter {
    fn observe(server: &mut Server, period: Option<u64>) -> mpsc::Receiver<(bool, usize, Stats)> {
        let (reports, received) = mpsc::channel();
        server.observe(Box::new(Self {
            reports,
            period,
            next: NEVER,
        }));
        received
    }
}

impl Observer for Reporter {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.next = self.period.map_or(NEVER, |period| observation.now + period);
        let report = (
            observation.is_stopping,
            observation.active(),
            observation
                .stats(observation.request_stats())
                .expect("one loop"),
        );
        // A test that has seen enough does not receive any more.
        let _ = self.reports.send(report);
    }

    fn next_deadline(&self) -> u64 {
        self.next
    }
}

#[test]
fn an_observer_is_called_at_its_deadline_though_nothing_happens() {
    let mut server = Server::bind(config()).expect("a free port");
    let never = Reporter::observe(&mut server, None);
    let reports = Reporter::observe(&mut server, Some(1_000_000));
    let running = Running::run(server, VecDeque::new());
    for _ in 0..10 {
        let (is_stopping, active, _) = reports.recv_timeout(DEADLINE).expect("a report");
        assert_eq!((is_stopping, active), (false, 0));
    }
    assert!(never.try_iter().count() >= 10, "all are called in a turn");
    running.stop();
}

#[test]
fn a_thread_that_wakes_the_loop_gets_an_observation() {
    let mut server = Server::bind(config()).expect("a free port");
    let reports = Reporter::observe(&mut server, None);
    let running = Running::run(server, VecDeque::new());
    let client = running.connect();
    expect_echo(&client);
    // Events have been observed, and from now on there are none.
    while reports.recv_timeout(DEADLINE).expect("a report").2.echoed < 4 {}
    running.handle.wake().expect("a wake");
    let (is_stopping, active, stats) = reports.recv_timeout(DEADLINE).expect("a report");
    assert_eq!((is_stopping, active), (false, 1));
    assert_eq!((stats.accepted, stats.active), (1, 1));
    drop(client);
    running.stop();
}

#[test]
fn an_observer_sees_the_stop_even_if_the_server_ends_in_the_same_turn() {
    let mut server = Server::bind(config()).expect("a free port");
    let reports = Reporter::observe(&mut server, None);
    server.handle().stop().expect("a wake");
    assert_eq!(server.run().expect("no error"), Outcome::Stopped);
    let last = reports.iter().last();
    assert!(last.is_some_and(|(is_stopping, ..)| is_stopping));
}

#[test]
fn an_unlimited_drain_timeout_waits_for_the_client() {
    let server = Running::start(
        Config {
            drain_timeout: Duration::MAX,
            ..config()
        },
        &[],
    );
    let mut client = server.connect();
    expect_echo(&client);
    server.handle.stop().expect("a wake");
    assert_eq!(client.read(&mut [0]).expect("a FIN"), 0);
    drop(client);
    assert_eq!(server.stop().closed[CloseReason::Stopped.index()], 1);
}

/// The messages that the workers of a test have started, and a gate that holds the workers up.
#[derive(Clone, Default)]
struct GatedWork {
    gate: Arc<Mutex<()>>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

const POISON: &[u8] = b"poison\n";

impl GatedWork {
    fn function(&self) -> Work {
        let Self { gate, seen } = self.clone();
        Arc::new(move |message| {
            seen.lock().expect("no panic here").push(message.to_vec());
            drop(gate.lock().expect("no panic here"));
            assert!(message != POISON, "a worker panics because a test wants it");
        })
    }

    /// Closes the gate. Workers stop at their next message until the guard is dropped.
    fn shut(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().expect("no panic here")
    }

    fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().expect("no panic here").clone()
    }

    #[track_caller]
    fn await_seen(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        while self.seen().len() < count {
            assert!(Instant::now() < until, "{:?}", self.seen());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn config_with_workers(workers: usize) -> Config {
    let mut config = config();
    config.listen[0].1 = Framing::Line;
    Config {
        workers,
        banner: "!".into(),
        ..config
    }
}

impl Running {
    /// Connects a client and waits for its banner, which shows that it has a slot.
    #[track_caller]
    fn connect_with_slot(&self) -> Client {
        let client = self.connect();
        expect(&client, b"!");
        client
    }
}

#[track_caller]
fn send(mut client: &Client, bytes: &[u8]) {
    client.write_all(bytes).expect("a write");
}

#[track_caller]
fn expect(mut client: &Client, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    client.read_exact(&mut bytes).expect("an echo");
    assert_eq!(bytes, expected);
}

#[track_caller]
fn expect_reset(mut client: &Client) {
    let end = client.read(&mut [0]).expect_err("no FIN");
    assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
}

fn reset(client: Client) {
    let socket = socket2::SockRef::from(&client);
    socket.set_linger(Some(Duration::ZERO)).expect("linger");
}

#[test]
fn fault_s5_seed_s2_7_a_panic_of_a_worker_closes_only_its_connection() {
    let server = Running::start_with_work(config_with_workers(2), GatedWork::default().function());
    let bystander = server.connect_with_slot();
    // More panics than workers: a worker survives its panic.
    for _ in 0..6 {
        let client = server.connect_with_slot();
        send(&client, b"before\n");
        expect(&client, b"before\n");
        send(&client, POISON);
        expect_reset(&client);
        send(&bystander, b"not affected\n");
        expect(&bystander, b"not affected\n");
    }
    drop(bystander);
    let stats = server.stop();
    assert_eq!(stats.closed[CloseReason::WorkerPanicked.index()], 6);
    assert_eq!(stats.closed.iter().sum::<u64>(), stats.accepted);
}

#[test]
fn fault_s5_a_panic_loses_the_messages_after_it_and_none_before_it() {
    let server = Running::start_with_work(config_with_workers(1), GatedWork::default().function());
    let client = server.connect_with_slot();
    send(&client, b"one\ntwo\n");
    expect(&client, b"one\ntwo\n");
    send(&client, b"poison\nthree\n");
    expect_reset(&client);
    server.stop();
}

#[test]
fn fault_r5_a_reply_for_a_closed_connection_does_not_reach_the_next_connection_in_its_slot() {
    let work = GatedWork::default();
    let config = Config {
        max_connections: Some(1),
        ..config_with_workers(1)
    };
    let server = Running::start_with_work(config, work.function());
    for _ in 0..5 {
        let gate = work.shut();
        let gone = server.connect_with_slot();
        let seen = work.seen().len();
        send(&gone, b"stale\n");
        work.await_seen(seen + 1);
        reset(gone);

        // This client has the only slot.
        let next = server.connect_with_slot();
        send(&next, b"mine\n");
        drop(gate);
        expect(&next, b"mine\n");
        send(&next, b"mine too\n");
        expect(&next, b"mine too\n");
    }
    server.stop();
}

#[test]
fn seed_s2_4_the_job_of_a_closed_connection_is_skipped() {
    let work = GatedWork::default();
    let config = Config {
        max_connections: Some(2),
        ..config_with_workers(1)
    };
    let server = Running::start_with_work(config, work.function());
    let gate = work.shut();
    let first = server.connect_with_slot();
    send(&first, b"first\n");
    work.await_seen(1);
    let gone = server.connect_with_slot();
    send(&gone, b"gone\n");
    reset(gone);
    let last = server.connect_with_slot();
    send(&last, b"last\n");
    drop(gate);
    expect(&first, b"first\n");
    expect(&last, b"last\n");
    assert_eq!(work.seen(), [&b"first\n"[..], b"last\n"]);
    server.stop();
}

#[test]
fn seed_s2_4_connections_wait_in_order_while_the_job_queue_is_full() {
    const CLIENTS: usize = 60;
    let work = GatedWork::default();
    let config = Config {
        read_buffer: 16,
        offload: OffloadPolicy::Large,
        ..config_with_workers(1)
    };
    let server = Running::start_with_work(config, work.function());
    let clients: Vec<_> = (0..CLIENTS).map(|_| server.connect_with_slot()).collect();
    let bystander = server.connect_with_slot();
    let message = |number: usize| format!("a large message, number {number}\n").into_bytes();
    let number = |message: &Vec<u8>| {
        let text = String::from_utf8_lossy(message);
        let (_, number) = text.trim_end().rsplit_once(' ').expect("a number");
        number.parse::<usize>().expect("a number")
    };
    let gate = work.shut();
    for (number, client) in clients.iter().enumerate() {
        send(client, &message(number));
        // Events of one wait come in any order. A new client gets its banner at the end of a turn, so an echo after the
        // banner belongs to a later turn, which has seen the message.
        drop(server.connect_with_slot());
        expect_small_echo(&bystander);
    }
    work.await_seen(1);
    drop(gate);
    for (number, client) in clients.iter().enumerate() {
        expect(client, &message(number));
    }
    let seen: Vec<usize> = work.seen().iter().map(number).collect();
    assert!(seen.is_sorted(), "{seen:?}");
    drop((clients, bystander));
    server.stop();
}

#[track_caller]
fn expect_small_echo(client: &Client) {
    send(client, b"small\n");
    expect(client, b"small\n");
}

#[test]
fn seed_s2_4_waiting_connections_are_served_when_those_that_filled_the_job_queue_close() {
    let work = GatedWork::default();
    let server = Running::start_with_work(config_with_workers(1), work.function());
    for round in 0..10 {
        let gate = work.shut();
        let seen = work.seen().len();
        let leaving: Vec<_> = (0..30).map(|_| server.connect_with_slot()).collect();
        for client in &leaving {
            send(client, b"leaving\n");
        }
        work.await_seen(seen + 1);
        let staying = server.connect_with_slot();
        send(&staying, b"staying\n");
        // The worker finds the queue full in one round and empty in the next.
        if round % 2 == 0 {
            drop(gate);
            leaving.into_iter().for_each(reset);
        } else {
            leaving.into_iter().for_each(reset);
            drop(gate);
        }
        expect(&staying, b"staying\n");
    }
    server.stop();
}

#[test]
fn seed_s2_4_the_job_queue_is_bounded() {
    let work = GatedWork::default();
    let poll = mio::Poll::new().expect("a poll");
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
    let gate = work.shut();
    let jobs = jobs_of_loop(2, 1);
    let pool = WorkerPool::start(2, jobs, &work.function()).expect("threads");
    let mut workers = Workers::new(pool, jobs, 1, Handle::new(waker)).expect("memory");
    let submit = |workers: &mut Workers, id| workers.submit(SlotRef { key: 0, id }, b"!");
    submit(&mut workers, 1);
    submit(&mut workers, 2);
    work.await_seen(2);
    let mut queued = 0;
    while workers.has_room() {
        queued += 1;
        submit(&mut workers, 2 + queued);
    }
    assert_eq!(queued, 32, "16 jobs for each worker");
    workers.withdraw(3);
    assert!(workers.has_room(), "a withdrawn job makes room");
    assert!(!workers.has_completions());

    drop(gate);
    let until = Instant::now() + DEADLINE;
    let mut done = Vec::new();
    while done.len() < 33 {
        assert!(Instant::now() < until, "{done:?}");
        let completions = workers.take_completions();
        done.extend(completions.iter().map(|completion| completion.slot.id));
        workers.recycle(completions);
        thread::sleep(Duration::from_millis(1));
    }
    done.sort_unstable();
    let all_but_3: Vec<u64> = (1..=34).filter(|id| *id != 3).collect();
    assert_eq!(done, all_but_3);
}
