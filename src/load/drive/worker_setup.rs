//! What all workers of a run are created with.

use std::net::SocketAddr;
use std::sync::Arc;

use super::control::{Control, WorkerEventSender};
use crate::load::plan::payload::Payload;
use crate::load::plan::settings::RunSettings;

/// What all workers of a run are created with.
#[derive(Clone)]
pub struct WorkerSetup {
    /// The settings of the run.
    pub settings: Arc<RunSettings>,
    /// The address of the server.
    pub address: SocketAddr,
    /// The bytes of the messages.
    pub payload: Arc<Payload>,
    /// What the coordinator tells the workers.
    pub control: Arc<Control>,
    /// What the workers tell the coordinator.
    pub worker_events: WorkerEventSender,
}
