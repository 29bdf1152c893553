//! What is to blame for a measurement that cannot be trusted.

use super::reason::ReasonCode;

/// What is to blame for a reason not to trust a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something outside of the measurement used the machine. It has nothing to do with what is measured, and another run
    /// may be free of it.
    Machine,
    /// The generator is at its limit.
    Generator,
    /// The server does not keep up with the rate.
    Server,
    /// Anything else: something in the figures themselves, such as figures that are not stationary.
    Other,
}

impl Cause {
    /// Returns the cause of a reason of the kind `code`.
    pub fn of(code: ReasonCode) -> Self {
        match code {
            ReasonCode::BusyMachine
            | ReasonCode::StolenTime
            | ReasonCode::Throttled
            | ReasonCode::Stalled => Self::Machine,
            ReasonCode::LateGenerator | ReasonCode::BusyGenerator => Self::Generator,
            ReasonCode::Overload | ReasonCode::BelowRate => Self::Server,
            ReasonCode::MissingConnections
            | ReasonCode::LittlesLaw
            | ReasonCode::NotStationary
            | ReasonCode::TooFewSamples
            | ReasonCode::MissingShards
            | ReasonCode::ShardsApart
            | ReasonCode::UnequalWindows
            | ReasonCode::Unknown => Self::Other,
        }
    }
}
