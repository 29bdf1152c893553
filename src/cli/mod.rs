//! The command line: what was typed, what it means, and what is refused.

mod address;
#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "client")]
mod client;
mod serve;
#[cfg(test)]
mod tests;
mod values;
mod variables;
mod verbosity;

use std::any::TypeId;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::error::ContextValue;
use clap::{Arg, Args, CommandFactory, Error, FromArgMatches, Parser, Subcommand};
use mio_echo::net::BACK_END;

#[cfg(feature = "bench")]
pub use bench::{Bench, Measure, Merge, Outputs};
#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "client")]
use client::ClientArgs;
pub use serve::Serve;
use serve::ServeArgs;

/// The subcommands that were built in.
const FEATURES: &[&str] = &[
    "serve",
    #[cfg(feature = "client")]
    "client",
    #[cfg(feature = "bench")]
    "bench",
];

const SERVE: &str = "serve";

/// `mio-echo SUBCOMMAND`, then its arguments.
const AFTER_SUBCOMMAND: usize = 2;

const VALUES: &str = "\
DUR is a decimal with ns, us, ms, s, m or h, seconds without one: .5 is half a second.
SIZE is in bytes: 64, 16k, 1MiB (k is 1024). N is a count: 50k is 50,000.";

const SERVE_NOTES: &str = "\
BOOL is true, 1, false or 0; the option alone is true.
Every option --a-b is also a variable MIO_ECHO_A_B: the command line wins, empty is unset,
lists are separated by blanks, MIO_ECHO_VERBOSE is 0, 1 or 2.
Exit code: 0 stopped, 1 could not start or run, 2 usage, 130 or 143 a second SIGINT or SIGTERM.";

#[cfg(feature = "client")]
const CLIENT_NOTES: &str = "\
Exit code: 0 all came back, 1 could not connect or run, closed early or timed out, 2 usage,
4 a reply differed.";

/// What the program was asked to do.
#[derive(Debug)]
pub enum Command {
    /// `mio-echo serve`
    Serve(Serve),
    /// `mio-echo client`
    #[cfg(feature = "client")]
    Client(Client),
    /// `mio-echo bench`
    #[cfg(feature = "bench")]
    Bench(Bench),
}

/// Reads the command line, and in `variable` the environment.
///
/// # Errors
///
/// What was asked for is refused, or is help; see [`answer`].
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, Error> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let mut command = Typed::command();
    let typed = command.try_get_matches_from_mut(&arguments)?;
    if let Some(typed) = typed.subcommand_matches(SERVE) {
        let serve = ServeArgs::augment_args(clap::Command::new(SERVE));
        let set = variables::arguments(&serve, typed, &variable)?;
        arguments.splice(AFTER_SUBCOMMAND..AFTER_SUBCOMMAND, set);
    }
    let matches = command.try_get_matches_from(arguments)?;
    Ok(match Typed::from_arg_matches(&matches)?.subcommand {
        TypedSubcommand::Serve(typed) => Command::Serve((*typed).try_into()?),
        #[cfg(feature = "client")]
        TypedSubcommand::Client(typed) => Command::Client(typed.try_into()?),
        #[cfg(feature = "bench")]
        TypedSubcommand::Bench(typed) => Command::Bench(typed.resolve(&variable)?),
    })
}

/// Prints what [`parse`] returned instead of a command: help on standard output, or one line on standard error.
pub fn answer(error: Error) -> ExitCode {
    if error.use_stderr() {
        let _ = writeln!(io::stderr(), "mio-echo: {}", one_line(error));
        ExitCode::from(2)
    } else {
        let _ = write!(io::stdout(), "{}", error.render());
        ExitCode::SUCCESS
    }
}

/// An echo server on a hand-rolled, single-threaded readiness loop
#[derive(Parser)]
#[command(name = "mio-echo", version = version(), arg_required_else_help = false)]
struct Typed {
    #[command(subcommand)]
    subcommand: TypedSubcommand,
}

// Deferred: the options of a subcommand come to be when it was typed. Those of `bench` would take a server 100 kB.
#[derive(Subcommand)]
#[command(defer = true)]
enum TypedSubcommand {
    /// Sends back what clients send
    #[command(after_help = format!("{VALUES}\n{SERVE_NOTES}"))]
    Serve(Box<ServeArgs>),
    /// Sends standard input, or messages, to an echo server and takes what comes back
    #[cfg(feature = "client")]
    #[command(after_help = format!("{VALUES}\n{CLIENT_NOTES}"))]
    Client(ClientArgs),
    /// Measures an echo server: rates, response times, and whether every byte came back
    #[cfg(feature = "bench")]
    #[command(after_help = format!("{VALUES}\n{}", bench::NOTES))]
    Bench(Box<bench::BenchArgs>),
}

/// `--backlog -1` is a refused value of --backlog, not an unknown option -1. Where any text would do, as for a file,
/// the next option is no value.
fn option_takes_hyphens(option: Arg) -> Arg {
    let is_option = option.get_action().takes_values() && !option.is_positional();
    let takes_any = is_path(&option);
    option.allow_hyphen_values(is_option && !takes_any)
}

/// Any text may be the path of a file.
fn is_path(option: &Arg) -> bool {
    option.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let features = FEATURES.join(", ");
        format!(
            "{}, back end {BACK_END}, features: {features}",
            env!("CARGO_PKG_VERSION")
        )
    });
    &VERSION
}

/// Clap's error without the usage and the hints that follow it.
fn one_line(mut error: Error) -> String {
    let typed: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(printable(text)))),
            _ => None,
        })
        .collect();
    for (kind, text) in typed {
        error.insert(kind, text);
    }
    let text = error.render().to_string();
    // What is missing stands on lines of its own.
    let paragraph: Vec<_> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let line = paragraph.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// A line break that was typed must not break the line that refuses it.
pub fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}
