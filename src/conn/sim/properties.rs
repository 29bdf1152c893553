//! What must hold in every world: after each run, and when the loop sleeps.

use super::super::close_reason::CloseReason;
use super::super::connection::Progress;
use super::super::{State, Timer};
use super::rules::MAX_MESSAGE;
use super::step::Chance;
use super::world::World;

type Checked = Result<(), &'static str>;

impl<C: Chance> World<'_, C> {
    /// Checks what the kernel has seen.
    pub(super) fn check_kernel(&mut self) {
        if let Some(violation) = self.kernel.violation {
            self.fail(violation);
        }
    }

    /// Checks a run that has ended with `progress`.
    pub(super) fn check_run(&mut self, progress: Progress) {
        self.check_kernel();
        if let Err(fault) = self.run_is_right(progress) {
            self.fail(fault);
        }
    }

    fn run_is_right(&self, progress: Progress) -> Checked {
        let (kernel, connection) = (&self.kernel, &self.connection);
        let message = kernel.rules.framing.has_messages() as usize * MAX_MESSAGE;
        let sizes = kernel.rules.sizes;
        if connection.pending() >= sizes.high_water + sizes.read_buffer.max(message) {
            return Err("pending is out of bounds");
        }
        let inbox = connection.inbox.as_ref().map_or(0, |i| i.len());
        let discarded = self.buffers.discarded(0) - self.discarded_before;
        if connection.received() + discarded != kernel.read {
            return Err("bytes are neither received nor discarded");
        }
        if inbox > MAX_MESSAGE {
            return Err("the inbox is out of bounds");
        }
        let stored = connection.pending() + inbox;
        let read = kernel.to_echo - kernel.echoed;
        if !self.is_closed() && !(kernel.owed()..=read).contains(&stored) {
            return Err("bytes are lost");
        }
        match progress {
            Progress::SendFin | Progress::Close if kernel.owed() > 0 && !kernel.reset => {
                Err("a must_abort echo ends in a clean FIN")
            }
            Progress::Abort
                if connection.close_reason() == Some(CloseReason::WriteTimeout)
                    && !kernel.found_no_room =>
            {
                Err("a write timeout without a write that blocked")
            }
            Progress::SendFin if self.is_untimely() => {
                Err("a timeout although the input has arrived")
            }
            Progress::SendFin | Progress::Close if self.has_unechoed_input_of_before_the_end() => {
                Err("a clean FIN although input of before the end is not echoed")
            }
            Progress::Abort
                if kernel.owed() == 0
                    && !self.may_have_unread_input()
                    && connection.close_reason() != Some(CloseReason::NoMemory) =>
            {
                Err("an abort that drops nothing")
            }
            Progress::Close | Progress::Abort if !self.is_closed() => Err("closed too early"),
            Progress::Wait
            | Progress::Again
            | Progress::Offload
            | Progress::SendFin
            | Progress::TakeError
            | Progress::Close
            | Progress::Abort => Ok(()),
        }
    }

    /// Returns true if whole messages that the kernel had received before the end are not echoed.
    fn has_unechoed_input_of_before_the_end(&self) -> bool {
        let kernel = &self.kernel;
        let expected = self
            .received_before_end
            .map_or(0, |received| kernel.rules.tape.whole(received));
        kernel.echoed < expected && !kernel.reset
    }

    /// Returns true if a deadline has met a connection whose last run had to be followed by another, or whose reads were
    /// interrupted until the budget of this run was spent.
    fn may_have_unread_input(&self) -> bool {
        use CloseReason::{DrainTimeout, SessionTimeout};
        let reason = self.connection.close_reason();
        matches!(reason, Some(DrainTimeout | SessionTimeout))
            && (self.backlog || self.kernel.interrupting)
    }

    /// Returns true if a session ends for a silence although the peer was not silent.
    fn is_untimely(&self) -> bool {
        let is_checking = match self.connection.close_reason() {
            Some(CloseReason::IdleTimeout) => self.checking_idle,
            Some(CloseReason::FrameTimeout) => self.checking_frame,
            _ => return false,
        };
        !is_checking || !self.kernel.was_silent
    }

    pub(super) fn check_timers(&mut self) {
        if let Err(fault) = self.timers_are_right() {
            self.fail(fault);
        }
    }

    fn timers_are_right(&self) -> Checked {
        let (kernel, connection) = (&self.kernel, &self.connection);
        let is_ending = self.received_before_end.is_some() && connection.state() == State::Open;
        let is_checking = self.checking_idle || self.checking_frame || is_ending;
        let expected = match connection.state() {
            State::Open | State::Finishing | State::Lingering if connection.pending() > 0 => {
                Some(Timer::Write)
            }
            State::Open if self.job.is_some() || self.waiting || is_checking => None,
            State::Open if kernel.to_echo > kernel.whole() => Some(Timer::Frame),
            State::Open => Some(Timer::Idle),
            State::Lingering => kernel.fin_sent.then_some(Timer::Linger),
            State::Finishing | State::Closed => None,
        };
        if connection.timer() != expected {
            return Err("the wrong timer runs");
        }
        if !is_checking
            && connection.frame_timer_started().is_some() != (expected == Some(Timer::Frame))
        {
            return Err("the frame timer has no start");
        }
        Ok(())
    }

    /// Checks that the loop, which would sleep now, has nothing left to do although the peer has taken everything.
    pub(crate) fn check_nothing_left(&self) -> Checked {
        if self.is_closed() {
            return Ok(());
        }
        if self.kernel.readable() {
            return Err("stuck: there is something to read");
        }
        if self.connection.pending() > 0 {
            return Err("stuck: there is something to write");
        }
        if self.kernel.owed() > 0 {
            return Err("stuck: a message waits");
        }
        Ok(())
    }
}
