//! Schedules, the properties that must hold in each, and the tests that play all schedules.

use super::super::block_pool::Block;
use super::*;

/// A schedule that needs more turns than this until the loop sleeps is spinning.
const MANY_TURNS: usize = 50;

/// The most bytes that a message may have. The longest valid message of a tape has as many.
const MAX_MESSAGE: usize = 3;

/// The size of a block: the longest message has room.
const BLOCK: usize = MAX_MESSAGE;

/// The blocks of one connection: the first of its pending bytes, and its inbox.
const GUARANTEED: usize = 2;

/// As many extra blocks as a connection can use.
const EXTRA: usize = 2;

/// The server's loop with its one connection, and the machine around it.
struct World<'a> {
    machine: Machine<'a>,
    connection: Connection,
    settings: &'a Arc<Settings>,
    /// The message that a worker has, and the id of the connection.
    job: Option<(u64, Vec<u8>)>,
    /// A message waits for room in the worker pool.
    waiting: bool,
    /// The idle timer has expired, and no read has answered yet whether the peer is silent.
    checking_idle: bool,
    /// The same for the frame timer.
    checking_frame: bool,
    buffers: &'a mut Buffers,
    blocks_of_others: Vec<Block>,
    backlog: bool,
    stopping: bool,
    /// The number of bytes that the kernel had received when the server stopped or the session timer expired, if the
    /// session was open then.
    received_before_end: Option<usize>,
    /// What earlier schedules have added to the counter of discarded bytes.
    discarded_before: u64,
    now: u64,
    /// The number of runs that may achieve nothing: one for each input.
    excused: usize,
}

type Checked = Result<(), &'static str>;

