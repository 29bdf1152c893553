use std::time::Duration;

use super::*;
use crate::load::judge::slo::Objective;
use crate::load::judge::verdict::LimitedBy;
use crate::load::measure::measurement::Results;
use crate::load::measure::percentile::Percentile;
use crate::load::plan::settings::{Arrival, Load, Shard};
use crate::load::testing::{closed_loop, open_loop};

/// Returns `results` as those of shard `index` of two: the load of both has twice the connections and the rate.
fn shard_of(mut results: Results, index: usize) -> Results {
    results.settings.connections = 4;
    if let Load::Open { rate, .. } = results.settings.load {
        results.settings.load = Load::Open {
            rate: 2.0 * rate,
            arrival: Arrival::Constant,
        };
    }
    results.settings.shard = Some(Shard {
        index,
        count: 2,
        launcher: None,
    });
    results
}

/// Returns the reports of two shards.
fn reports(results: fn() -> Results) -> Vec<(String, Report)> {
    let report = |index| Report::new(&shard_of(results(), index), None);
    vec![("a.json".into(), report(0)), ("b.json".into(), report(1))]
}

/// Returns the sum of `reports`. The sum may lack shards.
fn merge(reports: Vec<(String, Report)>, slo: Option<&Slo>) -> Result<Merged, Box<dyn Error>> {
    merge_or(MissingShards::Suspect, reports, slo)
}

fn merge_or(
    missing: MissingShards,
    reports: Vec<(String, Report)>,
    slo: Option<&Slo>,
) -> Result<Merged, Box<dyn Error>> {
    let mut merger = Merger::default();
    for (name, report) in &reports {
        merger.add(name, report)?;
    }
    merger.finish(slo, missing)
}

