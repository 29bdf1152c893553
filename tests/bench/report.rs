//! The content and the formats of a report.

use std::fs;
use std::io::Cursor;

use base64::Engine;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::bench::{Report, bench_against, measure, run};
use crate::faulty::never_answers;
use crate::support::temp_dir::TempDir;
use crate::support::unused::unused_address;
use crate::support::{Server, is_strict};

const HISTOGRAMS: [&str; 5] = ["response", "wait", "service", "send_lag", "connect"];

#[test]
fn fault_b4_a_rest_of_the_window_is_part_of_the_last_interval() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 1 -w 0 -d 1040ms -i 500ms");
    let intervals = report.at("/intervals").as_array().expect("an array");
    expect_intervals(intervals, 2);
    let last = intervals.last().expect("an interval");
    let seconds = last["seconds"].as_f64().expect("a number");
    assert!(seconds >= 0.54, "{seconds}");
    let messages = intervals.iter().filter_map(|one| one["messages"].as_u64());
    assert_eq!(messages.sum::<u64>(), report.count("messages"));
}

/// Requires `count` intervals, or fewer: `bench` merges intervals if the machine is too busy to add up their figures.
#[track_caller]
fn expect_intervals(intervals: &[Value], count: usize) {
    let least = if is_strict() { count } else { 1 };
    assert!((least..=count).contains(&intervals.len()), "{intervals:?}");
}

#[test]
fn json_is_one_object_with_every_documented_field() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 4 -r 2000 -d 600ms -w 100ms -i 200ms");
    assert_eq!(report.at("/schema"), 2);
    for name in ["config", "environment", "verdict", "metrics", "histograms"] {
        assert!(report.at(&format!("/{name}")).is_object(), "{name}");
    }
    report.at("/server");
    report.is_valid();
    assert!(report.at("/verdict/reasons").is_array());
    for name in [
        "messages",
        "connections_asked",
        "connections_achieved",
        "corrupted",
    ] {
        report.count(name);
    }
    report.expect_no_failure();
    for row in HISTOGRAMS {
        for figure in [
            "count", "min", "p50", "p90", "p99", "p99_9", "p99_99", "max", "mean",
        ] {
            report.at(&format!("/metrics/{row}_us/{figure}"));
        }
        let histogram = report.histogram(row);
        assert_eq!(
            histogram.len(),
            report.count(&format!("{row}_us/count")),
            "{row}"
        );
    }
    let intervals = report.at("/intervals").as_array().expect("a list");
    expect_intervals(intervals, 3);
    for path in [
        "start_s",
        "seconds",
        "messages",
        "errors",
        "response_us/p50",
        "response_us/p99",
        "response_us/max",
    ] {
        assert!(
            intervals[0].pointer(&format!("/{path}")).is_some(),
            "{path}"
        );
    }
    let sum: u64 = intervals
        .iter()
        .filter_map(|interval| interval["messages"].as_u64())
        .sum();
    assert_eq!(sum, report.count("messages"));
}

#[test]
fn intervals_fill_the_window_if_workers_end_at_different_times() {
    let server = Server::start(&[]);
    for args in [
        "-c 4 -n 1000",
        "-c 4 -d 1s",
        "-c 3 -t 3 -n 3000 -r 10000",
        "-c 2 -t 2 -n 1 -r 5",
    ] {
        let report = measure(server.address(), &format!("{args} -w 100ms -i 100ms"));
        let intervals = report.at("/intervals").as_array().expect("a list");
        let mut end = 0.0;
        for interval in intervals {
            assert!(
                (number(interval, "start_s") - end).abs() < 1e-6,
                "{args}: {intervals:?}"
            );
            end += number(interval, "seconds");
        }
        assert!(
            (end - report.number("seconds")).abs() < 1e-6,
            "{args}: {intervals:?}"
        );
    }
}

#[track_caller]
fn number(value: &Value, name: &str) -> f64 {
    value[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name}: {value}"))
}

#[test]
fn the_figures_of_a_report_are_consistent() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 4 -n 4000 -w 0 -s 1000");
    let (messages, seconds) = (report.number("messages"), report.number("seconds"));
    let close = |a: f64, b: f64| (a - b).abs() <= 0.001 * b;
    assert!(close(report.number("messages_per_sec"), messages / seconds));
    assert!(close(
        report.number("mb_per_sec"),
        messages * 1000.0 / seconds / 1e6
    ));
    let response = report.histogram("response");
    for (name, percentile) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0)] {
        let printed = report.number(&format!("response_us/{name}"));
        let exact = response.value_at_percentile(percentile) as f64 / 1000.0;
        assert!(close(printed, exact), "{name}: {printed} {exact}");
    }
    assert!(close(
        report.number("response_us/max"),
        response.max() as f64 / 1000.0
    ));
    assert!(close(
        report.number("response_us/mean"),
        response.mean() / 1000.0
    ));
    assert!(close(
        report.number("response_us/min"),
        response.min() as f64 / 1000.0
    ));
    // Little's law: each connection has one message in flight, until its last one.
    let in_flight = report.number("messages_per_sec") * report.number("response_us/mean") / 1e6;
    let least = if is_strict() { 3.0 } else { 0.0 };
    assert!((least..4.4).contains(&in_flight), "{in_flight}");
}

