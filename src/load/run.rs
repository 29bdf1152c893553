//! A measurement from begin to end.

use std::{error, fmt};

use super::{Config, Progress, Results};

/// Why there was no measurement.
#[derive(Debug)]
pub enum RunError {
    /// There is no load generator yet.
    NotBuilt,
}

/// Measures as `config` says, and tells `progress` how it goes.
///
/// # Errors
///
/// When the measurement could not begin. A failure of single connections or messages is part of the results.
pub fn run(_config: Config, _progress: &mut dyn Progress) -> Result<Results, RunError> {
    Err(RunError::NotBuilt)
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not built yet")
    }
}

impl error::Error for RunError {}
