//! What happened over the window: throughput, response times and interference, one below the other on one axis of time.

use super::drawing::{Area, Canvas, Drawing, EndLabel, Mark};
use super::interference_rows::{ROW_HEIGHT, Row, rows};
use super::numbers::{percentile, rate, tick_time, time};
use super::scale::Scale;
use super::slices::{Slice, silences};
use crate::load::measure::percentile::Percentile;
use crate::load::units::format_decimal;

const TITLE: &str = "Over time";

/// The heights of the parts, in pixels.
const THROUGHPUT: f64 = 130.0;
const RESPONSE: f64 = 200.0;
const BEFORE_PART: f64 = 42.0;
const AXIS: f64 = 46.0;

/// Returns the plot of `slices`, with the rate of an open loop; `None` if there is nothing to show.
pub fn over_time(canvas: Canvas, slices: &[Slice], asked: Option<f64>) -> Option<Drawing> {
    let (start, end) = (slices.first()?.start, slices.last()?.end);
    if end <= start {
        return None;
    }
    let rows = rows(slices);
    let parts = Parts::new(canvas, rows.len());
    let x = Scale::linear((start, end), (parts.whole.left, parts.whole.right));
    let mut drawing = Drawing::new(
        "over-time",
        canvas,
        parts.height,
        TITLE,
        description(slices),
    );
    for (from, to) in silences(slices) {
        let (left, right) = (x.at(from), x.at(to));
        drawing.rect(
            "silence",
            Area {
                left,
                right,
                ..parts.whole
            },
        );
    }
    let seconds = |tick: f64| (x.at(tick), format!("{} s", format_decimal(tick, 3)));
    drawing.horizontal_axis(&parts.whole, x.ticks(canvas.ticks).into_iter().map(seconds));
    draw_throughput(&mut drawing, &parts.throughput, &x, slices, asked);
    draw_response(&mut drawing, &parts.response, &x, slices);
    for (index, row) in rows.iter().enumerate() {
        draw_row(&mut drawing, &parts.row(index), &x, slices, row);
    }
    for slice in slices {
        let column = Area {
            left: x.at(slice.start),
            right: x.at(slice.end),
            ..parts.whole
        };
        drawing.hit(column, tip(slice, upper_percentile(slices), &rows));
    }
    Some(drawing)
}

/// Where the parts of the plot lie.
struct Parts {
    /// From the top of the first part to the bottom of the last.
    whole: Area,
    throughput: Area,
    response: Area,
    height: f64,
}

impl Parts {
    fn new(canvas: Canvas, rows: usize) -> Self {
        let (left, right) = match canvas.is_narrow() {
            true => (62.0, canvas.width - 58.0),
            false => (72.0, canvas.width - 84.0),
        };
        let part = |top: f64, height: f64| Area {
            left,
            right,
            top,
            bottom: top + height,
        };
        let throughput = part(28.0, THROUGHPUT);
        let response = part(throughput.bottom + BEFORE_PART, RESPONSE);
        let bottom = match rows {
            0 => response.bottom,
            rows => response.bottom + 12.0 + rows as f64 * ROW_HEIGHT,
        };
        Self {
            whole: Area {
                bottom,
                ..throughput
            },
            throughput,
            response,
            height: bottom + AXIS,
        }
    }

    /// Returns where the bars of a row of the interference lie.
    fn row(&self, index: usize) -> Area {
        let top = self.response.bottom + 12.0 + index as f64 * ROW_HEIGHT;
        Area {
            top: top + 28.0,
            bottom: top + ROW_HEIGHT - 2.0,
            ..self.response
        }
    }
}

