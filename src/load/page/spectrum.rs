//! The latency spectrum: how long the messages took, from the median to the slowest, on an axis that gives each nine of a
//! percentile the same room.

use super::drawing::{Area, Canvas, Drawing, EndLabel, Mark, line};
use super::numbers::{tick_time, time};
use super::scale::Scale;
use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::uncertainty::{ConfidenceInterval, PerFigure};

/// Points of a curve in each tenth part of what is left above a percentile.
const POINTS_PER_NINE: usize = 12;

/// A curve ends where this many samples lie above it, as the percentiles of a report do.
const SAMPLES_ABOVE: u64 = 10;

/// What the end of a curve means, for the captions of spectra.
pub const TAIL: &str = "Each curve ends at its own longest time (max). A dotted line leads there: fewer than ten messages were slower than where the line starts.";

/// What a triangle means, for the captions of all plots.
pub const BOUND: &str =
    "A triangle, and a dashed line to it, is a lower bound: the true time is longer.";

/// The height of the plot in pixels.
const HEIGHT: f64 = 380.0;

/// A curve of a spectrum.
pub struct Curve<'a> {
    /// The name at its end.
    pub name: &'a str,
    /// The classes of its line, of its marks and of its name.
    pub classes: CurveClasses,
    /// The outline of its marks.
    pub mark: Mark,
    /// The durations.
    pub latencies: &'a LatencyHistogram,
    /// The confidence intervals of its percentiles in microseconds.
    pub ci95: Option<PerFigure<Option<ConfidenceInterval>>>,
}

/// The classes of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurveClasses {
    /// Of the line.
    pub line: &'static str,
    /// Of the part of the line that is only a lower bound.
    pub bound: &'static str,
    /// Of the line from the last percentile to the longest time.
    pub tail: &'static str,
    /// Of the marks.
    pub mark: &'static str,
    /// Of the confidence intervals.
    pub interval: &'static str,
    /// Of the name.
    pub label: &'static str,
}

/// The classes of the first curve.
const FIRST: CurveClasses = CurveClasses {
    line: "line one",
    bound: "line one bound",
    tail: "line one tail",
    mark: "mark one",
    interval: "interval one",
    label: "label one",
};

/// The classes of the second curve.
const SECOND: CurveClasses = CurveClasses {
    line: "line two",
    bound: "line two bound",
    tail: "line two tail",
    mark: "mark two",
    interval: "interval two",
    label: "label two",
};

impl<'a> Curve<'a> {
    /// Returns the first curve of a plot, without confidence intervals.
    pub fn first(name: &'a str, latencies: &'a LatencyHistogram) -> Self {
        Self {
            name,
            classes: FIRST,
            mark: Mark::Circle,
            latencies,
            ci95: None,
        }
    }

    /// Returns the second curve of a plot, without confidence intervals.
    pub fn second(name: &'a str, latencies: &'a LatencyHistogram) -> Self {
        Self {
            classes: SECOND,
            mark: Mark::Square,
            ..Self::first(name, latencies)
        }
    }
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// One sample in so many lies above the point.
    rarity: f64,
    microseconds: f64,
    is_lower_bound: bool,
}

/// A curve as points.
struct Sampled<'a> {
    curve: &'a Curve<'a>,
    points: Vec<Point>,
    longest: Option<Point>,
}

