//! A report as text. It is printed from [`Report`] alone, so it agrees with the JSON. The terms are explained in
//! [`schema`](super::schema).

use super::cells::{NO_FIGURE, aligned, max_or_mean, number, percent, percentile};
use super::schema::{Environment, Report};
use crate::load::judge::slo::{Objective, ObjectiveResult};
use crate::load::measure::failure::Failures;
use crate::load::measure::interference::Interference;
use crate::load::measure::interval::Interval;
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::metrics::Counts;
use crate::load::measure::metrics::hex;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::summary::{GeneratorSummary, Summary};
use crate::load::measure::uncertainty::{ConfidenceInterval, NoInterval, PerFigure};
use crate::load::measure::usage::ServerUsage;
use crate::load::units::{format_decimal, pluralize};

/// A smaller share of the time, which would be printed as 0 %, is left out.
const SHOWN_SHARE: f64 = 0.005;

/// Returns the whole report. The last lines are the verdict and the two rates.
pub fn text(report: &Report) -> String {
    let metrics = &report.metrics;
    let mut lines = vec![headline(report)];
    let label = report.config.label.as_ref();
    lines.extend(label.map(|label| format!("label: {label}")));
    lines.extend(table(metrics));
    lines.push(uncertainty(report));
    lines.push(system(&report.environment));
    lines.push(errors(metrics));
    lines.push(generator(&report.generator));
    lines.extend(report.server.as_ref().map(server));
    lines.push(machine(&report.interference));
    lines.push(limit(report));
    lines.extend(report.hints.iter().map(|hint| format!("hint: {hint}")));
    lines.extend(corruption(metrics));
    lines.extend(interrupted(report));
    lines.extend(report.slo.iter().map(objective));
    lines.push(verdict(report));
    let rate = number(metrics.messages_per_sec, 1);
    lines.push(format!("Messages/sec: {rate}"));
    let transfer = number(metrics.mb_per_sec, 2);
    lines.push(format!("Transfer/sec: {transfer} MB"));
    lines.join("\n") + "\n"
}

/// Returns an interval on one line, without a line break.
pub fn interval_line(interval: &Interval) -> String {
    let end = (interval.start + interval.length).as_secs_f64();
    let rate = interval.counts.messages as f64 / interval.length.as_secs_f64();
    let response = LatencySummary::of(&interval.response);
    let [p50, p99] = [Percentile::P50, Percentile::P99].map(|p| percentile(&response, p, " us"));
    let max = max_or_mean(&response, response.max, " us");
    let errors = interval.counts.failures.total();
    format!("{end:.1} s  {rate:.1} messages/s  p50 {p50}  p99 {p99}  max {max}  errors {errors}")
}

fn headline(report: &Report) -> String {
    let mut line = report.config.headline();
    if let Some(reports) = report.merged_from {
        line += &format!(" (sum of {})", pluralize(reports as u64, "report"));
    }
    line
}

/// Returns the lines of the table.
fn table(metrics: &Summary) -> Vec<String> {
    let mut lines = aligned(&latency_rows(metrics));
    lines[0].push_str(" (us)");
    lines
}

/// Returns the cells of the table, in microseconds, with the names of the columns first.
pub fn latency_rows(metrics: &Summary) -> [[String; 9]; 7] {
    let head = [
        "", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean",
    ];
    [
        head.map(String::from),
        row("response", &metrics.response_us),
        row("wait", &metrics.wait_us),
        row("service", &metrics.service_us),
        row("send lag", &metrics.send_lag_us),
        row("connect", &metrics.connect_us),
        row("stalls", &metrics.stalls_us),
    ]
}

fn row(name: &str, latency: &LatencySummary) -> [String; 9] {
    let [p50, p90, p99, p999, p9999] = Percentile::ALL.map(|p| percentile(latency, p, ""));
    let [max, mean] = [latency.max, latency.mean].map(|time| max_or_mean(latency, time, ""));
    let count = latency.count.to_string();
    [name.into(), count, p50, p90, p99, p999, p9999, max, mean]
}