impl World<'_> {
    /// Plays one schedule to its end.
    fn play(&mut self) -> Result<CloseReason, &'static str> {
        while self.machine.steps > 0 && !self.closed() {
            let steps = self.steps();
            let chosen = self.machine.choices.below(steps.len());
            self.perform(steps[chosen])?;
        }
        self.run_until_asleep()?;
        self.check_nothing_left()?;
        if !self.closed() && !self.machine.peer_finished {
            self.perform(Step::Peer(PeerStep::Finish))?;
            self.run_until_asleep()?;
        }
        if !self.closed() {
            return Err("stuck: the peer has finished, and the connection does not close");
        }
        self.check_end()
    }

    fn steps(&self) -> Vec<Step> {
        let peer_steps = self.machine.peer_steps().into_iter();
        let mut steps: Vec<Step> = peer_steps.map(Step::Peer).collect();
        if self.backlog || self.machine.due() != (false, false) {
            steps.push(Step::Turn);
        }
        if self.machine.rare_events > 0 {
            steps.extend([Step::SpuriousEvent, Step::MemoryRunsOut]);
            if self.buffers.blocks.extra_bytes() > 0 {
                steps.push(Step::OthersTakeBlocks);
            }
        }
        if self.job.is_some() {
            steps.extend([Step::Complete, Step::Panic]);
        }
        if self.waiting {
            steps.push(Step::AdmitJob);
        }
        steps.extend(self.connection.timer().map(Step::ClockRunsOut));
        if self.connection.timer() == Some(Timer::Frame) {
            steps.push(Step::ClockRunsOut(Timer::Idle));
        }
        if self.connection.timer() != Some(Timer::Linger) {
            steps.push(Step::ClockRunsOut(Timer::Session));
        }
        if self.stopping {
            steps.push(Step::DrainDeadline);
        } else {
            // The system tells the exact number at best, and a generous one at worst.
            steps.push(Step::Stop(self.machine.queued()));
            steps.push(Step::Stop(RECEIVE_BUFFER));
        }
        steps
    }

    fn perform(&mut self, step: Step) -> Checked {
        self.machine.record(|| format!("{step:?}"));
        let is_of_the_loop = matches!(
            step,
            Step::Turn | Step::SpuriousEvent | Step::Complete | Step::Panic | Step::AdmitJob
        );
        if !is_of_the_loop {
            self.machine.steps = self.machine.steps.saturating_sub(1);
        }
        match step {
            Step::Turn => return self.turn(),
            Step::SpuriousEvent => {
                self.machine.rare_events -= 1;
                self.connection.handle_ready(Ready {
                    readable: true,
                    writable: true,
                    ..Ready::default()
                });
            }
            Step::OthersTakeBlocks => {
                self.machine.rare_events -= 1;
                while let Ok(block) = self.buffers.blocks.take_extra() {
                    self.blocks_of_others.push(block);
                }
                return Ok(());
            }
            Step::MemoryRunsOut => {
                self.machine.rare_events -= 1;
                self.buffers.blocks.is_exhausted = true;
                return Ok(());
            }
            Step::Complete => self.complete(|reply| Ok(reply)),
            Step::Panic => self.complete(|_| Err(WorkerPanicked)),
            Step::AdmitJob => {
                self.waiting = false;
                self.submit();
                return Ok(());
            }
            Step::ClockRunsOut(timer) => {
                self.machine.was_silent = false;
                self.checking_idle |= timer == Timer::Idle;
                self.checking_frame |= timer == Timer::Frame;
                if timer == Timer::Session && self.connection.state() == State::Open {
                    self.received_before_end
                        .get_or_insert(self.machine.peer_sent);
                }
                self.connection.handle_timeout(timer);
            }
            Step::Stop(queued) => {
                self.stopping = true;
                if self.connection.state() == State::Open {
                    self.received_before_end = Some(self.machine.peer_sent);
                }
                self.connection.handle_shutdown(queued);
            }
            Step::DrainDeadline => self.connection.handle_drain_deadline(),
            Step::Peer(step) => {
                self.machine.peer(step);
                return Ok(());
            }
        }
        self.excused += 1;
        self.run()
    }

    /// Runs one turn of the loop: delivers a due event, and drives the connection.
    fn turn(&mut self) -> Checked {
        if let Some(ready) = self.machine.event() {
            self.machine.record(|| format!("  {ready:?}"));
            self.connection.handle_ready(ready);
            self.excused += 1;
        }
        self.run()
    }

    /// Drives the connection and does what its progress asks for.
    fn run(&mut self) -> Checked {
        loop {
            let state = self.connection.state();
            let (read, whole) = (self.machine.to_echo, self.machine.whole());
            let has_job = self.job.is_some() || self.connection.wants_job();
            let useful_calls = self.machine.useful_calls;
            self.machine.echoing = state == State::Open;
            self.machine.found_no_room = false;
            self.now += 1;

            let progress = self
                .connection
                .drive(&mut self.machine, self.buffers, self.now);

            self.machine.record(|| format!("  {progress:?}"));
            // After a run whose reads were all interrupted, another run follows.
            self.excused += usize::from(std::mem::take(&mut self.machine.interrupting));
            if self.connection.state() == state && self.machine.useful_calls == useful_calls {
                self.excused = self.excused.checked_sub(1).ok_or("spins")?;
            }
            if has_job && self.machine.to_echo > read {
                return Err("a read while a message waits for a worker");
            }
            self.checking_idle &= self.machine.to_echo == read;
            self.checking_frame &= self.machine.whole() == whole;
            self.check_run(progress)?;
            self.backlog = progress == Progress::Again;
            self.checking_idle &= self.backlog;
            self.checking_frame &= self.backlog;
            match progress {
                Progress::SendFin if self.machine.shut_down() => {
                    self.connection.handle_fin_sent(self.now);
                }
                Progress::SendFin => self.connection.handle_error(ErrorKind::NotConnected),
                Progress::TakeError => {
                    self.connection
                        .handle_taken_error(ErrorKind::ConnectionReset);
                }
                Progress::Wait
                | Progress::Again
                | Progress::Offload
                | Progress::Close
                | Progress::Abort => break,
            }
            self.excused += 1;
        }
        self.machine.arm_write(self.connection.wants_write());
        if self.connection.wants_job() && !self.closed() && !self.waiting {
            self.offload();
        }
        self.check_timers()
    }

    /// Gives a message to the worker, or finds the queue of the pool full.
    fn offload(&mut self) {
        self.waiting = self.machine.choices.below(2) == 1;
        if self.waiting {
            self.machine.record(|| "  the queue is full".to_string());
        } else {
            self.submit();
        }
    }

    fn submit(&mut self) {
        if let Some(message) = self.connection.poll_job(self.buffers) {
            self.machine.record(|| format!("  job {message:?}"));
            self.job = Some((self.connection.id(), message.to_vec()));
        }
    }

    /// Lets the worker return its message. The reply is dropped if another connection has taken the slot by now.
    fn complete(&mut self, outcome: fn(&[u8]) -> Result<&[u8], WorkerPanicked>) {
        if let Some((id, message)) = self.job.take()
            && id == self.connection.id()
        {
            self.connection
                .handle_completion(outcome(&message), self.buffers);
        }
    }

    /// Lets the peer take everything and the worker finish, and runs the loop until it would sleep for ever.
    fn run_until_asleep(&mut self) -> Checked {
        for _ in 0..MANY_TURNS {
            self.machine.peer_takes(self.machine.outbound);
            if self.closed() {
                return Ok(());
            }
            if self.backlog || self.machine.due() != (false, false) {
                self.perform(Step::Turn)?;
            } else if self.waiting {
                self.perform(Step::AdmitJob)?;
            } else if self.job.is_some() {
                self.perform(Step::Complete)?;
            } else {
                return Ok(());
            }
        }
        Err("spins")
    }

    fn closed(&self) -> bool {
        self.connection.state() == State::Closed
    }

    // The properties.

    fn check_run(&self, progress: Progress) -> Checked {
        let (machine, connection) = (&self.machine, &self.connection);
        if let Some(violation) = machine.violation {
            return Err(violation);
        }
        let message = self.machine.rules.framing.has_messages() as usize * MAX_MESSAGE;
        if connection.pending() >= HIGH_WATER + READ_BUFFER.max(message) {
            return Err("pending is out of bounds");
        }
        let inbox = connection.inbox.as_ref().map_or(0, |i| i.len());
        let discarded = self.buffers.discarded() - self.discarded_before;
        if connection.received() + discarded != machine.read {
            return Err("bytes are neither received nor discarded");
        }
        if inbox > BLOCK {
            return Err("the inbox is out of bounds");
        }
        let stored = connection.pending() + inbox;
        let read = machine.to_echo - machine.echoed;
        if !self.closed() && !(machine.owed()..=read).contains(&stored) {
            return Err("bytes are lost");
        }
        match progress {
            Progress::SendFin | Progress::Close if machine.owed() > 0 && !machine.reset => {
                Err("a must_abort echo ends in a clean FIN")
            }
            Progress::Abort
                if connection.close_reason() == Some(CloseReason::WriteTimeout)
                    && !machine.found_no_room =>
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
                if machine.owed() == 0
                    && !self.may_have_unread_input()
                    && connection.close_reason() != Some(CloseReason::NoMemory) =>
            {
                Err("an abort that drops nothing")
            }
            Progress::Close | Progress::Abort if !self.closed() => Err("closed too early"),
            _ => Ok(()),
        }
    }

    /// Returns true if whole messages that the kernel had received before the end are not echoed.
    fn has_unechoed_input_of_before_the_end(&self) -> bool {
        let machine = &self.machine;
        let expected = self
            .received_before_end
            .map_or(0, |received| machine.rules.tape.whole[received]);
        machine.echoed < expected && !machine.reset
    }

    /// Returns true if a deadline has met a connection whose last run had to be followed by another.
    fn may_have_unread_input(&self) -> bool {
        use CloseReason::{DrainTimeout, SessionTimeout};
        let reason = self.connection.close_reason();
        matches!(reason, Some(DrainTimeout | SessionTimeout)) && self.backlog
    }

    /// Returns true if a session ends for a silence although the peer was not silent.
    fn is_untimely(&self) -> bool {
        let is_checking = match self.connection.close_reason() {
            Some(CloseReason::IdleTimeout) => self.checking_idle,
            Some(CloseReason::FrameTimeout) => self.checking_frame,
            _ => return false,
        };
        !is_checking || !self.machine.was_silent
    }

    fn check_timers(&self) -> Checked {
        let (machine, connection) = (&self.machine, &self.connection);
        let is_ending = self.received_before_end.is_some() && connection.state() == State::Open;
        let is_checking = self.checking_idle || self.checking_frame || is_ending;
        let expected = match connection.state() {
            State::Open | State::Finishing | State::Lingering if connection.pending() > 0 => {
                Some(Timer::Write)
            }
            State::Open if self.job.is_some() || self.waiting || is_checking => None,
            State::Open if machine.to_echo > machine.whole() => Some(Timer::Frame),
            State::Open => Some(Timer::Idle),
            State::Lingering => machine.fin_sent.then_some(Timer::Linger),
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

    fn check_nothing_left(&self) -> Checked {
        if self.closed() {
            return Ok(());
        }
        if self.machine.readable() {
            return Err("stuck: there is something to read");
        }
        if self.connection.pending() > 0 {
            return Err("stuck: there is something to write");
        }
        if self.machine.owed() > 0 {
            return Err("stuck: a message waits");
        }
        Ok(())
    }

    fn check_end(&mut self) -> Result<CloseReason, &'static str> {
        let reason = self
            .connection
            .close_reason()
            .ok_or("closed without a reason")?;
        let Machine {
            peer_sent, echoed, ..
        } = self.machine;
        let whole = self.machine.rules.tape.whole[peer_sent];
        match reason {
            CloseReason::PeerClosed if echoed < peer_sent => {
                return Err("the echo is incomplete");
            }
            CloseReason::Truncated if echoed < whole => return Err("the echo is incomplete"),
            CloseReason::Truncated if whole == peer_sent => return Err("nothing was must_abort"),
            _ => {}
        }
        if reason == CloseReason::Reset && !self.machine.reset {
            return Err("a reset that the peer did not send");
        }
        let calls = self.machine.calls;
        self.connection.handle_ready(Ready {
            readable: true,
            writable: true,
            error: true,
            ..Ready::default()
        });
        self.connection
            .drive(&mut self.machine, self.buffers, self.now);
        if self.machine.calls != calls {
            return Err("a call after the close");
        }
        if self.connection.close_reason() != Some(reason) {
            return Err("two close reasons");
        }
        self.check_newcomer()?;
        Ok(reason)
    }

    /// Returns the blocks of others, and requires that the connection has returned its own.
    fn check_blocks(&mut self, reason: CloseReason) -> Result<CloseReason, &'static str> {
        let blocks = &mut self.buffers.blocks;
        for block in self.blocks_of_others.drain(..) {
            blocks.give_extra(block);
        }
        if reason == CloseReason::NoMemory && !blocks.is_exhausted {
            return Err("a connection without memory, although the system refused none");
        }
        if blocks.in_use() > 0 || blocks.extra_bytes() != EXTRA * BLOCK {
            return Err("a block is lost");
        }
        Ok(reason)
    }

    /// Gives the slot to another connection, and then lets the worker return the job of the first connection.
    fn check_newcomer(&mut self) -> Checked {
        self.connection = Connection::new(2, Arc::clone(self.settings), self.now);
        self.complete(|reply| Ok(reply));
        let calls = self.machine.calls;
        let progress = self
            .connection
            .drive(&mut self.machine, self.buffers, self.now);
        if progress != Progress::Wait || self.machine.calls > calls {
            return Err("a reply for another connection");
        }
        Ok(())
    }
}

