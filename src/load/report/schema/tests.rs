use serde_json::Value;

use super::*;
use crate::load::judge::slo::Objective;
use crate::load::measure::failure::Failure;
use crate::load::measure::metrics::Corruption;
use crate::load::testing::{closed_loop, open_loop};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

fn json(report: &Report) -> Value {
    serde_json::from_str(&report.to_json()).expect("JSON")
}

/// Returns a report in which the optional figures exist.
fn full() -> Report {
    let mut results = open_loop();
    let total = &mut results.measurement.total;
    total.counts.failures[Failure::Reset] = 2;
    total.counts.corrupted = 1;
    total.counts.corruption = Some(Corruption {
        connection: 1,
        offset: 7,
        expected: vec![1, 2],
        got: vec![0xfe],
    });
    let slo = Slo(vec![Objective::Errors(50.0)]);
    Report::new(&results, Some(&slo))
}

#[test]
fn the_json_has_exactly_the_documented_names() {
    let json = json(&full());
    assert_eq!(
        keys(&json),
        [
            "batches",
            "began",
            "ci95",
            "ci95_missing",
            "config",
            "environment",
            "generator",
            "hints",
            "histograms",
            "interference",
            "interrupted",
            "intervals",
            "limited_by",
            "merged_from",
            "metrics",
            "schema",
            "server",
            "slo",
            "verdict"
        ]
    );
    assert_eq!(
        keys(&json["metrics"]),
        [
            "achieved",
            "asked_per_sec",
            "bytes",
            "connect_us",
            "connections",
            "connections_achieved",
            "connections_asked",
            "corrupted",
            "corruption",
            "errors",
            "in_flight",
            "mb_per_sec",
            "messages",
            "messages_per_sec",
            "reconnects",
            "response_us",
            "seconds",
            "send_lag_us",
            "service_us",
            "stalls_us",
            "turn_us",
            "unanswered",
            "unsent",
            "wait_us"
        ]
    );
    let row = [
        "count",
        "lower_bounds",
        "max",
        "mean",
        "min",
        "overflow",
        "p50",
        "p90",
        "p99",
        "p99_9",
        "p99_99",
    ];
    for name in [
        "response_us",
        "wait_us",
        "service_us",
        "send_lag_us",
        "connect_us",
        "turn_us",
        "stalls_us",
    ] {
        assert_eq!(keys(&json["metrics"][name]), row);
    }
    assert_eq!(keys(&json["verdict"]), ["codes", "reasons", "valid"]);
    assert_eq!(
        keys(&json["intervals"][0]),
        ["errors", "messages", "response_us", "seconds", "start_s"]
    );
    assert_eq!(
        keys(&json["intervals"][0]["response_us"]),
        ["count", "lower_bounds", "max", "p50", "p99"]
    );
    assert_eq!(
        keys(&json["histograms"]),
        [
            "connect", "response", "send_lag", "service", "stalls", "turn", "wait"
        ]
    );
    assert_eq!(
        keys(&json["environment"]),
        [
            "architecture",
            "back_end",
            "cpu_model",
            "cpus",
            "governor",
            "kernel",
            "system",
            "version"
        ]
    );
    assert_eq!(
        keys(&json["server"]),
        [
            "busiest_thread",
            "bytes_per_connection",
            "cpu",
            "cpu_s",
            "rss_bytes"
        ]
    );
    assert_eq!(
        keys(&json["interference"]),
        [
            "cpus",
            "generator_wait",
            "others_cores",
            "others_include_server",
            "server_wait",
            "stolen",
            "throttled"
        ]
    );
    assert_eq!(
        keys(&json["generator"]),
        [
            "busy",
            "cpu_s",
            "cpu_us_per_message",
            "elapsed_s",
            "polling_s",
            "spinning",
            "spinning_s",
            "spinning_us_per_message",
            "stalled_s"
        ]
    );
    assert_eq!(
        keys(&json["config"]),
        [
            "address",
            "arrival",
            "churn",
            "close",
            "connect_rate_per_s",
            "connections",
            "duration_s",
            "family",
            "framing",
            "interval_s",
            "label",
            "messages",
            "pin",
            "pipeline",
            "rate_per_s",
            "seed",
            "server_pid",
            "server_pin",
            "shard",
            "sizes",
            "skip_bytes",
            "socket_buffer_bytes",
            "sources",
            "start_at",
            "target",
            "threads",
            "timeout_s",
            "verify",
            "warmup_s"
        ]
    );
}

