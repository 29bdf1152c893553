//! The runs of a comparison, one after another. Nothing is shown of their figures before the end.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use mio_echo::load::{
    CompareReport, ComparedRun, ComparisonEnd, NextRun, Question, RUNS_PER_ROUND, Report, Results,
    RoundState, Rounds, RunError, RunEvent, RunSettings, Side, SideName, disturbance,
};

use super::display::Display;
use super::progress::Step;
use super::series::RunSeries;
use crate::cli::{RoundsOptions, Server, SideOptions};

/// Does all runs and compares them. Afterwards, SIGINT, SIGTERM and SIGHUP end the process.
///
/// # Errors
///
/// When the comparison ended before its first run was done.
pub fn run(options: RoundsOptions, limit: Option<f64>) -> Result<CompareReport, RunError> {
    let mut series = RunSeries::new();
    let mut comparison = Comparison {
        rounds: Rounds::new(options.rounds, options.seed),
        options: &options,
        runs: Vec::new(),
        done: 0,
        start: Instant::now(),
        notes: HashSet::new(),
    };
    let ended = comparison.run(&mut series);
    series.finish();
    let Comparison { rounds, runs, .. } = comparison;
    let end = match ended {
        Err(error) if runs.is_empty() => return Err(error),
        Ok(()) => ComparisonEnd::Done,
        Err(RunError::Interrupted { signal } | RunError::InterruptedTwice { signal }) => {
            ComparisonEnd::Interrupted(signal)
        }
        Err(RunError::Failed(reason)) => ComparisonEnd::Failed(reason),
    };
    let question = Question {
        a: name_of(&options.a),
        b: name_of(&options.b),
        metric: options.metric,
        limit,
    };
    Ok(CompareReport::of_rounds(question, runs, &rounds, end))
}

fn name_of(side: &SideOptions) -> SideName {
    SideName {
        name: side.server.to_string(),
        options: side.options.clone(),
    }
}

struct Comparison<'a> {
    options: &'a RoundsOptions,
    rounds: Rounds,
    runs: Vec<ComparedRun>,
    /// The number of runs that are done, whether or not they count.
    done: u32,
    start: Instant,
    /// The notes that were shown, without their digits.
    notes: HashSet<String>,
}

impl Comparison<'_> {
    /// Does all runs.
    ///
    /// # Errors
    ///
    /// Why the comparison ended early.
    fn run(&mut self, series: &mut RunSeries) -> Result<(), RunError> {
        while let Some(next) = self.rounds.next_run() {
            let name = match next.side {
                Side::A | Side::AAgain => "A",
                Side::B => "B",
            };
            let with_name = |error| match error {
                RunError::Failed(reason) => RunError::Failed(format!("{name}: {reason}")),
                RunError::Interrupted { .. } | RunError::InterruptedTwice { .. } => error,
            };
            let results = self.measure(next, name, series).map_err(with_name)?;
            self.record(next, &results, series).map_err(with_name)?;
        }
        Ok(())
    }

    fn measure(
        &mut self,
        next: NextRun,
        name: &str,
        series: &mut RunSeries,
    ) -> Result<Results, RunError> {
        let options = self.options;
        let side = match next.side {
            Side::A | Side::AAgain => &options.a,
            Side::B => &options.b,
        };
        let start = self.start;
        let mut step = self.step(next, &side.settings);
        series.display().begin_step(step);
        if let Some(command) = &options.prepare {
            series.run_command(command)?;
        }
        let show = &mut |display: &mut Display, event: RunEvent| match event {
            RunEvent::Note(line) => self.show_note(name, &line, display),
            RunEvent::Tick(_) => {
                step.advance(start.elapsed());
                display.update_step(step);
            }
            // The phases of a run are short, and its figures stay hidden.
            RunEvent::PhaseBegan(_) | RunEvent::IntervalFinished(_) => {}
        };
        let settings = side.settings.clone();
        match &side.server {
            Server::Own | Server::Running(_) => series.run_showing(settings, show),
            Server::Command(command) => series.run_against(command, settings, show),
        }
    }

    /// Records a run. Its figures decide nothing but whether the server answers.
    ///
    /// # Errors
    ///
    /// When the run was interrupted, or when no message was answered.
    fn record(
        &mut self,
        next: NextRun,
        results: &Results,
        series: &mut RunSeries,
    ) -> Result<(), RunError> {
        self.done += 1;
        let report = Report::new(results, None);
        let disturbance = disturbance(&report.verdict);
        let is_answered = report.metrics.answered() > 0;
        self.runs
            .push(ComparedRun::new(next.side, next.round, report));
        if let Some(signal) = results.measurement.interrupted {
            return Err(RunError::Interrupted { signal });
        }
        if !is_answered {
            return Err(RunError::Failed("no message was answered".into()));
        }
        match self.rounds.record(disturbance.is_some()) {
            RoundState::Continues => {}
            RoundState::Complete => {
                let first = self.runs.len() - RUNS_PER_ROUND;
                let runs = &mut self.runs[first..];
                runs.iter_mut().for_each(|run| run.counts = true);
            }
            RoundState::Repeats => {
                let (round, reason) = (next.round, disturbance.unwrap_or_default());
                series.note(format!("round {round} starts again: {reason}"));
            }
        }
        Ok(())
    }

    /// Shows a note of a run, unless an earlier one differs only in its numbers: each run may have the same.
    fn show_note(&mut self, name: &str, line: &str, display: &mut Display) {
        let line = format!("{name}: {line}");
        let without_digits = line.replace(|c: char| c.is_ascii_digit(), "");
        if self.notes.insert(without_digits) {
            display.handle(RunEvent::Note(line));
        }
    }

    fn step(&self, next: NextRun, settings: &RunSettings) -> Step {
        Step {
            round: next.round,
            rounds: self.rounds.asked(),
            run: next.run,
            elapsed: self.start.elapsed(),
            left: self.time_left(settings),
        }
    }

    /// Estimates the time until the end: as long as the runs took so far, or, before the first one is done, as long as asked.
    fn time_left(&self, settings: &RunSettings) -> Option<Duration> {
        let window = settings.stop.duration;
        let asked = window.map(|window| window + settings.warmup);
        let of_a_run = self.start.elapsed().checked_div(self.done).or(asked)?;
        Some(of_a_run * self.rounds.runs_left() as u32)
    }
}
