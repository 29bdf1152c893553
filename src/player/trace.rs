//! The objects of a trace. The documentation of [`player`](super) describes each field.

use serde::Serialize;

use crate::conn::sim::{Belief, Call, Item, PeerEnd, SECOND, Selector, timeout};

use super::breaks::Broken;
use super::schedule::name;
use super::stage::{Stage, possible};
use super::transition::Transition;
use super::verdict::{Verdict, due};

/// One step: what happened, and what holds after it.
#[derive(Serialize)]
pub(super) struct Step {
    pub(super) step: usize,
    pub(super) action: String,
    pub(super) who: &'static str,
    pub(super) what: String,
    pub(super) refused: Option<&'static str>,
    pub(super) lines: Vec<String>,
    pub(super) event: Option<Vec<&'static str>>,
    pub(super) calls: Vec<CallMade>,
    pub(super) moves: Vec<Transition>,
    pub(super) progress: Option<String>,
    pub(super) rules: Vec<&'static str>,
    pub(super) broken: Option<Broken>,
    pub(super) turns: usize,
    pub(super) useless_turns: usize,
    #[serde(flatten)]
    pub(super) now: Now,
    pub(super) verdict: Verdict,
}

/// A system call with its answer.
#[derive(Serialize)]
pub(super) struct CallMade {
    call: &'static str,
    size: usize,
    answer: String,
    bytes: String,
    rule: &'static str,
}

impl CallMade {
    pub(super) fn new(call: &Call, rule: &'static str) -> Self {
        Self {
            call: call.call,
            size: call.size,
            answer: match call.answer {
                Ok(n) => n.to_string(),
                Err(kind) => format!("{kind:?}"),
            },
            bytes: String::from_utf8_lossy(&call.bytes).into_owned(),
            rule,
        }
    }
}

#[cfg(test)]
impl CallMade {
    pub(super) fn rule(&self) -> &'static str {
        self.rule
    }
}

/// What holds after a step.
#[derive(Serialize)]
pub(super) struct Now {
    clock: u64,
    state: String,
    reason: Option<&'static str>,
    beliefs: Vec<Believed>,
    peer: Peer,
    kernel: Kernel,
    connection: Connection,
    can: Vec<String>,
}

#[derive(Serialize)]
struct Believed {
    bit: &'static str,
    believed: bool,
    #[serde(rename = "true")]
    is_true: Option<bool>,
    /// What will make a belief true that is not. `None` if nothing will.
    correction: Option<String>,
}

#[derive(Serialize)]
struct Peer {
    sent: String,
    received: String,
    finished: bool,
    end: Option<&'static str>,
}

#[derive(Serialize)]
struct Kernel {
    receive: String,
    fin: bool,
    reset: bool,
    send: String,
    send_size: usize,
    /// `None` where arrivals are reported without arming.
    armed: Option<Armed>,
    write_interest: bool,
    due: Vec<&'static str>,
    planned: Vec<&'static str>,
}

#[derive(Serialize)]
struct Armed {
    read: bool,
    write: bool,
}

#[derive(Serialize)]
struct Connection {
    pending: String,
    read_buffer: usize,
    high_water: usize,
    wants_write: bool,
    backlog: bool,
    timer: Option<RunningTimer>,
    checks: Vec<String>,
    stopping: bool,
}

#[derive(Serialize)]
struct RunningTimer {
    name: String,
    since: u64,
    expires: u64,
}

