//! Refusals of a command line: one line that names the option, the value and what is allowed.

use std::fmt::Display;

use clap::Error;
use clap::error::{ContextValue, ErrorKind};

/// Returns the line that refuses `value`. `option` is the name of the option or variable.
pub fn invalid_value(value: impl Display, option: &str, expected: &str) -> String {
    format!("invalid value '{value}' for '{option}': {expected}")
}

/// Refuses `value`, if there is one.
///
/// # Errors
///
/// The line that refuses the value.
#[cfg(feature = "bench")]
pub fn refuse(value: Option<impl Display>, option: &str, expected: &str) -> Result<(), String> {
    value.map_or(Ok(()), |value| Err(invalid_value(value, option, expected)))
}

/// Creates clap's error with the line `message`.
pub fn refusal(message: String) -> Error {
    Error::raw(ErrorKind::ValueValidation, message)
}

/// Returns clap's error without the usage and the hints that follow its first paragraph.
pub fn one_line(mut error: Error) -> String {
    let escaped: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(escape_control(text)))),
            _ => None,
        })
        .collect();
    for (kind, text) in escaped {
        error.insert(kind, text);
    }
    let text = error.render().to_string();
    // Clap lists missing arguments on further lines of the first paragraph.
    let paragraph: Vec<_> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let line = paragraph.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// Escapes control characters: a line break in a quoted value must not break the line that quotes it.
pub fn escape_control(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}
