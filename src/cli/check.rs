//! The value of every option of `serve`, and where each value comes from: what `--check` prints.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::environment::variable_name;
use super::refusal::escape_control;

/// The option that asks for the check. Its own value says nothing.
const CHECK: &str = "check";

/// Returns a line for each option of `command`. `typed` are the matches of the command line alone, `matches` those of the
/// command line and the variables.
pub fn settings(command: &Command, typed: &ArgMatches, matches: &ArgMatches) -> Vec<String> {
    let options = command
        .get_arguments()
        .filter_map(|option| Some((option, option.get_long()?)))
        .filter(|(_, long)| *long != CHECK);
    options
        .map(|(option, long)| {
            let value = escape_control(&value(option, matches));
            let is_set = |matches: &ArgMatches| {
                matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
            };
            // A variable becomes an argument, so clap takes it for a part of the command line.
            let source = match (is_set(typed), is_set(matches)) {
                (true, _) => "command line".into(),
                (false, true) => variable_name(long),
                (false, false) => "default".into(),
            };
            format!("{long}: {value} ({source})")
        })
        .collect()
}

/// Returns the value of `option` as it was typed, or its default.
fn value(option: &Arg, matches: &ArgMatches) -> String {
    let id = option.get_id().as_str();
    if matches!(option.get_action(), ArgAction::Count) {
        return matches.get_count(id).to_string();
    }
    let Some(values) = matches.get_raw(id) else {
        return "unset".into();
    };
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    values.join(" ")
}
