//! The report of a measurement beside bulk connections: the ping alone, the ping under load, and what the load adds.

use serde::Serialize;

use super::cells::{exact, lower_bound, number};
use super::json::json_object;
use super::rows::{HEADINGS, figures, row, verdict, worded_lines};
use super::schema::{Report, SCHEMA};
use super::text::failures;
use crate::load::judge::outcome::Outcome;
use crate::load::judge::reason::ReasonCode;
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::percentile::Percentile;
use crate::load::units::pluralize;

/// The report of a measurement beside bulk connections: a JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BesideReport {
    /// The version of the schema, as in [`Report::schema`].
    pub schema: u32,
    /// `beside`. The report of a single measurement has no such field.
    pub kind: &'static str,
    /// The ping alone.
    pub idle: Report,
    /// The ping beside the bulk connections; null if the measurement ended before.
    pub loaded: Option<Report>,
    /// What the bulk connections add to the response of the ping; null without `loaded`.
    pub added: Option<Added>,
    /// The bulk connections. The window begins before that of the ping, and ends with the last reply of the ping.
    /// `mb_per_sec` is the rate of each direction. Null without `loaded`.
    pub bulk: Option<Report>,
}

/// The figures of the loaded ping less those of the idle ping. Each is the difference of two percentiles, not a percentile
/// of differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Added {
    /// The difference of the medians.
    pub p50: Difference,
    /// The difference of the 90th percentiles.
    pub p90: Difference,
    /// The difference of the 99th percentiles.
    pub p99: Difference,
    /// The difference of the 99.9th percentiles.
    pub p99_9: Difference,
    /// The difference of the longest times. Each of them is a single sample.
    pub max: Difference,
}

/// A difference of two times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The difference in microseconds; null if one of the times does not exist, or if that of the idle ping is only a lower
    /// bound.
    pub us: Option<f64>,
    /// True if the difference is only a lower bound, because the time of the loaded ping is one.
    pub lower_bound: bool,
}

impl BesideReport {
    /// Creates the report of a measurement that has ended before the bulk connections.
    pub fn of_idle(idle: Report) -> Self {
        Self {
            schema: SCHEMA,
            kind: "beside",
            idle,
            loaded: None,
            added: None,
            bulk: None,
        }
    }

    /// Creates the report of the ping alone and beside the bulk connections.
    pub fn new(idle: Report, loaded: Report, bulk: Report) -> Self {
        Self {
            added: Some(Added::of(&idle, &loaded)),
            loaded: Some(loaded),
            bulk: Some(bulk),
            ..Self::of_idle(idle)
        }
    }

    /// Returns the worst outcome of the two pings. The bulk connections count if they returned wrong bytes, or were not
    /// up: the load was less than asked then. Their other reasons are about response times, which are not reported.
    pub fn outcome(&self) -> Outcome {
        let pings = [Some(&self.idle), self.loaded.as_ref()];
        let pings = pings.into_iter().flatten().map(Report::outcome);
        let bulk = self.bulk.iter().map(|bulk| {
            if bulk.metrics.counts.corrupted > 0 {
                Outcome::WrongBytes
            } else if is_incomplete(bulk) {
                Outcome::Suspect
            } else {
                Outcome::Finished
            }
        });
        pings.chain(bulk).min().unwrap_or(Outcome::Finished)
    }

    /// Returns the report as one JSON object that ends with a line break.
    pub fn to_json(&self) -> String {
        json_object(self)
    }

    /// Returns the report as a table: the rows idle, loaded and added. A line tells the rate of the bulk connections, and the
    /// hints of the loaded ping follow: the thread of bulk may have shared a processor with the server or the ping.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "latency under load; the ping is {}",
            self.idle.config.headline()
        )];
        lines.extend(worded_lines(&self.cells()));
        lines.extend(self.notes());
        lines.join("\n") + "\n"
    }

    /// Returns the rate of the bulk connections and the hints of the loaded ping, each on one line.
    pub fn notes(&self) -> Vec<String> {
        let bulk = self.bulk.as_ref().map(bulk_line);
        let hints = self.loaded.iter().flat_map(|loaded| &loaded.hints);
        let hints = hints.map(|hint| format!("hint: loaded: {hint}"));
        bulk.into_iter().chain(hints).collect()
    }

    /// Returns the cells of the table with the verdicts, its head first.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let ping =
            |name: &str, report: &Report| row([name.into()], figures(report), verdict(report));
        let head = row([String::new()], HEADINGS.map(String::from), "verdict");
        let added = |added: &Added| row(["added".into()], added.cells(), "");
        let rows = [
            Some(head),
            Some(ping("idle", &self.idle)),
            self.loaded.as_ref().map(|loaded| ping("loaded", loaded)),
            self.added.as_ref().map(added),
        ];
        rows.into_iter().flatten().collect()
    }
}

