//! The interference of each slice as rows of bars, one row for each kind of interference.

use super::slices::Slice;
use crate::load::report::cells::{number, percent};

/// The height of a row in pixels.
pub const ROW_HEIGHT: f64 = 52.0;

/// A bar of full height stands for at least this share, so that little interference looks little.
const LEAST_FULL: f64 = 0.1;

/// A kind of interference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Others,
    Stolen,
    Throttled,
    GeneratorWait,
    ServerWait,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    kind: Kind,
    includes_server: bool,
    cpus: f64,
    most: f64,
}

/// Returns the rows of the kinds that were seen.
pub fn rows(slices: &[Slice]) -> Vec<Row> {
    let known = known(slices).into_iter();
    known.filter(|row| row.most > 0.0).collect()
}

/// Returns the names of the kinds that were looked for and not seen.
pub fn not_seen(slices: &[Slice]) -> String {
    let known = known(slices).into_iter();
    let names = known.filter(|row| row.most <= 0.0).map(|row| row.name());
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the rows whose figures the system tells.
fn known(slices: &[Slice]) -> Vec<Row> {
    let kinds = [
        Kind::Others,
        Kind::Stolen,
        Kind::Throttled,
        Kind::GeneratorWait,
        Kind::ServerWait,
    ];
    let row = |kind: Kind| {
        let known = slices.iter().filter_map(|slice| kind.of(slice));
        let first = slices.first()?;
        Some(Row {
            kind,
            includes_server: first.interference.others_include_server,
            cpus: first.interference.cpus.unwrap_or(1).max(1) as f64,
            most: known.reduce(f64::max)?,
        })
    };
    kinds.into_iter().filter_map(row).collect()
}

impl Kind {
    fn of(self, slice: &Slice) -> Option<f64> {
        let interference = &slice.interference;
        match self {
            Self::Others => interference.others_cores,
            Self::Stolen => interference.stolen,
            Self::Throttled => interference.throttled,
            // The system counts a wait when it ends, also the part before the slice.
            Self::GeneratorWait => interference.generator_wait.map(|share| share.min(1.0)),
            Self::ServerWait => interference.server_wait.map(|share| share.min(1.0)),
        }
    }
}

impl Row {
    /// Returns the figure of a slice.
    pub fn of(&self, slice: &Slice) -> Option<f64> {
        self.kind.of(slice)
    }

    /// Returns the figure for which a bar has the full height.
    pub fn full(&self) -> f64 {
        let least = match self.kind {
            Kind::Others => LEAST_FULL * self.cpus,
            Kind::Stolen | Kind::Throttled | Kind::GeneratorWait | Kind::ServerWait => LEAST_FULL,
        };
        self.most.max(least)
    }

    /// Returns the name of the row with its highest figure.
    pub fn title(&self) -> String {
        format!("{}: at most {}", self.name(), self.text(Some(self.most)))
    }

    /// Returns the name of the row with the figure of a slice.
    pub fn tip(&self, slice: &Slice) -> String {
        format!("{}: {}", self.name(), self.text(self.of(slice)))
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Others if self.includes_server => "others and server",
            Kind::Others => "others",
            Kind::Stolen => "time stolen by a hypervisor",
            Kind::Throttled => "throttled by a CPU limit",
            Kind::GeneratorWait => "generator waits for a CPU",
            Kind::ServerWait => "server waits for a CPU",
        }
    }

    fn text(&self, figure: Option<f64>) -> String {
        match self.kind {
            Kind::Others => format!("{} of {} cores", number(figure, 1), self.cpus),
            Kind::Stolen | Kind::Throttled | Kind::GeneratorWait | Kind::ServerWait => {
                percent(figure, 1)
            }
        }
    }
}