#[test]
fn a_percentile_is_printed_only_with_ten_samples_above_it() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 1 -n 999 -w 0");
    assert!(report.at("/metrics/response_us/p99").is_null());
    assert!(report.at("/metrics/response_us/p90").is_number());
    let report = measure(server.address(), "-c 1 -n 1000 -w 0");
    assert!(report.at("/metrics/response_us/p99").is_number());
    assert!(report.at("/metrics/response_us/p99_9").is_null());
    let text = run(bench_against(server.address(), "-c 1 -n 1000 -w 0"), 0).output;
    let row = text
        .iter()
        .find(|line| line.trim_start().starts_with("response"));
    let fields: Vec<_> = row.expect("a row").split_whitespace().collect();
    assert_eq!(fields.len(), 9, "{fields:?}");
    assert_eq!(fields[1], "1000");
    assert!(fields[4].parse::<f64>().is_ok(), "{fields:?}");
    assert_eq!([fields[5], fields[6]], ["-", "-"], "{fields:?}");
}

#[test]
fn the_text_report_has_the_documented_lines() {
    let server = Server::start(&[]);
    let command = bench_against(server.address(), "-c 3 -r 2000 -d 500ms -w 100ms -i 100ms");
    let finished = run(command, 0);
    let lines = &finished.output;
    let text = lines.join("\n");
    assert!(lines[0].contains(&server.address().to_string()), "{text}");
    for part in ["3 connections", "2000", "constant"] {
        assert!(lines[0].contains(part), "`{part}`: {text}");
    }
    let [.., messages, bytes] = &lines[..] else {
        panic!("{text}");
    };
    let number = |line: &str, name: &str, unit: &str| {
        let number = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_suffix(unit));
        number.and_then(|number| number.trim().parse::<f64>().ok())
    };
    let rate = number(messages, "Messages/sec:", "").unwrap_or_else(|| panic!("{text}"));
    // A busy machine answers later: in the window to messages of the warm-up, and after the window.
    if is_strict() {
        assert!((1500.0..2100.0).contains(&rate), "{text}");
    }
    assert!(
        number(bytes, "Transfer/sec:", "B").is_none(),
        "the rate must have a unit: {text}"
    );
    assert!(
        bytes.starts_with("Transfer/sec: ") && bytes.ends_with('B'),
        "{text}"
    );
    let verdict = |line: &&String| *line == "VALID" || line.starts_with("SUSPECT: ");
    assert_eq!(lines.iter().filter(verdict).count(), 1, "{text}");
    for row in ["response", "wait", "service", "send lag", "connect"] {
        let is_row = |line: &&String| line.trim_start().starts_with(&format!("{row} "));
        assert!(lines.iter().any(|line| is_row(&line)), "{row}: {text}");
    }
    assert!(text.contains("errors: none"), "{text}");
    assert!(text.contains("corrupted 0"), "{text}");
    assert!(text.contains("connections 3 of 3"), "{text}");
    assert!(text.contains("generator: "), "{text}");
    let least = if is_strict() { 4 } else { 1 };
    assert!(
        finished.log.len() >= least,
        "interval lines: {:#?}",
        finished.log
    );
    assert!(
        !finished.text().contains('\u{1b}'),
        "escape sequences: {}",
        finished.text()
    );
}

#[test]
fn a_closed_loop_names_what_limits_it() {
    let server = Server::start(&[]);
    let text = run(bench_against(server.address(), "-c 3 -n 2000 -w 0"), 0)
        .output
        .join("\n");
    let limit = text
        .split("limited by: ")
        .nth(1)
        .unwrap_or_else(|| panic!("{text}"));
    let known = ["generator", "server", "neither"];
    assert!(known.iter().any(|name| limit.starts_with(name)), "{text}");
}

#[test]
fn the_files_agree_with_the_printed_report() {
    let dir = TempDir::new("files");
    let [json, hgrm, hlog] = ["out.json", "out.hgrm", "out.hlog"].map(|name| dir.file(name));
    let server = Server::start(&[]);
    let mut command = bench_against(server.address(), "-c 3 -n 20000 -w 0 -i 100ms -J");
    command
        .arg("-o")
        .arg(&json)
        .arg("--hgrm")
        .arg(&hgrm)
        .arg("--hlog")
        .arg(&hlog);
    let printed = Report::of(&run(command, 0));
    printed.expect_all(20000);
    assert_eq!(Report::read(&json).0, printed.0);
    let response = printed.histogram("response");
    expect_percentiles(
        &fs::read_to_string(hgrm).expect("the .hgrm file"),
        &response,
    );
    expect_log(&fs::read(hlog).expect("the .hlog file"), &response);
}

