//! The report of a comparison as text, and as markdown for a pull request. Both are printed from [`CompareReport`] alone.

use super::compared::ComparedFigure;
use super::conclusion::LimitOutcome;
use super::order::Side;
use super::report::{CompareReport, ComparedSide};
use super::statistics::Ratio;
use crate::load::report::cells::{NO_FIGURE, aligned, number};
use crate::load::units::{format_decimal, pluralize};

/// The heads of the columns.
const HEAD: [&str; 6] = ["", "A", "B", "B/A", "95 % interval", "A/A"];

/// Returns the comparison as text. The last lines are the conclusion and the limit.
pub fn text(report: &CompareReport) -> String {
    let mut lines = vec![side("A", &report.a), side("B", &report.b)];
    lines.extend(loads(report));
    lines.extend(rounds(report));
    lines.extend(aligned(&table(report)));
    lines.push(suspects(report));
    lines.extend(failure(report));
    lines.push(conclusion(report));
    lines.extend(limit(report));
    lines.join("\n") + "\n"
}

/// Returns the comparison as markdown.
pub fn markdown(report: &CompareReport) -> String {
    let mut lines = vec![format!("**{}**", conclusion(report)), String::new()];
    if let Some(limit) = limit(report) {
        lines.extend([limit, String::new()]);
    }
    let row = |cells: [String; 6]| format!("| {} |", cells.join(" | "));
    let [head, rows @ ..] = &table(report)[..] else {
        return String::new();
    };
    lines.push(row(head.clone()));
    lines.push("|---|--:|--:|--:|--:|--:|".into());
    lines.extend(rows.iter().cloned().map(row));
    lines.push(String::new());
    let facts = facts(report).into_iter().chain(failure(report));
    lines.extend(facts.map(|fact| format!("- {fact}")));
    lines.join("\n") + "\n"
}

/// Returns what was compared, how often and where, each on one line.
pub fn facts(report: &CompareReport) -> Vec<String> {
    let facts = [side("A", &report.a), side("B", &report.b)].into_iter();
    let facts = facts.chain(loads(report)).chain(rounds(report));
    facts.chain([suspects(report), machine(report)]).collect()
}

fn side(name: &str, compared: &ComparedSide) -> String {
    let options = compared.options.as_ref();
    let options = options.map(|options| format!(" with {options}"));
    format!("{name}: {}{}", compared.name, options.unwrap_or_default())
}

/// Returns the load of each run, once if both sides have the same.
fn loads(report: &CompareReport) -> Vec<String> {
    let of_side = |side| {
        let run = report.runs.iter().find(|run| run.side == side)?;
        Some(run.report.config.load_line())
    };
    match (of_side(Side::A).or(of_side(Side::AAgain)), of_side(Side::B)) {
        (Some(a), Some(b)) if a != b => {
            vec![format!("each run of A: {a}"), format!("each run of B: {b}")]
        }
        (Some(load), _) | (None, Some(load)) => vec![format!("each run: {load}")],
        (None, None) => vec![],
    }
}

fn rounds(report: &CompareReport) -> Option<String> {
    let rounds = report.rounds?;
    let count = match rounds.complete == rounds.asked {
        true => pluralize(rounds.asked as u64, "round"),
        false => format!(
            "{} of {}",
            rounds.complete,
            pluralize(rounds.asked as u64, "round")
        ),
    };
    let repeated = match rounds.repeated {
        0 => String::new(),
        repeated => format!("; {repeated} repeated because the machine was disturbed"),
    };
    Some(format!("{count} of A, B and A again{repeated}"))
}

/// Returns the cells of the table, its head first.
pub fn table(report: &CompareReport) -> Vec<[String; 6]> {
    let head = HEAD.map(String::from);
    let rows = report.figures.iter().map(row);
    [head].into_iter().chain(rows).collect()
}

fn row(figure: &ComparedFigure) -> [String; 6] {
    let ratio = |ratio: Option<Ratio>| or_none(ratio, |ratio| format!("{:.3}", ratio.ratio));
    let interval = |ratio: Ratio| format!("{:.3} to {:.3}", ratio.low, ratio.high);
    [
        figure.figure.to_string(),
        number(figure.a, 1),
        number(figure.b, 1),
        ratio(figure.ratio),
        or_none(figure.ratio, interval),
        ratio(figure.control),
    ]
}

fn or_none<T>(figure: Option<T>, format: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| NO_FIGURE.into(), format)
}

