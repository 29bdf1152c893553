//! A server beside as many idle connections as the limit of descriptors of most systems allows. `benches/million`
//! measures a million of them in a virtual machine.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::bench::{bench_against, measure, start};
use crate::support::proc::{cpu, is_at_rest, memory, sleeps};
use crate::support::{DEADLINE, Server, is_strict, skip, wait_for};

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_l8_eighteen_thousand_idle_connections_delay_no_echo_and_wake_nobody() {
    const IDLE: u64 = 18_000;
    const POLL: bool = cfg!(mio_unsupported_force_poll_poll);
    // With poll(2), mio keeps a table of its own. In a debug build, its socket takes 12 bytes more.
    const EACH: u64 = match (POLL, cfg!(debug_assertions)) {
        (true, _) => 400,
        (false, true) => 200,
        (false, false) => 160,
    };
    let Ok(20_000..) = rlimit::increase_nofile_limit(20_000) else {
        return skip("fault_l8", "fewer than 20,000 descriptors");
    };
    let server = Server::start(&["--max-connections", "19000"]);
    let empty = ping_p99(&server);
    let before = memory(server.pid());

    let load = format!("-c {IDLE} -r 1 -w 0 -d 1h --source 127.0.1.0/24");
    let bench = start(bench_against(server.address(), &load));
    server.await_active(IDLE, DEADLINE);
    let each = memory(server.pid()).saturating_sub(before) / IDLE;
    assert!(each <= EACH, "{each} bytes per connection");

    let silence = bench.freeze();
    wait_for("the server sleeps", DEADLINE, || is_at_rest(server.pid()));
    let asleep = (sleeps(server.pid()), cpu(server.pid()));
    thread::sleep(Duration::from_secs(1));
    assert_eq!((sleeps(server.pid()), cpu(server.pid())), asleep);
    drop(silence);

    let beside = ping_p99(&server);
    println!(
        "{each} bytes per connection; p99 {empty:.0} us, beside idle connections {beside:.0} us"
    );
    // A wait of poll(2) looks at every connection.
    assert!(
        !is_strict() || POLL || beside <= 2.0 * empty,
        "p99 {beside} us, {empty} us without idle connections"
    );

    bench.signal(Signal::INT);
    bench.finished().expect_code(130);
    server.await_active(0, DEADLINE);
    let finished = server.stop();
    finished.expect_no_warning();
    let figures = finished.figures();
    assert!(figures.get("accepted") > IDLE);
    assert_eq!(figures.get("peer finished"), figures.get("accepted"));
}

/// Returns p99 of the response of a small load in microseconds: the lowest of three, because other programs only add.
#[track_caller]
fn ping_p99(server: &Server) -> f64 {
    let load = "-c 1 -r 1000 -w 100ms -d 1500ms";
    let measured = (0..3).map(|_| measure(server.address(), load).number("response_us/p99"));
    measured.fold(f64::INFINITY, f64::min)
}
