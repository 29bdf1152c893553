//! A report as people read it. Everything comes from [`Report`], so it says what the JSON says.

use super::environment::Environment;
use super::schema::{GeneratorReport, Report, ServerReport};
use crate::load::judge::slo::Judgement;
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::metrics::Failure;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::results::Interval;
use crate::load::measure::summary::{IntervalSummary, Summary};
use crate::load::units::{about, counted, rounded};

/// What stands for a number that does not exist.
const NONE: &str = "-";

/// The whole report; the last lines are the verdict and the two rates.
pub fn text(report: &Report) -> String {
    let metrics = &report.metrics;
    let mut lines = vec![headline(report)];
    lines.extend(table(metrics));
    lines.push(system(&report.environment));
    lines.push(errors(metrics));
    lines.push(generator(&report.generator));
    lines.extend(report.server.as_ref().map(server));
    lines.push(bound(report));
    lines.extend(report.hints.iter().map(|hint| format!("hint: {hint}")));
    lines.extend(corruption(metrics));
    lines.extend(interrupted(report));
    lines.extend(report.slo.iter().map(judgement));
    lines.push(verdict(report));
    lines.push(format!(
        "Messages/sec: {}",
        number(metrics.messages_per_sec, 1)
    ));
    lines.push(format!(
        "Transfer/sec: {} MB",
        number(metrics.mb_per_sec, 2)
    ));
    lines.join("\n") + "\n"
}

/// An interval on one line, without an end.
pub fn interval_line(interval: &Interval) -> String {
    let report = IntervalSummary::of(interval);
    let end = report.start_s + report.seconds;
    let rate = report.messages as f64 / report.seconds;
    let times = &report.response_us;
    let row = LatencySummary {
        bounded_from: times.bounded_from,
        ..LatencySummary::default()
    };
    let [p50, p99, max] = [times.p50, times.p99, times.max].map(|time| with_unit(&row, time));
    let errors = report.errors;
    format!("{end:.1} s  {rate:.1} messages/s  p50 {p50}  p99 {p99}  max {max}  errors {errors}")
}

fn headline(report: &Report) -> String {
    let line = report.config.line();
    match report.merged_from {
        Some(reports) => format!("{line} (sum of {})", counted(reports as u64, "report")),
        None => line,
    }
}