/// Returns the confidence intervals, or why there are none.
fn uncertainty(report: &Report) -> String {
    let (intervals, missing) = (&report.ci95, &report.ci95_missing);
    let all = match shared_reason(missing) {
        Some(reason) => format!("none ({reason})"),
        None => {
            let rate = range(intervals.messages_per_sec, "", missing.messages_per_sec);
            let [p50, p90, p99] = [
                (intervals.p50, missing.p50),
                (intervals.p90, missing.p90),
                (intervals.p99, missing.p99),
            ]
            .map(|(interval, missing)| range(interval, " us", missing));
            format!("messages/s {rate}, p50 {p50}, p90 {p90}, p99 {p99}")
        }
    };
    format!("uncertainty within this run (95 %): {all}")
}

/// Returns the reason for which no figure has a confidence interval, if all have the same.
fn shared_reason(missing: &PerFigure<Option<NoInterval>>) -> Option<NoInterval> {
    let reason = missing.messages_per_sec?;
    let others = [missing.p50, missing.p90, missing.p99];
    others
        .iter()
        .all(|other| *other == Some(reason))
        .then_some(reason)
}

fn range(interval: Option<ConfidenceInterval>, unit: &str, missing: Option<NoInterval>) -> String {
    match (interval, missing) {
        (Some(ConfidenceInterval { low, high }), _) => format!("{low:.1} to {high:.1}{unit}"),
        (None, Some(reason)) => format!("none ({reason})"),
        (None, None) => NO_FIGURE.into(),
    }
}

fn errors(metrics: &Summary) -> String {
    let errors = failures(&metrics.counts.failures).unwrap_or_else(|| "none".into());
    let failed = failures(&metrics.counts.connections);
    let failed = failed.map_or_else(String::new, |names| format!(" ({names})"));
    let Counts {
        corrupted,
        unanswered,
        unsent,
        reconnects,
        ..
    } = metrics.counts;
    let (achieved, asked) = (metrics.connections_achieved, metrics.connections_asked);
    format!(
        "errors: {errors}  corrupted {corrupted}  unanswered {unanswered}  unsent {unsent}  reconnects {reconnects}  \
         connections {achieved} of {asked}{failed}"
    )
}

/// Returns the failures that occurred with their numbers; `None` if there are none.
pub fn failures(failures: &Failures) -> Option<String> {
    let seen = failures.seen();
    let seen: Vec<_> = seen
        .map(|(failure, count)| format!("{failure} {count}"))
        .collect();
    (!seen.is_empty()).then(|| seen.join(", "))
}

/// Returns the machine and the build on one line.
pub fn system(environment: &Environment) -> String {
    let kernel = environment.kernel.as_deref().unwrap_or(NO_FIGURE);
    let cpus = environment.cpus.map(|cpus| cpus as f64);
    let model = environment.cpu_model.as_deref().unwrap_or(NO_FIGURE);
    let governor = environment.governor.as_deref().unwrap_or(NO_FIGURE);
    format!(
        "system: {} {kernel}, {}, CPUs {} ({model}, governor {governor}); mio-echo {} on {}",
        environment.system,
        environment.architecture,
        number(cpus, 0),
        environment.version,
        environment.back_end
    )
}

/// Returns the time and CPU time of the generator on one line.
pub fn generator(generator: &GeneratorSummary) -> String {
    format!(
        "generator: {} busy, {} spinning, {} us CPU a message",
        percent(generator.busy, 0),
        percent(generator.spinning, 0),
        number(generator.cpu_us_per_message, 1)
    )
}

/// Returns the usage of the server on one line.
pub fn server(server: &ServerUsage) -> String {
    format!(
        "server: {} of a core, {} MB resident memory, {} B per connection",
        percent(server.cpu, 0),
        number(server.rss_bytes.map(|bytes| bytes as f64 / 1e6), 1),
        number(server.bytes_per_connection, 0)
    )
}

