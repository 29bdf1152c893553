//! The command line of a program that is started for a run.

use std::ffi::OsString;
use std::fmt;

/// Stands for the port in a command.
pub const PORT_PLACEHOLDER: &str = "{port}";

/// A command: its program and its arguments. No shell runs the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    text: String,
    program: String,
    arguments: Vec<String>,
}

impl CommandLine {
    /// Returns the command of these words, which was typed as `text`; `None` without words.
    pub fn new(text: &str, words: Vec<String>) -> Option<Self> {
        let mut words = words.into_iter();
        Some(Self {
            text: text.into(),
            program: words.next()?,
            arguments: words.collect(),
        })
    }

    /// Returns the command as it was typed, with `port` for each [`PORT_PLACEHOLDER`].
    pub fn with_port(&self, port: u16) -> Self {
        let port = port.to_string();
        let replace = |word: &String| word.replace(PORT_PLACEHOLDER, &port);
        Self {
            text: self.text.clone(),
            program: replace(&self.program),
            arguments: self.arguments.iter().map(replace).collect(),
        }
    }

    /// Returns the program.
    pub fn program(&self) -> OsString {
        (&self.program).into()
    }

    /// Returns the arguments of the program.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

/// Formats the command as it was typed.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_replaced_and_the_text_stays() {
        let words = ["server", "-l", "[::1]:{port},127.0.0.1:{port}"].map(String::from);
        let typed = CommandLine::new("server -l '..{port}'", words.into()).expect("words");
        let command = typed.with_port(7);
        assert_eq!(command.arguments(), ["-l", "[::1]:7,127.0.0.1:7"]);
        assert_eq!(command.to_string(), typed.to_string());
        assert_eq!(CommandLine::new("", vec![]), None);
    }
}
