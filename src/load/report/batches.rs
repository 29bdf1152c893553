//! The batches of the window in the JSON report.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram;
use crate::load::measure::batch::Batch;
use crate::load::measure::interference::Interference;
use crate::load::measure::latency_histogram::LatencyHistogram;

/// A batch: one of at most 64 parts of the window, from which the uncertainty of the figures is computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedBatch {
    /// Seconds from the start of the window to the start of the batch.
    pub start_s: f64,
    /// The length of the batch in seconds.
    pub seconds: f64,
    /// The number of verified replies that arrived in the batch.
    pub messages: u64,
    /// The histogram of the response times of the messages that ended in the batch, encoded as those of the window.
    pub response: String,
    /// The histogram of those response times that are only lower bounds; null if there are none.
    pub response_lower_bounds: Option<String>,
    /// What the rest of the machine did meanwhile. The system counts CPU time in ticks, so the figures of a short batch are
    /// coarse.
    pub interference: Interference,
}

impl ReportedBatch {
    /// Returns the batch as the report shows it.
    pub(super) fn of(batch: &Batch) -> Self {
        let lower_bounds = batch.response.lower_bounds.as_ref();
        Self {
            start_s: batch.start.as_secs_f64(),
            seconds: batch.length.as_secs_f64(),
            messages: batch.messages,
            response: histogram::encode(&batch.response.histogram),
            response_lower_bounds: lower_bounds.map(histogram::encode),
            interference: batch.interference,
        }
    }

    /// Returns the batch that the report shows. The longest response time has the digits of the histogram.
    ///
    /// # Errors
    ///
    /// When a time is no length of time, or a histogram cannot be decoded.
    pub fn batch(&self) -> Result<Batch, Box<dyn Error>> {
        let histogram = histogram::decode(&self.response)?;
        let lower_bounds = self.response_lower_bounds.as_deref();
        Ok(Batch {
            start: Duration::try_from_secs_f64(self.start_s)?,
            length: Duration::try_from_secs_f64(self.seconds)?,
            messages: self.messages,
            interference: self.interference,
            response: LatencyHistogram {
                max: histogram.max(),
                overflow: 0,
                lower_bounds: lower_bounds.map(histogram::decode).transpose()?,
                histogram,
            },
        })
    }
}
