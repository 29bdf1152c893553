//! The rules that a schedule can break, each with a schedule that ends badly for that reason alone.

use serde::Serialize;

use crate::conn::sim::BrokenRule;

/// A rule that can be broken.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Break {
    pub(super) name: &'static str,
    title: &'static str,
    /// What goes wrong, and why.
    text: &'static str,
    /// A schedule that ends badly. Without its line `break-..`, the same schedule ends well.
    pub(super) schedule: &'static str,
    /// The kind of verdict in which the schedule ends.
    pub(super) ends: &'static str,
    #[serde(skip)]
    rule: BrokenRule,
    /// What happens instead of what the rule says.
    #[serde(skip)]
    instead: &'static str,
}

/// A rule that was broken in a step.
#[derive(Serialize)]
pub(super) struct Broken {
    rule: &'static str,
    instead: &'static str,
}

/// All rules that can be broken.
pub(super) const BREAKS: [Break; 11] = [
    Break {
        name: "hide-fin",
        title: "Hide the FIN hint",
        text: "Data and a FIN that are queued together cause one event. Without its hint, the short read seems to prove the \
            socket empty, and no further event reports the FIN. Nothing happens until the idle timer asks the \
            socket. With the default --idle-timeout 0, no timer runs.",
        schedule: "edge\nbreak-hide-fin\nsend-1\nfin\nturn",
        ends: "stuck",
        rule: BrokenRule::HideFin,
        instead: "the event does not report the FIN, so a short read is believed.",
    },
    Break {
        name: "hide-urgent",
        title: "Hide the urgent mark",
        text: "A read stops short in front of an urgent mark. Without the hint of the event, that short read seems to \
            prove the socket empty, and the byte after the mark waits until a timer asks the socket.",
        schedule: "edge\nbreak-hide-urgent\nsend-1\nurgent\nturn",
        ends: "stuck",
        rule: BrokenRule::HideUrgentMark,
        instead: "the event does not report the urgent mark, so a short read is believed.",
    },
    Break {
        name: "trust-short-read",
        title: "Trust a short read where it proves nothing",
        text: "On Windows and poll(2), the next event comes only after a read has answered WouldBlock. A loop that stops \
            after a short read leaves the direction disarmed, and what arrives later waits for a timer.",
        schedule: "rearm\nbreak-trust-short-read\nsend-1\nturn\nsend-1",
        ends: "stuck",
        rule: BrokenRule::TrustShortRead,
        instead: "the connection stops after the short read, and nothing re-arms the direction.",
    },
    Break {
        name: "trust-block",
        title: "Trust the first WouldBlock at an urgent mark",
        text: "While a signal is pending, Linux answers a read at an urgent mark with WouldBlock, whatever is queued. The \
            byte after the mark has been reported already, so no event follows, and the byte waits for a timer.",
        schedule: "edge\nbreak-trust-block\nurgent\nsignal\nturn",
        ends: "stuck",
        rule: BrokenRule::TrustBlock,
        instead: "the first WouldBlock is believed, and no second read is made.",
    },
    Break {
        name: "never-writable",
        title: "Never arm WRITABLE",
        text: "The send buffer was full and bytes are pending. The peer makes room, but the loop has not asked to be told, \
            and nothing is written until the write timer asks the socket.",
        schedule: "edge\nbreak-never-writable\nsend-3\nsend-2\nturn\ntake-all",
        ends: "stuck",
        rule: BrokenRule::NeverWritable,
        instead: "bytes are pending, but write interest is not registered.",
    },
    Break {
        name: "always-writable",
        title: "Register WRITABLE after every run",
        text: "A send buffer nearly always has room. Each registration reports it at once, each event causes another \
            registration, and the loop runs for ever and does nothing. A single registration would be reported once. The \
            clock shows a second for each run, but the turns take no time: they use up a processor.",
        schedule: "edge\nbreak-always-writable\nsend-1\nloop",
        ends: "spins",
        rule: BrokenRule::AlwaysWritable,
        instead: "nothing is pending, but write interest is registered anew.",
    },
    Break {
        name: "forget-budget",
        title: "Forget the budget",
        text: "A run ends after 16 reads, so that other connections get their turn. A loop that does not drive the \
            connection again waits for an event that it has had already. The belief is right, but until a timer expires \
            the loop does not act on it.",
        schedule: "edge\nsizes-2-2-64\nbreak-forget-budget\nsend-40\nturn",
        ends: "stuck",
        rule: BrokenRule::ForgetBudget,
        instead: "the connection does not enter the backlog, so no run follows. Its belief is right; the loop does not act on it.",
    },
    Break {
        name: "forget-belief",
        title: "Forget the belief when a run ends",
        text: "A connection pauses at the high-water mark with input unread. When the peer has made room, only the kept \
            belief makes it read on, because that input has been reported already. A timer makes it read a little more, \
            up to the next pause.",
        schedule: "edge\nbreak-forget-belief\nsend-9\nturn\ntake-all\nturn",
        ends: "stuck",
        rule: BrokenRule::ForgetBelief,
        instead: "the belief that the socket is readable ends with the run.",
    },
    Break {
        name: "fin-for-reset",
        title: "Close with a FIN where a reset is due",
        text: "The peer did not take its echo in time, and the rest is dropped. If a FIN follows, the peer takes the part \
            that it has for the whole.",
        schedule: "edge\nbreak-fin-for-reset\nsend-5\nturn\nclock\ntake-all",
        ends: "wrong",
        rule: BrokenRule::FinForReset,
        instead: "the connection asks for Abort, a reset, and the loop closes the socket with a FIN.",
    },
    Break {
        name: "no-linger",
        title: "Close without waiting for the peer's FIN",
        text: "The server stops and closes the socket at once. A byte that arrives after the close is answered with a \
            reset, and our kernel drops what it has not delivered to the peer: the end of the echo. Some systems also \
            drop what the peer has received and not read yet; Linux keeps that.",
        schedule: "edge\nbreak-no-linger\nsend-2\nturn\nstop\nsend-1",
        ends: "wrong",
        rule: BrokenRule::NoLinger,
        instead: "the socket is closed at once after our FIN, as if the linger timer had expired. So the log says that the peer \
            sent no FIN in time, although no time has passed.",
    },
    Break {
        name: "trust-clock",
        title: "Trust the clock",
        text: "The idle timer has expired while bytes wait whose event has not been seen. Only a read that answers \
            WouldBlock proves that the peer was silent. Here the session ends, and a and b are never echoed.",
        schedule: "edge\nbreak-trust-clock\nsend-2\nclock",
        ends: "wrong",
        rule: BrokenRule::TrustClock,
        instead: "the expired timer ends the session, and no read is made.",
    },
];

/// Returns the rule with this name.
pub(super) fn by_name(name: &str) -> Option<BrokenRule> {
    let mut breaks = BREAKS.iter();
    Some(breaks.find(|broken| broken.name == name)?.rule)
}

/// Returns what happened in a step in which `broken` replaced the rule of the code with the name `rule`.
pub(super) fn acted((broken, rule): (BrokenRule, &'static str)) -> Option<Broken> {
    let mut breaks = BREAKS.iter();
    let instead = breaks.find(|known| known.rule == broken)?.instead;
    Some(Broken { rule, instead })
}
