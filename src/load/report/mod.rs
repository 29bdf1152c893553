//! How a measurement is told: as JSON, as text and as files of histograms. Reports of shards are added here.

pub mod batches;
pub mod beside;
pub mod cells;
pub mod environment;
pub mod hgrm;
pub mod histogram;
pub mod hlog;
pub mod json;
pub mod merge;
pub mod rows;
pub mod schema;
pub mod settings;
pub mod sweep;
pub mod text;
