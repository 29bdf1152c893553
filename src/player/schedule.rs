//! The language of schedules: settings and actions, one a line.

use std::fmt;

use crate::conn::sim::{Rare, Rules};

use super::breaks;

/// What is to happen, and in which world.
pub(super) struct Schedule {
    pub(super) rules: Rules,
    pub(super) actions: Vec<Action>,
}

/// One line of a schedule that is no setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Send(usize),
    Urgent,
    Fin,
    Reset,
    Take(usize),
    TakeAll,
    Turn,
    Loop,
    /// The kernel or the selector does something rare.
    Rarely(Rare),
    Spurious,
    Grow(usize),
    Clock,
    Session,
    Stop,
    Deadline,
}

/// A line that is neither a setting nor an action.
#[derive(Debug, PartialEq, Eq)]
pub struct NotASchedule {
    line: usize,
    text: String,
}

impl fmt::Display for NotASchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, text } = self;
        write!(f, "line {line}: {text} is neither an action nor a setting")
    }
}

impl std::error::Error for NotASchedule {}

impl Schedule {
    /// Parses a schedule. Empty lines count for nothing.
    pub(super) fn parse(text: &str) -> Result<Self, NotASchedule> {
        let mut schedule = Self {
            rules: Rules::EDGE,
            actions: vec![],
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let is_understood = line.is_empty()
                || schedule.actions.is_empty() && schedule.set(line).is_some()
                || schedule.add(line).is_some();
            if !is_understood {
                return Err(NotASchedule {
                    line: index + 1,
                    text: line.to_owned(),
                });
            }
        }
        Ok(schedule)
    }

    /// Applies a setting.
    fn set(&mut self, line: &str) -> Option<()> {
        match line {
            "edge" => self.rules.select(Rules::EDGE),
            "rearm" => self.rules.select(Rules::DRAIN_TO_REARM),
            _ => {
                if let Some(name) = line.strip_prefix("break-") {
                    self.rules.broken = Some(breaks::by_name(name)?);
                } else {
                    self.set_sizes(line.strip_prefix("sizes-")?)?;
                }
            }
        }
        Some(())
    }

    fn set_sizes(&mut self, numbers: &str) -> Option<()> {
        let mut numbers = numbers.split('-').map(size);
        let sizes = &mut self.rules.sizes;
        sizes.read_buffer = numbers.next()??;
        sizes.high_water = numbers.next()??;
        sizes.send_buffer = numbers.next()??;
        numbers.next().is_none().then_some(())
    }

    fn add(&mut self, line: &str) -> Option<()> {
        self.actions.push(Action::parse(line)?);
        Some(())
    }
}

impl Action {
    fn parse(line: &str) -> Option<Self> {
        let without_number = [
            Self::Urgent,
            Self::Fin,
            Self::Reset,
            Self::TakeAll,
            Self::Turn,
            Self::Loop,
            Self::Rarely(Rare::EventTwice),
            Self::Rarely(Rare::EventForBoth),
            Self::Rarely(Rare::EventSplit),
            Self::Rarely(Rare::ReadInterrupted),
            Self::Rarely(Rare::ReadOfOne),
            Self::Rarely(Rare::ReadBlockedFalsely),
            Self::Rarely(Rare::WriteOfOne),
            Self::Spurious,
            Self::Clock,
            Self::Session,
            Self::Stop,
            Self::Deadline,
        ];
        let mut actions = without_number.into_iter();
        if let Some(action) = actions.find(|action| action.to_string() == line) {
            return Some(action);
        }
        let (word, number) = line.split_once('-')?;
        let number = size(number)?;
        match word {
            "send" => Some(Self::Send(number)),
            "take" => Some(Self::Take(number)),
            "grow" => Some(Self::Grow(number)),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(n) => write!(f, "send-{n}"),
            Self::Urgent => f.write_str("urgent"),
            Self::Fin => f.write_str("fin"),
            Self::Reset => f.write_str("reset"),
            Self::Take(n) => write!(f, "take-{n}"),
            Self::TakeAll => f.write_str("take-all"),
            Self::Turn => f.write_str("turn"),
            Self::Loop => f.write_str("loop"),
            Self::Rarely(rare) => f.write_str(name(*rare)),
            Self::Spurious => f.write_str("spurious"),
            Self::Grow(n) => write!(f, "grow-{n}"),
            Self::Clock => f.write_str("clock"),
            Self::Session => f.write_str("session"),
            Self::Stop => f.write_str("stop"),
            Self::Deadline => f.write_str("deadline"),
        }
    }
}

/// Returns the name of something rare as an action.
pub(super) fn name(rare: Rare) -> &'static str {
    match rare {
        Rare::EventTwice => "duplicate",
        Rare::EventForBoth => "both",
        Rare::EventSplit => "split",
        Rare::ReadInterrupted => "interrupt",
        Rare::ReadOfOne => "read-one",
        Rare::ReadBlockedFalsely => "signal",
        Rare::WriteOfOne => "write-one",
    }
}

/// The largest number that a schedule may have. It bounds what a replay costs.
pub(super) const MOST_BYTES: usize = 64;

fn size(text: &str) -> Option<usize> {
    let size = text.parse().ok()?;
    (1..=MOST_BYTES).contains(&size).then_some(size)
}
