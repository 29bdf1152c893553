//! Plays a schedule in the world of the simulation, and tells what happens, step by step.
//!
//! The program `player` reads a schedule from standard input and writes its trace to standard output. The page of `play/`
//! runs that program in a browser: it shows a step of a trace, and adds an action to the schedule for each button.
//!
//! # Schedules
//!
//! A schedule has an action on each line, after settings that are no actions. Numbers are from 1 to 64.
//!
//! | setting       | meaning                                                                             | otherwise |
//! |---------------|-------------------------------------------------------------------------------------|-----------|
//! | `edge`        | epoll with `EPOLLET`: a short read proves the socket empty                          | yes       |
//! | `rearm`       | Windows and poll(2): a direction is disarmed until a call blocks                    | no        |
//! | `sizes-R-H-S` | bytes of the read buffer, of the high-water mark, and of the kernel's send buffer   | 2, 2, 3   |
//! | `break-NAME`  | the rule of the code with this name is broken                                       | none      |
//!
//! | action                            | what happens                                                                |
//! |-----------------------------------|-----------------------------------------------------------------------------|
//! | `send-N`, `urgent`                | the peer sends bytes, or an urgent mark and a byte after it                 |
//! | `fin`, `reset`                    | the peer finishes sending, or resets the connection                         |
//! | `take-N`, `take-all`              | the peer takes bytes of the echo                                            |
//! | `turn`, `loop`                    | the loop takes its next event or its backlog; `loop` goes on until it sleeps |
//! | `duplicate`, `both`, `split`      | a turn whose event comes again, reports too much, or reports only `WRITABLE` |
//! | `spurious`                        | an event without a cause                                                    |
//! | `interrupt`                       | signals will interrupt every read of the next run                           |
//! | `signal`                          | a signal is pending: the next read at an urgent mark will answer `WouldBlock` |
//! | `read-one`, `write-one`           | the next read, or write, will move one byte                                 |
//! | `grow-N`                          | the send buffer grows                                                       |
//! | `clock`, `session`                | the running timer, or the session timer, expires                            |
//! | `stop`, `deadline`                | the server stops, or does not wait any longer                               |
//!
//! An action that is impossible changes nothing, and its step says why. Each run of the connection takes place a second
//! after the one before, and `clock` goes on to the moment at which the timer expires.
//!
//! # Traces
//!
//! A trace is a JSON object on each line. The first one is the catalogue: the rules of the code with their lines, the rules
//! that can be broken, the examples, and the arrows of the diagram of states. The second one is the start, and then each
//! action has its step. The fields of a step:
//!
//! | field                             | meaning                                                                     |
//! |-----------------------------------|-----------------------------------------------------------------------------|
//! | `step`, `action`, `who`, `what`   | what happened, the last one as a sentence                                   |
//! | `refused`                         | why the action is impossible                                                |
//! | `lines`                           | the run of the connection, in the words of the worked traces of `conn/mod.rs` |
//! | `event`                           | what the last event of the step reported                                    |
//! | `calls`                           | the system calls: size of the buffer, answer, bytes, rule that follows      |
//! | `moves`                           | the changes of state: from, cause, to, and the reason in the log            |
//! | `progress`                        | what the connection asked for at the end                                    |
//! | `rules`                           | the names of the rules that acted, in their order                           |
//! | `broken`                          | the name of the rule that was broken, and what happened instead             |
//! | `turns`, `useless_turns`          | the turns of this step; the latest turns, over all steps, that did nothing  |
//! | `clock`, `state`, `reason`        | the seconds; the state; why the connection ends                             |
//! | `beliefs`                         | each bit: what is believed, what is true, and what will correct the belief  |
//! | `peer`, `kernel`, `connection`    | what each of them has; `!` stands for an urgent mark                        |
//! | `can`                             | the actions that are possible now                                           |
//! | `verdict`                         | a word, and a line for people                                               |
//!
//! The kinds of verdicts: `runs` (an event is due, or the backlog), `waits` (something owed waits for the peer), `asleep`
//! (nothing is left), `closed`, and the three that a sound machine never gets: `stuck` (something is left that no event will
//! report, although the peer takes everything: only a timer makes the loop ask the socket), `spins` (the loop runs and does
//! nothing) and `wrong` (a property of `conn/sim/properties.rs` does not hold).
//!
//! # Example
//!
//! ```
//! let trace = mio_echo::player::play("break-hide-fin\nsend-1\nfin\nturn")?;
//! assert!(trace.contains("stuck until the idle timer at 61 s: a FIN that nobody waits for"));
//! # Ok::<(), mio_echo::player::NotASchedule>(())
//! ```

mod breaks;
mod code_rule;
mod examples;
mod reasons;
mod schedule;
mod sentence;
mod stage;
mod trace;
mod transition;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::conn::sim::{Entry, World, buffers, end_journal, parts, start_journal};

