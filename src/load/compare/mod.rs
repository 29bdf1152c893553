//! The comparison of two servers, or of two settings: rounds of runs, the ratio of their figures and what it is worth.

pub mod conclusion;
pub mod order;
pub mod rounds;
pub mod statistics;
