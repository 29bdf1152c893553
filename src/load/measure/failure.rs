//! The kinds of failures of connections and messages, and their counts.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{AddAssign, Index, IndexMut};

use serde::de::{IntoDeserializer, value};
use serde::{Deserialize, Serialize};

use crate::net::ConnectFailure;

/// A kind of failure of a connection or of a message. Reports have these names in `snake_case`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The connection was refused: no process listens on the port.
    Refused,
    /// There is no route to the address, or the network is down.
    Unreachable,
    /// The name has no address.
    Unresolved,
    /// A connect was not answered in time.
    ConnectTimeout,
    /// The source address has no free port.
    NoSourcePort,
    /// The process has no free descriptor.
    Descriptors,
    /// A socket was connected to itself, which TCP allows on the loopback interface.
    SelfConnect,
    /// The peer reset the connection.
    Reset,
    /// The peer closed the connection while replies were due.
    Closed,
    /// A reply did not arrive in time.
    Timeout,
    /// The message was in the pipeline of a connection that was given up for another message: that one timed out, or its
    /// reply was wrong.
    Lost,
    /// Any other failure, or in a report a kind that this version does not know.
    #[serde(other)]
    Other,
}

/// The number of failures of each kind. A report leaves out the kinds that did not occur.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, u64>")]
pub struct Failures(BTreeMap<Failure, u64>);

impl Failures {
    /// Returns the number of all failures.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Returns the kinds that occurred, with their numbers, in the order of the variants of [`Failure`].
    pub fn seen(&self) -> impl Iterator<Item = (Failure, u64)> {
        self.0.iter().map(|(failure, count)| (*failure, *count))
    }
}

impl AddAssign<&Failures> for Failures {
    fn add_assign(&mut self, other: &Failures) {
        for (failure, count) in other.seen() {
            self[failure] += count;
        }
    }
}

impl Index<Failure> for Failures {
    type Output = u64;
    fn index(&self, failure: Failure) -> &u64 {
        self.0.get(&failure).unwrap_or(&0)
    }
}

impl IndexMut<Failure> for Failures {
    fn index_mut(&mut self, failure: Failure) -> &mut u64 {
        self.0.entry(failure).or_default()
    }
}

/// Several names that this version does not know add up to [`Failure::Other`].
impl From<BTreeMap<String, u64>> for Failures {
    fn from(counts: BTreeMap<String, u64>) -> Self {
        let mut failures = Self::default();
        for (name, count) in counts {
            let known: Result<_, value::Error> = Failure::deserialize(name.into_deserializer());
            failures[known.unwrap_or(Failure::Other)] += count;
        }
        failures
    }
}

/// Formats the name of the kind in reports.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Self {
        match failure {
            ConnectFailure::Refused => Self::Refused,
            ConnectFailure::Unreachable => Self::Unreachable,
            ConnectFailure::Unresolved => Self::Unresolved,
            ConnectFailure::TimedOut => Self::ConnectTimeout,
            ConnectFailure::NoSourcePort => Self::NoSourcePort,
            ConnectFailure::Descriptors => Self::Descriptors,
            ConnectFailure::SelfConnect => Self::SelfConnect,
            ConnectFailure::Reset => Self::Reset,
            ConnectFailure::Other => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_add_up_to_other() {
        let json = r#"{"a": 1, "b": 2, "other": 4, "connect_timeout": 8}"#;
        let failures: Failures = serde_json::from_str(json).expect("failures");
        let seen: Vec<_> = failures.seen().collect();
        assert_eq!(seen, [(Failure::ConnectTimeout, 8), (Failure::Other, 7)]);
        assert_eq!(Failure::ConnectTimeout.to_string(), "connect_timeout");
    }
}
