//! Figures over a parameter: the throughput and the response of each step of a sweep, or of each run of a search.

use super::drawing::{Area, Canvas, Drawing, EndLabel, Mark, line};
use super::numbers::{grouped, rate, tick_time, time};
use super::scale::Scale;
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::percentile::Percentile;
use crate::load::report::schema::Report;

const TITLE: &str = "Figures over the parameter";

/// Values whose distances differ by more than this factor have a logarithmic axis: they were doubled, not added.
const UNEVEN: f64 = 3.0;

/// The heights of the parts, in pixels.
const TOP: f64 = 28.0;
const THROUGHPUT: f64 = 170.0;
const BEFORE_RESPONSE: f64 = 42.0;
const RESPONSE: f64 = 220.0;
const AXIS: f64 = 54.0;

/// The room of a tick in pixels.
const TICK: f64 = 56.0;

/// A step.
pub struct Step<'a> {
    /// The value of the parameter.
    pub value: f64,
    /// The report of the measurement.
    pub report: &'a Report,
    /// True if the step counts without doubt: it is VALID, or it met the objectives.
    pub is_good: bool,
    /// What is said about the step.
    pub words: String,
}

/// What a plot of steps shows.
#[derive(Clone, Copy)]
pub struct Look {
    /// The name of the parameter.
    pub heading: &'static str,
    /// How the steps are drawn.
    pub joined: Joined,
    /// The percentile that is drawn above the median.
    pub upper: Percentile,
    /// The limit of the response in microseconds.
    pub limit_us: Option<f64>,
}

/// How the steps are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// A line joins the steps.
    Yes,
    /// The steps stand alone: a value may have several.
    No,
}

/// Returns the plot of `steps`; `None` without steps.
pub fn steps(canvas: Canvas, look: Look, steps: &[Step<'_>]) -> Option<Drawing> {
    let heading = look.heading;
    let mut sorted: Vec<&Step<'_>> = steps.iter().collect();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (left, right) = (
        if canvas.is_narrow() { 62.0 } else { 72.0 },
        canvas.width - 60.0,
    );
    let part = |top: f64, height: f64| Area {
        left,
        right,
        top,
        bottom: top + height,
    };
    let throughput = part(TOP, THROUGHPUT);
    let response = part(throughput.bottom + BEFORE_RESPONSE, RESPONSE);
    let x = axis(&sorted, &throughput)?;
    let description = sorted
        .iter()
        .map(|step| tip(step, look).replace('\n', ", ") + ".");
    let description = description.collect::<Vec<_>>().join(" ");
    let mut drawing = Drawing::new("steps", canvas, response.bottom + AXIS, TITLE, description);
    let whole = Area {
        bottom: response.bottom,
        ..throughput
    };
    drawing.horizontal_axis(&whole, ticks(&x, &sorted));
    let log = if x.is_log() { " (logarithmic)" } else { "" };
    drawing.text(
        "axis",
        (right, response.bottom + 40.0),
        "end",
        format!("{heading}{log}"),
    );
    draw_throughput(&mut drawing, &throughput, &x, &sorted, look.joined);
    draw_response(&mut drawing, &response, &x, &sorted, look);
    add_hits(&mut drawing, &whole, &x, &sorted, look);
    Some(drawing)
}

