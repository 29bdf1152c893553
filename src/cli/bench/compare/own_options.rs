//! The options that one side of a comparison has of its own.

use std::ffi::OsString;

use clap::{Args, FromArgMatches};

use super::args::CompareArgs;
use crate::cli::bench::run_args::RunArgs;
use crate::cli::definition::allow_hyphen_values;
use crate::cli::refusal::{invalid_value, one_line};

/// Returns the options of a run with those of one side, which take precedence. `name` is the option that has them.
pub fn with_own_options(arguments: &[OsString], own: &str, name: &str) -> Result<RunArgs, String> {
    let refused = |error: clap::Error| format!("{name}: {}", one_line(error));
    let expected = "expected options, with a second quote for each quote";
    let own_words = shlex::split(own).ok_or_else(|| invalid_value(own, name, expected))?;
    let parser = || {
        let parser = clap::Command::new("compare").no_binary_name(true);
        parser.disable_help_flag(true).args_override_self(true)
    };
    // Alone, so that only options of a run are accepted.
    let alone = RunArgs::augment_args(parser());
    alone.try_get_matches_from(&own_words).map_err(refused)?;
    // An option that is given twice has the later value. After `--`, there are servers.
    let arguments = arguments.get(1..).unwrap_or_default();
    let servers = arguments.iter().position(|argument| argument == "--");
    let (options, servers) = arguments.split_at(servers.unwrap_or(arguments.len()));
    let own_words = own_words.into_iter().map(OsString::from);
    let all = options
        .iter()
        .cloned()
        .chain(own_words)
        .chain(servers.iter().cloned());
    let parser = CompareArgs::augment_args(parser()).mut_args(allow_hyphen_values);
    let matches = parser.try_get_matches_from(all).map_err(refused)?;
    let typed = CompareArgs::from_arg_matches(&matches).map_err(refused)?;
    Ok(typed.run)
}