/// Returns what the rest of the machine did. What is known to be nothing is left out.
pub fn machine(interference: &Interference) -> String {
    let others = match interference.others_include_server {
        true => "others and the server",
        false => "others",
    };
    let used = number(interference.others_cores, 1);
    let cpus = number(interference.cpus.map(|cpus| cpus as f64), 0);
    let mut parts = vec![format!("{others} used {used} of {cpus} cores")];
    for (share, name) in [
        (interference.stolen, "stolen"),
        (interference.throttled, "throttled"),
    ] {
        let shown = share.filter(|share| *share >= SHOWN_SHARE);
        parts.extend(shown.map(|_| format!("{} {name}", percent(share, 0))));
    }
    let waits = [
        ("generator", interference.generator_wait),
        ("server", interference.server_wait),
    ];
    let waits = waits.into_iter().filter(|(_, wait)| wait.is_some());
    let waits: Vec<_> = waits
        .map(|(name, wait)| format!("{name} {}", percent(wait, 1)))
        .collect();
    if !waits.is_empty() {
        parts.push(format!("waits for a CPU: {}", waits.join(", ")));
    }
    format!("machine: {}", parts.join(", "))
}

/// Returns what limits a closed loop, or the achieved share of an open loop's rate, with the generator's own delay.
pub fn limit(report: &Report) -> String {
    let metrics = &report.metrics;
    let limit = match (metrics.asked_per_sec, report.limited_by) {
        (Some(asked), _) => format!(
            "achieved: {} of {} messages/s",
            percent(metrics.achieved, 1),
            format_decimal(asked, 3)
        ),
        (None, Some(limit)) => format!("limited by: {limit}"),
        (None, None) => format!("limited by: {NO_FIGURE}"),
    };
    let turn = percentile(&metrics.turn_us, Percentile::P99, " us");
    format!("{limit}; generator delay before reading: p99 {turn} (included in service)")
}

/// Returns the first wrong reply on one line; `None` if no reply was wrong.
pub fn corruption(metrics: &Summary) -> Option<String> {
    let corruption = metrics.counts.corruption.as_ref()?;
    let expected = match &corruption.expected[..] {
        [] => "nothing".into(),
        bytes => hex(bytes),
    };
    let (connection, offset) = (corruption.connection, corruption.offset);
    let got = hex(&corruption.got);
    Some(format!(
        "corrupted: connection {connection}, offset {offset}: expected {expected}, got {got} (hex)"
    ))
}

/// Returns the signal that ended the measurement early on one line; `None` if none did.
pub fn interrupted(report: &Report) -> Option<String> {
    let (signal, seconds) = (report.interrupted?, report.metrics.seconds);
    Some(match report.merged_from {
        None => format!("interrupted by signal {signal} after {seconds:.1} s"),
        Some(_) => format!("interrupted by signal {signal}"),
    })
}

/// Returns an objective and whether it is met on one line.
pub fn objective(result: &ObjectiveResult) -> String {
    let met = if result.met { "met" } else { "NOT MET" };
    let bound = if result.lower_bound { ">" } else { "" };
    let measured = match (result.measured, result.objective) {
        (None, _) => "too few samples".into(),
        (Some(share), Objective::Errors(_)) => percent(Some(share), 3),
        (Some(time), Objective::Percentile(..) | Objective::Max(_) | Objective::Mean(_)) => {
            format!("{time:.1} us")
        }
    };
    format!("slo: {} {met}: {bound}{measured}", result.objective)
}

