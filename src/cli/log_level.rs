//! The level of the log of `serve`: the last one typed of `--quiet` and `--verbose` wins.

use clap::error::Error;
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};
use log::LevelFilter;

use super::definition::OUTPUT;
use super::values::{BOOL, one_of};

/// The level that the two options stand for.
#[derive(Clone, Copy, Debug)]
pub struct LogLevel(pub LevelFilter);

// Not a doc comment: it would become the first line of the help.
#[derive(Args)]
struct LogLevelArgs {
    // Declared before `verbose`: if both variables are set, the one that asks for more wins.
    /// Log errors only
    #[arg(short, long, value_name = "BOOL", value_parser = one_of(BOOL), default_value = "false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = OUTPUT)]
    quiet: bool,

    /// Log one line for each connection, with its address; given twice, one line for each change of a connection's
    /// state too; default: the start and stop of the server, and warnings
    #[arg(short, long, action = ArgAction::Count, help_heading = OUTPUT)]
    verbose: u8,
}

impl Args for LogLevel {
    fn augment_args(command: Command) -> Command {
        LogLevelArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        LogLevelArgs::augment_args_for_update(command)
    }
}

/// Written by hand, because clap's own overriding ignores values: `--quiet=false` would cancel a `--verbose`.
impl FromArgMatches for LogLevel {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let LogLevelArgs { quiet, verbose } = LogLevelArgs::from_arg_matches(matches)?;
        let last_index = |option| matches.indices_of(option).and_then(Iterator::last);
        Ok(Self(match verbose {
            0 if quiet => LevelFilter::Error,
            0 => LevelFilter::Info,
            _ if quiet && last_index("quiet") > last_index("verbose") => LevelFilter::Error,
            1 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