fn draw_throughput(
    drawing: &mut Drawing,
    area: &Area,
    x: &Scale,
    slices: &[Slice],
    asked: Option<f64>,
) {
    let rates = slices.iter().map(Slice::rate).chain(asked);
    let most = rates.fold(0.0, f64::max);
    let y = Scale::of_amounts(0.0, most, (area.bottom, area.top));
    let of_asked = asked.map(|asked| format!(" (dotted: {} asked)", rate(asked)));
    let title = "replies per second".to_owned() + &of_asked.unwrap_or_default();
    drawing.text("axis", (area.left, area.top - 12.0), "start", title);
    drawing.vertical_axis(area, &y, 5, |tick| rate(tick).replace(".0", ""));
    let heights: Vec<_> = slices
        .iter()
        .map(|slice| Some(y.at(slice.rate())))
        .collect();
    drawing.path(
        "band throughput",
        filled(x, slices, &heights, &vec![Some(area.bottom); slices.len()]),
    );
    drawing.path("step throughput", steps(x, slices, &heights));
    if let Some(asked) = asked {
        let height = y.at(asked);
        drawing.path(
            "asked",
            format!("M{:.1} {height:.1}H{:.1}", area.left, area.right),
        );
    }
}

/// Returns the percentile that is drawn above the median: p99, or p90 if most slices have too few samples for p99.
pub fn upper_percentile(slices: &[Slice]) -> Percentile {
    let number = |p: Percentile| {
        slices
            .iter()
            .filter(|slice| slice.response.percentile(p).is_some())
            .count()
    };
    match number(Percentile::P99) * 2 >= number(Percentile::P90) {
        true => Percentile::P99,
        false => Percentile::P90,
    }
}

fn draw_response(drawing: &mut Drawing, area: &Area, x: &Scale, slices: &[Slice]) {
    let upper = upper_percentile(slices);
    let percentile = |p: Percentile| {
        slices
            .iter()
            .map(|slice| slice.response.percentile(p))
            .collect()
    };
    let (p50, high): (Vec<_>, Vec<_>) = (percentile(Percentile::P50), percentile(upper));
    let max: Vec<_> = slices.iter().map(|slice| slice.response.max).collect();
    let all = || [&p50, &high, &max].into_iter().flatten().flatten().copied();
    let (Some(least), Some(most)) = (all().reduce(f64::min), all().reduce(f64::max)) else {
        drawing.text(
            "axis",
            (area.left, area.top - 12.0),
            "start",
            "response: no message ended",
        );
        return;
    };
    let y = Scale::of_amounts(least, most, (area.bottom, area.top));
    let log = if y.is_log() { " (logarithmic)" } else { "" };
    let title = format!("response by the time of its end{log}");
    drawing.text("axis", (area.left, area.top - 12.0), "start", title);
    drawing.vertical_axis(area, &y, 6, tick_time);
    let places = |times: &[Option<f64>]| {
        times
            .iter()
            .map(|time| time.map(|time| y.at(time)))
            .collect::<Vec<_>>()
    };
    let [p50, high, max] = [p50, high, max].map(|times| places(&times));
    drawing.path("band response", filled(x, slices, &high, &p50));
    drawing.path("step upper", steps(x, slices, &high));
    drawing.path("step p50", steps(x, slices, &p50));
    for (slice, max) in slices.iter().zip(&max) {
        let Some(max) = max else {
            continue;
        };
        let middle = x.at((slice.start + slice.end) / 2.0);
        match slice.response.has_lower_bounds() {
            true => drawing.path("longest bound", Mark::Triangle.at(middle, *max)),
            false => drawing.path(
                "longest",
                format!("M{:.1} {max:.1}H{:.1}", x.at(slice.start), x.at(slice.end)),
            ),
        }
    }
    let labels = [
        ("label p50", "p50", p50),
        ("label upper", upper.name(), high),
        ("label longest", "max", max),
    ];
    let labels = labels.into_iter().filter_map(|(class, name, places)| {
        let y = places.into_iter().flatten().next_back()?;
        Some(EndLabel {
            class,
            y,
            text: name.into(),
        })
    });
    drawing.end_labels(area, labels.collect());
}

