//! The sum of the reports of shards: several processes that generated one load at the same time.
//!
//! Counts and histograms are added, so percentiles are those of all messages. Figures that cannot be added are left
//! out.

use std::error::Error;

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::schema::{Report, SCHEMA};
use crate::load::judge::reason::{Reason, ReasonCode};
use crate::load::judge::slo::Slo;
use crate::load::judge::throughput::below_rate;
use crate::load::judge::verdict::{Verdict, too_few_samples};
use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::measure::measurement::Measurement;

/// The share of the longest window by which the starts, or the lengths, of the windows of one load may differ.
const WINDOW_TOLERANCE: f64 = 0.10;

/// The sum of the reports of shards.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The report, as if of one process.
    pub report: Report,
    /// The response times of all messages.
    pub response: LatencyHistogram,
}

/// Returns the report that `json` holds. Errors call the report `name`.
///
/// # Errors
///
/// When `json` is not a report of this schema. The text of the error is one line and names the report.
pub fn read(name: &str, json: &str) -> Result<Report, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct Schema {
        schema: Value,
        /// Only the report of a run has none.
        kind: Option<String>,
    }
    let no_report = |error: serde_json::Error| format!("{name}: not a report of bench: {error}");
    let Schema { schema, kind } = serde_json::from_str(json).map_err(no_report)?;
    if schema != SCHEMA {
        return Err(format!(
            "{name}: schema {schema}, expected {SCHEMA}: another version of mio-echo wrote the report"
        )
        .into());
    }
    if let Some(kind) = kind {
        return Err(format!("{name}: kind {kind:?}, expected the report of a run").into());
    }
    Ok(serde_json::from_str(json).map_err(no_report)?)
}

/// Adds `reports`, each with its name, and checks the sum against the objectives `slo`.
///
/// # Errors
///
/// When there are no reports, when they are not different shards of one load, or when one of them cannot be read. The text of
/// the error is one line and names the report.
pub fn merge(reports: Vec<(String, Report)>, slo: Option<&Slo>) -> Result<Merged, Box<dyn Error>> {
    check(&reports)?;
    let apart = shards_apart(&reports)?;
    let mut sum = add(&reports)?;
    if apart.is_some() {
        sum.intervals.clear();
        sum.batches.clear();
    }
    let (_, first) = &reports[0];
    let mut config = first.config.clone();
    config.shard = None;
    let environment = first.environment.clone();
    let report = Report::of(config, environment, first.began.clone(), &sum, slo);
    let limited_by = first.limited_by;
    let is_same = |(_, report): &(String, Report)| report.limited_by == limited_by;
    let reasons = shard_reasons(&reports)
        .chain(missing_shards(&reports))
        .chain(unequal_windows(&reports))
        .chain(apart)
        .chain(below_rate(&sum))
        .chain(too_few_samples(&sum));
    Ok(Merged {
        report: Report {
            merged_from: Some(reports.len()),
            verdict: Verdict::from_reasons(reasons),
            limited_by: limited_by.filter(|_| reports.iter().all(is_same)),
            ..report
        },
        response: sum.total.response,
    })
}

fn add(reports: &[(String, Report)]) -> Result<Measurement, Box<dyn Error>> {
    let mut sum: Option<Measurement> = None;
    for (name, report) in reports {
        let part = report
            .measurement()
            .map_err(|error| format!("{name}: {error}"))?;
        match &mut sum {
            Some(sum) => *sum += part,
            None => sum = Some(part),
        }
    }
    sum.ok_or_else(|| "no reports".into())
}

/// Checks that `reports` are of different shards of one load.
fn check(reports: &[(String, Report)]) -> Result<(), Box<dyn Error>> {
    let index = |report: &Report| report.config.shard.map(|shard| shard.index);
    let count = |report: &Report| report.config.shard.map(|shard| shard.count);
    let shard = |report: &Report| match count(report) {
        Some(count) => format!("a shard of {count}"),
        None => "no shard".into(),
    };
    for (position, (name, report)) in reports.iter().enumerate() {
        let refuse = |why: String| Err(format!("{name}: {why}").into());
        let (first_name, first) = &reports[0];
        if let Some(difference) = first.config.difference(&report.config) {
            return refuse(format!("not the load of {first_name}: {difference}"));
        }
        if count(report) != count(first) {
            let (shard, first) = (shard(report), shard(first));
            return refuse(format!("{shard}, but {first_name} is {first}"));
        }
        let mut earlier = reports[..position].iter();
        if let Some((same, _)) = earlier.find(|(_, other)| index(other) == index(report)) {
            return refuse(match index(report) {
                Some(index) => format!("shard {index}, as {same} is"),
                None => format!("the whole load, as {same} is; expected reports of shards"),
            });
        }
    }
    Ok(())
}

/// Returns the reasons that hold for the sum because they hold for a shard. Too few samples of a shard may be enough in
/// the sum.
fn shard_reasons(reports: &[(String, Report)]) -> impl Iterator<Item = Reason> {
    reports.iter().flat_map(|(name, report)| {
        let shard = match report.config.shard {
            Some(shard) => format!("shard {}", shard.index),
            None => name.clone(),
        };
        let reasons = report.verdict.coded_reasons();
        reasons
            .filter(|reason| reason.code != ReasonCode::TooFewSamples)
            .map(move |Reason { code, text }| Reason::new(code, format!("{shard}: {text}")))
    })
}

fn missing_shards(reports: &[(String, Report)]) -> Option<Reason> {
    let count = reports.first()?.1.config.shard?.count;
    let missing = count.saturating_sub(reports.len());
    Reason::when(missing > 0, ReasonCode::MissingShards, || {
        format!("{missing} of {count} shards are missing")
    })
}

/// Returns a reason if the shards did not start at the same time.
fn shards_apart(reports: &[(String, Report)]) -> Result<Option<Reason>, Box<dyn Error>> {
    let start = |(name, report): &(String, Report)| {
        OffsetDateTime::parse(&report.began, &Rfc3339)
            .map_err(|error| format!("{name}: began {:?}: {error}", report.began))
    };
    let starts: Vec<_> = reports.iter().map(start).collect::<Result<_, _>>()?;
    let (Some(first), Some(last)) = (starts.iter().min(), starts.iter().max()) else {
        return Ok(None);
    };
    let seconds = (*last - *first).as_seconds_f64();
    let is_apart = seconds > WINDOW_TOLERANCE * windows(reports).fold(0.0, f64::max);
    Ok(Reason::when(is_apart, ReasonCode::ShardsApart, || {
        format!(
            "the shards did not run at the same time: their windows started up to {seconds:.1} s apart"
        )
    }))
}

/// Returns a reason if some windows are longer than others: part of the time, some shards generated no load.
fn unequal_windows(reports: &[(String, Report)]) -> Option<Reason> {
    let shortest = windows(reports).reduce(f64::min)?;
    let longest = windows(reports).reduce(f64::max)?;
    let is_unequal = longest - shortest > WINDOW_TOLERANCE * longest;
    Reason::when(is_unequal, ReasonCode::UnequalWindows, || {
        format!("the windows of the shards have different lengths: {shortest:.1} to {longest:.1} s")
    })
}

fn windows(reports: &[(String, Report)]) -> impl Iterator<Item = f64> {
    reports.iter().map(|(_, report)| report.metrics.seconds)
}

#[cfg(test)]
mod tests;
