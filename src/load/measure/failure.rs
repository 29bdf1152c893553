//! The kinds of failures of connections and messages, and their counts.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::net::ConnectFailure;

/// A kind of failure of a connection or of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Any other failure.
    Other,
}

/// The number of failures of each kind.
///
/// A report holds them as an object from the names of the kinds to the numbers. Kinds that did not occur are left out.
/// A name that this version does not know counts as [`Failure::Other`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, u64>", into = "BTreeMap<String, u64>")]
pub struct Failures([u64; Failure::NAMES.len()]);

impl Failure {
    /// All kinds, with their names in reports, in the order of the variants.
    const NAMES: [(Self, &'static str); 11] = [
        (Self::Refused, "refused"),
        (Self::Unreachable, "unreachable"),
        (Self::Unresolved, "unresolved"),
        (Self::ConnectTimeout, "connect_timeout"),
        (Self::NoSourcePort, "no_source_port"),
        (Self::Descriptors, "descriptors"),
        (Self::SelfConnect, "self_connect"),
        (Self::Reset, "reset"),
        (Self::Closed, "closed"),
        (Self::Timeout, "timeout"),
        (Self::Other, "other"),
    ];

    /// Returns the name of the kind in reports.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }
}

impl Failures {
    /// Returns the number of all failures.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the kinds that occurred, with their numbers, in the order of the variants of [`Failure`].
    pub fn seen(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::NAMES
            .into_iter()
            .map(|(failure, _)| (failure, self[failure]))
            .filter(|(_, count)| *count > 0)
    }
}

impl AddAssign for Failures {
    fn add_assign(&mut self, other: Self) {
        for (failure, count) in other.seen() {
            self[failure] += count;
        }
    }
}

impl Index<Failure> for Failures {
    type Output = u64;
    fn index(&self, failure: Failure) -> &u64 {
        &self.0[failure as usize]
    }
}

impl IndexMut<Failure> for Failures {
    fn index_mut(&mut self, failure: Failure) -> &mut u64 {
        &mut self.0[failure as usize]
    }
}

impl From<BTreeMap<String, u64>> for Failures {
    fn from(counts: BTreeMap<String, u64>) -> Self {
        let mut failures = Self::default();
        for (name, count) in counts {
            let known = Failure::NAMES.into_iter().find(|(_, known)| *known == name);
            failures[known.map_or(Failure::Other, |(failure, _)| failure)] += count;
        }
        failures
    }
}

impl From<Failures> for BTreeMap<String, u64> {
    fn from(failures: Failures) -> Self {
        let named = |(failure, count): (Failure, u64)| (failure.name().into(), count);
        failures.seen().map(named).collect()
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
    fn the_table_of_names_has_the_order_of_the_variants() {
        for (index, (failure, name)) in Failure::NAMES.into_iter().enumerate() {
            assert_eq!(failure as usize, index, "{name}");
        }
    }
}