fn draw_row(drawing: &mut Drawing, area: &Area, x: &Scale, slices: &[Slice], row: &Row) {
    drawing.text("axis", (area.left, area.top - 5.0), "start", row.title());
    let y = Scale::linear((0.0, row.full()), (area.bottom, area.top));
    drawing.path(
        "grid",
        format!("M{:.1} {:.1}H{:.1}", area.left, area.bottom, area.right),
    );
    let heights: Vec<_> = slices
        .iter()
        .map(|slice| row.of(slice).map(|share| y.at(share)))
        .collect();
    drawing.path(
        "band interference",
        filled(x, slices, &heights, &vec![Some(area.bottom); slices.len()]),
    );
}

/// Returns a line with a step for each slice that has a height.
fn steps(x: &Scale, slices: &[Slice], heights: &[Option<f64>]) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (slice, height) in slices.iter().zip(heights) {
        if let Some(height) = height {
            let command = if is_drawing { 'V' } else { 'M' };
            path += &match is_drawing {
                true => format!("{command}{height:.1}H{:.1}", x.at(slice.end)),
                false => format!(
                    "{command}{:.1} {height:.1}H{:.1}",
                    x.at(slice.start),
                    x.at(slice.end)
                ),
            };
        }
        is_drawing = height.is_some();
    }
    path
}

/// Returns the area between two heights of each slice that has both.
fn filled(x: &Scale, slices: &[Slice], upper: &[Option<f64>], lower: &[Option<f64>]) -> String {
    let heights = upper
        .iter()
        .zip(lower)
        .map(|(upper, lower)| upper.zip(*lower));
    let column = |(slice, heights): (&Slice, Option<(f64, f64)>)| {
        let (upper, lower) = heights.filter(|(upper, lower)| upper != lower)?;
        let (left, right) = (x.at(slice.start), x.at(slice.end));
        Some(format!(
            "M{left:.1} {upper:.1}H{right:.1}V{lower:.1}H{left:.1}z"
        ))
    };
    slices.iter().zip(heights).filter_map(column).collect()
}

fn tip(slice: &Slice, upper: Percentile, rows: &[Row]) -> String {
    let from_to = format!(
        "{} to {} s",
        format_decimal(slice.start, 2),
        format_decimal(slice.end, 2)
    );
    let response = &slice.response;
    let figures = [
        format!("{} replies/s", rate(slice.rate())),
        format!("p50 {}", percentile(response, Percentile::P50)),
        format!("{} {}", upper.name(), percentile(response, upper)),
        format!("max {}", time(response.max, response.has_lower_bounds())),
    ];
    let rows = rows.iter().map(|row| row.tip(slice));
    [from_to]
        .into_iter()
        .chain(figures)
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

fn description(slices: &[Slice]) -> String {
    let rates = || slices.iter().map(Slice::rate);
    let (least, most) = (
        rates().fold(f64::INFINITY, f64::min),
        rates().fold(0.0, f64::max),
    );
    let longest = slices
        .iter()
        .filter_map(|slice| slice.response.max)
        .reduce(f64::max);
    format!(
        "The window in {} slices. Replies per second: {} to {}. The longest response: {}. {}",
        slices.len(),
        rate(least),
        rate(most),
        time(
            longest,
            slices.iter().any(|slice| slice.response.has_lower_bounds())
        ),
        silence_sentence(slices)
    )
}

/// Says when no reply arrived.
pub fn silence_sentence(slices: &[Slice]) -> String {
    let silences = silences(slices);
    let text = |(from, to): &(f64, f64)| format!("from {from:.2} s to {to:.2} s");
    let times: Vec<_> = silences.iter().take(3).map(text).collect();
    let rest = match silences.len().saturating_sub(times.len()) {
        0 => String::new(),
        more => format!(" and {more} more times"),
    };
    match silences.is_empty() {
        true => String::new(),
        false => format!("No reply arrived {}{rest} (shaded).", times.join(", ")),
    }
}
