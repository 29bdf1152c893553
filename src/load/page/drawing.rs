//! A plot as SVG: shapes of named classes, whose colours the style sheet chooses.

use askama::Template;

use super::scale::Scale;

/// The least distance of the baselines of two labels, in pixels.
const LINE_HEIGHT: f64 = 15.0;

/// The size of a plot in pixels. A page has each plot in two sizes, and the style sheet shows the one that fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Canvas {
    /// The class of the size: `wide` or `narrow`.
    pub class: &'static str,
    /// The width in pixels.
    pub width: f64,
    /// The most ticks of a horizontal axis.
    pub ticks: usize,
}

impl Canvas {
    /// The sizes: for a desk and for a phone.
    pub const ALL: [Self; 2] = [
        Self {
            class: "wide",
            width: 1000.0,
            ticks: 11,
        },
        Self {
            class: "narrow",
            width: 358.0,
            ticks: 6,
        },
    ];

    /// Returns a plot for each size, or none if `draw` has nothing to show.
    pub fn draw_each(draw: impl Fn(Self) -> Option<Drawing>) -> Vec<Drawing> {
        Self::ALL.into_iter().filter_map(draw).collect()
    }

    /// Returns true for a phone.
    pub fn is_narrow(&self) -> bool {
        self.width < 600.0
    }
}

/// The rectangle of a plot in which its data lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The left edge in pixels.
    pub left: f64,
    /// The right edge.
    pub right: f64,
    /// The upper edge.
    pub top: f64,
    /// The lower edge.
    pub bottom: f64,
}

/// A part of a plot.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line or an area: `d` is the path.
    Path {
        /// The class.
        class: &'static str,
        /// The commands of the path.
        d: String,
    },
    /// A rectangle.
    Rect {
        /// The class.
        class: &'static str,
        /// Its edges.
        area: Area,
    },
    /// A column that shows `tip` at the pointer.
    Hit {
        /// Its edges.
        area: Area,
        /// The text, a line for each value.
        tip: String,
    },
    /// A word or a number.
    Text {
        /// The class.
        class: &'static str,
        /// Where the text begins, has its middle or ends.
        x: f64,
        /// The baseline.
        y: f64,
        /// `start`, `middle` or `end`.
        anchor: &'static str,
        /// The text.
        text: String,
    },
}

/// A plot.
#[derive(Clone, Debug, PartialEq, Template)]
#[template(config = "src/load/page/askama.toml", path = "drawing.html")]
pub struct Drawing {
    id: String,
    title: String,
    description: String,
    canvas: Canvas,
    height: f64,
    shapes: Vec<Shape>,
}

/// A label beside the end of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct EndLabel {
    /// The class.
    pub class: &'static str,
    /// The height at which the line ends, in pixels.
    pub y: f64,
    /// The text.
    pub text: String,
}

impl Drawing {
    /// Returns an empty plot, whose title and description are for screen readers.
    pub fn new(id: &str, canvas: Canvas, height: f64, title: &str, description: String) -> Self {
        Self {
            id: format!("{id}-{}", canvas.class),
            title: title.into(),
            description,
            canvas,
            height,
            shapes: Vec::new(),
        }
    }

    /// Adds a line or an area. A path without a command is left out.
    pub fn path(&mut self, class: &'static str, d: String) {
        if !d.is_empty() {
            self.shapes.push(Shape::Path { class, d });
        }
    }

    /// Adds a rectangle.
    pub fn rect(&mut self, class: &'static str, area: Area) {
        self.shapes.push(Shape::Rect { class, area });
    }

    /// Adds a column that shows `tip` at the pointer.
    pub fn hit(&mut self, area: Area, tip: String) {
        self.shapes.push(Shape::Hit { area, tip });
    }

    /// Adds a text, whose end that `anchor` names is at `x`.
    pub fn text(
        &mut self,
        class: &'static str,
        (x, y): (f64, f64),
        anchor: &'static str,
        text: impl Into<String>,
    ) {
        let text = text.into();
        self.shapes.push(Shape::Text {
            class,
            x,
            y,
            anchor,
            text,
        });
    }