fn verdict(report: &Report) -> String {
    match report.verdict.valid {
        true => "VALID".into(),
        false => format!("SUSPECT: {}", report.verdict.reasons.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::judge::slo::Slo;
    use crate::load::measure::failure::Failure;
    use crate::load::measure::latency_histogram::LatencyHistogram;
    use crate::load::measure::metrics::{Corruption, Metrics};
    use crate::load::testing::{closed_loop, interval, open_loop};

    /// Gives the report a known environment.
    fn in_known_environment(mut report: Report) -> Report {
        report.environment = Environment {
            version: "1.2.3".into(),
            system: "linux".into(),
            kernel: Some("6.1.0".into()),
            architecture: "x86_64".into(),
            cpus: Some(2),
            cpu_model: Some("AMD EPYC".into()),
            governor: Some("performance".into()),
            back_end: "epoll".into(),
        };
        report
    }

    #[test]
    fn a_closed_loop_has_this_text() {
        let report = in_known_environment(Report::new(&closed_loop(), None));
        assert_eq!(
            text(&report),
            "localhost:7007 (127.0.0.1:7007): raw, messages of 64 B, 2 connections, 1 thread, pipeline 1, closed loop, \
             warm-up 0.5 s, window 1 s
          count    p50    p90    p99  p99.9  p99.99    max   mean (us)
response   2000  200.1  280.1  298.2      -       -  300.0  200.5
wait       2000    0.0    0.0    0.0      -       -    0.0    0.0
service    2000  199.0  279.0  297.2      -       -  299.0  199.5
send lag   2000    1.0    1.0    1.0      -       -    1.0    1.0
connect       2      -      -      -      -       -   70.0   60.0
stalls        0      -      -      -      -       -      -      -
uncertainty within this run (95 %): none (the run is too short)
system: linux 6.1.0, x86_64, CPUs 2 (AMD EPYC, governor performance); mio-echo 1.2.3 on epoll
errors: none  corrupted 0  unanswered 0  unsent 0  reconnects 0  connections 2 of 2
generator: 20 % busy, 10 % spinning, 50.0 us CPU a message
machine: others used 0.0 of 2 cores, waits for a CPU: generator 0.1 %
limited by: neither; generator delay before reading: p99 2.0 us (included in service)
VALID
Messages/sec: 2000.0
Transfer/sec: 0.13 MB
"
        );
    }

    #[test]
    fn each_problem_has_a_line_in_the_text() {
        let mut results = open_loop();
        let measurement = &mut results.measurement;
        let total = &mut measurement.total;
        total.counts.failures[Failure::Timeout] = 1;
        total.counts.failures[Failure::Reset] = 2;
        total.counts.connections[Failure::Closed] = 7;
        total.counts.connections[Failure::Refused] = 4;
        (
            total.counts.unanswered,
            total.counts.unsent,
            total.counts.reconnects,
        ) = (10, 11, 3);
        (0..21).for_each(|_| total.response.record_unfinished(12_345_678_901, 1));
        total.counts.corrupted = 1;
        total.counts.corruption = Some(Corruption {
            connection: 2,
            offset: 640,
            expected: vec![0x00, 0xff],
            got: vec![0xab],
        });
        measurement.connections_achieved = 1;
        measurement.interrupted = Some(2);
        let slo = Slo(vec![
            Objective::Percentile(Percentile::P50, Duration::from_micros(250)),
            Objective::Max(Duration::from_secs(20)),
            Objective::Percentile(Percentile::P999, Duration::from_secs(1)),
            Objective::Errors(0.1),
        ]);
        let mut report = in_known_environment(Report::new(&results, Some(&slo)));
        let environment = &mut report.environment;
        (environment.kernel, environment.cpus) = (None, None);
        (environment.cpu_model, environment.governor) = (None, None);
        let text = text(&report);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "response   2021  202.1  282.1  >12.3 s      -       -  >12.3 s  >128.5 ms",
                "wait       2000    0.0    0.0      0.0      -       -      0.0        0.0",
                "service    2000  199.0  279.0    297.2      -       -    299.0      199.5",
                "send lag   2000    1.0    1.0      1.0      -       -      1.0        1.0",
                "connect       2      -      -        -      -       -     70.0       60.0",
                "stalls        0      -      -        -      -       -        -          -",
                "uncertainty within this run (95 %): none (the run is too short)",
                "system: linux -, x86_64, CPUs - (-, governor -); mio-echo 1.2.3 on epoll",
                "errors: reset 2, timeout 1  corrupted 1  unanswered 10  unsent 11  reconnects 3  connections 1 of 2 (refused 4, closed 7)",
                "generator: 20 % busy, 10 % spinning, 50.0 us CPU a message",
                "server: 25 % of a core, 3.5 MB resident memory, - B per connection",
                "machine: others used 0.0 of 2 cores, waits for a CPU: generator 0.1 %",
                "achieved: 100.0 % of 2000 messages/s; generator delay before reading: p99 2.0 us (included in service)",
                "corrupted: connection 2, offset 640: expected 00ff, got ab (hex)",
                "interrupted by signal 2 after 1.0 s",
                "slo: p50 < 250 us met: 202.1 us",
                "slo: max < 20 s NOT MET: >12345678.9 us",
                "slo: p99.9 < 1 s NOT MET: too few samples",
                "slo: errors < 0.1 % NOT MET: 1.235 %",
                "SUSPECT: overload: 11 messages of the schedule were never sent; on average 1 of 2 connections were up",
                "Messages/sec: 2000.0",
                "Transfer/sec: 0.13 MB",
            ]
        );
    }

    #[test]
    fn a_figure_that_does_not_exist_is_a_dash() {
        let mut results = closed_loop();
        let measurement = &mut results.measurement;
        (measurement.total, measurement.window) = (Metrics::default(), Duration::ZERO);
        measurement.generator_cpu = None;
        let text = text(&Report::new(&results, None));
        for line in [
            "response      0    -    -    -      -       -    -     -",
            "generator: - % busy, - % spinning, - us CPU a message",
            "Messages/sec: -",
            "Transfer/sec: - MB",
        ] {
            assert!(
                text.lines().any(|printed| printed == line),
                "{line}\n{text}"
            );
        }
    }

    #[test]
    fn the_machine_has_one_line() {
        let quiet = Interference {
            others_cores: Some(0.94),
            cpus: Some(2),
            stolen: Some(0.0049),
            throttled: Some(0.0),
            ..Interference::default()
        };
        let busy = Interference {
            stolen: Some(0.031),
            throttled: Some(0.02),
            generator_wait: Some(0.012),
            server_wait: Some(0.5),
            ..quiet
        };
        let local = Interference {
            others_include_server: true,
            ..quiet
        };
        for (interference, line) in [
            (quiet, "machine: others used 0.9 of 2 cores"),
            (
                busy,
                "machine: others used 0.9 of 2 cores, 3 % stolen, 2 % throttled, waits for a CPU: generator 1.2 %, server 50.0 %",
            ),
            (local, "machine: others and the server used 0.9 of 2 cores"),
            (Interference::default(), "machine: others used - of - cores"),
        ] {
            assert_eq!(machine(&interference), line);
        }
    }

    #[test]
    fn a_median_near_a_delayed_ack_is_hinted_at() {
        let mut results = closed_loop();
        let response = &mut results.measurement.total.response;
        (0..9_000).for_each(|_| response.record(43_900_000));
        let text = text(&Report::new(&results, None));
        assert!(
            text.contains("\nhint: p50 of response is near 40 ms, as if Nagle's algorithm"),
            "{text}"
        );
    }

    #[test]
    fn an_interval_is_printed_on_one_line() {
        let mut interval = interval();
        interval.start = Duration::from_millis(2_500);
        assert_eq!(
            interval_line(&interval),
            "3.5 s  2000.0 messages/s  p50 200.1 us  p99 298.2 us  max 300.0 us  errors 0"
        );
        interval.counts = Counts::default();
        interval.response = LatencyHistogram::default();
        interval.response.record_unfinished(2_500_000, 1);
        assert_eq!(
            interval_line(&interval),
            "3.5 s  0.0 messages/s  p50 -  p99 -  max >2.5 ms  errors 0"
        );
    }
}
