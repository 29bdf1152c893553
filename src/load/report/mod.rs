//! How it is told.

pub mod config;
pub mod environment;
pub mod hgrm;
pub mod histogram;
pub mod hlog;
pub mod merge;
pub mod parts;
pub mod schema;
pub mod text;