impl Added {
    fn of(idle: &Report, loaded: &Report) -> Self {
        let (idle, loaded) = (&idle.metrics.response_us, &loaded.metrics.response_us);
        let at = |p| {
            let time = |of: &LatencySummary| Time {
                us: of.percentile(p),
                lower_bound: of.is_lower_bound(p),
            };
            time(loaded).less(time(idle))
        };
        let max = |of: &LatencySummary| Time {
            us: of.max,
            lower_bound: of.has_lower_bounds(),
        };
        Self {
            p50: at(Percentile::P50),
            p90: at(Percentile::P90),
            p99: at(Percentile::P99),
            p99_9: at(Percentile::P999),
            max: max(loaded).less(max(idle)),
        }
    }

    /// Returns the cells of the row, as the table names them.
    fn cells(&self) -> [String; 8] {
        let [p50, p90, p99, p999, max] =
            [self.p50, self.p90, self.p99, self.p99_9, self.max].map(Difference::cell);
        let empty = String::new;
        [empty(), empty(), p50, p90, p99, p999, max, empty()]
    }
}

impl Difference {
    fn cell(self) -> String {
        match self.us {
            Some(time) if self.lower_bound => lower_bound(time),
            time => exact(time, ""),
        }
    }
}

/// A time of a ping in microseconds.
struct Time {
    us: Option<f64>,
    lower_bound: bool,
}

impl Time {
    fn less(self, idle: Self) -> Difference {
        let times = self.us.zip(idle.us.filter(|_| !idle.lower_bound));
        // Times are whole nanoseconds.
        let us = times.map(|(loaded, idle)| ((loaded - idle) * 1e3).round() / 1e3);
        Difference {
            us,
            lower_bound: us.is_some() && self.lower_bound,
        }
    }
}

/// Returns true if not all bulk connections were up.
fn is_incomplete(bulk: &Report) -> bool {
    let codes = &bulk.verdict.codes;
    codes.contains(&ReasonCode::MissingConnections)
}

