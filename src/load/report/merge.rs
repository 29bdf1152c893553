//! The sum of the reports of shards: several processes that made one load at once.
//!
//! Counts and histograms are added, so percentiles are those of all messages. What cannot be added is left out.

use std::time::Duration;
use std::{error, fmt};

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::config::ConfigReport;
use super::parts::Parts;
use super::schema::{Report, SCHEMA, ServerReport};
use crate::load::judge::slo::Slo;
use crate::load::judge::verdict::{TOO_FEW, Verdict, few_samples};
use crate::load::measure::metrics::LatencyHistogram;
use crate::load::measure::summary::{IntervalLatency, IntervalSummary};

/// Intervals that begin, or last, so many seconds apart are not the same.
const ALIGNED: f64 = 0.001;

/// Windows that begin apart, or end apart, by more than this share of the longest are not of one load.
const APART: f64 = 0.10;

/// What each shard has of its own.
const OWN_SETTINGS: [&str; 3] = ["shard", "address", "sources"];

/// The sum of reports.
#[derive(Clone, Debug)]
pub struct Merged {
    /// As of one measurement.
    pub report: Report,
    /// The response times of all.
    pub response: LatencyHistogram,
}

/// Why reports cannot be added; one line that names the report.
#[derive(Debug)]
pub struct MergeError(String);

/// The report that `json` holds; `name` is that of its file.
///
/// # Errors
///
/// When it is none of this schema.
pub fn read(name: &str, json: &str) -> Result<Report, MergeError> {
    #[derive(Deserialize)]
    struct Schema {
        schema: Value,
    }
    let no_report =
        |error: serde_json::Error| MergeError(format!("{name}: not a report of bench: {error}"));
    let Schema { schema } = serde_json::from_str(json).map_err(no_report)?;
    if schema != SCHEMA {
        return Err(MergeError(format!(
            "{name}: schema {schema}, expected {SCHEMA}"
        )));
    }
    serde_json::from_str(json).map_err(no_report)
}

/// The sum of `reports`, which are named, judged by `slo`.
///
/// # Errors
///
/// When they are not of one load, or are of the same part of it, or hold no histograms.
pub fn merge(reports: Vec<(String, Report)>, slo: Option<&Slo>) -> Result<Merged, MergeError> {
    refuse_other_loads(&reports)?;
    refuse_same_shards(&reports)?;
    let number = reports.len();
    let apart = apart(&reports)?;
    let mut reasons = reasons(&reports);
    reasons.extend(unequal(&reports));
    let mut parts = reports.into_iter().map(|(name, report)| {
        Parts::read(report).map_err(|error| MergeError(format!("{name}: {error}")))
    });
    let first = parts
        .next()
        .ok_or_else(|| MergeError("no reports".into()))??;
    let mut sum = parts.try_fold(first, |sum, more| Ok::<_, MergeError>(add(sum, more?)))?;
    if apart.is_some() {
        sum.intervals.clear();
    }
    reasons.extend(apart);
    reasons.extend(sum.pace().and_then(|pace| pace.too_slow()));
    reasons.extend(few_samples(&sum.total.response));
    sum.verdict = Verdict::from_reasons(reasons);
    sum.merged_from = Some(number);
    sum.config.shard = None;
    sum.server = sum.server.map(|server| share_of_core(server, sum.window));
    let response = sum.total.response.clone();
    Ok(Merged {
        report: sum.report(slo),
        response,
    })
}

fn refuse_other_loads(reports: &[(String, Report)]) -> Result<(), MergeError> {
    let Some(((first_name, first), others)) = reports.split_first() else {
        return Ok(());
    };
    let first = comparable(&first.config);
    for (name, report) in others {
        let other = comparable(&report.config);
        let differing = first.iter().zip(&other).find(|(a, b)| a != b);
        if let Some(((setting, a), (_, b))) = differing {
            return Err(MergeError(format!(
                "{name}: not the load of {first_name}: {setting} is {b}, not {a}"
            )));
        }
    }
    Ok(())
}

fn comparable(config: &ConfigReport) -> Vec<(String, Value)> {
    let Ok(Value::Object(settings)) = serde_json::to_value(config) else {
        unreachable!("a struct of numbers and text");
    };
    settings
        .into_iter()
        .filter(|(name, _)| !OWN_SETTINGS.contains(&name.as_str()))
        .collect()
}

fn refuse_same_shards(reports: &[(String, Report)]) -> Result<(), MergeError> {
    for (at, (name, report)) in reports.iter().enumerate() {
        let shard = report.config.shard;
        let same = reports[..at]
            .iter()
            .find(|(_, earlier)| earlier.config.shard.map(|s| s.index) == shard.map(|s| s.index));
        match (same, shard) {
            (Some((earlier, _)), Some(shard)) => {
                let index = shard.index;
                return Err(MergeError(format!(
                    "{name}: shard {index} is that of {earlier} too"
                )));
            }
            (Some((earlier, _)), None) => {
                return Err(MergeError(format!(
                    "{name}: the whole load, as {earlier} is; expected reports of runs with --shard"
                )));
            }
            (None, _) => {}
        }
    }
    refuse_other_counts(reports)
}

fn refuse_other_counts(reports: &[(String, Report)]) -> Result<(), MergeError> {
    let count = |report: &Report| report.config.shard.map(|shard| shard.count);
    let Some((first_name, first)) = reports.first() else {
        return Ok(());
    };
    match reports
        .iter()
        .find(|(_, report)| count(report) != count(first))
    {
        None => Ok(()),
        Some((name, report)) => {
            let [other, first] = [report, first].map(|report| match count(report) {
                Some(count) => format!("a shard of {count}"),
                None => "no shard".into(),
            });
            Err(MergeError(format!(
                "{name}: {other}, but {first_name} is {first}"
            )))
        }
    }
}