/// Returns how many runs of each side are SUSPECT, with the reasons.
fn suspects(report: &CompareReport) -> String {
    let of_side = |compared: &ComparedSide| {
        let reasons = compared.reasons.iter();
        let reasons = reasons.map(|(code, count)| format!("{count} {}", code.words()));
        let reasons: Vec<_> = reasons.collect();
        let reasons = match reasons.is_empty() {
            true => String::new(),
            false => format!(" ({})", reasons.join(", ")),
        };
        format!("{} of {}{reasons}", compared.suspect, compared.runs)
    };
    let (a, b) = (of_side(&report.a), of_side(&report.b));
    format!("SUSPECT runs: A {a}, B {b}")
}

fn machine(report: &CompareReport) -> String {
    let environment = &report.environment;
    let known = [
        Some(format!("mio-echo {}", environment.version)),
        environment.cpu_model.clone(),
        environment.cpus.map(|cpus| pluralize(cpus as u64, "CPU")),
        Some(environment.system.clone()),
        environment.kernel.clone(),
    ];
    known.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns why the comparison ended early on one line.
pub fn failure(report: &CompareReport) -> Option<String> {
    let reason = report.failure.as_ref()?;
    Some(format!("failed: {reason}"))
}

/// Returns the figure that decides and the conclusion on one line.
pub fn conclusion(report: &CompareReport) -> String {
    format!("{}: {}", report.metric, report.text)
}

/// Returns the limit and its outcome on one line.
pub fn limit(report: &CompareReport) -> Option<String> {
    let limit = report.limit?;
    let percent = format_decimal(limit.slower * 100.0, 3);
    let outcome = match limit.outcome {
        LimitOutcome::Beyond => "exceeded",
        LimitOutcome::Inside => "kept",
        LimitOutcome::Undecided => "undecided",
    };
    Some(format!("limit: at most {percent} % slower: {outcome}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::compare::figure::Figure;
    use crate::load::compare::report::{ComparedRun, ComparisonEnd, Question, SideName};
    use crate::load::compare::rounds::Rounds;
    use crate::load::report::schema::Report;
    use crate::load::testing::closed_loop;

    /// Returns a comparison of two rounds, in which B is half as fast as A, and which the signal 2 has ended.
    fn comparison() -> CompareReport {
        let side = |name: &str, options: Option<&str>| SideName {
            name: name.into(),
            options: options.map(String::from),
        };
        let question = Question {
            a: side("host:7", None),
            b: side("host:7", Some("-p 16")),
            metric: Figure::MessagesPerSec,
            limit: Some(0.02),
        };
        let run = |round: usize, side, rate: f64| {
            let mut report = Report::new(&closed_loop(), None);
            report.metrics.messages_per_sec = Some(rate + round as f64);
            let mut run = ComparedRun::new(side, round, report);
            run.counts = true;
            run
        };
        let round = |number| {
            [
                run(number, Side::A, 1000.0),
                run(number, Side::B, 500.0),
                run(number, Side::AAgain, 1000.0),
            ]
        };
        let runs = [round(1), round(2)].concat();
        CompareReport::of_rounds(
            question,
            runs,
            &Rounds::new(3, 7),
            ComparisonEnd::Interrupted(2),
        )
    }

    const LOAD: &str = "each run: raw, messages of 64 B, 2 connections, 1 thread, pipeline 1, closed loop, warm-up 0.5 s, window 1 s";

    #[test]
    fn the_text_ends_with_the_words_and_the_limit() {
        let text = text(&comparison());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "A: host:7",
                "B: host:7 with -p 16",
                LOAD,
                "2 of 3 rounds of A, B and A again",
                "                                     A      B    B/A   95 % interval    A/A",
                "messages/s                      1001.5  501.5  0.501  0.498 to 0.504  1.000",
                "messages per server CPU second       -      -      -               -      -",
                "p50 (us)                         200.1  200.1  1.000  1.000 to 1.000  1.000",
                "p99 (us)                         298.2  298.2  1.000  1.000 to 1.000  1.000",
                "SUSPECT runs: A 0 of 4, B 0 of 2",
                "messages/s: no verdict: interrupted",
                "limit: at most 2 % slower: undecided",
            ]
        );
    }

    #[test]
    fn the_markdown_starts_with_the_words_and_has_a_table() {
        let markdown = markdown(&comparison());
        let start = [
            "**messages/s: no verdict: interrupted**",
            "",
            "limit: at most 2 % slower: undecided",
            "",
            "|  | A | B | B/A | 95 % interval | A/A |",
            "|---|--:|--:|--:|--:|--:|",
            "| messages/s | 1001.5 | 501.5 | 0.501 | 0.498 to 0.504 | 1.000 |",
        ];
        assert!(markdown.starts_with(&start.join("\n")), "{markdown}");
        assert!(markdown.contains(&format!("\n- {LOAD}\n")), "{markdown}");
        assert!(markdown.contains("\n- mio-echo "), "{markdown}");
    }
}
