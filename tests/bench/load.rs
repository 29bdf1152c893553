//! The server gets exactly the requested load: messages, connections, sizes and addresses.

use crate::bench::{bench_against, measure, run};
use crate::support::Server;
use crate::support::server::Figures;

/// Measures a server that has the options `serve`, requires that all messages are echoed, and returns the figures of
/// the server.
#[track_caller]
fn served(serve: &[&str], args: &str, messages: u64) -> Figures {
    let server = Server::start(serve);
    measure(server.address(), &format!("{args} -w 0")).expect_all(messages);
    server.stop().figures()
}

#[test]
fn exactly_count_messages_are_sent() {
    for args in [
        "-c 1",
        "-c 7 -p 3",
        "-c 64 -t 4",
        "-c 5 -r 5000",
        "-c 2 -r 5000 -t 2 -p 4",
    ] {
        let figures = served(&[], &format!("{args} -n 1000"), 1000);
        assert_eq!(figures.get("echoed"), 64_000, "{args}");
    }
    // There are fewer messages than connections.
    assert_eq!(served(&[], "-c 20 -n 3", 3).get("echoed"), 3 * 64);
}

#[test]
fn exactly_as_many_connections_are_made_with_several_threads() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 15 -t 8 -n 1500 -w 0");
    report.expect_all(1500);
    assert_eq!(report.count("connections_asked"), 15);
    assert_eq!(report.count("connections_achieved"), 15);
    assert_eq!(report.count("connect_us/count"), 15);
    assert_eq!(server.stop().figures().get("accepted"), 15);
}

#[test]
fn a_thousand_connections_are_made() {
    let figures = served(&[], "-c 1000 -n 5000", 5000);
    assert_eq!(figures.get("accepted"), 1000);
    assert_eq!(figures.get("peer finished"), 1000);
}

#[test]
#[cfg(target_os = "linux")]
fn the_descriptor_limit_is_raised_or_named() {
    use crate::bench::{Report, bench_against, start};
    use crate::support::unix::limited;
    let server = Server::start(&[]);
    let bench = |limits: &str| {
        start(limited(
            limits,
            &bench_against(server.address(), "-c 200 -n 400 -w 0 -J"),
        ))
        .finished()
    };
    let raised = bench("ulimit -Sn 64");
    raised.expect_code(0);
    Report::of(&raised).expect_all(400);
    let refused = bench("ulimit -n 64");
    refused.expect_code(1);
    assert!(refused.text().contains("ulimit -n"), "{}", refused.text());
}

/// Sends 200 messages, each over a new connection. Returns the figures of the server and the number of connections.
fn churn(args: &str) -> (Figures, u64) {
    let server = Server::start(&[]);
    let report = measure(
        server.address(),
        &format!("-c 4 -n 200 --churn -w 0 {args}"),
    );
    report.expect_all(200);
    // The response includes the connect.
    let (response, service) = (
        report.number("response_us/p50"),
        report.number("service_us/p50"),
    );
    assert!(response > service, "{args}: {response} {service}");
    // Four connections are opened before the load starts. Three more may be connecting when the last message is sent.
    let connected = report.count("connect_us/count");
    assert!((204..=207).contains(&connected), "{args}: {connected}");
    let figures = server.stop().figures();
    assert_eq!(figures.get("echoed"), 200 * 64);
    (figures, connected)
}

#[test]
fn churn_makes_a_connection_for_each_message() {
    for args in ["", "-r 1000", "-t 2"] {
        let (figures, connected) = churn(args);
        assert_eq!(figures.get("accepted"), connected, "{args}");
        assert_eq!(figures.get("peer finished"), connected, "{args}");
    }
}

#[test]
fn churn_with_close_rst_resets_each_connection() {
    let (figures, connected) = churn("--close rst");
    let accepted = figures.get("accepted");
    assert_eq!(figures.get("reset"), accepted);
    // On Windows `accept` does not return a client that reset before it was accepted.
    let unseen = if cfg!(windows) { 7 } else { 0 };
    assert!((connected - unseen..=connected).contains(&accepted));
}

