use super::*;
use crate::load::judge::slo::Objective;
use crate::load::judge::verdict::Limit;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::results::Results;
use crate::load::plan::settings::{Arrival, Load, Shard};
use crate::load::testing::{open, results};

/// The part `index` of two of the load that `whole` is: every second message.
fn shard_of(mut whole: Results, index: usize) -> Results {
    whole.settings.connections = 4;
    if let Load::Open { rate, .. } = whole.settings.load {
        whole.settings.load = Load::Open {
            rate: 2.0 * rate,
            arrival: Arrival::Constant,
        };
    }
    whole.settings.shard = Some(Shard { index, count: 2 });
    whole
}

fn reports(whole: fn() -> Results) -> Vec<(String, Report)> {
    let report = |index| Report::new(&shard_of(whole(), index), None);
    vec![("a.json".into(), report(0)), ("b.json".into(), report(1))]
}

#[track_caller]
fn refused(reports: Vec<(String, Report)>) -> String {
    let error = merge(reports, None).expect_err("mismatch").to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn two_shards_are_the_same_as_one_process() {
    let mut one = shard_of(open(), 0);
    let other = one.clone();
    one.settings.shard = None;
    one.total += &other.total;
    one.connected = 4;
    one.generator_cpu = one.generator_cpu.map(|cpu| 2 * cpu);
    let slo = Slo(vec![
        Objective::Percentile(Percentile::P99, Duration::from_millis(1)),
        Objective::Percentile(Percentile::P999, Duration::from_millis(1)),
    ]);
    let one = Report::new(&one, Some(&slo));

    let merged = merge(reports(open), Some(&slo)).expect("one load").report;
    assert_eq!(merged.metrics, one.metrics);
    assert_eq!(merged.histograms, one.histograms);
    assert_eq!(merged.generator, one.generator);
    assert_eq!(merged.config, one.config);
    assert_eq!(merged.slo, one.slo);
    assert_eq!(merged.verdict, one.verdict);
    assert_eq!(merged.merged_from, Some(2));
    assert_eq!(merged.metrics.messages_per_sec, Some(4_000.0));
    let server = merged.server.expect("two of them");
    assert_eq!((server.cpu, server.rss_bytes), (Some(0.5), Some(7_000_000)));
}

#[test]
fn the_percentiles_are_those_of_all_messages() {
    let mut slow = shard_of(results(), 1);
    slow.total.response = LatencyHistogram::default();
    (0..2_000).for_each(|_| slow.total.response.record(9_000_000));
    let reports = vec![
        ("a".into(), Report::new(&shard_of(results(), 0), None)),
        ("b".into(), Report::new(&slow, None)),
    ];
    let Merged { report, response } = merge(reports, None).expect("one load");
    assert_eq!(response.histogram.len(), 4_000);
    let us = &report.metrics.response_us;
    let p50 = us.p50.expect("enough samples");
    assert!(
        (300.0..301.0).contains(&p50),
        "the median of both, not the mean of the medians: {p50}"
    );
    assert_eq!((us.p90, us.max), (Some(9_000.0), Some(9_000.0)));
}

#[test]
fn lower_bounds_stay_lower_bounds() {
    let mut unanswered = shard_of(results(), 1);
    unanswered.total.response.record_unfinished(5_000_000_000);
    let reports = vec![
        ("a".into(), Report::new(&shard_of(results(), 0), None)),
        ("b".into(), Report::new(&unanswered, None)),
    ];
    let us = merge(reports, None)
        .expect("one load")
        .report
        .metrics
        .response_us;
    assert_eq!(us.bounded_from, Some(5_000_000.0));
    assert!(us.is_lower_bound(us.max.expect("a maximum")));
}

#[test]
fn a_rate_is_that_of_the_longest_shard() {
    let mut long = shard_of(results(), 1);
    long.window = Duration::from_secs(4);
    let reports = vec![
        ("a".into(), Report::new(&shard_of(results(), 0), None)),
        ("b".into(), Report::new(&long, None)),
    ];
    let metrics = merge(reports, None).expect("one load").report.metrics;
    assert_eq!(
        (metrics.seconds, metrics.messages_per_sec),
        (4.0, Some(1_000.0))
    );
}

#[test]
fn shards_that_ran_one_after_the_other_are_no_one_load() {
    let apart = |began: &str| {
        let mut reports = reports(results);
        reports[1].1.began = began.into();
        merge(reports, None).map(|merged| merged.report)
    };
    let together = apart("2027-01-15T09:00:00.6+01:00").expect("one load");
    assert_eq!(
        (together.verdict.valid, together.intervals.len()),
        (true, 1)
    );
    for (began, seconds) in [
        ("2027-01-15T08:00:00.39Z", "0.1"),
        ("2027-01-15T08:00:04.5Z", "4.0"),
    ] {
        let report = apart(began).expect("a sum");
        let reason = format!(
            "the shards did not run at the same time: their windows began up to {seconds} s apart"
        );
        assert_eq!(report.verdict.reasons, [reason]);
        assert_eq!(report.intervals, []);
    }
    let no_time = apart("yesterday").expect_err("no time").to_string();
    assert!(
        no_time.starts_with("b.json: began \"yesterday\""),
        "{no_time}"
    );
}

#[test]
fn shards_of_few_responses_may_have_enough_together() {
    let few = |count: u64| {
        let shard = |index| {
            let mut shard = shard_of(results(), index);
            shard.total.response = LatencyHistogram::default();
            (0..count).for_each(|_| shard.total.response.record(1_000));
            (index.to_string(), Report::new(&shard, None))
        };
        let merged = merge(vec![shard(0), shard(1)], None).expect("one load");
        merged.report.verdict.reasons
    };
    assert_eq!(few(500), [""; 0]);
    assert_eq!(
        few(499),
        ["too few samples: with 998 responses of at least 1000, p99 has fewer than 10 above it"]
    );
}

#[test]
fn one_suspect_shard_makes_the_sum_suspect() {
    let mut reports = reports(open);
    reports[1].1.verdict = Verdict::from_reasons(vec!["overload: 7".into()]);
    let verdict = merge(reports.clone(), None)
        .expect("one load")
        .report
        .verdict;
    assert_eq!(verdict.reasons, ["shard 1: overload: 7"]);

    reports.remove(0);
    let verdict = merge(reports, None).expect("a part of it").report.verdict;
    assert_eq!(
        verdict.reasons,
        ["shard 1: overload: 7", "1 of 2 shards are missing"]
    );
}

#[test]
fn a_shard_that_was_interrupted_leaves_the_sum_slower_than_asked() {
    let mut whole = shard_of(open(), 0);
    whole.window = Duration::from_secs(2);
    whole.total.messages *= 2;
    whole.total.in_flight *= 2;
    let mut part = shard_of(open(), 1);
    part.interrupted = Some(2);
    let reports = vec![
        ("a".into(), Report::new(&whole, None)),
        ("b".into(), Report::new(&part, None)),
    ];
    let sum = merge(reports, None).expect("one load").report;
    assert_eq!(
        sum.verdict.reasons,
        [
            "the shards did not measure equally long: 1.0 to 2.0 s",
            "achieved 75.0 % of the rate: 3000.0 of 4000.0 messages/s"
        ]
    );
    let text = crate::load::text(&sum);
    assert!(text.contains("\ninterrupted by signal 2\n"), "{text}");
}

#[test]
fn intervals_are_added_if_they_are_the_same_pieces() {
    let merged = merge(reports(results), None).expect("one load").report;
    assert_eq!(merged.intervals.len(), 1);
    assert_eq!(merged.intervals[0].messages, 4_000);
    let times = &merged.intervals[0].response_us;
    assert_eq!((times.p50, times.p99, times.max), (None, None, Some(300.0)));

    let mut reports = reports(results);
    reports[0].1.intervals[0].seconds = 0.5;
    assert_eq!(merge(reports, None).expect("one load").report.intervals, []);
}

#[test]
fn what_the_shards_do_not_agree_on_is_left_out() {
    let mut reports = reports(results);
    let merged = |reports: &Vec<_>| merge(reports.clone(), None).expect("one load").report;
    assert_eq!(merged(&reports).limited_by, Some(Limit::Neither));
    reports[1].1.limited_by = Some(Limit::Server);
    reports[1].1.generator.cpu_s = None;
    let merged = merged(&reports);
    assert_eq!((merged.limited_by, merged.generator.cpu_s), (None, None));
}

#[test]
fn reports_of_other_loads_are_refused() {
    let mut other = reports(results);
    other[1].1.config.connections = 5;
    assert_eq!(
        refused(other),
        "b.json: not the load of a.json: connections is 5, not 4"
    );

    let mut other = reports(results);
    other[1].1.config.shard.as_mut().expect("a shard").count = 3;
    assert_eq!(
        refused(other),
        "b.json: a shard of 3, but a.json is a shard of 2"
    );

    let mut other = reports(results);
    other[1].1.config.shard = None;
    assert_eq!(
        refused(other),
        "b.json: no shard, but a.json is a shard of 2"
    );

    let mut twice = reports(results);
    twice[1].1.config.shard.as_mut().expect("a shard").index = 0;
    assert_eq!(refused(twice), "b.json: shard 0 is that of a.json too");

    let mut whole = reports(results);
    whole
        .iter_mut()
        .for_each(|(_, report)| report.config.shard = None);
    assert!(refused(whole).starts_with("b.json: the whole load, as a.json is"));

    let mut broken = reports(results);
    broken[1].1.histograms.insert("wait".into(), "?".into());
    assert!(refused(broken).starts_with("b.json: the histogram of wait: "));

    let mut broken = reports(results);
    broken[0].1.histograms.remove("turn");
    assert_eq!(refused(broken), "a.json: no histogram of turn");
}

#[test]
fn what_is_no_report_is_refused() {
    for (json, why) in [
        ("", "x: not a report of bench: EOF"),
        ("{}", "x: not a report of bench: missing field `schema`"),
        (r#"{"schema":2}"#, "x: schema 2, expected 1"),
        (r#"{"schema":"1"}"#, r#"x: schema "1", expected 1"#),
        (r#"{"schema":1}"#, "x: not a report of bench: missing field"),
    ] {
        let refusal = read("x", json).expect_err(json).to_string();
        assert!(refusal.starts_with(why), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
    let report = Report::new(&results(), None);
    assert_eq!(read("x", &report.to_json()).expect("a report"), report);
}