/// Columns as wide as their widest cell.
fn table(metrics: &Summary) -> Vec<String> {
    let head = [
        "", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean",
    ];
    let mut rows = vec![head.map(String::from)];
    rows.extend(
        [
            ("response", &metrics.response_us),
            ("wait", &metrics.wait_us),
            ("service", &metrics.service_us),
            ("send lag", &metrics.send_lag_us),
            ("connect", &metrics.connect_us),
        ]
        .map(|(name, row)| cells(name, row)),
    );
    let widths: Vec<_> = (0..head.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut lines: Vec<_> = rows.iter().map(|row| aligned(row, &widths)).collect();
    lines[0].push_str(" (us)");
    lines
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let name = format!("{:<width$}", row[0], width = widths[0]);
    let numbers = row[1..]
        .iter()
        .zip(&widths[1..])
        .map(|(cell, width)| format!("  {cell:>width$}"));
    numbers.fold(name, |line, cell| line + &cell)
}

fn cells(name: &str, row: &LatencySummary) -> [String; 9] {
    let [p50, p90, p99, p999, p9999] =
        Percentile::ALL.map(|percentile| cell(row, row.percentile(percentile)));
    let mean = match row.mean {
        Some(mean) if row.bounded_from.is_some() => format!(">{}", about(mean)),
        mean => number(mean, 1),
    };
    let count = row.count.to_string();
    [
        name.into(),
        count,
        p50,
        p90,
        p99,
        p999,
        p9999,
        cell(row, row.max),
        mean,
    ]
}

fn cell(row: &LatencySummary, time: Option<f64>) -> String {
    match time {
        Some(time) if row.is_lower_bound(time) => format!(">{}", about(time)),
        time => number(time, 1),
    }
}

fn with_unit(row: &LatencySummary, time: Option<f64>) -> String {
    match time {
        Some(time) if row.is_lower_bound(time) => format!(">{}", about(time)),
        Some(time) => format!("{time:.1} us"),
        None => NONE.into(),
    }
}

fn errors(metrics: &Summary) -> String {
    let seen: Vec<_> = Failure::ALL
        .into_iter()
        .filter_map(|failure| metrics.errors.get_key_value(failure.name()))
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let names = if seen.is_empty() {
        "none".into()
    } else {
        seen.join(", ")
    };
    format!(
        "errors: {names}  corrupted {}  unanswered {}  unsent {}  reconnects {}  connections {} of {}",
        metrics.corrupted,
        metrics.unanswered,
        metrics.unsent,
        metrics.reconnects,
        metrics.connections_achieved,
        metrics.connections_asked
    )
}

fn system(environment: &Environment) -> String {
    let Environment {
        version,
        system,
        kernel,
        architecture,
        cpus,
        back_end,
    } = environment;
    let kernel = kernel.as_deref().unwrap_or(NONE);
    let cpus = cpus.map_or_else(|| NONE.into(), |cpus| cpus.to_string());
    format!(
        "system: {system} {kernel}, {architecture}, CPUs {cpus}; mio-echo {version} on {back_end}"
    )
}

fn generator(generator: &GeneratorReport) -> String {
    format!(
        "generator: {} busy, {} spinning, {} us CPU a message",
        percent(generator.busy),
        percent(generator.spinning),
        number(generator.cpu_us_per_message, 1)
    )
}

fn server(server: &ServerReport) -> String {
    format!(
        "server: {} of a core, {} MB resident, {} B a connection",
        percent(server.cpu),
        number(server.rss_bytes.map(|bytes| bytes as f64 / 1e6), 1),
        number(server.bytes_per_connection, 0)
    )
}

/// What bound the load, and the part of the service that is the generator's own.
fn bound(report: &Report) -> String {
    let metrics = &report.metrics;
    let turn = with_unit(&metrics.turn_us, metrics.turn_us.p99);
    let bound = match (metrics.asked_per_sec, report.limited_by) {
        (Some(asked), _) => format!(
            "achieved: {} % of {} messages/s",
            share(metrics.achieved),
            rounded(asked, 3)
        ),
        (None, Some(limit)) => format!("limited by: {}", limit.name()),
        (None, None) => format!("limited by: {NONE}"),
    };
    format!("{bound}; p99 of turn {turn} (the generator's own, inside service)")
}

fn corruption(metrics: &Summary) -> Option<String> {
    let corruption = metrics.corruption.as_ref()?;
    let expected = match corruption.expected.as_str() {
        "" => "nothing",
        expected => expected,
    };
    Some(format!(
        "corrupted: connection {}, offset {}: expected {expected}, got {} (hex)",
        corruption.connection, corruption.offset, corruption.got
    ))
}

fn interrupted(report: &Report) -> Option<String> {
    let (signal, seconds) = (report.interrupted?, report.metrics.seconds);
    Some(match report.merged_from {
        None => format!("interrupted by signal {signal} after {seconds:.1} s"),
        Some(_) => format!("interrupted by signal {signal}"),
    })
}

fn judgement(judgement: &Judgement) -> String {
    let outcome = if judgement.met { "met" } else { "NOT MET" };
    let bound = if judgement.lower_bound { ">" } else { "" };
    let measured = match judgement.measured {
        Some(share) if judgement.is_share() => format!("{:.3} %", share * 100.0),
        Some(time) => format!("{time:.1} us"),
        None => "no such number".into(),
    };
    format!("slo: {} {outcome}: {bound}{measured}", judgement.objective)
}

fn verdict(report: &Report) -> String {
    match report.verdict.valid {
        true => "VALID".into(),
        false => format!("SUSPECT: {}", report.verdict.reasons.join("; ")),
    }
}

fn number(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| NONE.into(), |number| format!("{number:.digits$}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || format!("{NONE} %"),
        |share| format!("{:.0} %", share * 100.0),
    )
}

/// In percent, with a digit after the point.
fn share(share: Option<f64>) -> String {
    number(share.map(|share| share * 100.0), 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::judge::slo::{Objective, Slo};
    use crate::load::measure::metrics::{Corruption, Metrics};
    use crate::load::testing::{interval, open, results};

    fn somewhere(mut report: Report) -> Report {
        report.environment = Environment {
            version: "1.2.3".into(),
            system: "linux".into(),
            kernel: Some("6.1.0".into()),
            architecture: "x86_64".into(),
            cpus: Some(2),
            back_end: "epoll".into(),
        };
        report
    }

    #[test]
    fn a_closed_loop_reads_like_this() {
        let report = somewhere(Report::new(&results(), None));
        assert_eq!(
            text(&report),
            "localhost:7007 (127.0.0.1:7007): raw, messages of 64 B, 2 connections, 1 thread, pipeline 1, closed loop, \
             warm-up 0.5 s, 1 s
          count    p50    p90    p99  p99.9  p99.99    max   mean (us)
response   2000  200.1  280.1  298.2      -       -  300.0  200.5
wait       2000    0.0    0.0    0.0      -       -    0.0    0.0
service    2000  199.0  279.0  297.2      -       -  299.0  199.5
send lag   2000    1.0    1.0    1.0      -       -    1.0    1.0
connect       2      -      -      -      -       -   70.0   60.0
system: linux 6.1.0, x86_64, CPUs 2; mio-echo 1.2.3 on epoll
errors: none  corrupted 0  unanswered 0  unsent 0  reconnects 0  connections 2 of 2
generator: 20 % busy, 10 % spinning, 100.0 us CPU a message
limited by: neither; p99 of turn 2.0 us (the generator's own, inside service)
VALID
Messages/sec: 2000.0
Transfer/sec: 0.13 MB
"
        );
    }

    #[test]
    fn everything_that_went_wrong_reads_like_this() {
        let mut results = open();
        let total = &mut results.total;
        total.failures[Failure::Timeout] = 1;
        total.failures[Failure::Reset] = 2;
        (total.unanswered, total.unsent, total.reconnects) = (10, 11, 3);
        (0..21).for_each(|_| total.response.record_unfinished(12_345_678_901));
        total.corrupted = 1;
        total.corruption = Some(Corruption {
            connection: 2,
            offset: 640,
            expected: vec![0x00, 0xff],
            got: vec![0xab],
        });
        results.connected = 1;
        results.interrupted = Some(2);
        let slo = Slo(vec![
            Objective::Percentile(Percentile::P50, Duration::from_micros(250)),
            Objective::Max(Duration::from_secs(20)),
            Objective::Percentile(Percentile::P999, Duration::from_secs(1)),
            Objective::Errors(0.001),
        ]);
        let mut report = somewhere(Report::new(&results, Some(&slo)));
        (report.environment.kernel, report.environment.cpus) = (None, None);
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
                "system: linux -, x86_64, CPUs -; mio-echo 1.2.3 on epoll",
                "errors: reset 2, timeout 1  corrupted 1  unanswered 10  unsent 11  reconnects 3  connections 1 of 2",
                "generator: 20 % busy, 10 % spinning, 100.0 us CPU a message",
                "server: 25 % of a core, 3.5 MB resident, - B a connection",
                "achieved: 100.0 % of 2000 messages/s; p99 of turn 2.0 us (the generator's own, inside service)",
                "corrupted: connection 2, offset 640: expected 00ff, got ab (hex)",
                "interrupted by signal 2 after 1.0 s",
                "slo: p50 < 250 us met: 202.1 us",
                "slo: max < 20 s NOT MET: >12345678.9 us",
                "slo: p99.9 < 1 s NOT MET: no such number",
                "slo: errors < 0.1 % NOT MET: 1.235 %",
                "SUSPECT: overload: 11 messages of the schedule were never sent; achieved 1 of 2 connections",
                "Messages/sec: 2000.0",
                "Transfer/sec: 0.13 MB",
            ]
        );
    }

    #[test]
    fn nothing_at_all_has_dashes_for_numbers() {
        let mut results = results();
        (results.total, results.window, results.generator_cpu) =
            (Metrics::default(), Duration::ZERO, None);
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
    fn delays_of_nagle_are_hinted_at() {
        let mut results = results();
        (0..9_000).for_each(|_| results.total.response.record(43_900_000));
        let text = text(&Report::new(&results, None));
        assert!(
            text.contains("\nhint: p50 of response is near 40 ms: it looks like Nagle's"),
            "{text}"
        );
    }

    #[test]
    fn an_interval_is_one_line() {
        let mut interval = interval();
        interval.start = Duration::from_millis(2_500);
        assert_eq!(
            interval_line(&interval),
            "3.5 s  2000.0 messages/s  p50 200.1 us  p99 298.2 us  max 300.0 us  errors 0"
        );
        interval.tally = Metrics::default();
        interval.tally.response.record_unfinished(2_500_000);
        assert_eq!(
            interval_line(&interval),
            "3.5 s  0.0 messages/s  p50 -  p99 -  max >2.5 ms  errors 0"
        );
    }
}
