//! What a run's events look like: text for a bar, or one line for an interval.

use std::time::Duration;

use mio_echo::load::{RUNS_PER_ROUND, RunEvent, RunPhase, interval_line};

use super::status_text::{Figures, StatusText};

/// Turns events into updates of the screen.
#[derive(Debug)]
pub enum Progress {
    /// The screen shows lines only.
    Lines,
    /// The screen has a bar.
    Bar {
        /// The current phase.
        phase: RunPhase,
        /// The figures of the last intervals.
        figures: Figures,
    },
}

/// How far a comparison is.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The number of the round, from 1.
    pub round: usize,
    /// The number of rounds.
    pub rounds: usize,
    /// The number of the run in its round, from 1.
    pub run: usize,
    /// The time since the start.
    pub elapsed: Duration,
    /// The estimated time until the end; `None` if nothing is known.
    pub left: Option<Duration>,
}

impl Step {
    /// Sets the time since the start, and reduces the estimated time until the end by the time that has passed.
    pub fn advance(&mut self, elapsed: Duration) {
        let passed = elapsed.saturating_sub(self.elapsed);
        self.elapsed = elapsed;
        self.left = self.left.map(|left| left.saturating_sub(passed));
    }

    fn round_text(self) -> String {
        format!("round {}/{}{}", self.round, self.rounds, self.left_text())
    }

    fn bar_update(self) -> Update {
        let Self {
            round, rounds, run, ..
        } = self;
        let left = self.left_text();
        Update::Bar {
            elapsed: self.elapsed,
            length: self.left.map(|left| self.elapsed + left),
            text: StatusText::same(format!(
                "round {round}/{rounds}, run {run}/{RUNS_PER_ROUND}{left}"
            )),
        }
    }

    fn left_text(self) -> String {
        self.left.map_or_else(String::new, |left| {
            format!(" · {:.0} s left", left.as_secs_f64())
        })
    }
}

/// An update of the screen.
#[derive(Debug, PartialEq, Eq)]
pub enum Update {
    /// A line that stays.
    Line(String),
    /// A line about this number of lost lines.
    LinesLost(u64),
    /// A state of the bar, which replaces the state before.
    Bar {
        /// Time since the start of the phase.
        elapsed: Duration,
        /// The planned length of the phase.
        length: Option<Duration>,
        /// Text beside the bar.
        text: StatusText,
    },
    /// The bar disappears.
    End,
}

impl Progress {
    /// Creates the progress of a screen with a bar.
    pub fn bar() -> Self {
        Self::Bar {
            phase: RunPhase::Connecting,
            figures: Figures::default(),
        }
    }

    /// Returns the update when a run of a comparison begins. A screen with lines only has a line for each round.
    pub fn begin_step(&self, step: Step) -> Option<Update> {
        match self {
            Self::Lines => (step.run == 1).then(|| Update::Line(step.round_text())),
            Self::Bar { .. } => Some(step.bar_update()),
        }
    }

    /// Returns the update when a run of a comparison goes on.
    pub fn update_step(&self, step: Step) -> Option<Update> {
        match self {
            Self::Lines => None,
            Self::Bar { .. } => Some(step.bar_update()),
        }
    }

    /// Returns the update that `event` causes.
    pub fn update(&mut self, event: RunEvent) -> Option<Update> {
        match (self, event) {
            (_, RunEvent::Note(line)) => Some(Update::Line(line)),
            (Self::Lines, RunEvent::PhaseBegan(RunPhase::Waiting(time))) => {
                let seconds = time.as_secs_f64();
                Some(Update::Line(format!(
                    "waiting {seconds:.1} s for the start of the load"
                )))
            }
            (Self::Lines, RunEvent::IntervalFinished(interval)) => {
                Some(Update::Line(interval_line(interval)))
            }
            (Self::Lines, RunEvent::PhaseBegan(_) | RunEvent::Tick(_)) => None,
            (Self::Bar { phase, figures }, RunEvent::PhaseBegan(new)) => {
                *phase = new;
                Some(bar_update(new, Duration::ZERO, figures))
            }
            (Self::Bar { phase, figures }, RunEvent::Tick(elapsed)) => {
                Some(bar_update(*phase, elapsed, figures))
            }
            (Self::Bar { figures, .. }, RunEvent::IntervalFinished(interval)) => {
                figures.add(interval);
                None
            }
        }
    }
}

