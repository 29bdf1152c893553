//! Tests of several loops: what they tell each other, and what happens when one of them ends.

#[cfg(debug_assertions)]
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::{array, io, iter, thread};

use super::*;
use crate::net::acceptor::Acceptor;
use crate::net::arrivals::Arrivals;
use crate::net::sibling::{Sibling, SiblingState};
use crate::net::start;

/// Accepts clients. The poll refuses to register the socket of the second one.
#[cfg(debug_assertions)]
fn accept_second_unregistrable(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    thread_local! {
        static ACCEPTED: Cell<u32> = const { Cell::new(0) };
    }
    let (mut socket, peer) = listener.accept()?;
    ACCEPTED.set(ACCEPTED.get() + 1);
    if ACCEPTED.get() == 2 {
        register_elsewhere(&mut socket)?;
    }
    Ok((socket, peer))
}

/// Panics in the first observation after a request.
struct PanicsOnRequest(Arc<AtomicBool>);

impl Observer for PanicsOnRequest {
    fn observe(&mut self, _: &Observation<'_>) {
        assert!(!self.0.load(Ordering::Acquire), "for the test");
    }

    fn next_deadline(&self) -> u64 {
        NEVER
    }
}

#[test]
fn a_panic_of_one_loop_ends_the_server_with_an_error() {
    let (mut server, mut other) = (
        Server::bind(config()).expect("a free port"),
        Server::bind(config()).expect("a free port"),
    );
    let (request, other_handle) = (Arc::new(AtomicBool::new(false)), other.handle());
    other.observe(Box::new(PanicsOnRequest(Arc::clone(&request))));
    let state = Arc::new(SiblingState::new(server.handle()));
    let thread = start::spawn(1, other, Arc::clone(&state)).expect("a thread");
    let arrivals = Arrivals::new(other_handle.clone()).1;
    let sibling = Sibling::new(state, arrivals, other_handle.clone(), Some(thread));
    server.loops.add(sibling);
    let address = server.addresses()[0];
    let running = thread::spawn(|| server.run());
    let client = Client::connect(address).expect("it listens");
    expect_echo(&client);
    request.store(true, Ordering::Release);
    other_handle.wake().expect("a wake");
    let error = running.join().expect("no panic").expect_err("a panic");
    assert_eq!(error.to_string(), "the thread of loop 2 panicked");
}

/// Adds a sibling without a thread to `server`. Returns what the sibling would tell.
fn add_sibling(server: &mut Server) -> Arc<SiblingState> {
    let state = Arc::new(SiblingState::new(server.handle()));
    let (handle, arrivals) = (server.handle(), Arrivals::new(server.handle()).1);
    let sibling = Sibling::new(Arc::clone(&state), arrivals, handle, None);
    server.loops.add(sibling);
    state
}

#[test]
fn statistics_are_never_older_than_the_request_for_them() {
    let mut server = Server::bind(config()).expect("a free port");
    let siblings = [add_sibling(&mut server), add_sibling(&mut server)];
    let loops = &server.loops;
    let stats = |turns| Stats {
        turns,
        listeners: loops.own.stats(Duration::ZERO).listeners,
        ..Stats::default()
    };
    let answer = |sibling: &SiblingState, turns| {
        sibling.answer(sibling.requests.latest(), Some(stats(turns)));
    };
    let turns = |request| Some(loops.stats(request, Duration::ZERO)?.turns);
    let early = loops.request_stats();
    answer(&siblings[0], 1);
    assert_eq!(turns(early), None);
    let late = loops.request_stats();
    answer(&siblings[1], 10);
    assert_eq!(turns(early), Some(11));
    // The first sibling has answered before the second request.
    assert_eq!(turns(late), None);
    answer(&siblings[0], 2);
    assert_eq!(turns(late), Some(12));
    let turn = loops.request_turn();
    assert!(!loops.have_turned(turn));
    for sibling in &siblings {
        sibling.answer(sibling.requests.latest(), None);
    }
    assert!(loops.have_turned(turn));
    assert_eq!(turns(loops.request_stats()), None);
}

/// Sends the number of connections at each observation to a test.
struct ActiveReporter(mpsc::Sender<usize>);

impl Observer for ActiveReporter {
    fn observe(&mut self, observation: &Observation<'_>) {
        observation.await_close();
        // A test that has seen enough does not receive any more.
        let _ = self.0.send(observation.active());
    }

    fn next_deadline(&self) -> u64 {
        NEVER
    }
}

#[test]
fn an_observer_is_called_when_another_loop_closes_a_connection() {
    let mut server = Server::bind(Config {
        threads: 2,
        ..config()
    })
    .expect("a free port");
    let (reports, active) = mpsc::channel();
    server.observe(Box::new(ActiveReporter(reports)));
    let server = Running::run(server, VecDeque::new());
    let first = server.connect();
    expect_echo(&first);
    let second = server.connect();
    expect_echo(&second);
    let mut reports = iter::from_fn(|| active.recv_timeout(DEADLINE).ok());
    assert!(reports.any(|active| active == 2));
    drop(second);
    assert!(reports.any(|active| active == 1));
    drop(first);
    server.stop();
}

#[test]
fn clients_on_their_way_to_a_loop_that_fails_are_reset_and_counted_as_refused() {
    let mut first = Server::bind(config()).expect("a free port");
    let mut other = Server::bind(config()).expect("a free port");
    let (arrivals, sender) = Arrivals::new(other.handle());
    other.acceptor = Acceptor::without_listeners(arrivals, &config());
    let state = Arc::new(SiblingState::new(first.handle()));
    first
        .loops
        .add(Sibling::new(state, sender, other.handle(), None));
    let address = first.addresses()[0];
    let connect = || {
        let client = Client::connect(address).expect("it listens");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        client
    };
    let clients: [_; 4] = array::from_fn(|_| connect());
    let accept = |server: &mut Server| {
        server.acceptor.mark_ready(0);
        server.acceptor.run(&mut server.loops, 0);
    };
    accept(&mut first);
    let kind = io::ErrorKind::Other;
    other.acceptor.fail(&mut other.loops, kind, 0);
    // Each loop has two clients. The first one stays with the first loop.
    expect_reset(&clients[1]);
    expect_reset(&clients[3]);
    let more: [_; 2] = array::from_fn(|_| connect());
    accept(&mut first);
    expect_reset(&more[1]);
    let counts = |server: &Server| {
        let stats = server.loops.own.stats(Duration::ZERO);
        (stats.accepted, stats.refused)
    };
    assert_eq!((counts(&first), counts(&other)), ((3, 1), (0, 2)));
}

#[test]
fn a_server_that_never_runs_ends_its_threads() {
    let threads = Config {
        threads: 3,
        ..config()
    };
    // The drop waits for the threads.
    drop(Server::bind(threads).expect("a free port"));
}

/// mio refuses the socket only in debug builds.
#[cfg(debug_assertions)]
#[test]
fn a_client_that_another_loop_cannot_register_gives_its_slot_back() {
    let two_slots = Config {
        threads: 2,
        max_connections: Some(2),
        ..config()
    };
    let mut server = Server::bind(two_slots).expect("a free port");
    server.acceptor.replace_accept(accept_second_unregistrable);
    let server = Running::run(server, VecDeque::new());
    // The first client stays with the first loop, so the other loop gets each of the next ones.
    let first = server.connect();
    expect_echo(&first);
    expect_reset(&server.connect());
    let third = server.connect();
    expect_echo(&third);
    drop((first, third));
    let stats = server.stop();
    assert_eq!((stats.accepted, stats.refused), (2, 1));
}
