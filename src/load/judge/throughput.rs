//! The check that an open loop reached its rate.

use super::reason::{Reason, ReasonCode};
use crate::load::measure::measurement::Measurement;
use crate::load::plan::settings::Arrival;

/// The share of its rate that an open loop has to achieve.
const REQUIRED_SHARE: f64 = 0.99;

/// The number of standard deviations by which random arrivals may fall short. The standard deviation of `n` expected
/// Poisson arrivals is the square root of `n`. One measurement in 741 falls short by more than three of them.
const ALLOWED_DEVIATIONS: f64 = 3.0;

/// Returns a reason if an open loop stayed below its rate.
pub fn below_rate(measurement: &Measurement) -> Option<Reason> {
    let rate = measurement.achieved_rate()?;
    let (achieved, asked) = (rate.per_sec, rate.target.per_sec);
    let deviation = match rate.target.arrival {
        Arrival::Constant => 0.0,
        Arrival::Poisson => (asked / rate.seconds).sqrt(),
    };
    let required = REQUIRED_SHARE * asked - ALLOWED_DEVIATIONS * deviation;
    Reason::when(achieved < required, ReasonCode::BelowRate, || {
        let percent = floor_percent(achieved / asked);
        format!("achieved {percent:.1} % of the rate: {achieved:.1} of {asked:.1} messages/s")
    })
}

/// Rounds down to a tenth of a percent: a share just below the required share must not print as equal to it.
fn floor_percent(share: f64) -> f64 {
    (share * 1000.0).floor() / 10.0
}