/// Plays all schedules. Returns how many ended for each reason, or the steps of the first that violates a property.
fn explore(rules: &Rules) -> Result<[usize; CloseReason::COUNT], String> {
    let settings = Arc::new(Settings {
        framing: rules.framing,
        max_message: MAX_MESSAGE,
        offload: rules.offload,
        ..Settings::raw(HIGH_WATER, rules.short_read)
    });
    let blocks = BlockPool::new(BLOCK, GUARANTEED, EXTRA).expect("memory");
    let mut buffers = Buffers::new(READ_BUFFER, blocks).expect("memory");
    let mut play = |choices: &mut Choices, log| {
        let discarded_before = buffers.discarded();
        buffers.blocks.is_exhausted = false;
        let mut world = World {
            machine: Machine::new(rules, choices, log),
            connection: Connection::new(1, Arc::clone(&settings), 0),
            settings: &settings,
            job: None,
            waiting: false,
            checking_idle: false,
            checking_frame: false,
            buffers: &mut buffers,
            blocks_of_others: vec![],
            backlog: false,
            stopping: false,
            received_before_end: None,
            discarded_before,
            now: 0,
            excused: 0,
        };
        let outcome = world.play().and_then(|reason| world.check_blocks(reason));
        (outcome, world.machine.log.unwrap_or_default())
    };
    let mut choices = Choices::default();
    let mut ended_by = [0; CloseReason::COUNT];
    loop {
        match play(&mut choices, None).0 {
            Ok(reason) => ended_by[reason.index()] += 1,
            Err(fault) => {
                choices.at = 0;
                let (_, steps) = play(&mut choices, Some(vec![]));
                return Err(format!("{fault}\n{}", steps.join("\n")));
            }
        }
        if !choices.advance() {
            return Ok(ended_by);
        }
    }
}

