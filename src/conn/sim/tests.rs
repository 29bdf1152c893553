//! Every schedule of a small world, under both kinds of selector.
//!
//! Whenever something could happen in more than one way, [`Choices`] plays every way, in all combinations. After each
//! schedule, the worker returns its message, the peer takes everything and finishes, and the loop runs until it would
//! sleep. Then nothing may be left to do.
//!
//! The world is small: a read buffer of 2 bytes, a high-water mark of 2, a send buffer of 3, messages of 1 to 3 bytes.
//! Bugs in this kind of code need few steps, but exactly the right steps.

mod states;

use std::sync::Arc;

use super::super::block_pool::Block;
use super::super::connection::Session;
use super::super::*;
use super::journal::{end_journal, start_journal};
use super::kernel::{Item, Kernel};
use super::rules::{BrokenRule, MAX_MESSAGE, Rules, Selector, WITHOUT_URGENT_MARK};
use super::step::{Chance, PeerStep, Rare, Step};
use super::tape;
use super::world::{World, buffers};

/// More bytes than any schedule has queued.
const RECEIVE_BUFFER: usize = 16;

/// How often in a schedule the kernel, the selector or the peer does something rare.
const RARE_EVENTS: usize = if cfg!(feature = "soak") { 2 } else { 1 };

/// The size of a block: the longest message has room.
const BLOCK: usize = MAX_MESSAGE;

/// As many extra blocks as a connection can use.
const EXTRA: usize = 2;

/// Enumerates all schedules depth first: replays a list of choices, with the last one incremented.
struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
    /// What a schedule may have: steps of the peer and the server, and rare events. Steps of the loop and the worker do
    /// not count.
    limits: (usize, usize),
    steps: usize,
    rare_events: usize,
}

impl Choices {
    fn new(steps: usize, rare_events: usize) -> Self {
        Self {
            taken: vec![],
            at: 0,
            limits: (steps, rare_events),
            steps,
            rare_events,
        }
    }

    /// Returns one of `0..options`.
    fn below(&mut self, options: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, options));
        }
        let (choice, _) = self.taken[self.at];
        self.at += 1;
        choice
    }

    /// Returns one of `options`, which are rare, or `None`.
    fn rarely<T: Copy>(&mut self, options: &[T]) -> Option<T> {
        if self.rare_events == 0 {
            return None;
        }
        let chosen = self.below(options.len() + 1).checked_sub(1)?;
        self.rare_events -= 1;
        Some(options[chosen])
    }

    /// Goes back to the beginning of the schedule.
    fn rewind(&mut self) {
        self.at = 0;
        (self.steps, self.rare_events) = self.limits;
    }

    /// Goes on to the next schedule. Returns false after the last.
    fn advance(&mut self) -> bool {
        self.advance_after(0)
    }

    /// Goes on to the next schedule with the same first `kept` choices. Returns false after the last.
    fn advance_after(&mut self, kept: usize) -> bool {
        while self.taken.len() > kept
            && let Some((choice, options)) = self.taken.pop()
        {
            if choice + 1 < options {
                self.taken.push((choice + 1, options));
                return true;
            }
        }
        false
    }
}

impl Chance for Choices {
    fn rare(&mut self, possible: &[Rare]) -> Option<Rare> {
        self.rarely(possible)
    }

    fn lets_peer_interfere(&self) -> bool {
        self.steps > 0 && self.rare_events > 0
    }

    fn meanwhile(&mut self, possible: &[PeerStep]) -> Option<PeerStep> {
        let step = self.rarely(possible)?;
        self.steps -= 1;
        Some(step)
    }

    fn is_pool_full(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug)]
enum Move {
    Step(Step),
    /// Other connections take all extra blocks, and keep them.
    OthersTakeBlocks,
    /// From now on, the system refuses memory.
    MemoryRunsOut,
}

/// A world, and the connections beside its own.
struct Play<'a> {
    world: World<'a, Choices>,
    blocks_of_others: Vec<Block>,
}

type Checked = Result<(), &'static str>;

impl<'a> Play<'a> {
    fn new(rules: &'a Rules, buffers: &'a mut Buffers, choices: &'a mut Choices) -> Self {
        choices.rewind();
        buffers.blocks.is_exhausted = false;
        Self {
            world: World::new(rules, buffers, choices),
            blocks_of_others: vec![],
        }
    }

