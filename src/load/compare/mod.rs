//! The comparison of two servers, or of two settings: rounds of runs, the ratio of their figures and what it is worth.
//!
//! `tests/calibrate/compare.py` counts the differences that are found between equal servers, and between unequal ones.

pub mod compared;
pub mod conclusion;
pub mod figure;
pub mod files;
pub mod order;
pub mod report;
pub mod rounds;
pub mod statistics;
pub mod text;