/// The reasons for which a connection can end in every world.
const ALWAYS: [CloseReason; 8] = [
    CloseReason::PeerClosed,
    CloseReason::Reset,
    CloseReason::IdleTimeout,
    CloseReason::WriteTimeout,
    CloseReason::Stopped,
    CloseReason::DrainTimeout,
    CloseReason::SessionTimeout,
    CloseReason::NoMemory,
];

const BAD_FRAME: CloseReason = CloseReason::BadFrame(BadFrame::TooShort {
    length: 0,
    header: 1,
});

/// Plays all schedules of a world without bugs, and asserts that there are at least `least` and that they end for
/// exactly the expected reasons.
#[track_caller]
fn assert_sound(name: &str, rules: Rules, least: usize, reasons: &[CloseReason]) {
    let ended_by = explore(&rules).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let schedules: usize = ended_by.iter().sum();
    println!("{name}: {schedules} schedules");
    assert!(schedules >= least, "{name}: {schedules} are too few");
    for reason in CloseReason::ALL {
        println!("    {}: {}", reason.explain(), ended_by[reason.index()]);
        let reached = ended_by[reason.index()] > 0;
        let possible = ALWAYS.contains(&reason) || reasons.contains(&reason);
        assert_eq!(reached, possible, "{name}: {reason:?}");
    }
}

