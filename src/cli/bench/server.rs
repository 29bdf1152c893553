//! The server of a run as it is typed: `HOST:PORT_PLACEHOLDER`, or a command.

use std::fmt;

use mio_echo::load::{CommandLine, PORT_PLACEHOLDER, Target};

use super::values;

/// The server of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A server that bench starts itself.
    Own,
    /// A server that runs already: `HOST:PORT_PLACEHOLDER`.
    Running(String),
    /// A server that a command starts.
    Command(CommandLine),
}

impl Server {
    /// Returns the target of a run. That of a command is known when the command has started.
    pub fn target(&self) -> Target {
        match self {
            Self::Own => Target::OwnServer,
            Self::Running(target) => Target::Remote(target.clone()),
            Self::Command(_) => Target::Remote(String::new()),
        }
    }
}

/// Formats the server as it was typed.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("mio-echo serve (started for each run)"),
            Self::Running(target) => f.write_str(target),
            Self::Command(command) => command.fmt(f),
        }
    }
}

/// Parses `HOST:PORT_PLACEHOLDER`, or a command that contains `{port}`.
pub fn parse_server(text: &str) -> Result<Server, String> {
    if text.contains(PORT_PLACEHOLDER) {
        return parse_command(text).map(Server::Command);
    }
    let or_command = |expected| format!("{expected}; a command contains {PORT_PLACEHOLDER}");
    values::parse_target(text)
        .map(Server::Running)
        .map_err(or_command)
}

/// Splits a command into words, as a shell does.
pub fn parse_command(text: &str) -> Result<CommandLine, String> {
    let command = shlex::split(text).and_then(|words| CommandLine::new(text, words));
    command.ok_or_else(|| "expected a command: words, with a second quote for each quote".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_like_a_shells_words() {
        let Ok(Server::Command(command)) = parse_server(r"'my server' -l [::]:{port} a\ b") else {
            panic!("a command");
        };
        assert_eq!(command.program(), "my server");
        assert_eq!(command.arguments(), ["-l", "[::]:{port}", "a b"]);
        let parse = |text: &str| parse_server(text).map_err(|expected| expected.lines().count());
        for text in ["'serve {port}", "# {port}"] {
            assert_eq!(parse(text), Err(1), "{text}");
        }
    }

    #[test]
    fn without_a_port_to_fill_in_a_server_is_an_address() {
        assert_eq!(parse_server("host:7"), Ok(Server::Running("host:7".into())));
        for text in ["serve", "serve -l 127.0.0.1:7", ""] {
            let expected = parse_server(text).expect_err(text);
            assert!(
                expected.ends_with("a command contains {port}"),
                "{expected}"
            );
        }
    }
}
