//! Messages that go through the workers: the order of the work and of the replies.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::messages::{MessageStream, in_each_mode, message};
use crate::support::server::serve;
use crate::support::{Client, DEADLINE, Data, End, QUIET, Server, wait_for, within};

const SECOND: Duration = Duration::from_secs(1);

/// Messages are lines, and one worker takes 300 ms for each.
const ONE_SLOW_WORKER: [&str; 6] = [
    "--framing",
    "line",
    "--workers",
    "1",
    "--work-time",
    "300ms",
];

/// Returns how many replies of `length` bytes `client` has received within 20 ms.
#[track_caller]
fn replies(client: &Client, length: usize) -> usize {
    let mut bytes = vec![0; 1 << 16];
    let until = Instant::now() + Duration::from_millis(20);
    match client.read_by(&mut bytes, until) {
        Ok(got) => got / length,
        Err(_nothing_yet) => 0,
    }
}

/// Requires that three connections get their replies after the work on their own messages, while another connection
/// has 50 messages queued.
fn expect_no_delay_by_a_busy_connection(work: Duration) {
    const MESSAGES: usize = 50;
    let mut command = serve();
    command.args(["-l", "line@127.0.0.1:0", "-l", "raw@127.0.0.1:0"]);
    command.args(["--workers", "4", "--stop-on-eof", "--drain-timeout", "0"]);
    command.args(["--work-time", &format!("{}ms", work.as_millis())]);
    let server = Server::spawn_with_listeners(command, 2);
    let busy = Client::connect(server.addresses()[0]);
    let others = [(); 3].map(|()| Client::connect(server.addresses()[0]));
    let start = Instant::now();
    busy.send(&b"busy\n".repeat(MESSAGES));
    others.iter().for_each(|other| other.send(b"other\n"));
    // The loop itself does not wait for a worker.
    for _ in 0..20 {
        within(Duration::from_millis(50), || {
            Client::connect(server.addresses()[1]).echo(b"ping");
        });
    }
    others.iter().for_each(|other| other.expect(b"other\n"));
    let took = start.elapsed();
    assert!(took >= work, "no work was done: {took:?}");
    // If the messages of the busy connection had gone first, all of its replies would have arrived.
    let busy_replies = replies(&busy, 5);
    assert!(busy_replies < MESSAGES, "the others waited for all of them");
    let turns = 1 + start.elapsed().as_millis() / work.as_millis();
    assert!(
        busy_replies as u128 <= turns,
        "{busy_replies} replies in {turns} turns"
    );
}

#[test]
fn seed_s2_4_one_busy_connection_does_not_delay_the_others() {
    expect_no_delay_by_a_busy_connection(Duration::from_secs(1));
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn seed_s2_4_one_connection_busy_for_5_s_does_not_delay_the_others() {
    expect_no_delay_by_a_busy_connection(Duration::from_secs(5));
}

#[test]
fn seed_s2_4_the_order_within_a_connection_is_kept() {
    for framing in ["line", "crlf", "len8", "len16", "len16le"] {
        let options = [
            "--framing",
            framing,
            "--workers",
            "4",
            "--work-time",
            "100us",
        ];
        let server = Server::start(&options);
        thread::scope(|scope| {
            for seed in 0..8 {
                let server = server.address();
                scope.spawn(move || {
                    let client = Client::connect(server);
                    client.exchange_bytes(&MessageStream::new(framing, 20_000, seed).bytes);
                    client.half_close();
                    client.expect_fin();
                });
            }
        });
    }
}

#[test]
fn seed_s2_4_more_messages_than_the_queue_holds_all_come_back() {
    // One worker has a queue of 16 messages. Four times as many clients send two messages each, three times.
    let options = ["--framing", "len8", "--workers", "1", "--work-time", "1ms"];
    let server = Server::start(&options);
    let clients: Vec<_> = (0..64).map(|_| Client::connect(server.address())).collect();
    let packet = |turn: u8, number: usize| [4, turn, number as u8, 0];
    for turn in 0..3 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&packet(turn, number));
            client.send(&packet(turn, number));
        }
        for (number, client) in clients.iter().enumerate() {
            client.expect(&packet(turn, number));
            client.expect(&packet(turn, number));
        }
    }
    drop(clients);
    server.stop().expect_no_warning();
}

#[test]
fn seed_s2_4_clients_that_reset_make_room_in_the_queue() {
    let options = ["--framing", "line", "--workers", "1", "--work-time"];
    let server = Server::start(&[&options[..], &["1s", "--drain-timeout", "0"]].concat());
    let connect = |_| {
        let client = Client::connect(server.address());
        client.send(b"leaving\n");
        client
    };
    let leaving: Vec<_> = (0..40).map(connect).collect();
    let staying = Client::connect(server.address());
    staying.send(b"staying\n");
    thread::sleep(Duration::from_millis(50));
    leaving.into_iter().for_each(Client::reset);
    let start = Instant::now();
    within(2 * SECOND + SECOND / 5, || staying.expect(b"staying\n"));
    // The work on the 16 messages that the queue has held would take longer.
    assert!(start.elapsed() < 12 * SECOND);
}

#[test]
fn seed_s2_5_large_messages_are_assembled_with_a_small_read_buffer() {
    for offload in ["all", "large"] {
        for framing in ["len16le", "len16", "line"] {
            let options = ["--framing", framing, "--read-buffer", "64"];
            let workers = ["--workers", "2", "--offload", offload];
            let server = Server::start(&[&options[..], &workers[..]].concat());
            let client = Client::connect(server.address());
            let mut data = Data::new(5);
            let lengths = [2, 63, 64, 65, 66, 1000, 65_535, 3, 30_000, 64, 65];
            let stream: Vec<u8> = lengths
                .into_iter()
                .flat_map(|length| message(framing, length, &mut data))
                .collect();
            client.exchange_bytes(&stream);
            let (slowly, rest) = stream.split_at(300);
            slowly.chunks(1).for_each(|byte| client.send(byte));
            client.send(rest);
            client.expect(&stream);
            client.half_close();
            client.expect_fin();
        }
    }
}

