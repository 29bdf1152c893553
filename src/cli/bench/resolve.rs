//! Resolves the typed options of `bench`: which command they stand for, and with which settings.

use std::ffi::OsString;

use clap::ArgMatches;

use super::args::{BenchArgs, BenchSubcommand};
use super::file_names::expand;
use super::modes::{resolve_beside, resolve_find_max, resolve_sweep};
use super::options::{BenchCommand, MeasureOptions};
use super::outputs::resolve_outputs;
use super::server::Server;
use super::settings::{DEFAULT_DURATION, resolve_run};
use crate::cli::refusal::refusal;

impl BenchArgs {
    /// Resolves the options, which were typed as `arguments`. `matches` tells which of them were typed, and `variable` looks
    /// up an environment variable.
    ///
    /// # Errors
    ///
    /// When options contradict each other.
    pub fn resolve(
        mut self,
        arguments: &[OsString],
        matches: &ArgMatches,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<BenchCommand, clap::Error> {
        let resolved = match (
            self.subcommand.take(),
            self.sweep.take(),
            self.beside.take(),
            self.find_max.take().zip(self.report.slo.clone()),
        ) {
            (Some(BenchSubcommand::Merge(mut options)), _, _, _) => {
                resolve_outputs(&mut options.report, None).map(|()| BenchCommand::Merge(options))
            }
            (Some(BenchSubcommand::Compare(args)), _, _, _) => {
                let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
                let options = args.resolve(arguments, matches, variable);
                options.map(Box::new).map(BenchCommand::Compare)
            }
            (None, Some(sweep), _, _) => {
                resolve_sweep(self, sweep, matches).map(BenchCommand::Sweep)
            }
            (None, None, Some(bulk), _) => resolve_beside(self, bulk, matches)
                .map(Box::new)
                .map(BenchCommand::Beside),
            (None, None, None, Some((range, slo))) => resolve_find_max(self, range, slo)
                .map(Box::new)
                .map(BenchCommand::FindMax),
            (None, None, None, None) => resolve_measurement(self, variable)
                .map(Box::new)
                .map(BenchCommand::Measure),
        };
        resolved.map_err(refusal)
    }
}

fn resolve_measurement(
    mut args: BenchArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<MeasureOptions, String> {
    let server = args.target.map_or(Server::Own, Server::Running);
    let settings = resolve_run(args.run, &server, DEFAULT_DURATION, variable)?;
    args.report.expand_names(settings.shard)?;
    expand(&mut args.hlog, "--hlog", settings.shard)?;
    resolve_outputs(&mut args.report, args.hlog.as_ref())?;
    Ok(MeasureOptions {
        settings,
        hlog: args.hlog,
        report: args.report,
    })
}