fn bulk_line(bulk: &Report) -> String {
    let (config, metrics) = (&bulk.config, &bulk.metrics);
    let errors = failures(&metrics.counts.failures).unwrap_or_else(|| "none".into());
    let mut line = format!(
        "bulk: {} with messages of {}, pipeline {}: {} MB/s each way, {} messages/s; errors: {errors}; connections {} of {}",
        pluralize(config.connections as u64, "connection"),
        config.sizes_text(),
        config.pipeline,
        number(metrics.mb_per_sec, 2),
        number(metrics.messages_per_sec, 1),
        metrics.connections_achieved,
        metrics.connections_asked,
    );
    if is_incomplete(bulk) {
        line += &format!("  SUSPECT: {}", ReasonCode::MissingConnections.words());
    }
    if metrics.counts.corrupted > 0 {
        line += "; wrong bytes";
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::load::measure::failure::Failure;
    use crate::load::measure::measurement::Results;
    use crate::load::measure::metrics::Metrics;
    use crate::load::plan::settings::Sizes;
    use crate::load::testing::{closed_loop, open_loop};

    fn report(results: &Results) -> Report {
        Report::new(results, None)
    }

    /// Returns a ping whose responses are 1 ms longer than those of [`open_loop`].
    fn loaded() -> Results {
        let mut results = open_loop();
        let total = &mut results.measurement.total;
        total.response = Metrics::default().response;
        for message in 0..2_000 {
            total.response.record(1_101_000 + message % 200 * 1_000);
        }
        results
    }

    fn bulk() -> Results {
        let mut results = closed_loop();
        results.settings.sizes = Sizes::one(1 << 20);
        results.settings.pipeline = 5;
        results
    }

    fn beside(loaded: &Results, bulk: &Results) -> BesideReport {
        BesideReport::new(report(&open_loop()), report(loaded), report(bulk))
    }

    #[test]
    fn the_table_has_the_rows_idle_loaded_and_added_and_the_rate_of_bulk() {
        let text = beside(&loaded(), &bulk()).text();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("latency under load; the ping is "),
            "{text}"
        );
        assert_eq!(
            lines[1..],
            [
                "        messages/s  MB/s     p50     p90     p99  p99.9  max (us)  errors",
                "idle        2000.0  0.13   200.1   280.1   298.2      -     300.0       0  VALID",
                "loaded      2000.0  0.13  1200.1  1281.0  1298.4      -    1300.0       0  VALID",
                "added                     1000.1  1001.0  1000.2      -    1000.0",
                "bulk: 2 connections with messages of 1048576 B, pipeline 5: 0.13 MB/s each way, 2000.0 messages/s; \
                 errors: none; connections 2 of 2",
            ]
        );
    }

    #[test]
    fn a_hint_at_shared_processors_is_told() {
        let mut loaded = loaded();
        loaded.measurement.interference.generator_wait = Some(0.2);
        let text = beside(&loaded, &bulk()).text();
        let last = text.lines().last().expect("a hint");
        assert!(
            last.starts_with("hint: loaded: ") && last.contains("shared processors"),
            "{text}"
        );
    }

    #[test]
    fn a_ping_alone_has_no_other_rows() {
        let report = BesideReport::of_idle(report(&open_loop()));
        assert_eq!(report.text().lines().count(), 3);
        let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(
            (&json["schema"], &json["kind"]),
            (&SCHEMA.into(), &"beside".into())
        );
        for absent in ["loaded", "added", "bulk"] {
            assert_eq!(json[absent], Value::Null);
        }
        assert_eq!(report.outcome(), Outcome::Finished);
    }

    #[test]
    fn what_is_added_to_a_lower_bound_is_unknown_and_a_loaded_lower_bound_adds_at_least_so_much() {
        let time = |us, lower_bound| Time {
            us: Some(us),
            lower_bound,
        };
        let added = |loaded: Time, idle: Time| {
            let difference = loaded.less(idle);
            (difference.us, difference.cell())
        };
        assert_eq!(
            added(time(5.5, false), time(2.25, false)),
            (Some(3.25), "3.2".into())
        );
        assert_eq!(
            added(time(2.0, false), time(5.0, false)),
            (Some(-3.0), "-3.0".into())
        );
        assert_eq!(
            added(time(9e6, true), time(1e6, false)),
            (Some(8e6), ">8.0 s".into())
        );
        assert_eq!(added(time(9e6, true), time(1e6, true)), (None, "-".into()));
        let none = Time {
            us: None,
            lower_bound: false,
        };
        assert_eq!(added(time(1.0, false), none), (None, "-".into()));
    }

    #[test]
    fn bulk_connections_that_are_missing_or_return_wrong_bytes_decide_the_outcome() {
        assert_eq!(beside(&loaded(), &bulk()).outcome(), Outcome::Finished);
        let mut few = bulk();
        let measurement = &mut few.measurement;
        measurement.total.response = Metrics::default().response;
        measurement.total.counts.failures[Failure::Closed] = 3;
        let report = beside(&loaded(), &few);
        assert_eq!(report.outcome(), Outcome::Finished, "few samples");
        assert!(report.text().contains("errors: closed 3;"));
        few.measurement.connections_achieved = 1;
        let report = beside(&loaded(), &few);
        assert_eq!(report.outcome(), Outcome::Suspect);
        let text = report.text();
        assert!(text.ends_with("connections 1 of 2  SUSPECT: missing connections\n"));
        few.measurement.total.counts.corrupted = 1;
        let report = beside(&loaded(), &few);
        assert_eq!(report.outcome(), Outcome::WrongBytes);
        assert!(report.text().ends_with("; wrong bytes\n"));
    }

    #[test]
    fn the_worse_ping_decides_the_outcome() {
        let mut silent = loaded();
        silent.measurement.total = Metrics::default();
        let found = beside(&silent, &bulk()).outcome();
        assert_eq!(found, Outcome::NothingAnswered);
    }
}
