//! The command line as a whole: its subcommands, its help and its version.

use std::ffi::OsString;
use std::sync::LazyLock;

use clap::{Args, CommandFactory, Error, FromArgMatches, Parser, Subcommand};
use mio_echo::net::BACK_END;

#[cfg(feature = "bench")]
use super::bench::{self, BenchArgs, BenchCommand};
#[cfg(feature = "client")]
use super::client::{self, ClientArgs, ClientOptions};
use super::refusal::{one_line, refusal};
use super::serve::{self, InheritedSocket, ServeArgs, ServeOptions};
use super::{check, environment};

/// The subcommands of this build.
pub const SUBCOMMANDS: &[&str] = &[
    SERVE,
    #[cfg(feature = "client")]
    "client",
    #[cfg(feature = "bench")]
    "bench",
];

pub const SERVE: &str = "serve";

/// The index of the first argument of a subcommand in `mio-echo SUBCOMMAND ARGUMENT..`.
const AFTER_SUBCOMMAND: usize = 2;

const VALUES: &str = "\
Values:
  DUR is a duration, a decimal with ns, us, ms, s, m or h; without a unit it is in seconds: .5 is half a second.
  SIZE is a number of bytes: 64, 16k, 1MiB (k is 1024).
  N is a count: 50k is 50,000.";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// To print this text: help, or the version.
    Help(String),
    /// `mio-echo serve`
    Serve(Box<ServeOptions>),
    /// `mio-echo serve --check`
    Check {
        /// The options of a server.
        options: Box<ServeOptions>,
        /// A line for each option, with its value and where the value comes from.
        settings: Vec<String>,
    },
    /// `mio-echo client`
    #[cfg(feature = "client")]
    Client(ClientOptions),
    /// `mio-echo bench`
    #[cfg(feature = "bench")]
    Bench(BenchCommand),
}

/// Parses the command line. `variable` looks up an environment variable, and `take_inherited` takes the listening sockets
/// that the process has inherited, for `serve`.
///
/// # Errors
///
/// When the command line is refused. The error is one line that names the option or variable, the value and what is
/// allowed.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
    take_inherited: impl FnOnce() -> Result<Vec<InheritedSocket>, String>,
) -> Result<Command, String> {
    match try_parse(arguments, variable, take_inherited) {
        Ok(command) => Ok(command),
        Err(error) if error.use_stderr() => Err(one_line(error)),
        Err(help) => Ok(Command::Help(help.render().to_string())),
    }
}

/// Returns a line for each variable of `variables` that looks like an option of `serve` and is none.
pub fn unknown_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    environment::unknown_variables(&serve_options(), variables)
}

/// Returns a command with the options of `serve`.
fn serve_options() -> clap::Command {
    ServeArgs::augment_args(clap::Command::new(SERVE))
}

fn try_parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
    take_inherited: impl FnOnce() -> Result<Vec<InheritedSocket>, String>,
) -> Result<Command, Error> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let mut command = Cli::command();
    let typed = command.try_get_matches_from_mut(&arguments)?;
    if let Some(typed) = typed.subcommand_matches(SERVE) {
        let set = environment::arguments(&serve_options(), typed, &variable)?;
        arguments.splice(AFTER_SUBCOMMAND..AFTER_SUBCOMMAND, set);
    }
    let matches = command.try_get_matches_from(&arguments)?;
    let of_subcommand = matches
        .subcommand()
        .map_or(&matches, |(_, matches)| matches);
    Ok(match Cli::from_arg_matches(&matches)?.subcommand {
        Subcommands::Serve(args) => {
            let is_check = args.check;
            let inherited = take_inherited().map_err(refusal)?;
            let options = Box::new(args.resolve(of_subcommand, inherited)?);
            match typed.subcommand_matches(SERVE).filter(|_| is_check) {
                None => Command::Serve(options),
                Some(typed) => Command::Check {
                    options,
                    settings: check::settings(&serve_options(), typed, of_subcommand),
                },
            }
        }
        #[cfg(feature = "client")]
        Subcommands::Client(args) => Command::Client(args.try_into()?),
        #[cfg(feature = "bench")]
        Subcommands::Bench(args) => {
            let typed = &arguments[AFTER_SUBCOMMAND..];
            Command::Bench(args.resolve(typed, of_subcommand, &variable)?)
        }
    })
}

#[cfg_attr(feature = "bench", doc = "TCP echo server, client and benchmark")]
#[cfg_attr(not(feature = "bench"), doc = "TCP echo server")]
#[derive(Parser)]
#[command(name = "mio-echo", version = version(), arg_required_else_help = false)]
pub struct Cli {
    #[command(subcommand)]
    subcommand: Subcommands,
}

// `defer`: clap creates the options of a subcommand when the subcommand is typed. Those of `bench` would cost a server
// 100 kB of memory.
#[derive(Subcommand)]
#[command(defer = true)]
enum Subcommands {
    /// Sends back what clients send
    #[command(after_help = format!("{VALUES}\n{}{}", serve::NOTES, serve::SERVICE_MANAGER))]
    Serve(Box<ServeArgs>),
    /// Sends standard input, or messages, to an echo server and receives the echo
    #[cfg(feature = "client")]
    #[command(after_help = format!("{VALUES}\n\n{}", client::NOTES))]
    Client(ClientArgs),
    /// Measures an echo server: its throughput, its response times, and whether every byte came back
    #[cfg(feature = "bench")]
    #[command(after_help = format!("{VALUES}\n\n{}", bench::NOTES))]
    Bench(Box<BenchArgs>),
}

/// Returns the version, the back end and the subcommands of this build.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let features = SUBCOMMANDS.join(", ");
        format!(
            "{}, back end {BACK_END}, features: {features}",
            env!("CARGO_PKG_VERSION")
        )
    });
    &VERSION
}