#[test]
#[cfg(target_os = "linux")]
fn close_rst_leaves_no_socket_in_time_wait() {
    use std::iter;

    use crate::support::proc::{TcpState, sockets_to};
    use crate::support::{DEADLINE, wait_for};
    let waiting = |server: &Server| {
        let port = server.address().port();
        sockets_to(server.pid(), port, TcpState::TimeWait)
    };
    let measured = |close: &str| {
        // A server of another test may have had the port, and its clients may be in TIME_WAIT.
        let server = iter::repeat_with(|| Server::start(&[])).find(|server| waiting(server) == 0);
        let server = server.expect("an endless iterator");
        let args = format!("-c 2 -n 50 --churn -w 0 --close {close}");
        measure(server.address(), &args);
        server
    };
    assert_eq!(waiting(&measured("rst")), 0);
    let server = measured("fin");
    wait_for("52 sockets in TIME_WAIT", DEADLINE, || {
        waiting(&server) >= 52
    });
}

#[test]
fn message_sizes_have_the_requested_range_and_weights() {
    // Sizes, their mean and their standard deviation.
    for (sizes, mean, deviation) in [("1..4k", 2048.5, 1182.0), ("64:9,16k:1", 1696.0, 4896.0)] {
        let echoed = served(&[], &format!("-c 3 -n 1000 -s {sizes}"), 1000).get("echoed") as f64;
        let (expected, sigma) = (1000.0 * mean, deviation * f64::sqrt(1000.0));
        assert!((echoed - expected).abs() < 5.0 * sigma, "{sizes}: {echoed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_sizes() {
    let echoed = |seed: &str| {
        let args = format!("-c 1 -n 100 -s 1..4k --seed {seed}");
        served(&[], &args, 100).get("echoed")
    };
    assert_eq!(echoed("7"), echoed("7"));
    assert_ne!(echoed("7"), echoed("8"));
}

#[test]
#[cfg(target_os = "linux")]
fn connections_come_from_the_source_addresses() {
    for sources in ["127.0.0.1,127.0.0.2", "127.0.0.0/30"] {
        let server = Server::start(&["-v"]);
        let args = format!("-c 4 -n 40 -w 0 --source {sources}");
        measure(server.address(), &args).expect_all(40);
        let log = server.stop().log.join("\n");
        for source in ["127.0.0.1", "127.0.0.2"] {
            assert!(log.contains(&format!("from {source}:")), "{log}");
        }
    }
}

#[test]
fn an_ipv6_server_is_measured() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return crate::support::skip("an_ipv6_server_is_measured", "there is no IPv6");
    }
    let mut command = crate::support::server::serve();
    command.args(["-l", "[::1]:0", "--stop-on-eof"]);
    let server = Server::spawn(command);
    measure(server.address(), "-c 2 -n 100 -w 0").expect_all(100);
}

#[test]
fn connect_rate_limits_the_connects() {
    let server = Server::start(&[]);
    let start = std::time::Instant::now();
    measure(server.address(), "-c 20 -n 20 -w 0 --connect-rate 50").expect_all(20);
    assert!(start.elapsed().as_millis() >= 19 * 20);
}

#[test]
fn a_rate_is_printed_with_enough_digits() {
    let server = Server::start(&[]);
    let text_of = |args: &str| {
        let args = format!("-w 0 {args}");
        run(bench_against(server.address(), &args), 0).text()
    };
    let slow = text_of("-c 1 -r 0.001 -d 1s");
    assert!(slow.contains(" % of 0.001 messages/s"), "{slow}");
    let third = text_of("-c 3 -r 3000001 --churn --shard 0/3 -d 200ms");
    assert!(third.contains(" % of 1000000.333 messages/s"), "{third}");
    // The range of local ports limits the rate of connects. The range is known on Linux only.
    if cfg!(target_os = "linux") {
        assert!(
            third.contains("1000000.333 connections/s will keep 200000 ports"),
            "{third}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn fault_b7_the_memory_of_bench_is_bounded_by_its_threads() {
    use std::time::{Duration, Instant};

    use crate::support::{DEADLINE, proc, wait_for};
    let server = Server::start(&[]);
    let args = "-c 8 -t 8 -r 100 -i 100ms -d 1h -w 0";
    let bench = crate::bench::start(bench_against(server.address(), args));
    bench.await_log(" messages/s ");
    let start = Instant::now();
    let is_over = || bench.log_lines().len() > 20 || start.elapsed() > Duration::from_secs(4);
    wait_for("20 intervals, or 4 s of a busy machine", DEADLINE, || {
        let memory = proc::memory(bench.pid());
        // About 4 MB for each thread.
        assert!(memory < 8 * 4_000_000 + 20_000_000, "{memory}");
        is_over()
    });
}