fn bar_update(phase: RunPhase, elapsed: Duration, figures: &Figures) -> Update {
    let (name, length) = match phase {
        RunPhase::Connecting => ("connecting", None),
        RunPhase::Waiting(length) => ("waiting for the start", Some(length)),
        RunPhase::WarmUp(length) => ("warm-up", Some(length)),
        RunPhase::Measuring(length) => ("measured", length),
        RunPhase::Finishing => ("waiting for the last replies", None),
    };
    let planned = |word: &str| {
        length.map_or_else(String::new, |length| {
            format!("{word}{:.1}", length.as_secs_f64())
        })
    };
    let seconds = elapsed.as_secs_f64();
    let StatusText { full, short } = figures.text();
    Update::Bar {
        elapsed,
        length,
        text: StatusText {
            full: format!("{name} {seconds:.1}{} s{full}", planned(" of ")),
            short: format!("{name} {seconds:.1}{} s{short}", planned("/")),
        },
    }
}

#[cfg(test)]
mod tests {
    use mio_echo::load::{Counts, Interval, LatencyHistogram};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn interval(messages: u64) -> Interval {
        Interval {
            start: Duration::ZERO,
            length: SECOND,
            response: LatencyHistogram::default(),
            counts: Counts {
                messages,
                ..Counts::default()
            },
        }
    }

    fn texts(mut progress: Progress, events: Vec<RunEvent>) -> Vec<String> {
        let updates = events
            .into_iter()
            .filter_map(|event| progress.update(event));
        updates
            .map(|update| match update {
                Update::Line(line) => line,
                Update::Bar { text, .. } => {
                    assert!(text.short.len() <= text.full.len(), "{text:?}");
                    text.short
                }
                Update::LinesLost(_) | Update::End => panic!("the display adds these"),
            })
            .collect()
    }

    #[test]
    fn a_bar_shows_the_time_and_the_last_interval() {
        let interval = interval(84_396);
        let events = vec![
            RunEvent::PhaseBegan(RunPhase::Connecting),
            RunEvent::PhaseBegan(RunPhase::WarmUp(SECOND)),
            RunEvent::PhaseBegan(RunPhase::Measuring(Some(6 * SECOND))),
            RunEvent::IntervalFinished(&interval),
            RunEvent::Tick(SECOND * 3 / 2),
            RunEvent::Note("a note".into()),
        ];
        assert_eq!(
            texts(Progress::bar(), events),
            [
                "connecting 0.0 s",
                "warm-up 0.0/1.0 s",
                "measured 0.0/6.0 s",
                "measured 1.5/6.0 s · 84,396 messages/s · p50 - · p99 -",
                "a note",
            ]
        );
    }

    #[test]
    fn without_a_bar_there_are_lines_of_intervals_notes_and_the_wait() {
        let interval = interval(0);
        let events = vec![
            RunEvent::PhaseBegan(RunPhase::Connecting),
            RunEvent::PhaseBegan(RunPhase::Waiting(3 * SECOND)),
            RunEvent::Tick(SECOND),
            RunEvent::Note("a note".into()),
            RunEvent::IntervalFinished(&interval),
        ];
        let lines = texts(Progress::Lines, events);
        assert_eq!(
            lines[..2],
            ["waiting 3.0 s for the start of the load", "a note"]
        );
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_comparison_shows_the_round_and_the_time_left() {
        let step = |run| Step {
            round: 3,
            rounds: 12,
            run,
            elapsed: 9 * SECOND,
            left: Some(81 * SECOND),
        };
        let bar = |left: u32, elapsed: u32| {
            Some(Update::Bar {
                elapsed: elapsed * SECOND,
                length: Some(90 * SECOND),
                text: StatusText::same(format!("round 3/12, run 2/3 · {left} s left")),
            })
        };
        assert_eq!(Progress::bar().begin_step(step(2)), bar(81, 9));
        let mut later = step(2);
        later.advance(11 * SECOND);
        assert_eq!(Progress::bar().update_step(later), bar(79, 11));
        let line = Update::Line("round 3/12 · 81 s left".into());
        assert_eq!(Progress::Lines.begin_step(step(1)), Some(line));
        assert_eq!(Progress::Lines.begin_step(step(2)), None);
        assert_eq!(Progress::Lines.update_step(step(1)), None);
    }
}
