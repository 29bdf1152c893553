//! Which rules of the code have acted in a step: told by what the connection was told, what it called, and what it asks for.

use std::io::ErrorKind;

use crate::conn::sim::{BrokenRule, Call, Entry, Item};
use crate::conn::{Cause, Progress, Ready, ShortRead, State, Timer};

use super::code_rule as rule;
use super::schedule::Action;
use super::stage::Stage;
use super::transition::Transition;

/// Follows a step entry by entry.
pub(super) struct Reasons {
    short_read: ShortRead,
    /// What `READ_UNTIL_BLOCKED` and `BLOCK_MAY_BE_FALSE` are.
    reads_until_blocked: bool,
    block_may_be_false: bool,
    is_lingering: bool,
    /// The next write is one of pending bytes.
    flushes: bool,
    names: Vec<&'static str>,
    /// The rule that the world breaks, and the name of the rule of the code once that has happened.
    broken: Option<BrokenRule>,
    broke: Option<&'static str>,
    /// The peer's FIN, or an urgent mark, is queued.
    has_fin: bool,
    has_mark: bool,
    /// A signal is pending at an urgent mark.
    has_signal: bool,
}

impl Reasons {
    /// Begins before `action`.
    pub(super) fn before(action: Action, stage: &Stage) -> Self {
        let bits = stage.beliefs().map(|belief| belief.is_believed);
        let [_, reads_until_blocked, block_may_be_false, ..] = bits;
        let mut reasons = Self {
            short_read: stage.kernel.rules.short_read,
            reads_until_blocked,
            block_may_be_false,
            is_lingering: stage.connection.state() == State::Lingering,
            flushes: stage.connection.pending() > 0,
            names: vec![],
            broken: stage.kernel.rules.broken,
            broke: None,
            has_fin: stage.kernel.peer_finished,
            has_mark: stage.kernel.inbound.contains(&Item::UrgentMark),
            has_signal: false,
        };
        match action {
            Action::Clock => reasons.expire(stage.connection.timer()),
            Action::Session => reasons.expire(Some(Timer::Session)),
            Action::Stop => {
                reasons.add(rule::STOP);
                reasons.assume_unread();
            }
            Action::Deadline => {
                reasons.add(rule::DEADLINE);
            }
            Action::Send(_)
            | Action::Urgent
            | Action::Fin
            | Action::Reset
            | Action::Take(_)
            | Action::TakeAll
            | Action::Turn
            | Action::Loop
            | Action::Rarely(_)
            | Action::Spurious
            | Action::Grow(_) => {}
        }
        reasons
    }

    fn expire(&mut self, timer: Option<Timer>) {
        match timer {
            Some(Timer::Linger) => {
                self.add(rule::LINGER_ENDS);
            }
            Some(Timer::Write) => {
                self.add(rule::TIMER_ASKS);
            }
            Some(Timer::Idle) => {
                self.add_unless(BrokenRule::TrustClock, rule::TIMER_ASKS);
                self.assume_unread();
            }
            Some(Timer::Frame | Timer::Session) => {
                self.add(rule::TIMER_ASKS);
                self.assume_unread();
            }
            None => {}
        }
    }

    /// Ends after a step in which the connection was driven.
    pub(super) fn end(&mut self, stage: &Stage) {
        let [is_readable, ..] = stage.beliefs().map(|belief| belief.is_believed);
        let pending = stage.connection.pending();
        let is_open = stage.connection.state() == State::Open;
        let is_unread =
            is_readable || self.breaks(BrokenRule::ForgetBelief) && stage.kernel.readable();
        if pending >= stage.kernel.rules.sizes.high_water && is_unread && is_open {
            self.add_unless(BrokenRule::ForgetBelief, rule::PAUSE);
        }
        if pending > 0 {
            self.add_unless(BrokenRule::NeverWritable, rule::ARM);
        } else if !stage.is_closed() {
            self.add_if_broken(BrokenRule::AlwaysWritable, rule::ARM);
        }
    }

    /// Returns the rule that was broken, and the name of the rule of the code.
    pub(super) fn broke(&self) -> Option<(BrokenRule, &'static str)> {
        self.broken.zip(self.broke)
    }

    fn breaks(&self, rule: BrokenRule) -> bool {
        self.broken == Some(rule)
    }

    /// Adds the rule `name`, which has been broken if the world breaks `rule`. Returns the name.
    fn add_unless(&mut self, rule: BrokenRule, name: &'static str) -> &'static str {
        if self.breaks(rule) {
            self.broke = Some(name);
        }
        self.add(name)
    }

    /// Returns the rules in the order in which they first acted.
    pub(super) fn names(self) -> Vec<&'static str> {
        self.names
    }

    /// Adds the rule `name`, which has not acted, if the world breaks `rule`.
    fn add_if_broken(&mut self, rule: BrokenRule, name: &'static str) {
        if self.breaks(rule) {
            self.add_unless(rule, name);
        }
    }