/// Returns the plot of `curves`; `None` if there is nothing to show.
pub fn spectrum(id: &str, canvas: Canvas, title: &str, curves: &[Curve<'_>]) -> Option<Drawing> {
    let sampled: Vec<_> = curves.iter().map(Sampled::of).collect();
    let points = || sampled.iter().flat_map(Sampled::all);
    let ends = sampled.iter().flat_map(Sampled::interval_ends);
    let ends: Vec<_> = ends.filter(|end| *end > 0.0).collect();
    let times = || {
        let times = points().map(|point| point.microseconds);
        times.chain(ends.iter().copied())
    };
    let (least, most) = (times().reduce(f64::min)?, times().reduce(f64::max)?);
    let rarest = points().map(|point| point.rarity).reduce(f64::max)?;

    let area = area(canvas);
    let x = Scale::log((1.0, rarest.max(10.0)), (area.left, area.right));
    let y = Scale::of_amounts(least, most, (area.bottom, area.top));
    let mut drawing = Drawing::new(id, canvas, HEIGHT, title, description(&sampled));
    let log = if y.is_log() { " (logarithmic)" } else { "" };
    drawing.text(
        "axis",
        (area.left, area.top - 14.0),
        "start",
        format!("time{log}"),
    );
    drawing.text(
        "axis",
        (area.right, HEIGHT - 6.0),
        "end",
        "percentile (each step: ten times rarer)",
    );
    drawing.vertical_axis(&area, &y, 7, tick_time);
    drawing.horizontal_axis(&area, percentile_ticks(&x, rarest, canvas));
    // The first curve lies on top.
    for (index, sampled) in sampled.iter().enumerate().rev() {
        sampled.draw(&mut drawing, &x, &y, index);
    }
    drawing.end_labels(
        &area,
        sampled
            .iter()
            .filter_map(|sampled| sampled.label(&y))
            .collect(),
    );
    add_hits(&mut drawing, &area, &x, &sampled);
    Some(drawing)
}

fn area(canvas: Canvas) -> Area {
    Area {
        left: if canvas.is_narrow() { 56.0 } else { 64.0 },
        right: canvas.width - if canvas.is_narrow() { 80.0 } else { 88.0 },
        top: 34.0,
        bottom: HEIGHT - 48.0,
    }
}

/// Returns the place and the name of each percentile that has a tick. The longest time is the last.
fn percentile_ticks(x: &Scale, rarest: f64, canvas: Canvas) -> Vec<(f64, String)> {
    let room = if canvas.is_narrow() { 68.0 } else { 72.0 };
    let end = x.at(rarest);
    let mut ticks: Vec<(f64, String)> = Vec::new();
    let powers = (1..)
        .map(|power| 10_f64.powi(power))
        .take_while(|rarity| *rarity < rarest);
    for rarity in [2.0].into_iter().chain(powers) {
        let place = x.at(rarity);
        let is_free = ticks
            .last()
            .is_none_or(|(last, _)| place - last >= room * 0.7);
        if is_free && end - place >= room * 0.8 {
            ticks.push((place, name_of(rarity)));
        }
    }
    ticks.push((end, "max".into()));
    ticks
}

/// Returns the name of the percentile that one sample in `rarity` exceeds: `p99.9` for 1,000.
fn name_of(rarity: f64) -> String {
    let digits = (rarity.log10() - 1.0).ceil().max(0.0) as usize;
    let percent = format!("{:.digits$}", 100.0 - 100.0 / rarity);
    match percent.contains('.') {
        true => format!("p{}", percent.trim_end_matches('0').trim_end_matches('.')),
        false => format!("p{percent}"),
    }
}

impl<'a> Sampled<'a> {
    fn of(curve: &'a Curve<'a>) -> Self {
        let latencies = curve.latencies;
        let count = latencies.histogram.len();
        let known = latencies.known();
        let lower_bounds = latencies.lower_bounds();
        let point = |rarity: f64| {
            let rank = (((1.0 - 1.0 / rarity) * count as f64).ceil() as u64).clamp(1, count);
            Point {
                rarity,
                microseconds: latencies.value_at_rank(rank, &known) as f64 / 1e3,
                is_lower_bound: rank > count - lower_bounds,
            }
        };
        let last = (count / SAMPLES_ABOVE) as f64;
        let rarities = (0..).map(|step| 10_f64.powf(f64::from(step) / POINTS_PER_NINE as f64));
        let rarities = rarities.take_while(|rarity| *rarity <= last * (1.0 + 1e-9));
        let longest = (count > 0).then(|| Point {
            rarity: (count as f64).max(10.0),
            microseconds: latencies.max as f64 / 1e3,
            is_lower_bound: lower_bounds > 0,
        });
        Self {
            curve,
            points: rarities.map(point).collect(),
            longest,
        }
    }

    fn all(&self) -> impl Iterator<Item = Point> {
        self.points.iter().copied().chain(self.longest)
    }

    /// Returns the ends of the confidence intervals.
    fn interval_ends(&self) -> impl Iterator<Item = f64> {
        let intervals = self.curve.ci95.map(|ci95| [ci95.p50, ci95.p90, ci95.p99]);
        let intervals = intervals.into_iter().flatten().flatten();
        intervals.flat_map(|ConfidenceInterval { low, high }| [low, high])
    }

    fn draw(&self, drawing: &mut Drawing, x: &Scale, y: &Scale, index: usize) {
        let classes = self.curve.classes;
        let place = |point: &Point| (x.at(point.rarity), y.at(point.microseconds));
        self.draw_intervals(drawing, x, y, index);
        let known = self.points.partition_point(|point| !point.is_lower_bound);
        let all: Vec<_> = self.points.iter().map(place).collect();
        drawing.path(classes.line, line(&all[..known]));
        drawing.path(classes.bound, line(&all[known.saturating_sub(1)..]));
        let tail: Vec<_> = self
            .points
            .last()
            .iter()
            .copied()
            .chain(&self.longest)
            .map(place)
            .collect();
        drawing.path(classes.tail, line(&tail));
        for point in self.marked() {
            let mark = if point.is_lower_bound {
                Mark::Triangle
            } else {
                self.curve.mark
            };
            let (x, y) = place(&point);
            drawing.path(classes.mark, mark.at(x, y));
        }
    }

    /// Returns the percentiles that reports name, as far as there are enough samples, and the longest time.
    fn marked(&self) -> impl Iterator<Item = Point> {
        let summary = LatencySummary::of(self.curve.latencies);
        let percentiles = Percentile::ALL.into_iter().filter_map(move |percentile| {
            Some(Point {
                rarity: 1.0 / (1.0 - percentile.quantile()),
                microseconds: summary.percentile(percentile)?,
                is_lower_bound: summary.is_lower_bound(percentile),
            })
        });
        percentiles.chain(self.longest)
    }

    /// Draws the confidence intervals as bars with ends.
    fn draw_intervals(&self, drawing: &mut Drawing, x: &Scale, y: &Scale, index: usize) {
        let Some(ci95) = self.curve.ci95 else {
            return;
        };
        // The bars of a second curve stand beside those of the first.
        let aside = index as f64 * 5.0;
        for (rarity, interval) in [(2.0, ci95.p50), (10.0, ci95.p90), (100.0, ci95.p99)] {
            let Some(ConfidenceInterval { low, high }) = interval else {
                continue;
            };
            let (place, low, high) = (x.at(rarity) + aside, y.at(low), y.at(high));
            let (left, width) = (place - 6.0, 12.0);
            let bar = format!(
                "M{left:.1} {low:.1}h{width}M{left:.1} {high:.1}h{width}M{place:.1} {low:.1}V{high:.1}"
            );
            drawing.path(self.curve.classes.interval, bar);
        }
    }

    fn label(&self, y: &Scale) -> Option<EndLabel> {
        Some(EndLabel {
            class: self.curve.classes.label,
            y: y.at(self.longest?.microseconds),
            text: self.curve.name.into(),
        })
    }

    /// Returns the point that is valid at `rarity`; `None` beyond the end.
    fn at(&self, rarity: f64) -> Option<Point> {
        let is_same = |point: &Point| (point.rarity / rarity).ln().abs() < 1e-6;
        self.all().find(is_same)
    }
}

/// Adds a column for each point, which names the values of all curves there.
fn add_hits(drawing: &mut Drawing, area: &Area, x: &Scale, sampled: &[Sampled<'_>]) {
    let mut rarities: Vec<f64> = sampled
        .iter()
        .flat_map(Sampled::all)
        .map(|point| point.rarity)
        .collect();
    rarities.sort_by(f64::total_cmp);
    rarities.dedup_by(|a, b| (*a / *b).ln().abs() < 1e-6);
    for (index, rarity) in rarities.iter().enumerate() {
        let middle = |other: Option<&f64>, end: f64| {
            other.map_or(end, |other| (x.at(*other) + x.at(*rarity)) / 2.0)
        };
        let before = index.checked_sub(1).and_then(|before| rarities.get(before));
        let column = Area {
            left: middle(before, area.left),
            right: middle(rarities.get(index + 1), area.right),
            ..*area
        };
        let is_longest = |sampled: &Sampled<'_>| {
            sampled
                .longest
                .is_some_and(|longest| longest.rarity == *rarity)
        };
        let name = match sampled.iter().any(is_longest) {
            true => "max".to_owned(),
            false => name_near(*rarity),
        };
        let values = sampled.iter().filter_map(|sampled| {
            let point = sampled.at(*rarity)?;
            let time = time(Some(point.microseconds), point.is_lower_bound);
            Some(format!("{} {time}", sampled.curve.name))
        });
        let lines: Vec<_> = [name].into_iter().chain(values).collect();
        drawing.hit(column, lines.join("\n"));
    }
}

/// Returns the name of a percentile with two digits of the part above it.
fn name_near(rarity: f64) -> String {
    let above = 100.0 / rarity;
    let digits = (2.0 - above.log10().floor() - 1.0).max(0.0) as usize;
    format!("p{:.digits$}", 100.0 - above)
}

fn description(sampled: &[Sampled<'_>]) -> String {
    let curves = sampled.iter().filter(|sampled| sampled.longest.is_some());
    let texts = curves.map(|sampled| {
        let latency = LatencySummary::of(sampled.curve.latencies);
        let percentiles = Percentile::ALL
            .into_iter()
            .filter(|p| latency.percentile(*p).is_some());
        let percentiles = percentiles
            .map(|p| format!("{} {}", p.name(), super::numbers::percentile(&latency, p)));
        let longest = format!("max {}", time(latency.max, latency.has_lower_bounds()));
        let all: Vec<_> = percentiles.chain([longest]).collect();
        format!("{}: {}.", sampled.curve.name, all.join(", "))
    });
    texts.collect::<Vec<_>>().join(" ")
}
