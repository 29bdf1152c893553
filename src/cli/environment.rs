//! Environment variables: every option `--a-b` of `serve` is also the variable `MIO_ECHO_A_B`.
//!
//! A variable becomes arguments, so that its value goes through the parsers of the option. If an option is typed, its
//! variable is not read at all, not even when the value would be refused.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error};

use super::refusal::{escape_control, invalid_value, refusal};

/// Returns the arguments that the variables of `command` stand for, without those of the options in `typed`.
///
/// # Errors
///
/// When the value of a variable is refused.
pub fn arguments(
    command: &Command,
    typed: &ArgMatches,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, Error> {
    let mut arguments = Vec::new();
    for (option, long) in options_not_typed(command, typed) {
        let name = variable_name(long);
        let Some(value) = variable(&name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let set = resolve(option, long, &value).map_err(|expected| {
            let value = escape_control(&value.to_string_lossy());
            refusal(invalid_value(value, &name, expected))
        })?;
        let check = command.clone().no_binary_name(true);
        check.try_get_matches_from(&set).map_err(|mut error| {
            // The error names the variable, not the option.
            error.insert(ContextKind::InvalidArg, ContextValue::String(name));
            error
        })?;
        arguments.extend(set);
    }
    Ok(arguments)
}

/// Returns the name of the variable for the option `--long`.
pub fn variable_name(long: &str) -> String {
    format!("MIO_ECHO_{}", long.replace('-', "_").to_uppercase())
}

fn options_not_typed<'a>(
    command: &'a Command,
    typed: &'a ArgMatches,
) -> impl Iterator<Item = (&'a Arg, &'a str)> {
    let is_typed = |option: &Arg| {
        typed.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    command
        .get_arguments()
        .filter(move |option| !is_typed(option))
        .filter_map(|option| Some((option, option.get_long()?)))
}

/// Returns the arguments for `option` that mean the same as the variable's `value`.
fn resolve(option: &Arg, long: &str, value: &OsStr) -> Result<Vec<OsString>, &'static str> {
    let text = value.to_str().ok_or("expected UTF-8")?;
    let with_value = |value: &str| OsString::from(format!("--{long}={value}"));
    Ok(match option.get_action() {
        ArgAction::Append => text.split_whitespace().map(with_value).collect(),
        ArgAction::Count => vec![format!("--{long}").into(); parse_repetitions(text)?],
        _ => vec![with_value(text)],
    })
}

fn parse_repetitions(text: &str) -> Result<usize, &'static str> {
    let number = ["0", "1", "2"].iter().position(|number| *number == text);
    number.ok_or("expected 0, 1 or 2")
}
