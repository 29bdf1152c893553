//! How much `serve` logs: `--quiet` and `--verbose`, of which the last one typed counts.

use clap::error::Error;
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};
use log::LevelFilter;

use super::values;

/// What the two options come to.
#[derive(Clone, Copy, Debug)]
pub struct Verbosity(pub LevelFilter);

// Not a doc comment, which would be the first line of the help.
#[derive(Args)]
struct Typed {
    // Before `verbose`, so that of two variables the one that asks for more prevails.
    /// Logs errors only
    #[arg(short, long, value_name = "BOOL", value_parser = values::boolean, default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    quiet: bool,

    /// Logs a line a connection too, with its address; twice: a line a state change; default: info
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

impl Args for Verbosity {
    fn augment_args(command: Command) -> Command {
        Typed::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Typed::augment_args_for_update(command)
    }
}

/// Clap's own overriding knows no values: `--quiet=false` would take back a `--verbose`.
impl FromArgMatches for Verbosity {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let Typed { quiet, verbose } = Typed::from_arg_matches(matches)?;
        let place = |option| matches.indices_of(option).and_then(Iterator::last);
        Ok(Self(match verbose {
            0 if quiet => LevelFilter::Error,
            0 => LevelFilter::Info,
            _ if quiet && place("quiet") > place("verbose") => LevelFilter::Error,
            1 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
