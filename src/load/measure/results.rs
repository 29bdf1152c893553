//! The results of a run, before any figure is computed from them.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::measurement::Measurement;
use crate::load::plan::settings::RunSettings;

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Results {
    /// The settings of the run.
    pub settings: RunSettings,
    /// The address of the server.
    pub address: SocketAddr,
    /// The start of the window on the system's clock.
    pub began: SystemTime,
    /// The measured figures.
    pub measurement: Measurement,
}