    /// Adds a horizontal line with a number for each of at most `most` ticks of a vertical axis.
    pub fn vertical_axis(
        &mut self,
        area: &Area,
        scale: &Scale,
        most: usize,
        format: impl Fn(f64) -> String,
    ) {
        for tick in scale.ticks(most) {
            let y = scale.at(tick);
            self.path(
                "grid",
                format!("M{:.1} {y:.1}H{:.1}", area.left, area.right),
            );
            self.text("tick", (area.left - 8.0, y + 4.0), "end", format(tick));
        }
    }

    /// Adds a vertical line with a text below it for each of `ticks` of a horizontal axis.
    pub fn horizontal_axis(&mut self, area: &Area, ticks: impl IntoIterator<Item = (f64, String)>) {
        for (x, text) in ticks {
            self.path(
                "grid",
                format!("M{x:.1} {:.1}V{:.1}", area.top, area.bottom),
            );
            self.text("tick", (x, area.bottom + 18.0), "middle", text);
        }
    }

    /// Adds labels to the right of `area`, moved apart until no two overlap.
    pub fn end_labels(&mut self, area: &Area, mut labels: Vec<EndLabel>) {
        labels.sort_by(|a, b| a.y.total_cmp(&b.y));
        let mut least = area.top + 4.0;
        for label in &mut labels {
            label.y = label.y.max(least);
            least = label.y + LINE_HEIGHT;
        }
        let mut most = area.bottom;
        for label in labels.iter_mut().rev() {
            label.y = label.y.min(most);
            most = label.y - LINE_HEIGHT;
        }
        for EndLabel { class, y, text } in labels {
            self.text(class, (area.right + 8.0, y + 4.0), "start", text);
        }
    }
}

impl Area {
    /// Returns the width.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Returns the height.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// Returns the path through `points`; empty for less than two points.
pub fn line(points: &[(f64, f64)]) -> String {
    if points.len() < 2 {
        return String::new();
    }
    let commands = points.iter().enumerate().map(|(index, (x, y))| {
        let command = if index == 0 { 'M' } else { 'L' };
        format!("{command}{x:.1} {y:.1}")
    });
    commands.collect()
}

/// A mark of a plot. Marks differ in their outline, so colour is not all that tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A circle.
    Circle,
    /// A square.
    Square,
    /// A cross: the value is in doubt.
    Cross,
    /// A triangle that points up: the value is a lower bound.
    Triangle,
}

impl Mark {
    /// Returns the path of the mark around a point.
    pub fn at(self, x: f64, y: f64) -> String {
        match self {
            Self::Circle => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", x - 4.0),
            Self::Square => format!("M{:.1} {:.1}h11v11h-11z", x - 5.5, y - 5.5),
            Self::Cross => format!("M{:.1} {:.1}l9 9m0 -9l-9 9", x - 4.5, y - 4.5),
            Self::Triangle => format!("M{x:.1} {:.1}l5 9h-10z", y - 5.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_at_one_height_are_moved_apart_and_stay_inside() {
        let area = Area {
            left: 0.0,
            right: 100.0,
            top: 0.0,
            bottom: 60.0,
        };
        let mut drawing = Drawing::new("id", Canvas::ALL[0], 80.0, "title", String::new());
        let labels = [59.0, 59.0, 60.0].map(|y| EndLabel {
            class: "label",
            y,
            text: "same".into(),
        });
        drawing.end_labels(&area, labels.into());
        let height = |shape: &Shape| match shape {
            Shape::Text { y, .. } => *y,
            Shape::Path { .. } | Shape::Rect { .. } | Shape::Hit { .. } => panic!("a label"),
        };
        let heights: Vec<_> = drawing.shapes.iter().map(height).collect();
        assert_eq!(heights, [34.0, 49.0, 64.0]);
    }
}
