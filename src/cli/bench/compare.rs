//! The options of `bench compare`.

mod args;
mod options;
mod own_options;
mod resolve;
#[cfg(test)]
mod tests;

pub use args::{CompareArgs, in_compare};
pub use options::{CompareInput, CompareOptions, RoundsOptions, SideOptions, Undecided};
