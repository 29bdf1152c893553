//! Environment variables: every option `--a-b` of `serve` is also the variable `MIO_ECHO_A_B`.
//!
//! A variable becomes arguments, so that its value goes through the parsers of the option. If an option is typed, its
//! variable is not read at all, not even when the value would be refused.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error};

use super::refusal::{escape_control, invalid_value, refusal};

/// How the name of every variable begins.
const PREFIX: &str = "MIO_ECHO_";

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

/// Returns a line for each variable of `variables` that has the prefix of this program and belongs to no option of
/// `command`. The line names the nearest name that does. An empty variable is unset.
///
/// Kubernetes sets variables for each service of the namespace, so a service `mio-echo` sets `MIO_ECHO_PORT` and
/// `MIO_ECHO_SERVICE_HOST`, among others. Those variables, and those of the tests, are left out.
pub fn unknown_variables(
    command: &Command,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<String> {
    let options = command.get_arguments().filter_map(Arg::get_long);
    let known: Vec<_> = options.map(variable_name).collect();
    let unknown = variables
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name) && !is_foreign(name));
    let explain = |name: String| {
        let nearest = known.iter().min_by_key(|known| distance(known, &name));
        let nearest = nearest.map_or("", String::as_str);
        let name = escape_control(&name);
        format!("no option has the variable {name}; the nearest name is {nearest}")
    };
    unknown.map(explain).collect()
}

/// Returns true if `name` is a variable of Kubernetes, `MIO_ECHO(_.*)?_(PORT(_.*)?|SERVICE_.*)`, or of the tests.
fn is_foreign(name: &str) -> bool {
    name.ends_with("_PORT")
        || name.contains("_PORT_")
        || name.contains("_SERVICE_")
        || name.starts_with("MIO_ECHO_TEST_")
}

/// Returns how many characters must be inserted, removed or replaced to turn `from` into `to`.
fn distance(from: &str, to: &str) -> usize {
    // The distances of a prefix of `from` to each prefix of `to`.
    let mut row: Vec<_> = (0..=to.chars().count()).collect();
    for (length, a) in from.chars().enumerate() {
        let mut diagonal = length;
        row[0] = length + 1;
        for (index, b) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

/// Returns the name of the variable for the option `--long`.
pub fn variable_name(long: &str) -> String {
    format!("{PREFIX}{}", long.replace('-', "_").to_ascii_uppercase())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_m2_a_variable_without_an_option_is_named_with_the_nearest_name() {
        let options = ["max-connections", "listen", "quiet"];
        let options = options.map(|long| Arg::new(long).long(long));
        let command = Command::new("serve").args(options);
        let warnings = |name: &str, value: &str| {
            let variable = (OsString::from(name), OsString::from(value));
            unknown_variables(&command, [variable])
        };
        for (name, nearest) in [
            ("MIO_ECHO_MAX_CONNECTION", "MIO_ECHO_MAX_CONNECTIONS"),
            ("MIO_ECHO_LISTNE", "MIO_ECHO_LISTEN"),
            ("MIO_ECHO_PORTS", "MIO_ECHO_LISTEN"),
        ] {
            let line = format!("no option has the variable {name}; the nearest name is {nearest}");
            assert_eq!(warnings(name, "1"), [line]);
        }
        for name in [
            "MIO_ECHO_LISTEN",
            "MIO_ECHO_PORT",
            "MIO_ECHO_PORT_7007_TCP_ADDR",
            "MIO_ECHO_SERVICE_HOST",
            "MIO_ECHO_CANARY_PORT",
            "MIO_ECHO_CANARY_SERVICE_PORT_ECHO",
            "MIO_ECHO_TEST_STRICT",
            "MIO_ECHOES",
            "PATH",
        ] {
            assert_eq!(warnings(name, "1"), [""; 0], "{name}");
        }
        assert_eq!(warnings("MIO_ECHO_LISTNE", ""), [""; 0]);
    }

    #[test]
    fn the_distance_counts_changes_of_characters() {
        for (from, to, expected) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(from, to), expected);
            assert_eq!(distance(to, from), expected);
        }
    }
}