    /// Plays one schedule to its end.
    fn play(&mut self) -> Result<CloseReason, &'static str> {
        while self.has_moves() {
            self.play_move()?;
        }
        self.finish()
    }

    fn has_moves(&self) -> bool {
        self.world.kernel.chance.steps > 0 && !self.world.is_closed()
    }

    fn play_move(&mut self) -> Checked {
        let moves = self.moves();
        let chosen = self.world.kernel.chance.below(moves.len());
        self.perform(moves[chosen])
    }

    /// Lets the peer take everything and finish, and checks the end of the connection.
    fn finish(&mut self) -> Result<CloseReason, &'static str> {
        self.run_until_asleep()?;
        self.world.check_nothing_left()?;
        if !self.world.is_closed() && !self.world.kernel.peer_finished {
            self.perform(Move::Step(Step::Peer(PeerStep::Finish)))?;
            self.run_until_asleep()?;
        }
        if !self.world.is_closed() {
            return Err("stuck: the peer has finished, and the connection does not close");
        }
        let reason = self.check_end()?;
        self.check_blocks(reason)?;
        Ok(reason)
    }

    fn moves(&self) -> Vec<Move> {
        let world = &self.world;
        let mut moves = vec![];
        let peer_steps = world.kernel.peer_steps().into_iter();
        moves.extend(peer_steps.map(Step::Peer).map(Move::Step));
        if world.has_work() {
            moves.push(Move::Step(Step::Turn));
        }
        if world.kernel.chance.rare_events > 0 {
            moves.extend([Move::Step(Step::SpuriousEvent), Move::MemoryRunsOut]);
            if world.buffers.blocks.extra_bytes() > 0 {
                moves.push(Move::OthersTakeBlocks);
            }
        }
        moves.extend(self.other_steps().into_iter().map(Move::Step));
        moves
    }

    /// Returns what the worker, the clock and the server can do.
    fn other_steps(&self) -> Vec<Step> {
        let world = &self.world;
        let mut steps = vec![];
        if world.job.is_some() {
            let outcomes = [Ok(()), Err(WorkerPanicked)];
            steps.extend(outcomes.map(Step::Complete));
        }
        if world.waiting {
            steps.push(Step::AdmitJob);
        }
        let timer = world.connection.timer();
        steps.extend(timer.map(Step::ClockRunsOut));
        if timer == Some(Timer::Frame) {
            steps.push(Step::ClockRunsOut(Timer::Idle));
        }
        if timer != Some(Timer::Linger) {
            steps.push(Step::ClockRunsOut(Timer::Session));
        }
        if world.stopping {
            steps.push(Step::DrainDeadline);
        } else {
            // The system tells the exact number at best, and a generous one at worst.
            steps.push(Step::Stop(world.kernel.queued()));
            steps.push(Step::Stop(RECEIVE_BUFFER));
        }
        steps
    }

    fn perform(&mut self, step: Move) -> Checked {
        let choices = &mut *self.world.kernel.chance;
        match step {
            Move::Step(Step::Turn | Step::Complete(_) | Step::AdmitJob) => {}
            Move::Step(Step::SpuriousEvent) => choices.rare_events -= 1,
            Move::OthersTakeBlocks | Move::MemoryRunsOut => {
                choices.rare_events -= 1;
                choices.steps -= 1;
            }
            Move::Step(
                Step::Peer(_) | Step::ClockRunsOut(_) | Step::Stop(_) | Step::DrainDeadline,
            ) => choices.steps = choices.steps.saturating_sub(1),
        }
        let blocks = &mut self.world.buffers.blocks;
        match step {
            Move::Step(step) => self.world.perform(step),
            Move::OthersTakeBlocks => {
                while let Ok(block) = blocks.take_extra() {
                    self.blocks_of_others.push(block);
                }
            }
            Move::MemoryRunsOut => blocks.is_exhausted = true,
        }
        self.check()
    }

    fn run_until_asleep(&mut self) -> Checked {
        self.world.run_until_asleep();
        self.check()
    }

    fn check(&self) -> Checked {
        self.world.fault.map_or(Ok(()), Err)
    }

    fn check_end(&mut self) -> Result<CloseReason, &'static str> {
        let World {
            connection,
            kernel,
            buffers,
            now,
            ..
        } = &mut self.world;
        let reason = connection.close_reason().ok_or("closed without a reason")?;
        let Kernel {
            peer_sent, echoed, ..
        } = *kernel;
        let whole = kernel.rules.tape.whole(peer_sent);
        match reason {
            CloseReason::PeerClosed if echoed < peer_sent => {
                return Err("the echo is incomplete");
            }
            CloseReason::Truncated if echoed < whole => return Err("the echo is incomplete"),
            CloseReason::Truncated if whole == peer_sent => return Err("nothing was must_abort"),
            _ => {}
        }
        if reason == CloseReason::Reset && !kernel.reset {
            return Err("a reset that the peer did not send");
        }
        let calls = kernel.calls;
        connection.handle_ready(Ready {
            readable: true,
            writable: true,
            error: true,
            ..Ready::default()
        });
        connection.drive(kernel, buffers, *now);
        if kernel.calls != calls {
            return Err("a call after the close");
        }
        if connection.close_reason() != Some(reason) {
            return Err("two close reasons");
        }
        self.check_newcomer()?;
        Ok(reason)
    }

    /// Returns the blocks of others, and requires that the connection has returned its own.
    fn check_blocks(&mut self, reason: CloseReason) -> Checked {
        let blocks = &mut self.world.buffers.blocks;
        for block in self.blocks_of_others.drain(..) {
            blocks.give_extra(block);
        }
        if reason == CloseReason::NoMemory && !blocks.is_exhausted {
            return Err("a connection without memory, although the system refused none");
        }
        if blocks.in_use() > 0 || blocks.extra_bytes() != EXTRA * BLOCK {
            return Err("a block is lost");
        }
        Ok(())
    }

    /// Gives the slot to another connection, and then lets the worker return the job of the first connection.
    fn check_newcomer(&mut self) -> Checked {
        let world = &mut self.world;
        let settings = Arc::clone(&world.connection.settings);
        world.connection = Connection::new(8, settings, world.now);
        world.complete(Ok(()));
        let calls = world.kernel.calls;
        let progress = world
            .connection
            .drive(&mut world.kernel, world.buffers, world.now);
        if progress != Progress::Wait || world.kernel.calls > calls {
            return Err("a reply for another connection");
        }
        Ok(())
    }
}