/// Returns the scale of the values; `None` without steps.
fn axis(sorted: &[&Step<'_>], area: &Area) -> Option<Scale> {
    let mut values: Vec<f64> = sorted.iter().map(|step| step.value).collect();
    values.dedup();
    let (first, last) = (*values.first()?, *values.last()?);
    let gaps = || values.windows(2).map(|pair| pair[1] - pair[0]);
    let is_uneven = gaps().fold(0.0, f64::max) > UNEVEN * gaps().fold(f64::INFINITY, f64::min);
    let inside = (area.left + 16.0, area.right - 16.0);
    Some(match is_uneven && first > 0.0 {
        true => Scale::log((first, last), inside),
        false => Scale::linear((first, last), inside),
    })
}

/// Returns the places and names of the values that were measured, without those that have no room.
fn ticks(x: &Scale, sorted: &[&Step<'_>]) -> Vec<(f64, String)> {
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for step in sorted {
        let digits = if step.value.fract() == 0.0 { 0 } else { 2 };
        let place = x.at(step.value);
        if ticks.last().is_none_or(|(last, _)| place - last >= TICK) {
            ticks.push((place, grouped(step.value, digits)));
        }
    }
    ticks
}

fn draw_throughput(
    drawing: &mut Drawing,
    area: &Area,
    x: &Scale,
    sorted: &[&Step<'_>],
    joined: Joined,
) {
    let figures = sorted
        .iter()
        .map(|step| step.report.metrics.messages_per_sec);
    let figures: Vec<_> = figures.map(|figure| figure.unwrap_or(0.0)).collect();
    let most = figures.iter().copied().fold(0.0, f64::max);
    let y = Scale::of_amounts(0.0, most, (area.bottom, area.top));
    drawing.text(
        "axis",
        (area.left, area.top - 12.0),
        "start",
        "throughput: replies per second",
    );
    drawing.vertical_axis(area, &y, 6, |tick| rate(tick).replace(".0", ""));
    let points: Vec<_> = sorted
        .iter()
        .zip(&figures)
        .map(|(step, figure)| (x.at(step.value), y.at(*figure)))
        .collect();
    join(drawing, "line three", &points, joined);
    for (step, (x, y)) in sorted.iter().zip(points) {
        match step.is_good {
            true => drawing.path("mark three", Mark::Circle.at(x, y)),
            false => drawing.path("mark doubt", Mark::Cross.at(x, y)),
        }
    }
}

fn draw_response(drawing: &mut Drawing, area: &Area, x: &Scale, sorted: &[&Step<'_>], look: Look) {
    let shown = [
        (
            Percentile::P50,
            "line one",
            "mark one",
            "label one",
            Mark::Circle,
        ),
        (
            look.upper,
            "line two",
            "mark two",
            "label two",
            Mark::Square,
        ),
    ];
    let response = |step: &Step<'_>| step.report.metrics.response_us.clone();
    let times = |p| {
        sorted
            .iter()
            .filter_map(move |step| step.report.metrics.response_us.percentile(p))
    };
    let all = || {
        let shown = shown.iter().flat_map(|shown| times(shown.0));
        shown.chain(look.limit_us)
    };
    let (Some(least), Some(most)) = (all().reduce(f64::min), all().reduce(f64::max)) else {
        drawing.text(
            "axis",
            (area.left, area.top - 12.0),
            "start",
            "response: too few samples",
        );
        return;
    };
    let y = Scale::of_amounts(least, most, (area.bottom, area.top));
    let log = if y.is_log() { " (logarithmic)" } else { "" };
    drawing.text(
        "axis",
        (area.left, area.top - 12.0),
        "start",
        format!("response{log}"),
    );
    drawing.vertical_axis(area, &y, 7, tick_time);
    let mut labels = Vec::new();
    if let Some(limit) = look.limit_us {
        let y = y.at(limit);
        drawing.path(
            "asked",
            format!("M{:.1} {y:.1}H{:.1}", area.left, area.right),
        );
        labels.push(EndLabel {
            class: "label",
            y,
            text: "limit".into(),
        });
    }
    for (percentile, line, mark, label, outline) in shown.into_iter().rev() {
        let point = |step: &&Step<'_>| {
            let response: LatencySummary = response(step);
            let time = response.percentile(percentile)?;
            Some((
                x.at(step.value),
                y.at(time),
                response.is_lower_bound(percentile),
            ))
        };
        let points: Vec<_> = sorted.iter().filter_map(point).collect();
        let places: Vec<_> = points.iter().map(|(x, y, _)| (*x, *y)).collect();
        join(drawing, line, &places, look.joined);
        for (x, y, is_lower_bound) in &points {
            let outline = if *is_lower_bound {
                Mark::Triangle
            } else {
                outline
            };
            drawing.path(mark, outline.at(*x, *y));
        }
        labels.extend(places.last().map(|(_, y)| EndLabel {
            class: label,
            y: *y,
            text: percentile.name().into(),
        }));
    }
    drawing.end_labels(area, labels);
}

fn join(drawing: &mut Drawing, class: &'static str, points: &[(f64, f64)], joined: Joined) {
    match joined {
        Joined::Yes => drawing.path(class, line(points)),
        Joined::No => {}
    }
}

/// Adds a column for each value, which names the figures of all its steps.
fn add_hits(drawing: &mut Drawing, area: &Area, x: &Scale, sorted: &[&Step<'_>], look: Look) {
    let columns: Vec<_> = sorted.chunk_by(|a, b| a.value == b.value).collect();
    let place = |column: &[&Step<'_>]| column.first().map(|step| x.at(step.value));
    for (index, column) in columns.iter().enumerate() {
        let here = place(column).unwrap_or(area.left);
        let middle = |other: Option<f64>, end: f64| other.map_or(end, |other| (here + other) / 2.0);
        let before = index
            .checked_sub(1)
            .and_then(|before| place(columns[before]));
        let after = columns.get(index + 1).and_then(|column| place(column));
        let hit = Area {
            left: middle(before, area.left),
            right: middle(after, area.right),
            ..*area
        };
        let tips: Vec<_> = column.iter().map(|step| tip(step, look)).collect();
        drawing.hit(hit, tips.join("\n"));
    }
}

fn tip(step: &Step<'_>, look: Look) -> String {
    let heading = look.heading;
    let (metrics, response) = (&step.report.metrics, &step.report.metrics.response_us);
    let at = |p: Percentile| {
        format!(
            "{} {}",
            p.name(),
            time(response.percentile(p), response.is_lower_bound(p))
        )
    };
    let lines = [
        format!(
            "{heading} {}",
            grouped(step.value, if step.value.fract() == 0.0 { 0 } else { 2 })
        ),
        format!(
            "{} replies/s",
            rate(metrics.messages_per_sec.unwrap_or(0.0))
        ),
        at(Percentile::P50),
        at(look.upper),
        step.words.clone(),
    ];
    lines.join("\n")
}
