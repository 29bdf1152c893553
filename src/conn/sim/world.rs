//! The world around the machine: schedules, the properties that hold in each, and the tests that play them all.

use super::*;

/// No schedule needs more turns than this to come to rest.
const MANY_TURNS: usize = 50;

/// The machine, and the server's loop with its one connection.
struct World<'a> {
    machine: Machine<'a>,
    connection: Connection,
    scratch: &'a mut Scratch,
    backlog: bool,
    stopping: bool,
    now: u64,
    /// Runs that may come to nothing: one an input.
    excused: usize,
}

type Checked = Result<(), &'static str>;

impl World<'_> {
    /// One schedule, to its end.
    fn play(&mut self) -> Result<CloseReason, &'static str> {
        while self.machine.steps > 0 && !self.closed() {
            let steps = self.steps();
            let chosen = self.machine.choices.below(steps.len());
            self.take(steps[chosen])?;
        }
        self.run_until_asleep()?;
        self.check_nothing_left()?;
        if !self.closed() && !self.machine.peer_finished {
            self.take(Step::Finish)?;
            self.run_until_asleep()?;
        }
        if !self.closed() {
            return Err("stuck: the peer has finished, and nothing closes");
        }
        self.check_end()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = self.machine.peer_steps();
        if self.backlog || self.machine.due() != (false, false) {
            steps.push(Step::Turn);
        }
        if self.machine.mischief > 0 {
            steps.push(Step::SpuriousEvent);
        }
        if self.connection.clock().is_some() {
            steps.push(Step::ClockRunsOut);
        }
        steps.push(if self.stopping {
            Step::DrainDeadline
        } else {
            Step::Stop
        });
        steps
    }

    fn take(&mut self, step: Step) -> Checked {
        self.machine.note(|| format!("{step:?}"));
        if !matches!(step, Step::Turn | Step::SpuriousEvent) {
            self.machine.steps = self.machine.steps.saturating_sub(1);
        }
        match step {
            Step::Turn => return self.turn(),
            Step::SpuriousEvent => {
                self.machine.mischief -= 1;
                self.connection.handle_ready(Ready {
                    readable: true,
                    writable: true,
                    ..Ready::default()
                });
            }
            Step::ClockRunsOut => self.connection.handle_timeout(),
            Step::Stop => {
                self.stopping = true;
                self.connection.handle_shutdown();
            }
            Step::DrainDeadline => self.connection.handle_drain_deadline(),
            of_the_peer => {
                self.machine.peer(of_the_peer);
                return Ok(());
            }
        }
        self.excused += 1;
        self.run()
    }

    /// One turn of the loop: an event that is due, else the backlog.
    fn turn(&mut self) -> Checked {
        if let Some(ready) = self.machine.event() {
            self.machine.note(|| format!("  {ready:?}"));
            self.connection.handle_ready(ready);
            self.excused += 1;
        }
        self.run()
    }

    /// Drives the connection and does what it asks for.
    fn run(&mut self) -> Checked {
        loop {
            let state = self.connection.state();
            let useful_calls = self.machine.useful_calls;
            self.machine.echoing = state == State::Open;
            self.machine.found_no_room = false;
            self.now += 1;

            let progress = self
                .connection
                .drive(&mut self.machine, self.scratch, self.now);

            self.machine.note(|| format!("  {progress:?}"));
            // A run that was interrupted until its budget was spent is followed by another one.
            self.excused += usize::from(std::mem::take(&mut self.machine.interrupting));
            if self.connection.state() == state && self.machine.useful_calls == useful_calls {
                self.excused = self.excused.checked_sub(1).ok_or("spins")?;
            }
            self.check_run(progress)?;
            self.backlog = progress == Progress::Again;
            if progress != Progress::SendFin {
                break;
            }
            self.excused += 1;
            if self.machine.shut_down() {
                self.connection.handle_fin_sent(self.now);
            } else {
                self.connection.handle_reset();
            }
        }
        self.machine.arm_write(self.connection.wants_write());
        Ok(())
    }

    /// The peer takes whatever comes, and the loop runs until it would sleep for ever.
    fn run_until_asleep(&mut self) -> Checked {
        for _ in 0..MANY_TURNS {
            self.machine.peer_takes(self.machine.outbound);
            if self.closed() || !self.backlog && self.machine.due() == (false, false) {
                return Ok(());
            }
            self.take(Step::Turn)?;
        }
        Err("spins")
    }

    fn closed(&self) -> bool {
        self.connection.state() == State::Closed
    }

    // The properties.

    fn check_run(&self, progress: Progress) -> Checked {
        let (machine, connection) = (&self.machine, &self.connection);
        if let Some(broken) = machine.broken {
            return Err(broken);
        }
        if connection.pending() >= HIGH_WATER + SCRATCH {
            return Err("pending is out of bounds");
        }
        if !self.closed() && machine.owed() != connection.pending() {
            return Err("bytes are lost");
        }
        match progress {
            Progress::SendFin | Progress::Close if machine.owed() > 0 && !machine.reset => {
                Err("a truncated echo ends in a clean FIN")
            }
            Progress::Abort
                if connection.close_reason() == Some(CloseReason::WriteTimeout)
                    && !machine.found_no_room =>
            {
                Err("a write timeout without a try")
            }
            Progress::Abort if machine.owed() == 0 => Err("an abort that drops nothing"),
            Progress::Close | Progress::Abort if !self.closed() => Err("closed too early"),
            _ => Ok(()),
        }
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
        Ok(())
    }

    fn check_end(&mut self) -> Result<CloseReason, &'static str> {
        let reason = self.connection.close_reason().ok_or("closed for nothing")?;
        let complete = self.machine.echoed == usize::from(self.machine.peer_sent);
        if reason == CloseReason::PeerFinished && !complete {
            return Err("the echo is incomplete");
        }
        if reason == CloseReason::Reset && !self.machine.reset {
            return Err("nobody has reset it");
        }
        let calls = self.machine.calls;
        self.connection.handle_ready(Ready {
            readable: true,
            writable: true,
            error: true,
            ..Ready::default()
        });
        self.connection
            .drive(&mut self.machine, self.scratch, self.now);
        if self.machine.calls != calls {
            return Err("a call after the close");
        }
        if self.connection.close_reason() != Some(reason) {
            return Err("two close reasons");
        }
        Ok(reason)
    }
}