#[test]
fn seed_s2_5_only_messages_larger_than_the_read_buffer_go_to_the_workers() {
    let options = ["--framing", "len16le", "--read-buffer", "64"];
    let workers = ["--workers", "1", "--offload", "large", "--work-time", "1s"];
    let server = Server::start(&[&options[..], &workers[..]].concat());
    let of = |length| message("len16le", length, &mut Data::new(length as u64));
    let (large, small) = (Client::connect(server.address()), of(64));
    let other = Client::connect(server.address());

    let start = Instant::now();
    large.send(&[of(65), small.clone()].concat());
    for _ in 0..20 {
        within(Duration::from_millis(30), || other.echo(&small));
    }
    assert!(start.elapsed() < 20 * SECOND, "a worker took them");
    // The small message waits for the large message of its own connection.
    large.expect(&of(65));
    assert!(start.elapsed() >= SECOND);
    large.expect(&small);
}

#[test]
fn fault_r8_a_reset_with_a_message_at_a_worker_closes_at_once() {
    // The work takes longer than every deadline.
    let options = ["--framing", "line", "--workers", "1", "--work-time", "1h"];
    let server = Server::start(&[&options[..], &["-v", "--drain-timeout", "0"]].concat());
    // A message at the worker, a message in the queue, and a message in the queue with a second one after it.
    for message in [&b"first\n"[..], b"second\n", b"third\nand more"] {
        let client = Client::connect(server.address());
        client.send(message);
        client.expect_silence(Duration::from_millis(50));
        let address = client.address();
        within(Duration::from_millis(100), || {
            client.reset();
            server.await_log(&format!("from {address}: reset"));
        });
    }
    let finished = server.stop();
    assert_eq!(finished.figures().get("reset"), 3);
    finished.expect_no_warning();
}

#[test]
fn fault_r9_a_half_close_with_a_message_at_a_worker_is_answered_after_the_reply() {
    let options = [
        "--framing",
        "line",
        "--workers",
        "1",
        "--work-time",
        "200ms",
    ];
    let server = Server::start(&[&options[..], &["-v"]].concat());
    let client = Client::connect(server.address());
    client.send(b"one\ntwo\nunfinished");
    client.half_close();
    client.expect(b"one\ntwo\n");
    client.expect_fin();
    server.await_log(": truncated");
}

#[test]
fn fault_s1_a_stop_waits_for_the_workers() {
    let options = ["--framing", "line", "--workers", "2"];
    let times = ["--work-time", "300ms", "--drain-timeout", "1h"];
    let mut server = Server::start(&[&options[..], &times].concat());
    let connect = |_| Client::connect(server.address());
    let clients: Vec<_> = (0..4).map(connect).collect();
    clients.iter().for_each(|client| client.send(b"one\ntwo\n"));
    thread::sleep(QUIET / 2);
    server.close_stdin();
    for client in &clients {
        assert_eq!(client.receive_to_end(), (b"one\ntwo\n".to_vec(), End::Fin));
    }
    drop(clients);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn fault_s1_a_stop_echoes_messages_that_wait_for_a_worker() {
    let options = [&ONE_SLOW_WORKER[..], &["--drain-timeout", "1h"]].concat();
    let mut server = Server::start(&options);
    let client = Client::connect(server.address());
    client.send(b"one\n");
    // By then the first message is at the worker. If the test is late, the worker may be done.
    thread::sleep(QUIET / 2);
    client.send(b"two\n");
    server.close_stdin();
    let both = b"one\ntwo\n".to_vec();
    assert_eq!(client.receive_to_end(), (both, End::Fin));
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn fault_s1_the_drain_timeout_does_not_wait_for_a_worker() {
    let options = ["--framing", "line", "--workers", "1", "--work-time", "1h"];
    let mut server = Server::start(&[&options[..], &["--drain-timeout", "300ms"]].concat());
    let client = Client::connect(server.address());
    client.send(b"one\n");
    client.expect_silence(Duration::from_millis(50));
    server.close_stdin();
    client.expect_reset();
    let status = within(Duration::from_secs(1), || server.wait());
    assert_eq!(status.code(), Some(0));
    assert_eq!(server.finished().figures().get("drain timeout"), 1);
}

#[test]
fn seed_s2_4_the_loop_rests_while_every_connection_waits_for_a_worker() {
    in_each_mode(|mode| {
        if mode.workers == "0" {
            return;
        }
        let server = mode.start(&["--work-time", "500ms", "--drain-timeout", "0"]);
        let clients = [(); 8].map(|()| Client::connect(server.address()));
        let message = mode.message(20, 1);
        for client in &clients {
            client.send(&message.repeat(3));
        }
        wait_for("the first reply", DEADLINE, || {
            clients.iter().any(Client::has_input)
        });
        expect_rest(&server);
    });
}

#[cfg(target_os = "linux")]
#[track_caller]
fn expect_rest(server: &Server) {
    use crate::support::{proc::cpu, size_bound};
    let before = cpu(server.pid());
    thread::sleep(QUIET);
    let used = cpu(server.pid()) - before;
    assert!(
        used <= size_bound(Duration::from_millis(5)),
        "the server spins: {used:?}"
    );
}

#[cfg(not(target_os = "linux"))]
fn expect_rest(_: &Server) {}
