//! The reasons not to trust a measurement.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A reason not to trust a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The kind of the reason.
    pub code: ReasonCode,
    /// The reason with its figures, on one line.
    pub text: String,
}

/// The kind of a reason. JSON has these names in `snake_case`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The generator sent late in an open loop.
    LateGenerator,
    /// The generator had too little idle time for an open loop.
    BusyGenerator,
    /// Messages of an open loop's schedule were never sent.
    Overload,
    /// An open loop stayed below its rate.
    BelowRate,
    /// The generator was stopped, or waited for a CPU, for too long.
    Stalled,
    /// Some connections were missing.
    MissingConnections,
    /// The figures contradict Little's law.
    LittlesLaw,
    /// Others used CPUs that the generator or the server waited for.
    BusyMachine,
    /// The hypervisor gave CPU time of the machine to others.
    StolenTime,
    /// The limits of cgroups kept threads from running.
    Throttled,
    /// The figures of the two halves of the window differ.
    NotStationary,
    /// There are too few responses for a p99. A sum of reports may have enough.
    TooFewSamples,
    /// Reports of some shards are missing in a sum.
    MissingShards,
    /// The shards of a sum did not run at the same time.
    ShardsApart,
    /// The shards of a sum measured for different lengths of time.
    UnequalWindows,
    /// The reason has no code, or one that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ReasonCode {
    /// Returns the name in words, for tables: `busy machine`.
    pub fn words(self) -> String {
        self.to_string().replace('_', " ")
    }
}

/// Formats the name in reports.
impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Reason {
    /// Returns a reason of the kind `code`.
    pub fn new(code: ReasonCode, text: String) -> Self {
        Self { code, text }
    }

    /// Returns a reason of the kind `code` if `applies` is true.
    pub fn when(applies: bool, code: ReasonCode, text: impl FnOnce() -> String) -> Option<Self> {
        applies.then(|| Self::new(code, text()))
    }
}