#[test]
fn the_hlog_starts_at_the_window_even_if_replies_are_late() {
    let dir = TempDir::new("began");
    let hlog = dir.file("out.hlog");
    let server = never_answers();
    let mut command = bench_against(server.address(), "-c 1 -d 100ms -w 0 --timeout 2s -J");
    command.arg("--hlog").arg(&hlog);
    let report = Report::of(&run(command, 1));
    let began = report.at("/began").as_str().expect("a time");
    let began = OffsetDateTime::parse(began, &Rfc3339).expect("RFC 3339");
    let log = fs::read(hlog).expect("the .hlog file");
    let mut entries = IntervalLogIterator::new(&log).map(|entry| entry.expect("an entry"));
    let Some(LogEntry::StartTime(start)) = entries.next() else {
        panic!("no time of the start");
    };
    let apart = start.as_secs_f64() - began.unix_timestamp_nanos() as f64 / 1e9;
    assert!(apart.abs() < 1.0, "{apart} s");
}

#[test]
fn a_run_that_cannot_start_keeps_the_earlier_report() {
    let dir = TempDir::new("kept");
    let json = dir.file("out.json");
    fs::write(
        &json,
        "an earlier report that is longer than the next one ".repeat(1000),
    )
    .expect("writing");
    let earlier = fs::read(&json).expect("the earlier report");
    let (_unused, address) = unused_address();
    let mut command = bench_against(address, "-c 1 -n 1 -w 0");
    command.arg("-o").arg(&json);
    run(command, 1);
    assert!(fs::read(&json).expect("the file") == earlier);
    let server = Server::start(&[]);
    let mut command = bench_against(server.address(), "-c 1 -n 1 -w 0");
    command.arg("-o").arg(&json);
    run(command, 0);
    Report::read(&json).expect_all(1);
}

/// Requires four columns of fixed width in milliseconds, `inf` in the last row, and three footers.
#[track_caller]
fn expect_percentiles(text: &str, response: &Histogram<u64>) {
    let (footers, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.starts_with('#'));
    for (footer, name) in footers
        .iter()
        .zip(["#[Mean    =", "#[Max     =", "#[Buckets ="])
    {
        assert!(footer.starts_with(name), "{footer}");
    }
    assert_eq!(footers.len(), 3);
    let mut rows = lines
        .iter()
        .skip_while(|line| !line.trim_start().starts_with(char::is_numeric));
    let mut last_count = 0;
    for row in rows.by_ref() {
        let fields: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(fields.len(), 4, "{row}");
        let value: f64 = fields[0].parse().expect("milliseconds");
        let percentile: f64 = fields[1].parse().expect("a percentile");
        last_count = fields[2].parse().expect("a count");
        if fields[3] == "inf" {
            assert_eq!(percentile, 1.0);
            assert!(
                (value * 1e6 - response.max() as f64).abs() <= 0.001 * value * 1e6,
                "{row}"
            );
            break;
        }
        assert!(
            (fields[3].parse::<f64>().expect("1/(1-p)") * (1.0 - percentile) - 1.0).abs() < 0.02,
            "{row}"
        );
        assert_eq!(
            **row,
            format!(
                "{value:14.6} {percentile:2.12} {last_count:10} {:>14}",
                fields[3]
            )
        );
    }
    assert_eq!(last_count, response.len());
    assert_eq!(rows.count(), 0, "rows after `inf`");
}

/// Requires a tagged histogram for each interval. The histograms of the responses must add up to `response`.
#[track_caller]
fn expect_log(bytes: &[u8], response: &Histogram<u64>) {
    let text = String::from_utf8_lossy(bytes);
    assert!(
        text.starts_with("#[") && text.contains("format version 1.2"),
        "{text}"
    );
    let mut total = Histogram::<u64>::new_from(response);
    let mut deserializer = hdrhistogram::serialization::Deserializer::new();
    let mut intervals = 0;
    for entry in IntervalLogIterator::new(bytes) {
        let LogEntry::Interval(interval) = entry.expect("an entry") else {
            continue;
        };
        let tag = interval.tag().expect("a tag").as_str().to_owned();
        if tag != "response" {
            continue;
        }
        let encoded = interval.encoded_histogram();
        let encoded = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .expect("base64");
        let histogram: Histogram<u64> = deserializer
            .deserialize(&mut Cursor::new(encoded))
            .expect("a histogram");
        // The log has milliseconds, the histogram nanoseconds.
        let max = interval.max() * 1e6;
        assert!(
            (max - histogram.max() as f64).abs() <= 0.001 * max + 1000.0,
            "{max}"
        );
        total.add(&histogram).expect("equal bounds");
        intervals += 1;
    }
    assert!(intervals >= 1);
    assert_eq!(total.len(), response.len());
    assert_eq!(
        total.value_at_percentile(99.0),
        response.value_at_percentile(99.0)
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_written_does_not_affect_the_others() {
    let dir = TempDir::new("full");
    let json = dir.file("out.json");
    let server = Server::start(&[]);
    for full in ["--hlog", "--hgrm"] {
        let mut command = bench_against(server.address(), "-c 1 -n 100 -w 0");
        command.arg("-o").arg(&json).args([full, "/dev/full"]);
        let finished = run(command, 1);
        assert!(finished.log.join("\n").contains("cannot write /dev/full: "));
        let last = finished.output.last().expect("a report");
        assert!(last.starts_with("Transfer/sec: "), "{last}");
        Report::read(&json).expect_all(100);
    }
}