/// Plays all schedules. Returns how many ended for each reason, or the first that breaks a property, step by step.
fn explore(rules: &Rules) -> Result<[usize; CloseReason::COUNT], String> {
    let settings = Arc::new(Settings {
        high_water: HIGH_WATER,
        short_read: rules.short_read,
    });
    let mut scratch = Scratch::new(SCRATCH);
    let mut play = |choices: &mut Choices, journal| {
        let mut world = World {
            machine: Machine::new(rules, choices, journal),
            connection: Connection::new(1, Arc::clone(&settings), 0),
            scratch: &mut scratch,
            backlog: false,
            stopping: false,
            now: 0,
            excused: 0,
        };
        let outcome = world.play();
        (outcome, world.machine.journal.unwrap_or_default())
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

/// Plays all schedules of a world without bugs.
#[track_caller]
fn assert_sound(name: &str, rules: Rules) {
    let ended_by = explore(&rules).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let schedules: usize = ended_by.iter().sum();
    println!("{name}: {schedules} schedules");
    assert!(schedules >= 200_000, "{name}: {schedules} are too few");
    for reason in CloseReason::ALL {
        println!("    {}: {}", reason.explain(), ended_by[reason.index()]);
        let reached = ended_by[reason.index()] > 0;
        let possible = !matches!(reason, CloseReason::Failed(_));
        assert_eq!(reached, possible, "{name}: {reason:?}");
    }
}

#[track_caller]
fn assert_caught(rules: Rules) {
    let fault = explore(&rules).expect_err("the bug is not caught");
    assert!(
        fault.starts_with("stuck"),
        "caught for another reason: {fault}"
    );
}

const EDGE: Rules = Rules {
    selector: Selector::Edge,
    short_read: ShortRead::Drains,
    hide: PLAINLY,
};

const DRAIN_TO_REARM: Rules = Rules {
    selector: Selector::DrainToRearm,
    short_read: ShortRead::ProvesNothing,
    hide: WITHOUT_URGENT_MARK,
};

#[test]
fn fault_r4_no_schedule_is_stuck_on_an_edge_triggered_selector() {
    assert_sound("edge", EDGE);
}

#[test]
fn fault_r4_no_schedule_is_stuck_on_a_drain_to_rearm_selector() {
    assert_sound("drain to rearm", DRAIN_TO_REARM);
}

#[test]
fn fault_r4_no_schedule_is_stuck_where_events_tell_of_no_end() {
    let rules = Rules {
        hide: WITHOUT_ANY_END,
        ..DRAIN_TO_REARM
    };
    assert_sound("drain to rearm, no ends told", rules);
}

#[test]
fn simulation_catches_a_short_read_that_hides_the_fin() {
    assert_caught(Rules {
        hide: WITHOUT_FIN,
        ..EDGE
    });
}

#[test]
fn simulation_catches_a_short_read_taken_for_the_end_on_a_drain_to_rearm_selector() {
    assert_caught(Rules {
        short_read: ShortRead::Drains,
        hide: PLAINLY,
        ..DRAIN_TO_REARM
    });
}

#[test]
fn simulation_catches_a_read_cut_short_at_an_urgent_mark() {
    assert_caught(Rules {
        hide: WITHOUT_URGENT_MARK,
        ..EDGE
    });
}