    /// Adds a rule, and returns it.
    fn add(&mut self, name: &'static str) -> &'static str {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        name
    }

    /// Follows that the connection believes to have unread input, without an event.
    fn assume_unread(&mut self) {
        self.reads_until_blocked = true;
        self.block_may_be_false = true;
    }

    /// Follows an entry that is neither a call nor a change of state.
    pub(super) fn follow(&mut self, entry: &Entry) {
        match entry {
            Entry::Event(_, ready) => self.follow_event(*ready),
            Entry::Outcome(progress, _) => self.follow_outcome(*progress),
            Entry::Happening(what) => self.has_signal |= what.contains("signal"),
            Entry::Call(_) | Entry::Log(_) => {}
        }
    }

    fn follow_event(&mut self, ready: Ready) {
        self.add(rule::EVENT);
        if ready.read_closed || ready.priority {
            self.add(rule::END_HINT);
            self.assume_unread();
        } else if ready.readable && self.short_read == ShortRead::ProvesEmpty {
            // Where a short read proves nothing, no hint is needed.
            self.follow_event_without_hint();
        }
    }

    fn follow_event_without_hint(&mut self) {
        if self.has_fin {
            self.add_if_broken(BrokenRule::HideFin, rule::END_HINT);
        }
        if self.has_mark {
            self.add_if_broken(BrokenRule::HideUrgentMark, rule::END_HINT);
        }
    }

    /// Follows a change of state.
    pub(super) fn follow_transition(&mut self, transition: &Transition) {
        self.is_lingering = transition.cause == Cause::LocalClose;
        let name = match (transition.cause, transition.why()) {
            (Cause::Delivered, _) => rule::DELIVERED,
            // A session that the clock ended has made no read that could prove silence.
            (Cause::LocalClose, "idle timeout") if !self.breaks(BrokenRule::TrustClock) => {
                rule::SILENCE
            }
            (Cause::LocalClose | Cause::Abort, "session timeout") => rule::SESSION_ENDS,
            (Cause::Abort, "write timeout") => rule::OVERDUE,
            (
                Cause::PeerFin
                | Cause::LocalClose
                | Cause::LingerExpired
                | Cause::Reset
                | Cause::Abort,
                _,
            ) => return,
        };
        self.add(name);
    }

    fn follow_outcome(&mut self, progress: Progress) {
        match progress {
            Progress::Again => self.add_unless(BrokenRule::ForgetBudget, rule::BUDGET),
            Progress::SendFin => {
                self.add_if_broken(BrokenRule::NoLinger, rule::LINGER_ENDS);
                self.add(rule::SEND_FIN)
            }
            Progress::TakeError => self.add(rule::RESET),
            Progress::Abort => self.add_unless(BrokenRule::FinForReset, rule::ABORT),
            Progress::Wait | Progress::Offload | Progress::Close => return,
        };
    }

    /// Returns the rule that follows from the answer of a call.
    pub(super) fn of_call(&mut self, call: &Call) -> &'static str {
        let name = match (call.call, call.answer) {
            ("read", Ok(0)) => rule::END_OF_INPUT,
            ("read", Ok(_)) if self.is_lingering => rule::DISCARD,
            ("read", Ok(got)) if got == call.size => rule::FULL_READ,
            ("read", Ok(_)) => self.of_short_read(),
            ("read", Err(ErrorKind::WouldBlock)) => self.of_blocked_read(),
            ("write", Ok(taken)) if taken == call.size && self.flushes => rule::FLUSH,
            ("write", Ok(taken)) if taken == call.size => rule::WHOLE_WRITE,
            ("write", Ok(_)) => rule::PART_WRITE,
            ("write", Err(ErrorKind::WouldBlock)) => rule::WRITE_BLOCK,
            (_, Err(ErrorKind::Interrupted)) => rule::INTERRUPTED,
            (_, _) => rule::DEAD_SOCKET,
        };
        self.flushes &= call.call == "write";
        self.add(name)
    }

    fn of_short_read(&mut self) -> &'static str {
        match self.short_read {
            ShortRead::ProvesNothing => {
                self.add_unless(BrokenRule::TrustShortRead, rule::SHORT_READ_UNTRUSTED)
            }
            ShortRead::ProvesEmpty if self.reads_until_blocked => rule::SHORT_READ_BEFORE_END,
            ShortRead::ProvesEmpty => rule::SHORT_READ,
        }
    }

    fn of_blocked_read(&mut self) -> &'static str {
        if self.block_may_be_false {
            self.block_may_be_false = false;
            if self.has_signal {
                self.add_if_broken(BrokenRule::TrustBlock, rule::FALSE_BLOCK);
            }
            return rule::FALSE_BLOCK;
        }
        self.reads_until_blocked = false;
        rule::READ_BLOCK
    }
}
