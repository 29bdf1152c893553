//! Resolves the typed options of `bench compare` into the options that the program uses.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgMatches, Args, Command};
use mio_echo::load::{Figure, Load, RUNS_PER_SIDE, RunSettings};

use super::args::CompareArgs;
use super::options::{CompareInput, CompareOptions, CompareOutputs, RoundsOptions, SideOptions};
use super::own_options::with_own_options;
use crate::cli::bench::modes::is_typed;
use crate::cli::bench::outputs::resolve_paths;
use crate::cli::bench::run_args::RunArgs;
use crate::cli::bench::server::Server;
use crate::cli::bench::settings::resolve_run;
use crate::cli::refusal::{invalid_value, refuse};

/// The default of `--duration` if there is no `--count`. A comparison has many runs, and the differences between runs are
/// larger than those within a run.
const DEFAULT_DURATION: Duration = Duration::from_secs(3);

impl CompareArgs {
    /// Resolves the options, which were typed as `arguments`: `compare` is the first one. `matches` tells which of them were
    /// typed, and `variable` looks up an environment variable.
    ///
    /// # Errors
    ///
    /// When options contradict each other.
    pub fn resolve(
        mut self,
        arguments: &[OsString],
        matches: &ArgMatches,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<CompareOptions, String> {
        let page = self.outputs.page().cloned();
        let CompareOutputs {
            output,
            markdown,
            json,
            ..
        } = &mut self.outputs;
        let others = [markdown.as_ref(), page.as_ref()];
        resolve_paths(json, output, &others, "--output, --markdown, --html")?;
        let (limit, undecided) = (self.fail_if_slower, self.undecided);
        let outputs = self.outputs.clone();
        let input = match self.base.is_empty() {
            false => self.resolve_files(matches)?,
            true => CompareInput::Rounds(Box::new(self.resolve_rounds(arguments, variable)?)),
        };
        Ok(CompareOptions {
            input,
            limit,
            undecided,
            outputs,
        })
    }

    fn resolve_files(self, matches: &ArgMatches) -> Result<CompareInput, String> {
        refuse_run_options(matches)?;
        for (files, option) in [(&self.base, "--base"), (&self.new, "--new")] {
            let count = files.len();
            if count < RUNS_PER_SIDE {
                return Err(format!(
                    "{option} needs the reports of at least {RUNS_PER_SIDE} runs, and has {count}"
                ));
            }
        }
        Ok(CompareInput::Files {
            base: self.base,
            new: self.new,
            metric: self.metric,
        })
    }

    fn resolve_rounds(
        self,
        arguments: &[OsString],
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<RoundsOptions, String> {
        let run = |options: &Option<String>, name| match options {
            None => Ok(self.run.clone()),
            Some(options) => with_own_options(arguments, options, name),
        };
        let (run_a, run_b) = (run(&self.a, "--a")?, run(&self.b, "--b")?);
        let [server_a, server_b] = match (&self.servers[..], &self.a) {
            ([a, b], None) => [a.clone(), b.clone()],
            ([both], Some(_)) => [both.clone(), both.clone()],
            ([], Some(_)) => [Server::Own, Server::Own],
            ([.., last], Some(_)) => {
                let expected = "expected one server with --a and --b";
                return Err(invalid_value(last, "[SERVER]...", expected));
            }
            ([only], None) => {
                let expected = "expected a second server, or the options --a and --b of one server";
                return Err(invalid_value(only, "[SERVER]...", expected));
            }
            (_, None) => {
                return Err(
                    "nothing to compare: write A B, --a with --b, or --base with --new".into(),
                );
            }
        };
        if self.a.is_none() {
            let expected = "expected with --a and --b only, because A and B are two processes";
            refuse(self.run.server_pid, "--server-pid", expected)?;
        }
        let side = |server: Server, options: &Option<String>, run: RunArgs| {
            refuse_shards(&run)?;
            let settings = resolve_run(run, &server, DEFAULT_DURATION, &variable)?;
            Ok::<_, String>(SideOptions {
                server,
                options: options.clone(),
                settings,
            })
        };
        let (a, b) = (
            side(server_a, &self.a, run_a)?,
            side(server_b, &self.b, run_b)?,
        );
        Ok(RoundsOptions {
            metric: self
                .metric
                .map_or_else(|| primary(&a.settings, &b.settings), Ok)?,
            rounds: self.rounds,
            seed: self.run.seed,
            prepare: self.prepare,
            a,
            b,
        })
    }
}

/// Refuses the options of a run if reports are compared: those runs are done.
fn refuse_run_options(matches: &ArgMatches) -> Result<(), String> {
    let run = RunArgs::augment_args(Command::new("run"));
    let mut options = run.get_arguments();
    let typed = options.find(|option| is_typed(matches, option.get_id().as_str()));
    match typed.and_then(|option| option.get_long()) {
        None => Ok(()),
        Some(name) => Err(format!(
            "--{name} cannot be used with --base and --new: the runs of these reports are done"
        )),
    }
}

fn refuse_shards(run: &RunArgs) -> Result<(), String> {
    let expected = "expected without compare only, whose runs follow one another";
    let shard = run.shard.as_ref().map(|_| "I/N");
    refuse(shard, "--shard", expected)?;
    let start = run.start_at.map(|_| "TIME");
    refuse(start, "--start-at", expected)
}

/// Returns the figure that decides if none was chosen.
fn primary(a: &RunSettings, b: &RunSettings) -> Result<Figure, String> {
    let is_open = |settings: &RunSettings| matches!(settings.load, Load::Open { .. });
    match is_open(a) == is_open(b) {
        true => Ok(Figure::primary(is_open(a))),
        false => Err("no --metric: expected one, because one side is a closed loop and the other an open loop".into()),
    }
}
