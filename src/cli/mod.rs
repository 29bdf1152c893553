//! The command line: turns arguments and environment variables into a [`Command`], or refuses them with one line.
//!
//! [`parse()`] reads the definitions in `serve.rs`, `client.rs` and `bench/`. Each of them has a struct of arguments as
//! they are typed, and a struct of options as the program uses them. `environment.rs` turns variables into arguments of
//! `serve`; `values.rs`, `address.rs` and `network.rs` parse single values; `refusal.rs` reduces clap's errors to one line.

mod address;
#[cfg(feature = "bench")]
mod bench;
mod check;
#[cfg(feature = "client")]
mod client;
mod definition;
mod environment;
#[cfg(feature = "proxy")]
mod network;
pub mod parse;
mod refusal;
mod serve;
#[cfg(test)]
mod tests;
mod values;

#[cfg(feature = "bench")]
pub use bench::{
    BenchCommand, BesideOptions, CompareInput, CompareOptions, FindMaxOptions, MeasureOptions,
    MergeOptions, ReportOptions, RoundsOptions, Server, SideOptions, SweepOptions, Undecided,
    descriptor_of,
};
#[cfg(feature = "client")]
pub use client::ClientOptions;
pub use parse::{Command, parse, unknown_variables};
pub use refusal::escape_control;
#[cfg(feature = "metrics")]
pub use serve::MetricsOptions;
pub use serve::{InheritedSocket, LogFormat, ServeOptions};