#[track_caller]
fn assert_caught(rules: Rules) {
    let fault = explore(&rules).expect_err("the planted bug is not caught");
    assert!(
        fault.starts_with("stuck"),
        "caught for another reason: {fault}"
    );
}

const EDGE: Rules = Rules {
    selector: Selector::Edge,
    short_read: ShortRead::ProvesEmpty,
    hide: NOTHING_HIDDEN,
    framing: Framing::Raw,
    offload: Offload::Nothing,
    tape: &tape::STREAM,
    steps: 4,
};

const DRAIN_TO_REARM: Rules = Rules {
    selector: Selector::DrainToRearm,
    short_read: ShortRead::ProvesNothing,
    hide: WITHOUT_URGENT_MARK,
    ..EDGE
};

const LENGTH_PREFIXED: Rules = Rules {
    framing: Framing::Len8,
    tape: &tape::LENGTH_PREFIXED,
    ..EDGE
};

/// The least number of schedules in a world without messages, and in a world with messages.
const STREAM_SCHEDULES: usize = 200_000;
const MESSAGE_SCHEDULES: usize = 100_000;

#[test]
fn fault_r4_no_schedule_is_stuck_on_an_edge_triggered_selector() {
    assert_sound("edge", EDGE, STREAM_SCHEDULES, &[]);
}

