//! Resolves the options that ask for several measurements: which settings each of them has.

use clap::ArgMatches;
use clap::parser::ValueSource;
use mio_echo::load::{Parameter, RunSettings, Sizes, Target};

use super::args::{BenchArgs, RunArgs};
use super::options::SweepOptions;
use super::outputs::resolve_outputs;
use super::settings::{DEFAULT_DURATION, resolve_run};
use super::sweep::SweepArg;
use crate::cli::refusal::refuse;

/// Resolves the options of a sweep.
///
/// # Errors
///
/// When options contradict each other, or a value of the sweep.
pub fn resolve_sweep(
    mut args: BenchArgs,
    SweepArg { parameter, values }: SweepArg,
    matches: &ArgMatches,
) -> Result<SweepOptions, String> {
    // The name of the parameter is the name of its option.
    let name = parameter.to_string();
    let twice = Some(&name).filter(|name| is_typed(matches, name));
    let expected = format!("expected without --{name}, which has one value");
    refuse(twice, "--sweep", &expected)?;
    resolve_outputs(&mut args.report, args.csv.as_ref())?;
    let target = args.target.map_or(Target::OwnServer, Target::Remote);
    let step = |value: f64| {
        let settings = step_settings(args.run.clone(), &target, parameter, value)?;
        Ok((value, settings))
    };
    Ok(SweepOptions {
        parameter,
        steps: values
            .into_iter()
            .map(step)
            .collect::<Result<_, String>>()?,
        csv: args.csv,
        report: args.report,
    })
}

fn step_settings(
    mut args: RunArgs,
    target: &Target,
    parameter: Parameter,
    value: f64,
) -> Result<RunSettings, String> {
    match parameter {
        Parameter::Size => args.size = Sizes::one(value as usize),
        Parameter::Rate => args.rate = Some(value),
        Parameter::Connections => args.connections = value as usize,
        Parameter::Pipeline => args.pipeline = Some(value as usize),
    }
    // A sweep has no shards, so no variable names one.
    resolve_run(args, target.clone(), DEFAULT_DURATION, |_| None)
}

/// Returns true if the option with this name was typed.
fn is_typed(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(ValueSource::CommandLine)
}