/// Why the sum is suspect: whatever a shard says that holds for the sum, and each shard that is missing.
fn reasons(reports: &[(String, Report)]) -> Vec<String> {
    let of_one = |(name, report): &(String, Report)| -> Vec<String> {
        let who = match report.config.shard {
            Some(shard) => format!("shard {}", shard.index),
            None => name.clone(),
        };
        let reasons = report.verdict.reasons.iter();
        let reasons = reasons.filter(|reason| !reason.starts_with(TOO_FEW));
        reasons.map(|reason| format!("{who}: {reason}")).collect()
    };
    let shards: Vec<_> = reports
        .iter()
        .filter_map(|(_, report)| report.config.shard)
        .collect();
    let count = shards.first().map_or(0, |shard| shard.count);
    let missing = count.saturating_sub(shards.len());
    let mut reasons: Vec<_> = reports.iter().flat_map(of_one).collect();
    if missing > 0 {
        reasons.push(format!("{missing} of {count} shards are missing"));
    }
    reasons
}

/// How far apart the shards ran, if they were not one load at once.
fn apart(reports: &[(String, Report)]) -> Result<Option<String>, MergeError> {
    let began = |(name, report): &(String, Report)| {
        OffsetDateTime::parse(&report.began, &Rfc3339)
            .map_err(|error| MergeError(format!("{name}: began {:?}: {error}", report.began)))
    };
    let began: Vec<_> = reports.iter().map(began).collect::<Result<_, _>>()?;
    let (Some(first), Some(last)) = (began.iter().min(), began.iter().max()) else {
        return Ok(None);
    };
    let apart = (*last - *first).as_seconds_f64();
    let windows = reports.iter().map(|(_, report)| report.metrics.seconds);
    let is_apart = apart > APART * windows.fold(0.0, f64::max);
    Ok(is_apart.then(|| {
        format!(
            "the shards did not run at the same time: their windows began up to {apart:.1} s apart"
        )
    }))
}

/// That some measured for longer than others: in a part of the time the load was another.
fn unequal(reports: &[(String, Report)]) -> Option<String> {
    let windows = reports.iter().map(|(_, report)| report.metrics.seconds);
    let shortest = windows.clone().reduce(f64::min)?;
    let longest = windows.reduce(f64::max)?;
    (longest - shortest > APART * longest).then(|| {
        format!("the shards did not measure equally long: {shortest:.1} to {longest:.1} s")
    })
}

fn add(mut sum: Parts, more: Parts) -> Parts {
    sum.total += &more.total;
    // The longest, so that no rate is reported that was not there.
    sum.window = sum.window.max(more.window);
    sum.connections_asked += more.connections_asked;
    sum.connections_achieved += more.connections_achieved;
    sum.asked_per_sec = both(sum.asked_per_sec, more.asked_per_sec, |a, b| a + b);
    sum.cpu = both(sum.cpu, more.cpu, |a, b| a + b);
    sum.server = both(sum.server, more.server, add_servers);
    sum.limited_by = sum
        .limited_by
        .filter(|limit| Some(*limit) == more.limited_by);
    sum.interrupted = sum.interrupted.or(more.interrupted);
    sum.intervals = add_intervals(sum.intervals, more.intervals);
    sum
}

/// A sum of which a part is unknown is unknown.
fn both<T>(a: Option<T>, b: Option<T>, add: impl Fn(T, T) -> T) -> Option<T> {
    a.zip(b).map(|(a, b)| add(a, b))
}

fn add_servers(a: ServerReport, b: ServerReport) -> ServerReport {
    ServerReport {
        cpu_s: both(a.cpu_s, b.cpu_s, |a, b| a + b),
        cpu: None,
        rss_bytes: both(a.rss_bytes, b.rss_bytes, |a, b| a + b),
        bytes_per_connection: None,
    }
}

fn share_of_core(server: ServerReport, window: Duration) -> ServerReport {
    let share = |cpu: f64| Some(cpu / window.as_secs_f64()).filter(|share| share.is_finite());
    ServerReport {
        cpu: server.cpu_s.and_then(share),
        ..server
    }
}

/// One by one, if they are the same pieces of the window. Their percentiles are gone: intervals have no histograms.
fn add_intervals(sum: Vec<IntervalSummary>, more: Vec<IntervalSummary>) -> Vec<IntervalSummary> {
    let is_near = |a: f64, b: f64| (a - b).abs() < ALIGNED;
    let is_same = |(a, b): (&IntervalSummary, &IntervalSummary)| {
        is_near(a.start_s, b.start_s) && is_near(a.seconds, b.seconds)
    };
    if sum.len() != more.len() || !sum.iter().zip(&more).all(is_same) {
        return Vec::new();
    }
    sum.into_iter()
        .zip(more)
        .map(|(a, b)| add_interval(a, b))
        .collect()
}

fn add_interval(a: IntervalSummary, b: IntervalSummary) -> IntervalSummary {
    let (x, y) = (a.response_us, b.response_us);
    let max = [x.max, y.max].into_iter().flatten().reduce(f64::max);
    let bounded_from = [x.bounded_from, y.bounded_from]
        .into_iter()
        .flatten()
        .reduce(f64::min);
    IntervalSummary {
        messages: a.messages + b.messages,
        errors: a.errors + b.errors,
        response_us: IntervalLatency {
            p50: None,
            p99: None,
            max,
            bounded_from,
        },
        ..a
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for MergeError {}

#[cfg(test)]
mod tests;
