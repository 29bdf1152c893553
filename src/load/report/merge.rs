//! The sum of the reports of shards: several processes that generated one load at the same time.
//!
//! Counts and histograms are added, so percentiles are those of all messages. Figures that cannot be added are left
//! out. Reports are added one after another, so the memory that a sum needs does not grow with their number.

use std::error::Error;

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::environment::Environment;
use super::schema::{Report, SCHEMA};
use super::settings::ReportedSettings;
use crate::load::judge::reason::{Reason, ReasonCode};
use crate::load::judge::slo::Slo;
use crate::load::judge::throughput::below_rate;
use crate::load::judge::verdict::{LimitedBy, Verdict, too_few_samples};
use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::measure::measurement::Measurement;

/// The share of the longest window by which the starts, or the lengths, of the windows of one load may differ.
const WINDOW_TOLERANCE: f64 = 0.01;

/// The least tolerance in seconds. The starts of processes that were told the same time differ by some milliseconds.
const LEAST_TOLERANCE_S: f64 = 0.010;

/// The greatest tolerance in seconds. In a longer time, a whole burst of a load can be over.
const GREATEST_TOLERANCE_S: f64 = 0.100;

/// The most missing shards that a refusal names.
const MOST_NAMED: usize = 5;

/// The sum of the reports of shards.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The report, as if of one process.
    pub report: Report,
    /// The response times of all messages.
    pub response: LatencyHistogram,
}

/// What happens if shards are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingShards {
    /// There is no sum.
    Refused,
    /// The sum is suspect.
    Suspect,
}

/// A sum of reports, to which reports can be added.
#[derive(Debug, Default)]
pub struct Merger {
    sum: Option<Sum>,
    shards: Vec<ShardRecord>,
}

/// The sum so far.
#[derive(Debug)]
struct Sum {
    config: ReportedSettings,
    environment: Environment,
    limited_by: Option<LimitedBy>,
    measurement: Measurement,
}

/// What is kept of a report that was added.
#[derive(Debug)]
struct ShardRecord {
    /// The name of the report.
    name: String,
    index: Option<usize>,
    began: String,
    began_at: OffsetDateTime,
    seconds: f64,
    reasons: Vec<Reason>,
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

impl Merger {
    /// Adds `report` with the name `name`.
    ///
    /// # Errors
    ///
    /// When the report is not another shard of the load of those before, or when it cannot be read. The text of the error is
    /// one line and names the report.
    pub fn add(&mut self, name: &str, report: &Report) -> Result<(), Box<dyn Error>> {
        let named = |error: Box<dyn Error>| format!("{name}: {error}");
        self.check(report).map_err(|why| format!("{name}: {why}"))?;
        let record = ShardRecord::new(name, report).map_err(named)?;
        let measurement = report.measurement().map_err(named)?;
        match &mut self.sum {
            Some(sum) => sum.add(measurement, report.limited_by),
            None => {
                self.sum = Some(Sum {
                    config: report.config.clone(),
                    environment: report.environment.clone(),
                    limited_by: report.limited_by,
                    measurement,
                });
            }
        }
        self.shards.push(record);
        Ok(())
    }

    /// Checks that `report` is another shard of the load of the reports before.
    fn check(&self, report: &Report) -> Result<(), String> {
        let Some((sum, first)) = self.sum.as_ref().zip(self.shards.first()) else {
            return Ok(());
        };
        if let Some(difference) = sum.config.difference(&report.config) {
            return Err(format!("not the load of {}: {difference}", first.name));
        }
        let count = |config: &ReportedSettings| config.shard.map(|shard| shard.count);
        let (one_of, expected) = (count(&report.config), count(&sum.config));
        if one_of != expected {
            let words = |count: Option<usize>| match count {
                Some(count) => format!("a shard of {count}"),
                None => "no shard".into(),
            };
            let (shard, expected) = (words(one_of), words(expected));
            return Err(format!("{shard}, but {} is {expected}", first.name));
        }
        let index = report.config.shard.map(|shard| shard.index);
        match (self.shards.iter().find(|shard| shard.index == index), index) {
            (None, _) => Ok(()),
            (Some(same), Some(index)) => Err(format!("shard {index}, as {} is", same.name)),
            (Some(same), None) => Err(format!(
                "the whole load, as {} is; expected reports of shards",
                same.name
            )),
        }
    }