use self::breaks::Break;
use self::code_rule::CodeRule;
use self::examples::Example;
use self::reasons::Reasons;
use self::schedule::{Action, Schedule};
use self::stage::{Plan, Stage};
use self::trace::{CallMade, Now, Step};
use self::transition::{Transition, Transitions};
use self::verdict::{LeftOver, verdict};

pub use self::schedule::NotASchedule;

/// The first line of every trace.
#[derive(Serialize)]
struct Catalogue {
    catalogue: u32,
    rules: BTreeMap<&'static str, &'static CodeRule>,
    breaks: &'static [Break],
    examples: &'static [Example],
    states: Vec<String>,
    moves: Vec<Transition>,
}

/// The size of a block: more than any schedule has pending. So a write takes all pending bytes, as with a real socket.
const BLOCK: usize = 1024;

/// The blocks beyond those that the connection is guaranteed.
const EXTRA: usize = 1;

/// Plays `schedule` and returns its trace: the catalogue, the start, and a line for each action.
///
/// # Errors
///
/// Fails if a line of the schedule is neither an action nor a setting.
pub fn play(schedule: &str) -> Result<String, NotASchedule> {
    let schedule = Schedule::parse(schedule)?;
    let mut trace = json(&Catalogue {
        catalogue: 1,
        rules: code_rule::all(),
        breaks: &breaks::BREAKS,
        examples: &examples::EXAMPLES,
        states: transition::states(),
        moves: transition::arrows(),
    });
    for step in steps(&schedule) {
        trace += &json(&step);
    }
    Ok(trace)
}

fn json(object: &impl Serialize) -> String {
    serde_json::to_string(object).expect("every name is text") + "\n"
}

/// Plays `schedule` and returns the start and a step for each action.
fn steps(schedule: &Schedule) -> Vec<Step> {
    let (mut buffers, mut plan) = (buffers(&schedule.rules, BLOCK, EXTRA), Plan::default());
    let mut stage = World::new(&schedule.rules, &mut buffers, &mut plan);
    let mut steps = vec![start(&stage, schedule)];
    for (index, action) in schedule.actions.iter().enumerate() {
        steps.push(step(index + 1, *action, &mut stage, schedule));
    }
    steps
}

fn start(stage: &Stage, schedule: &Schedule) -> Step {
    Step {
        step: 0,
        action: "start".to_owned(),
        who: "start",
        what: "The connection is accepted.".to_owned(),
        refused: None,
        lines: vec![],
        event: None,
        calls: vec![],
        moves: vec![],
        progress: None,
        rules: vec![],
        broken: None,
        turns: 0,
        useless_turns: 0,
        now: Now::of(stage),
        verdict: verdict(stage, || left_over(schedule, 0)),
    }
}

fn step(number: usize, action: Action, stage: &mut Stage, schedule: &Schedule) -> Step {
    let what = sentence::sentence(action, stage);
    let mut reasons = Reasons::before(action, stage);
    let turns = stage.turns;
    start_journal();
    let refused = stage::perform(action, stage).err();
    let mut entries = end_journal();

    let mut calls = vec![];
    let mut transitions = Transitions::default();
    let mut moves = vec![];
    let (mut event, mut progress) = (None, None);
    for entry in &entries {
        match entry {
            Entry::Event(_, ready) => event = Some(parts(*ready)),
            Entry::Call(call) => calls.push(CallMade::new(call, reasons.of_call(call))),
            Entry::Outcome(asked, _) => progress = Some(format!("{asked:?}")),
            Entry::Log(_) | Entry::Happening(_) => {}
        }
        reasons.follow(entry);
        if let Some(transition) = transitions.follow(entry) {
            reasons.follow_transition(&transition);
            moves.push(transition);
        }
    }
    let was_driven = progress.is_some();
    if was_driven {
        reasons.end(stage);
    } else {
        entries.clear();
    }
    Step {
        step: number,
        action: action.to_string(),
        who: sentence::who(action),
        what,
        refused,
        lines: entries.iter().map(ToString::to_string).collect(),
        event,
        calls,
        moves,
        progress,
        broken: reasons.broke().and_then(breaks::acted),
        rules: reasons.names(),
        turns: stage.turns - turns,
        useless_turns: stage.useless_turns,
        now: Now::of(stage),
        verdict: verdict(stage, || left_over(schedule, number)),
    }
}

/// Plays the first `length` actions of `schedule` and then lets the peer take everything. Returns what is left although the
/// loop sleeps.
fn left_over(schedule: &Schedule, length: usize) -> Option<LeftOver> {
    let (mut buffers, mut plan) = (buffers(&schedule.rules, BLOCK, EXTRA), Plan::default());
    let mut stage = World::new(&schedule.rules, &mut buffers, &mut plan);
    for action in &schedule.actions[..length] {
        let _ = stage::perform(*action, &mut stage);
    }
    let turns = stage.turns;
    stage.run_until_asleep();
    let is_stuck = stage.fault.is_none() && stage.check_nothing_left().is_err();
    is_stuck.then(|| LeftOver::of(&stage, stage.turns - turns))
}