impl Now {
    pub(super) fn of(stage: &Stage) -> Self {
        Self {
            clock: stage.now / SECOND,
            state: format!("{:?}", stage.connection.state()),
            reason: stage.connection.close_reason().map(|r| r.explain()),
            beliefs: stage
                .beliefs()
                .into_iter()
                .map(|belief| Believed::new(belief, stage))
                .collect(),
            peer: Peer::of(stage),
            kernel: Kernel::of(stage),
            connection: Connection::of(stage),
            can: possible(stage).iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
impl Now {
    pub(super) fn can(&self) -> &[String] {
        &self.can
    }

    /// Returns a belief that is wrong and stays so.
    pub(super) fn uncorrected(&self) -> Option<&'static str> {
        let wrong = self.beliefs.iter().find(|belief| {
            let differs = belief.is_true.is_some_and(|truth| truth != belief.believed);
            differs && belief.correction.is_none()
        });
        wrong.map(|belief| belief.bit)
    }
}

impl Believed {
    fn new(belief: Belief, stage: &Stage) -> Self {
        let is_true = belief.is_true.filter(|_| matters(belief.bit, stage));
        let differs = is_true.is_some_and(|is_true| is_true != belief.is_believed);
        Self {
            bit: belief.bit,
            believed: belief.is_believed,
            is_true,
            correction: differs.then(|| correction(belief, stage)).flatten(),
        }
    }
}

/// Returns true if a call can still follow from the belief.
fn matters(bit: &str, stage: &Stage) -> bool {
    let kernel = &stage.kernel;
    match bit {
        "READABLE" => !kernel.read_the_end,
        // Where every read goes on to WouldBlock, and each false one re-arms, these bits change nothing.
        "READ_UNTIL_BLOCKED" | "BLOCK_MAY_BE_FALSE" => {
            !kernel.read_the_end && kernel.rules.selector == Selector::Edge
        }
        "WRITABLE" => !kernel.fin_sent,
        _ => true,
    }
}

/// Returns what will correct a belief that is wrong: the socket's answer ends a "yes", and an event ends a "no".
fn correction(belief: Belief, stage: &Stage) -> Option<String> {
    let kernel = &stage.kernel;
    let events = due(stage);
    let (reads, writes) = kernel.due();
    let will_be_reported = match belief.bit {
        "READABLE" | "READ_UNTIL_BLOCKED" | "BLOCK_MAY_BE_FALSE" => reads,
        "WRITABLE" => writes,
        _ => reads || writes,
    };
    Some(match belief.bit {
        "READABLE" if belief.is_believed => "the next read, which answers WouldBlock".to_owned(),
        "WRITABLE" if belief.is_believed => "the next write, which answers WouldBlock".to_owned(),
        _ if belief.is_believed => "the next read that answers WouldBlock".to_owned(),
        _ if will_be_reported => format!("the event that is due: {}", events.join(", ")),
        _ if stage.backlog => "the next run, because the connection is in the backlog".to_owned(),
        "WRITABLE" if kernel.write_interest && !kernel.writable() => {
            "the event that comes when more than a third of the send buffer is free".to_owned()
        }
        _ => return None,
    })
}

/// Returns `count` bytes of the tape after the first `from`.
fn tape(stage: &Stage, from: usize, count: usize) -> String {
    let tape = stage.kernel.rules.tape;
    (from..from + count)
        .map(|at| char::from(tape.byte(at)))
        .collect()
}

impl Peer {
    fn of(stage: &Stage) -> Self {
        let kernel = &stage.kernel;
        let has_fin = kernel.fin_sent || kernel.closed == Some(PeerEnd::Fin);
        Self {
            sent: tape(stage, 0, kernel.peer_sent),
            received: tape(stage, 0, kernel.taken),
            finished: kernel.peer_finished,
            end: match kernel.closed {
                _ if kernel.reset => None,
                Some(PeerEnd::Reset) => Some("reset"),
                Some(PeerEnd::Fin) | None if has_fin && kernel.outbound == 0 => Some("FIN"),
                Some(PeerEnd::Fin) | None => None,
            },
        }
    }
}

impl Kernel {
    fn of(stage: &Stage) -> Self {
        let kernel = &stage.kernel;
        let receive = kernel.inbound.iter().map(|item| match item {
            Item::Byte(byte) => char::from(*byte),
            Item::UrgentMark => '!',
        });
        Self {
            receive: receive.collect(),
            fin: kernel.peer_finished && !kernel.read_the_end,
            reset: kernel.reset,
            send: tape(stage, kernel.taken, kernel.outbound),
            send_size: kernel.send_buffer,
            armed: match kernel.rules.selector {
                Selector::Edge => None,
                Selector::DrainToRearm => Some(Armed {
                    read: kernel.read_armed,
                    write: kernel.write_armed && kernel.write_interest,
                }),
            },
            write_interest: kernel.write_interest,
            due: due(stage),
            planned: kernel.chance.planned.iter().map(|r| name(*r)).collect(),
        }
    }
}

impl Connection {
    fn of(stage: &Stage) -> Self {
        let connection = &stage.connection;
        let sizes = stage.kernel.rules.sizes;
        Self {
            pending: tape(stage, stage.kernel.echoed, connection.pending()),
            read_buffer: sizes.read_buffer,
            high_water: sizes.high_water,
            wants_write: connection.wants_write(),
            backlog: stage.backlog,
            timer: connection.timer().map(|timer| RunningTimer {
                name: format!("{timer:?}"),
                since: connection.timer_started() / SECOND,
                expires: (connection.timer_started() + timeout(timer)) / SECOND,
            }),
            checks: stage.checks(),
            stopping: stage.stopping,
        }
    }
}