#[test]
fn the_json_has_the_figures_of_the_measurement() {
    let report = full();
    let json = json(&report);
    let metrics = &json["metrics"];
    for (name, expected) in [
        ("messages", Value::from(2_000)),
        ("seconds", 1.0.into()),
        ("messages_per_sec", 2_000.0.into()),
        ("mb_per_sec", 0.128.into()),
        ("achieved", 1.0.into()),
        ("connections_asked", 2.into()),
        ("connections_achieved", 2.into()),
        ("corrupted", 1.into()),
        ("in_flight", 0.399.into()),
    ] {
        assert_eq!(metrics[name], expected, "{name}");
    }
    assert_eq!(metrics["errors"].to_string(), r#"{"reset":2}"#);
    assert_eq!(metrics["response_us"]["p50"], 200.063);
    assert_eq!(metrics["response_us"]["p99_9"], Value::Null);
    assert_eq!(metrics["response_us"]["max"], 300.0);
    assert_eq!(metrics["corruption"]["got"], "fe");
    assert_eq!(
        json["verdict"].to_string(),
        r#"{"codes":[],"reasons":[],"valid":true}"#
    );
    assert_eq!(json["began"], "2027-01-15T08:00:00.5Z");
    assert_eq!(json["config"]["target"], Value::Null);
    assert_eq!(json["server"]["cpu"], 0.25);
    assert_eq!(json["slo"][0]["met"], true);
}

#[test]
fn a_figure_that_does_not_exist_is_null() {
    let mut results = closed_loop();
    results.measurement.total = Metrics::default();
    results.measurement.window = std::time::Duration::ZERO;
    let json = json(&Report::new(&results, None));
    for name in ["messages_per_sec", "mb_per_sec", "achieved", "in_flight"] {
        assert_eq!(json["metrics"][name], Value::Null, "{name}");
    }
    assert_eq!(json["generator"]["busy"], Value::Null);
    assert_eq!(json["server"], Value::Null);
}

#[test]
fn a_report_that_was_read_equals_the_report_that_was_written() {
    let mut unanswered = closed_loop();
    for age in [1_000, 9_000_000] {
        let response = &mut unanswered.measurement.total.response;
        response.record_unfinished(age, 1);
    }
    let unanswered = Report::new(&unanswered, None);
    assert_eq!(unanswered.metrics.response_us.lower_bounds, 2);
    for mut report in [full(), Report::new(&closed_loop(), None), unanswered] {
        let read: Report = serde_json::from_str(&report.to_json()).expect("a report");
        report.slo.clear();
        assert_eq!(read, report, "reading drops the objectives");
        assert_eq!(computed_again(read), report);
    }
}

/// Computes a report from the figures that `report` holds.
fn computed_again(report: Report) -> Report {
    let measurement = report.measurement().expect("histograms");
    Report::of(
        report.config,
        report.environment,
        report.began,
        &measurement,
        None,
    )
}

#[test]
fn lower_bounds_that_are_not_among_the_samples_are_refused() {
    let mut results = closed_loop();
    results.measurement.total.wait.record_unfinished(5_000, 1);
    let mut report = Report::new(&results, None);
    let lower_bounds = report.histograms["wait_lower_bounds"].clone();
    report
        .histograms
        .insert("turn_lower_bounds".into(), lower_bounds);
    let error = report.measurement().expect_err("no such sample");
    assert_eq!(
        error.to_string(),
        "the histogram of turn: it lacks some of its lower bounds"
    );
}

#[test]
fn a_reader_ignores_unknown_names() {
    let mut json = json(&full());
    json["later"] = 1.into();
    json["metrics"]["errors"]["later"] = 3.into();
    let report: Report = serde_json::from_value(json).expect("a report");
    assert_eq!(report.metrics.counts.failures[Failure::Other], 3);
}
