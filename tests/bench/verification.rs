//! Every byte of every reply is compared, at any pipeline depth and in every framing.

use crate::bench::{bench_against, measure, measure_expecting, run};
use crate::faulty::{DAMAGED_MESSAGE, Damage, DamagingServer};
use crate::support::Server;

/// Requires that `damage` is counted once, gives exit code 4, and is reported with its offset.
#[track_caller]
fn expect_found(damage: Damage, size: usize, args: &str) {
    // Enough messages to reach the damage.
    let messages = (4 << 20) / size.clamp(10_000, 100_000);
    let args = format!("-s {size} -n {messages} -w 0 {args}");
    let server = DamagingServer::start(damage, size);
    let report = measure_expecting(server.server().address(), &args, 4);
    assert_eq!(report.count("corrupted"), 1, "{damage:?}");
    // If no other message is in flight, the first byte of the second copy is already an extra byte. The server then
    // sees no difference.
    let difference = server.difference().unwrap_or((DAMAGED_MESSAGE + 1) * size);
    let offset = report.count("corruption/offset");
    assert_eq!(
        offset,
        difference as u64,
        "{damage:?}: {}",
        report.without_histograms()
    );
}

#[test]
fn the_text_report_shows_the_offset_of_a_wrong_byte() {
    let server = DamagingServer::start(Damage::Corrupted { offset: 197 }, 64);
    let text = run(
        bench_against(server.server().address(), "-c 1 -n 100 -w 0"),
        4,
    )
    .text();
    assert!(text.contains("offset 197"), "{text}");
    assert!(text.contains("corrupted 1"), "{text}");
}

#[test]
fn a_corrupted_byte_is_found_at_any_offset() {
    for offset in [0, 63, 64, DAMAGED_MESSAGE * 64 + 5, 64 * 100 + 1] {
        expect_found(Damage::Corrupted { offset }, 64, "-c 1");
    }
    // These offsets are past the end of the table of payload bytes.
    for offset in [1_048_582, 1_048_583, 3_000_000] {
        expect_found(Damage::Corrupted { offset }, 16 << 10, "-c 1 -p 4");
    }
}

#[test]
fn a_corrupted_byte_is_found_in_an_open_loop() {
    let offset = DAMAGED_MESSAGE * 64 + 5;
    expect_found(Damage::Corrupted { offset }, 64, "-c 1 -r 1000");
}

#[test]
fn reordered_messages_are_found() {
    expect_found(Damage::Reordered, 64, "-c 1 -p 8");
    expect_found(Damage::Reordered, 4096, "-c 1 -p 8");
}

#[test]
fn a_duplicated_message_is_found() {
    expect_found(Damage::Duplicated, 64, "-c 1 -p 8");
    expect_found(Damage::Duplicated, 4096, "-c 1");
}

#[test]
fn a_missing_message_is_found() {
    expect_found(Damage::Missing, 64, "-c 1 -p 8");
}

#[test]
fn bytes_of_another_connection_are_found() {
    expect_found(Damage::Crossed, 64, "-c 2");
    expect_found(Damage::Crossed, 4096, "-c 2 -p 4");
}

#[test]
fn swapped_blocks_of_64_kib_are_found() {
    expect_found(Damage::SwappedBlocks, 256 << 10, "-c 1");
    expect_found(Damage::SwappedBlocks, 1 << 20, "-c 1 -p 2");
}

#[test]
fn no_verify_ignores_a_corrupted_byte() {
    let server = DamagingServer::start(Damage::Corrupted { offset: 70 }, 64);
    let report = measure(server.server().address(), "-c 1 -n 100 -w 0 --no-verify");
    report.expect_all(100);
    assert_eq!(server.difference(), Some(70));
}

#[test]
fn messages_of_every_framing_are_measured() {
    for framing in ["raw", "line", "crlf", "len8", "len16", "len16le"] {
        for (size, args) in [
            ("64", "-p 1"),
            ("3..255", "-p 16"),
            ("200:3,20:1", "-r 5000"),
        ] {
            let server = Server::start(&["--framing", framing]);
            let args = format!("--framing {framing} -s {size} {args} -n 500 -c 3 -w 0");
            measure(server.address(), &args).expect_all(500);
            let figures = server.stop().figures();
            if size == "64" {
                assert_eq!(
                    figures.get("echoed"),
                    500 * 64,
                    "header or terminator included"
                );
            }
            assert_eq!(figures.closed(), figures.get("peer finished"), "{framing}");
        }
    }
}

#[test]
fn large_messages_and_deep_pipelines_are_measured() {
    let server = Server::start(&[]);
    for args in [
        "-s 1MiB -p 4 -c 2 -n 40",
        "-s 1 -p 1024 -c 2 -n 20000",
        "-s 1..100k -p 32 -c 3 -n 500 -t 3",
        "-s 300k -p 1024 -c 1 -n 300 --socket-buffer 16k",
    ] {
        let messages = args.split_once("-n ").expect("-n").1;
        let messages = messages.split(' ').next().expect("a number");
        let messages = messages.parse().expect("a number");
        measure(server.address(), &format!("{args} -w 0")).expect_all(messages);
    }
}

#[test]
fn a_greeting_is_skipped_with_skip_and_corruption_without() {
    let server = Server::start(&["--banner", "Hello\\r\\n"]);
    measure(server.address(), "--skip 7 -n 100 -c 4 -w 0").expect_all(100);
    measure(server.address(), "--skip 7 -n 20 -c 4 -w 0 --churn").expect_no_failure();
    let report = measure_expecting(server.address(), "-n 10 -c 1 -w 0", 4);
    assert_eq!(report.count("corruption/offset"), 0);
}