/// Plays all schedules of so many steps. Returns how many ended for each reason, or the steps of the first that violates
/// a property.
fn explore(rules: &Rules, steps: usize) -> Result<[usize; CloseReason::COUNT], String> {
    let mut buffers = buffers(rules, BLOCK, EXTRA);
    let mut choices = Choices::new(steps, RARE_EVENTS);
    let mut ended_by = [0; CloseReason::COUNT];
    loop {
        match Play::new(rules, &mut buffers, &mut choices).play() {
            Ok(reason) => ended_by[reason.index()] += 1,
            Err(fault) => {
                start_journal();
                let _ = Play::new(rules, &mut buffers, &mut choices).play();
                return Err(with_steps(fault));
            }
        }
        if !choices.advance() {
            return Ok(ended_by);
        }
    }
}

/// Ends the journal, and returns `fault` with its entries.
fn with_steps(fault: &str) -> String {
    let entries: Vec<_> = end_journal().iter().map(ToString::to_string).collect();
    format!("{fault}\n{}", entries.join("\n"))
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

/// The steps of a schedule in a world without a worker, and the least number of schedules that there are: without
/// messages, and with messages.
const STEPS: usize = 4;
const STREAM_SCHEDULES: usize = 200_000;
const MESSAGE_SCHEDULES: usize = 100_000;

/// The steps of a schedule in a world with a worker.
const STEPS_WITH_WORKER: usize = 3;

/// Plays all schedules of a world without bugs, and asserts that there are at least `least` and that they end for
/// exactly the expected reasons.
#[track_caller]
fn assert_sound(name: &str, rules: Rules, steps: usize, least: usize, reasons: &[CloseReason]) {
    let ended_by = explore(&rules, steps).unwrap_or_else(|fault| panic!("{name}: {fault}"));
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

const LENGTH_PREFIXED: Rules = Rules {
    framing: Framing::Len8,
    tape: &tape::LENGTH_PREFIXED,
    ..Rules::EDGE
};

#[test]
fn fault_r4_no_schedule_is_stuck_on_an_edge_triggered_selector() {
    assert_sound("edge", Rules::EDGE, STEPS, STREAM_SCHEDULES, &[]);
}

#[test]
fn fault_r4_no_schedule_is_stuck_on_a_drain_to_rearm_selector() {
    let rules = Rules::DRAIN_TO_REARM;
    assert_sound("drain to rearm", rules, STEPS, STREAM_SCHEDULES, &[]);
}

#[test]
fn fault_r4_no_schedule_is_stuck_if_events_report_neither_fin_nor_reset() {
    let rules = Rules {
        hide: |ready| {
            *ready = Ready {
                readable: ready.readable,
                writable: ready.writable,
                ..Ready::default()
            }
        },
        ..Rules::DRAIN_TO_REARM
    };
    let name = "drain to rearm, no FIN and no reset reported";
    assert_sound(name, rules, STEPS, STREAM_SCHEDULES, &[]);
}

#[test]
fn no_schedule_is_stuck_before_or_after_a_nul() {
    let rules = Rules {
        framing: Framing::Nul,
        tape: &tape::NUL,
        ..Rules::EDGE
    };
    let reasons = [CloseReason::NulReceived];
    assert_sound("nul", rules, STEPS, MESSAGE_SCHEDULES, &reasons);
}

#[test]
fn no_schedule_is_stuck_with_messages_echoed_by_the_loop() {
    let rules = Rules {
        framing: Framing::Line,
        tape: &tape::LINES,
        ..Rules::DRAIN_TO_REARM
    };
    let reasons = [BAD_FRAME, CloseReason::Truncated, CloseReason::FrameTimeout];
    assert_sound("line", rules, STEPS, MESSAGE_SCHEDULES, &reasons);
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
        ..LENGTH_PREFIXED
    };
    let (name, least) = ("len8, all offloaded", MESSAGE_SCHEDULES);
    assert_sound(name, rules, STEPS_WITH_WORKER, least, &JOB_REASONS);
}

#[test]
fn no_schedule_is_stuck_with_large_messages_given_to_a_worker() {
    let rules = Rules {
        selector: Selector::DrainToRearm,
        short_read: ShortRead::ProvesNothing,
        hide: WITHOUT_URGENT_MARK,
        offload: Offload::LargerThan(1),
        ..LENGTH_PREFIXED
    };
    let (name, least) = ("len8, large ones offloaded", MESSAGE_SCHEDULES);
    assert_sound(name, rules, STEPS_WITH_WORKER, least, &JOB_REASONS);
}

/// Plays schedules of a world with a bug until one violates a property, and asserts that it does so for the `expected`
/// reason.
#[track_caller]
fn assert_caught(rule: BrokenRule, rules: Rules, expected: &str) {
    let rules = Rules {
        broken: Some(rule),
        ..rules
    };
    let fault = explore(&rules, STEPS).expect_err("the planted bug is not caught");
    assert!(
        fault.starts_with(expected),
        "caught for another reason: {fault}"
    );
}

#[test]
fn the_simulation_catches_a_short_read_that_hides_the_fin() {
    assert_caught(BrokenRule::HideFin, Rules::EDGE, "stuck");
}

#[test]
fn the_simulation_catches_the_short_read_rule_of_epoll_on_a_drain_to_rearm_selector() {
    assert_caught(BrokenRule::TrustShortRead, Rules::DRAIN_TO_REARM, "stuck");
}

#[test]
fn the_simulation_catches_a_read_that_stops_short_at_an_urgent_mark() {
    assert_caught(BrokenRule::HideUrgentMark, Rules::EDGE, "stuck");
}

#[test]
fn the_simulation_catches_a_block_at_an_urgent_mark_that_is_believed() {
    assert_caught(BrokenRule::TrustBlock, Rules::EDGE, "stuck");
}

#[test]
fn the_simulation_catches_a_registration_for_write_events_that_is_missing_or_stays() {
    for rules in [Rules::EDGE, Rules::DRAIN_TO_REARM] {
        assert_caught(BrokenRule::NeverWritable, rules, "stuck");
        assert_caught(BrokenRule::AlwaysWritable, rules, "spins");
    }
}

#[test]
fn the_simulation_catches_a_loop_that_forgets_to_drive_a_connection_again() {
    for rules in [Rules::EDGE, Rules::DRAIN_TO_REARM] {
        assert_caught(BrokenRule::ForgetBudget, rules, "stuck");
    }
    assert_caught(BrokenRule::ForgetBelief, Rules::EDGE, "stuck");
}

#[test]
fn the_simulation_catches_a_close_that_looks_complete_or_comes_too_early() {
    let caught = [
        (BrokenRule::FinForReset, "the peer takes a part"),
        (BrokenRule::NoLinger, "a reset destroys"),
        (BrokenRule::TrustClock, "a timeout although"),
    ];
    for (rule, expected) in caught {
        assert_caught(rule, Rules::EDGE, expected);
    }
}