#[test]
fn fault_r4_no_schedule_is_stuck_on_a_drain_to_rearm_selector() {
    assert_sound("drain to rearm", DRAIN_TO_REARM, STREAM_SCHEDULES, &[]);
}

#[test]
fn fault_r4_no_schedule_is_stuck_if_events_report_neither_fin_nor_reset() {
    let rules = Rules {
        hide: WITHOUT_ANY_END,
        ..DRAIN_TO_REARM
    };
    assert_sound(
        "drain to rearm, no FIN and no reset reported",
        rules,
        STREAM_SCHEDULES,
        &[],
    );
}

#[test]
fn no_schedule_is_stuck_before_or_after_a_nul() {
    let rules = Rules {
        framing: Framing::Nul,
        tape: &tape::NUL,
        ..EDGE
    };
    let reasons = [CloseReason::NulReceived];
    assert_sound("nul", rules, MESSAGE_SCHEDULES, &reasons);
}

#[test]
fn no_schedule_is_stuck_with_messages_echoed_by_the_loop() {
    let rules = Rules {
        framing: Framing::Line,
        tape: &tape::LINES,
        ..DRAIN_TO_REARM
    };
    let reasons = [BAD_FRAME, CloseReason::Truncated, CloseReason::FrameTimeout];
    assert_sound("line", rules, MESSAGE_SCHEDULES, &reasons);
}

const JOB_REASONS: [CloseReason; 4] = [
    BAD_FRAME,
    CloseReason::Truncated,
    CloseReason::FrameTimeout,
    CloseReason::WorkerPanicked,
];

#[test]
fn no_schedule_is_stuck_with_every_message_given_to_a_worker() {
    let rules = Rules {
        offload: Offload::All,
        steps: 3,
        ..LENGTH_PREFIXED
    };
    let name = "len8, all offloaded";
    assert_sound(name, rules, MESSAGE_SCHEDULES, &JOB_REASONS);
}

#[test]
fn no_schedule_is_stuck_with_large_messages_given_to_a_worker() {
    let rules = Rules {
        selector: Selector::DrainToRearm,
        short_read: ShortRead::ProvesNothing,
        hide: WITHOUT_URGENT_MARK,
        offload: Offload::LargerThan(1),
        steps: 3,
        ..LENGTH_PREFIXED
    };
    let name = "len8, large ones offloaded";
    assert_sound(name, rules, MESSAGE_SCHEDULES, &JOB_REASONS);
}

#[test]
fn the_simulation_catches_a_short_read_that_hides_the_fin() {
    assert_caught(Rules {
        hide: WITHOUT_FIN,
        ..EDGE
    });
}

#[test]
fn the_simulation_catches_the_short_read_rule_of_epoll_on_a_drain_to_rearm_selector() {
    assert_caught(Rules {
        short_read: ShortRead::ProvesEmpty,
        hide: NOTHING_HIDDEN,
        ..DRAIN_TO_REARM
    });
}

#[test]
fn the_simulation_catches_a_read_that_stops_short_at_an_urgent_mark() {
    assert_caught(Rules {
        hide: WITHOUT_URGENT_MARK,
        ..EDGE
    });
}