/// Returns the error of a sum that is refused.
#[track_caller]
fn refused(reports: Vec<(String, Report)>) -> String {
    let error = merge_or(MissingShards::Refused, reports, None)
        .expect_err("different loads")
        .to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn the_sum_of_two_shards_equals_the_report_of_one_process() {
    let mut one = shard_of(open_loop(), 0);
    one.settings.shard = None;
    let measurement = &mut one.measurement;
    measurement.total += &open_loop().measurement.total;
    (
        measurement.connections_asked,
        measurement.connections_achieved,
    ) = (4, 4);
    measurement.generator_cpu = measurement.generator_cpu.map(|cpu| 2 * cpu);
    measurement.target_rate.as_mut().expect("a rate").per_sec *= 2.0;
    let slo = Slo(vec![
        Objective::Percentile(Percentile::P99, Duration::from_millis(1)),
        Objective::Percentile(Percentile::P999, Duration::from_millis(1)),
    ]);
    let one = Report::new(&one, Some(&slo));

    let merged = merge(reports(open_loop), Some(&slo))
        .expect("one load")
        .report;
    assert_eq!(merged.metrics, one.metrics);
    assert_eq!(merged.histograms, one.histograms);
    assert_eq!(merged.generator, one.generator);
    assert_eq!(merged.config, one.config);
    assert_eq!(merged.slo, one.slo);
    assert_eq!(merged.verdict, one.verdict);
    assert_eq!(merged.merged_from, Some(2));
    assert_eq!(merged.metrics.messages_per_sec, Some(4_000.0));
    let server = merged.server.expect("two servers");
    assert_eq!((server.cpu, server.rss_bytes), (Some(0.5), Some(7_000_000)));
}

#[test]
fn percentiles_are_those_of_all_messages() {
    let mut slow = shard_of(closed_loop(), 1);
    let response = &mut slow.measurement.total.response;
    *response = LatencyHistogram::default();
    (0..2_000).for_each(|_| response.record(9_000_000));
    let reports = vec![
        ("a".into(), Report::new(&shard_of(closed_loop(), 0), None)),
        ("b".into(), Report::new(&slow, None)),
    ];
    let Merged { report, response } = merge(reports, None).expect("one load");
    assert_eq!(response.histogram.len(), 4_000);
    let us = &report.metrics.response_us;
    let p50 = us.p50.expect("enough samples");
    assert!(
        (300.0..301.0).contains(&p50),
        "the median of all, not the mean of both medians: {p50}"
    );
    assert_eq!((us.p90, us.max), (Some(9_000.0), Some(9_000.0)));
}

#[test]
fn a_lower_bound_of_a_shard_is_one_of_the_sum() {
    let mut unanswered = shard_of(closed_loop(), 1);
    let response = &mut unanswered.measurement.total.response;
    response.record_unfinished(5_000_000_000, 1);
    let reports = vec![
        ("a".into(), Report::new(&shard_of(closed_loop(), 0), None)),
        ("b".into(), Report::new(&unanswered, None)),
    ];
    let us = merge(reports, None)
        .expect("one load")
        .report
        .metrics
        .response_us;
    assert_eq!((us.lower_bounds, us.max), (1, Some(5_000_000.0)));
    assert!(us.has_lower_bounds() && !us.is_lower_bound(Percentile::P99));
}

#[test]
fn the_rate_is_computed_over_the_longest_window() {
    let mut long = shard_of(closed_loop(), 1);
    long.measurement.window = Duration::from_secs(4);
    let reports = vec![
        ("a".into(), Report::new(&shard_of(closed_loop(), 0), None)),
        ("b".into(), Report::new(&long, None)),
    ];
    let metrics = merge(reports, None).expect("one load").report.metrics;
    assert_eq!(
        (metrics.seconds, metrics.messages_per_sec),
        (4.0, Some(1_000.0))
    );
}

#[test]
fn shards_that_ran_at_different_times_are_suspect() {
    let merged = |began: &str| {
        let mut reports = reports(closed_loop);
        reports[1].1.began = began.into();
        merge(reports, None).map(|merged| merged.report)
    };
    let together = merged("2027-01-15T09:00:00.51+01:00").expect("one load");
    assert_eq!(
        (together.verdict.valid, together.intervals.len()),
        (true, 1)
    );
    for (began, seconds) in [
        ("2027-01-15T08:00:00.489Z", "0.011"),
        ("2027-01-15T08:00:04.5Z", "4.000"),
    ] {
        let report = merged(began).expect("a sum");
        let reason = format!(
            "the shards did not run at the same time: their windows started up to {seconds} s apart"
        );
        assert_eq!(report.verdict.reasons, [reason]);
        assert_eq!(report.intervals, []);
    }
    let no_time = merged("yesterday").expect_err("no time").to_string();
    assert!(
        no_time.starts_with("b.json: began \"yesterday\""),
        "{no_time}"
    );
}

#[test]
fn too_few_samples_of_a_shard_may_be_enough_in_the_sum() {
    let few = |count: u64| {
        let shard = |index| {
            let mut shard = shard_of(closed_loop(), index);
            let response = &mut shard.measurement.total.response;
            *response = LatencyHistogram::default();
            (0..count).for_each(|_| response.record(1_000));
            (index.to_string(), Report::new(&shard, None))
        };
        let merged = merge(vec![shard(0), shard(1)], None).expect("one load");
        merged.report.verdict.reasons
    };
    assert_eq!(few(500), [""; 0]);
    assert_eq!(
        few(499),
        ["too few samples: 998 responses, and p99 needs 1000"]
    );
}

#[test]
fn a_suspect_shard_makes_the_sum_suspect() {
    let mut reports = reports(open_loop);
    let overload = Reason::new(ReasonCode::Overload, "overload: 7".into());
    reports[1].1.verdict = Verdict::from_reasons([overload]);
    let verdict = merge(reports.clone(), None)
        .expect("one load")
        .report
        .verdict;
    assert_eq!(verdict.reasons, ["shard 1: overload: 7"]);

    reports.remove(0);
    let verdict = merge(reports, None)
        .expect("one of two shards")
        .report
        .verdict;
    assert_eq!(verdict.reasons, ["1 of 2 shards", "shard 1: overload: 7"]);
    let codes = [ReasonCode::MissingShards, ReasonCode::Overload];
    assert_eq!(verdict.codes, codes);
}

#[test]
fn a_sum_with_an_interrupted_shard_stays_below_its_rate() {
    let mut complete = shard_of(open_loop(), 0);
    complete.measurement.window = Duration::from_secs(2);
    complete.measurement.total.counts.messages *= 2;
    complete.measurement.total.in_flight *= 2;
    let mut interrupted = shard_of(open_loop(), 1);
    interrupted.measurement.interrupted = Some(2);
    let reports = vec![
        ("a".into(), Report::new(&complete, None)),
        ("b".into(), Report::new(&interrupted, None)),
    ];
    let sum = merge(reports, None).expect("one load").report;
    assert_eq!(
        sum.verdict.reasons,
        [
            "the windows of the shards have different lengths: 1.000 to 2.000 s",
            "achieved 75.0 % of the rate: 3000.0 of 4000.0 messages/s"
        ]
    );
    let text = crate::load::text(&sum);
    assert!(text.contains("\ninterrupted by signal 2\n"), "{text}");
}

#[test]
fn intervals_are_added_if_all_shards_have_the_same() {
    let merged = merge(reports(closed_loop), None).expect("one load").report;
    assert_eq!(merged.intervals.len(), 1);
    assert_eq!(merged.intervals[0].messages, 4_000);
    let times = &merged.intervals[0].response_us;
    assert_eq!((times.p50, times.p99, times.max), (None, None, Some(300.0)));

    let mut reports = reports(closed_loop);
    reports[0].1.intervals[0].seconds = 0.5;
    assert_eq!(merge(reports, None).expect("one load").report.intervals, []);
}

#[test]
fn batches_are_added_if_all_shards_have_the_same() {
    let merged = merge(reports(closed_loop), None).expect("one load").report;
    let messages: Vec<_> = merged.batches.iter().map(|batch| batch.messages).collect();
    assert_eq!(messages, [4_000]);
    let sum = merged.batches[0].batch().expect("a batch");
    assert_eq!(sum.response.histogram.len(), 4_000);

    let mut reports = reports(closed_loop);
    reports[0].1.batches[0].seconds = 0.5;
    assert_eq!(merge(reports, None).expect("one load").report.batches, []);
}

#[test]
fn a_figure_on_which_the_shards_differ_is_left_out() {
    let mut reports = reports(closed_loop);
    let merged = |reports: &Vec<_>| merge(reports.clone(), None).expect("one load").report;
    assert_eq!(merged(&reports).limited_by, Some(LimitedBy::Neither));
    reports[1].1.limited_by = Some(LimitedBy::Server);
    reports[1].1.generator.cpu_s = None;
    let merged = merged(&reports);
    assert_eq!((merged.limited_by, merged.generator.cpu_s), (None, None));
}

#[test]
fn labels_pins_and_processes_may_differ_and_named_processes_are_not_added() {
    let mut reports = reports(open_loop);
    for (index, (_, report)) in reports.iter_mut().enumerate() {
        report.config.label = Some(format!("machine {index}"));
        report.config.pin = Some(index.to_string());
        report.config.server_pid = Some(7 + index as u32);
    }
    let merged = merge(reports, None).expect("one load").report;
    assert_eq!(merged.server, None, "it may be one process");
    assert_eq!(merged.interference.generator_wait, Some(0.002));
    assert_eq!(merged.interference.others_cores, None);
}

#[test]
fn reports_of_different_loads_are_refused() {
    let mut other = reports(closed_loop);
    other[1].1.config.connections = 5;
    assert_eq!(
        refused(other),
        "b.json: not the load of a.json: connections is 5, not 4"
    );

    let mut other = reports(closed_loop);
    other[1].1.config.shard.as_mut().expect("a shard").count = 3;
    assert_eq!(
        refused(other),
        "b.json: a shard of 3, but a.json is a shard of 2"
    );

    let mut other = reports(closed_loop);
    other[1].1.config.shard = None;
    assert_eq!(
        refused(other),
        "b.json: no shard, but a.json is a shard of 2"
    );

    let mut twice = reports(closed_loop);
    twice[1].1.config.shard.as_mut().expect("a shard").index = 0;
    assert_eq!(refused(twice), "b.json: shard 0, as a.json is");

    let mut whole = reports(closed_loop);
    whole
        .iter_mut()
        .for_each(|(_, report)| report.config.shard = None);
    assert_eq!(
        refused(whole),
        "b.json: the whole load, as a.json is; expected reports of shards"
    );

    let mut broken = reports(closed_loop);
    broken[1].1.histograms.insert("wait".into(), "?".into());
    assert!(refused(broken).starts_with("b.json: the histogram of wait: "));

    let mut broken = reports(closed_loop);
    broken[1].1.batches[0].response = "?".into();
    assert!(refused(broken).starts_with("b.json: the batches: "));

    let mut broken = reports(closed_loop);
    broken[0].1.histograms.remove("turn");
    assert_eq!(refused(broken), "a.json: no histogram of turn");
}

#[test]
fn missing_shards_are_refused_by_their_numbers() {
    let shard = |index, count| {
        let mut report = Report::new(&shard_of(closed_loop(), index), None);
        report.config.shard.as_mut().expect("a shard").count = count;
        (index.to_string(), report)
    };
    assert_eq!(
        refused(vec![shard(0, 4), shard(3, 4), shard(1, 4)]),
        "3 of 4 shards: no report of shard 2; expected all, or --partial"
    );
    assert_eq!(
        refused(vec![shard(1, 9)]),
        "1 of 9 shards: no report of shards 0, 2, 3, 4, 5 and 3 more; expected all, or --partial"
    );
    let partial = merge(vec![shard(1, 9)], None).expect("a part").report;
    assert_eq!(partial.verdict.reasons, ["1 of 9 shards"]);
}

#[test]
fn windows_may_differ_by_a_hundredth_of_their_length_within_10_and_100_ms() {
    let reasons = |seconds: f64, apart: i64| {
        let mut reports = reports(closed_loop);
        let [(_, first), (_, second)] = &mut reports[..] else {
            panic!("two reports");
        };
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time");
        for (report, milliseconds) in [(first, 0), (second, apart)] {
            report.metrics.seconds = seconds;
            let began = start + time::Duration::milliseconds(milliseconds);
            report.began = began.format(&Rfc3339).expect("a text");
        }
        merge(reports, None).expect("one load").report.verdict.codes
    };
    for (seconds, tolerance) in [(0.5, 10), (1.0, 10), (4.0, 40), (60.0, 100)] {
        assert_eq!(reasons(seconds, tolerance), [], "{seconds}");
        let too_far = reasons(seconds, tolerance + 1);
        assert_eq!(too_far, [ReasonCode::ShardsApart], "{seconds}");
    }
}

#[test]
fn text_that_is_not_a_report_is_refused() {
    for (json, why) in [
        ("", "x: not a report of bench: EOF"),
        ("{}", "x: not a report of bench: missing field `schema`"),
        (
            r#"{"schema":1}"#,
            "x: schema 1, expected 2: another version of mio-echo wrote the report",
        ),
        (r#"{"schema":"1"}"#, r#"x: schema "1", expected 2"#),
        (
            r#"{"schema":2,"kind":"compare"}"#,
            r#"x: kind "compare", expected the report of a run"#,
        ),
        (r#"{"schema":2}"#, "x: not a report of bench: missing field"),
    ] {
        let refusal = read("x", json).expect_err(json).to_string();
        assert!(refusal.starts_with(why), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
    let report = Report::new(&closed_loop(), None);
    assert_eq!(read("x", &report.to_json()).expect("a report"), report);
}