    /// Returns the sum, checked against the objectives `slo`.
    ///
    /// # Errors
    ///
    /// When no report was added, or when shards are missing and `missing` refuses that. The text of the error is one line.
    pub fn finish(
        mut self,
        slo: Option<&Slo>,
        missing: MissingShards,
    ) -> Result<Merged, Box<dyn Error>> {
        let Some(mut sum) = self.sum.take() else {
            return Err("no reports".into());
        };
        let count = sum.config.shard.map_or(1, |shard| shard.count);
        let incomplete = self.incomplete(count, missing)?;
        let apart = self.apart();
        if apart.is_some() {
            sum.measurement.intervals.clear();
            sum.measurement.batches.clear();
        }
        sum.config.shard = None;
        let began = self.shards.iter().min_by_key(|shard| shard.began_at);
        let began = began.map_or(String::new(), |shard| shard.began.clone());
        let measurement = &sum.measurement;
        let report = Report::of(sum.config, sum.environment, began, measurement, slo);
        let reasons = incomplete
            .into_iter()
            .chain(self.reasons_of_shards())
            .chain(self.unequal_windows())
            .chain(apart)
            .chain(below_rate(measurement))
            .chain(too_few_samples(measurement));
        Ok(Merged {
            report: Report {
                merged_from: Some(self.shards.len()),
                verdict: Verdict::from_reasons(reasons),
                limited_by: sum.limited_by,
                ..report
            },
            response: sum.measurement.total.response,
        })
    }

    /// Returns a reason if some of `count` shards are missing.
    fn incomplete(&self, count: usize, missing: MissingShards) -> Result<Option<Reason>, String> {
        let is_there = |index| self.shards.iter().any(|shard| shard.index == Some(index));
        let absent: Vec<_> = match self.shards.iter().all(|shard| shard.index.is_none()) {
            true => Vec::new(),
            false => (0..count).filter(|index| !is_there(*index)).collect(),
        };
        let present = count - absent.len();
        match missing {
            _ if absent.is_empty() => Ok(None),
            MissingShards::Refused => Err(format!(
                "{present} of {count} shards: no report of {}; expected all, or --partial",
                listed(&absent)
            )),
            MissingShards::Suspect => Ok(Some(Reason::new(
                ReasonCode::MissingShards,
                format!("{present} of {count} shards"),
            ))),
        }
    }

    /// Returns the reasons that hold for the sum because they hold for a shard. Too few samples of a shard may be enough in
    /// the sum.
    fn reasons_of_shards(&self) -> impl Iterator<Item = Reason> {
        self.shards.iter().flat_map(|shard| {
            let name = match shard.index {
                Some(index) => format!("shard {index}"),
                None => shard.name.clone(),
            };
            shard
                .reasons
                .iter()
                .map(move |Reason { code, text }| Reason::new(*code, format!("{name}: {text}")))
        })
    }

    /// Returns a reason if the shards did not start at the same time.
    fn apart(&self) -> Option<Reason> {
        let starts = || self.shards.iter().map(|shard| shard.began_at);
        let seconds = (starts().max()? - starts().min()?).as_seconds_f64();
        let is_apart = seconds > self.tolerance();
        Reason::when(is_apart, ReasonCode::ShardsApart, || {
            format!(
                "the shards did not run at the same time: their windows started up to {seconds:.3} s apart"
            )
        })
    }

    /// Returns a reason if some windows are longer than others: part of the time, some shards generated no load.
    fn unequal_windows(&self) -> Option<Reason> {
        let (shortest, longest) = (self.seconds().reduce(f64::min)?, self.longest());
        let is_unequal = longest - shortest > self.tolerance();
        Reason::when(is_unequal, ReasonCode::UnequalWindows, || {
            format!(
                "the windows of the shards have different lengths: {shortest:.3} to {longest:.3} s"
            )
        })
    }

    /// Returns the seconds by which the starts, or the lengths, of the windows may differ.
    fn tolerance(&self) -> f64 {
        (WINDOW_TOLERANCE * self.longest()).clamp(LEAST_TOLERANCE_S, GREATEST_TOLERANCE_S)
    }

    fn longest(&self) -> f64 {
        self.seconds().fold(0.0, f64::max)
    }

    fn seconds(&self) -> impl Iterator<Item = f64> {
        self.shards.iter().map(|shard| shard.seconds)
    }
}

impl Sum {
    fn add(&mut self, measurement: Measurement, limited_by: Option<LimitedBy>) {
        self.measurement += measurement;
        self.limited_by = self.limited_by.filter(|_| limited_by == self.limited_by);
    }
}

impl ShardRecord {
    fn new(name: &str, report: &Report) -> Result<Self, Box<dyn Error>> {
        let began = report.began.clone();
        let began_at = OffsetDateTime::parse(&began, &Rfc3339)
            .map_err(|error| format!("began {began:?}: {error}"))?;
        let reasons = report.verdict.coded_reasons();
        Ok(Self {
            name: name.into(),
            index: report.config.shard.map(|shard| shard.index),
            began,
            began_at,
            seconds: report.metrics.seconds,
            reasons: reasons
                .filter(|reason| reason.code != ReasonCode::TooFewSamples)
                .collect(),
        })
    }
}

/// Returns the numbers of shards as words: `shard 3`, or `shards 3, 4 and 12 more`.
fn listed(shards: &[usize]) -> String {
    let named: Vec<_> = shards
        .iter()
        .take(MOST_NAMED)
        .map(usize::to_string)
        .collect();
    let word = if shards.len() == 1 { "shard" } else { "shards" };
    let more = match shards.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{word} {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests;
