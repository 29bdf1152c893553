//! Accepting: the budget of one turn, and running out of descriptors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::strace::{Strace, WAITS, count, is_call};
use crate::support::{Client, DEADLINE, Server, proc, size_bound, time_bound, wait_for, within};

const ACCEPTS: [&str; 2] = ["accept", "accept4"];

#[test]
fn fault_a2_one_turn_accepts_at_most_64_clients() {
    const BUDGET: usize = 64;
    let server = Server::start(&[]);
    let ping = Client::connect(server.address());
    ping.echo(b"ping");
    let calls = "accept,accept4,epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll";
    let strace = Strace::attach("fault_a2 (accepts per turn)", server.pid(), calls);
    let frozen = server.freeze();
    let clients: Vec<_> = (0..200)
        .map(|_| Client::connect(server.address()))
        .collect();
    clients.iter().for_each(|client| client.send(b"?"));
    ping.send(b"ping");
    drop(frozen);
    ping.expect(b"ping");
    clients.iter().for_each(|client| client.expect(b"?"));

    let Some(strace) = strace else { return };
    let calls = strace.detach();
    let accepts = calls.split(|line| is_call(line, &WAITS)).map(|turn| {
        let of_turn = turn.iter().filter(|line| is_call(line, &ACCEPTS));
        of_turn.filter(|line| !line.contains("EAGAIN")).count()
    });
    let accepts: Vec<_> = accepts.collect();
    assert_eq!(accepts.iter().sum::<usize>(), 200, "{calls:#?}");
    assert!(
        accepts.iter().all(|&accepts| accepts <= BUDGET),
        "{accepts:?}"
    );
}

/// Changes the descriptor limit of the running server.
#[track_caller]
fn limit_descriptors(server: &Server, descriptors: u64) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: Some(descriptors),
        // The server has inherited the hard limit of this process.
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    prlimit(pid, Resource::Nofile, limit).expect("setting the limit");
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_a4_seed_s2_7_without_descriptors_the_server_waits_and_loses_no_client() {
    const HELD: Duration = Duration::from_secs(10);
    let server = Server::start(&[]);
    let old = Client::connect(server.address());
    old.echo(b"old");
    limit_descriptors(&server, proc::limit_for_more_descriptors(server.pid(), 4));
    let log_lines = server.log_lines().len();
    let cpu = proc::cpu(server.pid());

    let clients: Vec<_> = (0..200)
        .map(|_| Client::connect(server.address()))
        .collect();
    clients.iter().for_each(|client| client.send(b"?"));
    let mut round_trips = Vec::new();
    let start = Instant::now();
    while start.elapsed() < HELD {
        let sent = Instant::now();
        old.echo(b"ping");
        round_trips.push(sent.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
    let cpu = proc::cpu(server.pid()) - cpu;
    round_trips.sort_unstable();
    let p99 = round_trips[round_trips.len() * 99 / 100];
    assert!(p99 <= time_bound(Duration::from_millis(10)), "p99 {p99:?}");
    assert!(cpu <= size_bound(HELD / 50), "used {cpu:?} in {HELD:?}");
    let lines = server.log_lines().len() - log_lines;
    assert!(lines >= 1, "nothing was logged");
    assert!(lines <= size_bound(3) as usize, "{:#?}", server.log_lines());

    // The calls are counted in a second period, because strace slows every call down.
    if let Some(strace) = Strace::attach("fault_a4 (accept calls)", server.pid(), "accept,accept4")
    {
        thread::sleep(HELD);
        let accepts = count(&strace.detach(), &ACCEPTS);
        assert!(accepts <= size_bound(50) as usize, "{accepts} accept calls");
    }

    let served = || clients.iter().filter(|client| client.has_input()).count();
    assert_eq!(served(), 4);
    limit_descriptors(&server, 1000);
    within(Duration::from_secs(1), || {
        clients.iter().for_each(|client| client.expect(b"?"));
    });
}

#[test]
fn fault_a4_a_freed_descriptor_serves_a_waiting_client() {
    let server = Server::start(&[]);
    let old = Client::connect(server.address());
    old.echo(b"old");
    limit_descriptors(&server, proc::limit_for_more_descriptors(server.pid(), 4));
    let mut clients: Vec<_> = (0..12).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"?"));
    while !clients.is_empty() {
        let is_served = || clients.iter().map(Client::has_input).collect::<Vec<_>>();
        wait_for(
            "four clients are served",
            time_bound(Duration::from_secs(1)),
            || is_served().into_iter().filter(|served| *served).count() == 4,
        );
        // All four must be known before the first leaves, because another client takes its slot at once.
        let mut served = is_served().into_iter();
        clients.retain(|_| served.next() == Some(false));
        old.echo(b"still here");
    }
    drop(old);
    server.await_active(0, DEADLINE);
}

#[test]
fn fault_a2_a_flood_of_clients_does_not_delay_a_ping() {
    let server = Server::start(&[]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..500 {
                Client::connect(server.address()).reset();
            }
            over.store(true, Ordering::Relaxed);
        });
        let ping = Client::connect(server.address());
        while !over.load(Ordering::Relaxed) {
            within(Duration::from_millis(50), || ping.echo(b"ping"));
        }
    });
}

#[test]
fn fault_a9_an_accept_that_always_fails_does_not_spin() {
    const HELD: Duration = Duration::from_secs(1);
    const BUDGET: usize = 64;
    const PAUSE: Duration = Duration::from_millis(250);
    const WARNING_EVERY: Duration = Duration::from_secs(5);
    let server = Server::start(&[]);
    let old = Client::connect(server.address());
    old.echo(b"old");
    let failing = Instant::now();
    let fault = "accept4:error=EPERM";
    let Some(strace) = Strace::inject("fault_a9", server.pid(), fault) else {
        return;
    };
    let waiting = Client::connect(server.address());
    waiting.send(b"?");
    server.await_log("cannot accept clients: Operation not permitted");
    let start = Instant::now();
    while start.elapsed() < HELD {
        old.echo(b"ping");
    }
    let accepts = count(&strace.detach(), &ACCEPTS);
    let failed_for = failing.elapsed();
    let most = |every: Duration| 1 + (failed_for.as_nanos() / every.as_nanos()) as usize;
    assert!(
        accepts <= BUDGET * most(PAUSE),
        "{accepts} in {failed_for:?}"
    );
    within(Duration::from_secs(1), || waiting.expect(b"?"));
    let finished = server.stop();
    let lines = finished.log.iter();
    let warnings = lines.filter(|line| line.contains("WARN")).count();
    assert!(warnings <= most(WARNING_EVERY), "{:#?}", finished.log);
}
