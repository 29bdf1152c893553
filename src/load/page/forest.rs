//! Ratios with their intervals, one below the other around the line of no difference: a forest plot.

use super::drawing::{Area, Canvas, Drawing, Mark};
use super::scale::Scale;
use crate::load::compare::compared::ComparedFigure;
use crate::load::compare::conclusion::Direction;
use crate::load::compare::statistics::Ratio;
use crate::load::units::format_decimal;

const TITLE: &str = "Ratios with their 95 % intervals";

/// The height of a figure: its name, B/A and A/A.
const ROW: f64 = 78.0;
const TOP: f64 = 8.0;
const AXIS: f64 = 46.0;

/// The farthest ratio that has a linear scale.
const FAR: f64 = 3.0;

/// How a ratio looks.
#[derive(Clone, Copy)]
struct Look {
    interval: &'static str,
    class: &'static str,
    mark: Mark,
}

const B_OVER_A: Look = Look {
    interval: "interval two",
    class: "mark two",
    mark: Mark::Square,
};

const CONTROL: Look = Look {
    interval: "interval one",
    class: "mark one",
    mark: Mark::Circle,
};

/// Returns the plot of the ratios of `figures`; `None` if there is no ratio.
pub fn forest(canvas: Canvas, figures: &[ComparedFigure]) -> Option<Drawing> {
    let rows: Vec<_> = figures
        .iter()
        .filter_map(|figure| Some((figure, figure.ratio?)))
        .collect();
    let ratios = || {
        rows.iter()
            .flat_map(|(figure, ratio)| [Some(*ratio), figure.control])
            .flatten()
    };
    let least = ratios().map(|ratio| ratio.low).reduce(f64::min)?.min(1.0);
    let most = ratios().map(|ratio| ratio.high).reduce(f64::max)?.max(1.0);
    let area = Area {
        left: 28.0,
        right: canvas.width - 28.0,
        top: TOP,
        bottom: TOP + ROW * rows.len() as f64,
    };
    let x = scale(least, most, &area);
    let mut drawing = Drawing::new(
        "ratios",
        canvas,
        area.bottom + AXIS,
        TITLE,
        description(&rows),
    );
    let ticks = x.ticks(if canvas.is_narrow() { 5 } else { 9 });
    drawing.horizontal_axis(
        &area,
        ticks
            .into_iter()
            .map(|tick| (x.at(tick), format_decimal(tick, 4))),
    );
    drawing.path(
        "unity",
        format!("M{:.1} {:.1}V{:.1}", x.at(1.0), area.top, area.bottom),
    );
    drawing.text(
        "axis",
        (area.right, area.bottom + 38.0),
        "end",
        "ratio; the line at 1 is no difference",
    );
    for (index, (figure, ratio)) in rows.iter().enumerate() {
        let top = area.top + ROW * index as f64;
        drawing.text(
            "label",
            (area.left - 20.0, top + 18.0),
            "start",
            name(figure),
        );
        draw(&mut drawing, &x, top + 38.0, B_OVER_A, *ratio);
        if let Some(control) = figure.control {
            draw(&mut drawing, &x, top + 58.0, CONTROL, control);
        }
        let row = Area {
            top,
            bottom: top + ROW,
            ..area
        };
        drawing.hit(row, tip(figure, *ratio));
    }
    Some(drawing)
}

/// Returns the scale that shows the ratios from `least` to `most` with some room.
fn scale(least: f64, most: f64, area: &Area) -> Scale {
    let pixels = (area.left, area.right);
    match most / least > FAR {
        true => Scale::log((least / 1.1, most * 1.1), pixels),
        false => {
            let room = ((most - least) * 0.06).max(0.001);
            Scale::linear((least - room, most + room), pixels)
        }
    }
}

fn draw(drawing: &mut Drawing, x: &Scale, y: f64, look: Look, ratio: Ratio) {
    let (low, high) = (x.at(ratio.low), x.at(ratio.high));
    let (top, height) = (y - 5.0, 10.0);
    drawing.path(
        look.interval,
        format!(
            "M{low:.1} {top:.1}v{height}M{high:.1} {top:.1}v{height}M{low:.1} {y:.1}H{high:.1}"
        ),
    );
    drawing.path(look.class, look.mark.at(x.at(ratio.ratio), y));
}

fn name(figure: &ComparedFigure) -> String {
    let direction = match figure.figure.direction() {
        Direction::MoreIsFaster => "right is faster",
        Direction::LessIsFaster => "right is slower",
    };
    format!("{}: {direction}", figure.figure)
}

fn tip(figure: &ComparedFigure, ratio: Ratio) -> String {
    let line = |name: &str, ratio: Ratio| {
        format!(
            "{name} {:.3}, 95 %: {:.3} to {:.3}",
            ratio.ratio, ratio.low, ratio.high
        )
    };
    let control = figure.control.map(|control| line("A/A", control));
    let lines = [
        Some(figure.figure.to_string()),
        Some(line("B/A", ratio)),
        control,
    ];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn description(rows: &[(&ComparedFigure, Ratio)]) -> String {
    let texts = rows
        .iter()
        .map(|(figure, ratio)| tip(figure, *ratio).replace('\n', "; ") + ".");
    texts.collect::<Vec<_>>().join(" ")
}
