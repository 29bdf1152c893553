//! Every option of `serve` is also a variable: `--a-b` is `MIO_ECHO_A_B`.
//!
//! A variable becomes arguments, so that its value goes through the same parsers. An option that was typed hides its
//! variable, whatever that holds.

use std::ffi::{OsStr, OsString};
use std::iter;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error};

use super::printable;

/// The arguments that the variables of `command` stand for, but for the options that were `typed`.
pub fn arguments(
    command: &Command,
    typed: &ArgMatches,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, Error> {
    let mut arguments = Vec::new();
    for (option, long) in untyped(command, typed) {
        let name = name(long);
        let Some(value) = variable(&name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let meant = resolve(option, long, &value).map_err(|why| refused(&name, &value, why))?;
        check(command, &meant).map_err(|error| naming(error, &name))?;
        arguments.extend(meant);
    }
    Ok(arguments)
}

/// The variable for the option `--long`.
pub fn name(long: &str) -> String {
    format!("MIO_ECHO_{}", long.replace('-', "_").to_uppercase())
}

fn untyped<'a>(
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

fn resolve(option: &Arg, long: &str, value: &OsStr) -> Result<Vec<OsString>, &'static str> {
    let text = value.to_str().ok_or("expected UTF-8")?;
    let with_value = |value: &str| OsString::from(format!("--{long}={value}"));
    Ok(match option.get_action() {
        ArgAction::Append => text.split_whitespace().map(with_value).collect(),
        ArgAction::Count => vec![format!("--{long}").into(); times(text)?],
        _ => vec![with_value(text)],
    })
}

fn times(text: &str) -> Result<usize, &'static str> {
    let number = ["0", "1", "2"].iter().position(|number| *number == text);
    number.ok_or("expected 0, 1 or 2")
}

fn check(command: &Command, arguments: &[OsString]) -> Result<(), Error> {
    let arguments = arguments.iter().map(OsString::as_os_str);
    let program = OsStr::new("mio-echo");
    command
        .clone()
        .try_get_matches_from(iter::once(program).chain(arguments))
        .map(drop)
}

fn refused(name: &str, value: &OsStr, why: &str) -> Error {
    let value = printable(&value.to_string_lossy());
    Error::raw(
        ErrorKind::ValueValidation,
        format!("invalid value '{value}' for '{name}': {why}"),
    )
}

fn naming(mut error: Error, variable: &str) -> Error {
    error.insert(
        ContextKind::InvalidArg,
        ContextValue::String(variable.into()),
    );
    error
}
