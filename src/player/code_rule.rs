//! The rules of the state machine by name, each with the line of the code that follows it.

use std::collections::BTreeMap;

use serde::Serialize;

const READINESS: (&str, &str) = (
    "src/conn/readiness.rs",
    include_str!("../conn/readiness.rs"),
);
const CONNECTION: (&str, &str) = (
    "src/conn/connection.rs",
    include_str!("../conn/connection.rs"),
);
const DRIVE: (&str, &str) = ("src/conn/drive.rs", include_str!("../conn/drive.rs"));

/// A rule of the code.
#[derive(Serialize)]
pub(super) struct CodeRule {
    text: &'static str,
    file: &'static str,
    line: usize,
    #[serde(skip)]
    name: &'static str,
}

/// Declares a constant for each rule, and the list of all rules.
macro_rules! code_rules {
    ($($name:ident, $id:literal, $file:ident, $anchor:literal, $text:literal;)*) => {
        $(pub(super) const $name: &str = $id;)*

        // The line of a rule is found when the player is compiled. So the player needs no source text.
        #[allow(long_running_const_eval)]
        const RULES: &[CodeRule] = &[$(CodeRule {
            text: $text,
            file: $file.0,
            line: line_of($file.1, $anchor),
            name: $id,
        }),*];
    };
}

code_rules! {
    EVENT, "event-believes", READINESS, "pub(crate) fn record(",
        "An event makes the loop believe that the socket is ready.";
    END_HINT, "end-reads-on", READINESS, "let may_stop_short",
        "An event that reports a FIN or an urgent mark forbids conclusions from a short read and from the first WouldBlock.";
    FULL_READ, "full-read-reads-on", DRIVE, "while budget > 0",
        "A read that fills its buffer disproves nothing: the connection reads on.";
    SHORT_READ, "short-read-proves-empty", READINESS, "pub(crate) fn read_came_short(",
        "On epoll, a short read proves the socket empty, and the next arrival causes a new event.";
    SHORT_READ_BEFORE_END, "short-read-before-an-end", READINESS, "self.bits & READ_UNTIL_BLOCKED == 0",
        "A FIN or an urgent mark may follow, so this short read proves nothing.";
    SHORT_READ_UNTRUSTED, "short-read-proves-nothing", READINESS, "ShortRead::ProvesEmpty &&",
        "The next event comes only after WouldBlock, so a short read proves nothing.";
    READ_BLOCK, "read-block-disproves", READINESS, "0 => !(READABLE | READ_UNTIL_BLOCKED)",
        "WouldBlock disproves the belief that the socket is readable.";
    FALSE_BLOCK, "block-may-be-false", READINESS, "_ => !BLOCK_MAY_BE_FALSE",
        "After an event with a FIN or an urgent mark, and in a run without an event, the first WouldBlock may be false: only a second one counts.";
    END_OF_INPUT, "read-of-0-is-the-end", DRIVE, "fn handle_peer_fin(",
        "A read that returns 0 is the end of the input.";
    INTERRUPTED, "interrupted-proves-nothing", DRIVE, "ErrorKind::Interrupted => {}",
        "An interrupted call proves nothing: it is made again.";
    DISCARD, "lingering-discards", DRIVE, "discarded[self.settings.listener] +=",
        "A lingering connection reads and discards: closing a socket with unread input would reset it.";
    DEAD_SOCKET, "failed-call-closes", CONNECTION, "pub(super) fn fail(",
        "A call that fails closes the connection.";
    WHOLE_WRITE, "write-takes-all", DRIVE, "fn echo(",
        "Input is echoed straight from the read buffer. The socket has taken everything.";
    PART_WRITE, "partial-write-proves-nothing", DRIVE, "while taken < bytes.len()",
        "A write that takes a part proves nothing: the connection writes on.";
    WRITE_BLOCK, "write-block-disproves", READINESS, "pub(crate) fn write_would_block(",
        "WouldBlock disproves the belief that the socket is writable. The rest becomes pending.";
    FLUSH, "pending-bytes-first", DRIVE, "fn flush(",
        "Pending bytes are written before anything is read.";
    PAUSE, "high-water-pauses", DRIVE, "self.pending.len() >= self.settings.high_water",
        "At the high-water mark the connection reads nothing, and keeps its belief that the socket is readable.";
    ARM, "pending-arms-writable", CONNECTION, "pub fn wants_write(",
        "The kernel has to report room exactly while bytes are pending.";
    BUDGET, "budget-ends-the-run", DRIVE, "Progress::Again\n",
        "The budget of the run is spent: other connections run, then this one is driven again without an event.";
    TIMER_ASKS, "timer-asks-the-socket", CONNECTION, "pub fn handle_timeout(",
        "An expired timer ends nothing by itself: the next run asks the socket.";
    LINGER_ENDS, "linger-timer-closes", CONNECTION, "Timer::Linger => self.enter(",
        "The peer has not answered our FIN in time.";
    SILENCE, "silence-ends-the-session", DRIVE, "fn expire_input_timers(",
        "A read has answered WouldBlock after the timer had expired: the peer is silent.";
    OVERDUE, "blocked-write-ends-it", DRIVE, "self.abort(CloseReason::WriteTimeout)",
        "A write has answered WouldBlock after the timer had expired: the peer takes nothing.";
    SESSION_ENDS, "session-timer-reads-first", DRIVE, "fn expire_session_timer(",
        "The session ends once everything has been read that had arrived when its timer expired.";
    STOP, "stop-echoes-what-has-arrived", CONNECTION, "pub fn handle_shutdown(",
        "Everything that the kernel has received when the server stops is still echoed.";
    DEADLINE, "deadline-drops", CONNECTION, "pub fn handle_drain_deadline(",
        "The server waits no longer. If something is owed, the connection is reset.";
    SEND_FIN, "fin-after-delivery", DRIVE, "Progress::SendFin\n",
        "Everything owed is delivered, so our FIN goes out.";
    DELIVERED, "delivered-closes", DRIVE, "self.enter(Cause::Delivered)",
        "The peer has finished and everything owed is delivered, so the connection closes.";
    RESET, "reset-closes-at-once", DRIVE, "return Progress::TakeError",
        "The event reports a dead socket. Its error tells a reset from a peer that no longer answers.";
    ABORT, "owed-bytes-end-in-a-reset", DRIVE, "fn close(",
        "Something owed is dropped, so the close is a reset: the peer must not take a part for the whole.";
}

/// Returns all rules by their names.
pub(super) fn all() -> BTreeMap<&'static str, &'static CodeRule> {
    RULES.iter().map(|rule| (rule.name, rule)).collect()
}

/// Returns the number of the first line of `source` that contains the start of `anchor`. Without such a line, the
/// compilation fails.
const fn line_of(source: &str, anchor: &str) -> usize {
    let (source, anchor) = (source.as_bytes(), anchor.as_bytes());
    let (mut line, mut at) = (1, 0);
    while at + anchor.len() <= source.len() {
        if source[at] == anchor[0] && starts_with(source, at, anchor) {
            return line;
        }
        if source[at] == b'\n' {
            line += 1;
        }
        at += 1;
    }
    panic!("no line contains the anchor of a rule");
}

const fn starts_with(source: &[u8], at: usize, anchor: &[u8]) -> bool {
    let mut index = 0;
    while index < anchor.len() {
        if source[at + index] != anchor[index] {
            return false;
        }
        index += 1;
    }
    true
}
