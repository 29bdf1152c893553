//! Every schedule of a small world, under both kinds of selector.
//!
//! The connection is a real [`Connection`]. The kernel's socket, the selector, the peer, a worker and the server's
//! loop are models. Whenever something could happen in more than one way, the model asks [`Choices`], which plays
//! every way, in all combinations. After each schedule, the worker returns its message, the peer takes everything and
//! finishes, and the loop runs until it would sleep. Then nothing may be left to do.
//!
//! The world is small: a read buffer of 2 bytes, a high-water mark of 2, a send buffer of 3, messages of 1 to 3 bytes.
//! Bugs in this kind of code need few steps, but exactly the right steps. A new input of the connection needs a new
//! [`Step`].

mod tape;
mod world;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use self::tape::Tape;
use super::*;

const READ_BUFFER: usize = 2;
const HIGH_WATER: usize = 2;
const SEND_BUFFER: usize = 3;

/// More bytes than any schedule has queued.
const RECEIVE_BUFFER: usize = 16;

/// The kernel reports a socket writable only when this many bytes of its send buffer are free. A write may succeed
/// before.
const WRITABLE_FROM: usize = 2;

/// How often in a schedule the kernel, the selector or the peer does something rare.
const RARE_EVENTS: usize = if cfg!(feature = "soak") { 2 } else { 1 };

/// Enumerates all schedules depth first: replays a list of choices, with the last one incremented.
#[derive(Default)]
struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// Returns one of `0..options`.
    fn below(&mut self, options: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, options));
        }
        let (choice, _) = self.taken[self.at];
        self.at += 1;
        choice
    }

    /// Goes on to the next schedule. Returns false after the last.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, options)) = self.taken.pop() {
            if choice + 1 < options {
                self.taken.push((choice + 1, options));
                return true;
            }
        }
        false
    }
}

/// What distinguishes one world from another.
struct Rules {
    selector: Selector,
    short_read: ShortRead,
    /// Hides parts of an event. This is how a test plants a bug.
    hide: fn(&mut Ready),
    framing: Framing,
    offload: Offload,
    /// The bytes that the peer sends.
    tape: &'static Tape,
    /// The number of steps that the peer and the server take. Steps of the loop and the worker do not count.
    steps: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Selector {
    /// epoll with `EPOLLET`, and kqueue: reports each arrival once, and room once after a write that found none.
    Edge,
    /// Windows and poll(2): reports what holds, and then nothing for that direction until a call has blocked.
    DrainToRearm,
}

const NOTHING_HIDDEN: fn(&mut Ready) = |_| {};
const WITHOUT_FIN: fn(&mut Ready) = |ready| ready.read_closed = false;
const WITHOUT_URGENT_MARK: fn(&mut Ready) = |ready| ready.priority = false;
const WITHOUT_ANY_END: fn(&mut Ready) = |ready| {
    *ready = Ready {
        readable: ready.readable,
        writable: ready.writable,
        ..Ready::default()
    }
};

#[derive(Clone, Copy, PartialEq)]
enum Item {
    Byte(u8),
    UrgentMark,
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug)]
enum Step {
    // The loop handles its next event, or its backlog.
    Turn,
    SpuriousEvent,
    /// Other connections take all extra blocks, and keep them.
    OthersTakeBlocks,
    /// From now on, the system refuses memory.
    MemoryRunsOut,
    Peer(PeerStep),
    // The worker.
    Complete,
    Panic,
    // The server.
    AdmitJob,
    ClockRunsOut(Timer),
    /// The server stops, and is told that at most this many bytes can be queued.
    Stop(usize),
    DrainDeadline,
}

/// One step of the peer.
#[derive(Clone, Copy, Debug)]
enum PeerStep {
    Send(u8),
    SendUrgent,
    Finish,
    Reset,
    Take(usize),
}

/// The peer, the kernel's side of one socket, and the selector. The peer sends the bytes of its tape. So the echo is
/// right if the n-th byte written is the n-th byte of the tape and belongs to a message that was read whole.
struct Machine<'a> {
    rules: &'a Rules,
    choices: &'a mut Choices,
    steps: usize,
    rare_events: usize,

    inbound: VecDeque<Item>,
    peer_sent: usize,
    peer_finished: bool,
    reset: bool,
    outbound: usize,
    fin_sent: bool,
    was_full: bool,

    write_interest: bool,
    /// Under `Edge`: there is something to report. Under `DrainToRearm`: this direction is armed.
    read_armed: bool,
    write_armed: bool,

    /// Every read of this run is interrupted, until the budget is spent.
    interrupting: bool,
    /// The number of bytes read when a read answered `WouldBlock` at an urgent mark, because a signal was pending.
    falsely_blocked_at: Option<u64>,
    /// A read has found nothing since a timer expired.
    was_silent: bool,
    /// A write of this run found no room.
    found_no_room: bool,
    /// Bytes that are read now have to be echoed.
    echoing: bool,
    to_echo: usize,
    echoed: usize,
    read: u64,
    calls: usize,
    useful_calls: usize,
    read_the_end: bool,
    violation: Option<&'static str>,
    log: Option<Vec<String>>,
}

impl<'a> Machine<'a> {
    fn new(rules: &'a Rules, choices: &'a mut Choices, log: Option<Vec<String>>) -> Self {
        Self {
            rules,
            choices,
            steps: rules.steps,
            rare_events: RARE_EVENTS,
            inbound: VecDeque::new(),
            peer_sent: 0,
            peer_finished: false,
            reset: false,
            outbound: 0,
            fin_sent: false,
            was_full: false,
            write_interest: false,
            read_armed: rules.selector == Selector::DrainToRearm,
            write_armed: false,
            interrupting: false,
            falsely_blocked_at: None,
            was_silent: false,
            found_no_room: false,
            echoing: true,
            to_echo: 0,
            echoed: 0,
            read: 0,
            calls: 0,
            useful_calls: 0,
            read_the_end: false,
            violation: None,
            log,
        }
    }

    fn record(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    /// Chooses one of `options` rare events, counted from 1, or 0 for none.
    fn rare_event(&mut self, options: usize) -> usize {
        if self.rare_events == 0 {
            return 0;
        }
        let chosen = self.choices.below(options + 1);
        self.rare_events -= usize::from(chosen > 0);
        chosen
    }

    // The peer.

    fn peer_steps(&self) -> Vec<PeerStep> {
        let mut steps = vec![];
        if self.reset {
            return steps;
        }
        if !self.peer_finished {
            steps.extend([
                PeerStep::Send(1),
                PeerStep::Send(2),
                PeerStep::Send(3),
                PeerStep::SendUrgent,
                PeerStep::Finish,
            ]);
        }
        if self.outbound > 0 {
            steps.push(PeerStep::Take(1));
        }
        if self.outbound > 1 {
            steps.push(PeerStep::Take(self.outbound));
        }
        steps.push(PeerStep::Reset);
        steps
    }

    fn peer(&mut self, step: PeerStep) {
        match step {
            PeerStep::Send(bytes) => (0..bytes).for_each(|_| self.peer_sends_a_byte()),
            PeerStep::SendUrgent => {
                self.inbound.push_back(Item::UrgentMark);
                self.peer_sends_a_byte();
            }
            PeerStep::Finish => self.peer_finished = true,
            PeerStep::Reset => {
                self.reset = true;
                self.inbound.clear();
            }
            PeerStep::Take(bytes) => return self.peer_takes(bytes),
        }
        self.read_armed |= self.is_edge_triggered();
        self.write_armed |= self.is_edge_triggered() && self.reset;
    }

    fn peer_sends_a_byte(&mut self) {
        let byte = self.rules.tape.bytes[self.peer_sent];
        self.inbound.push_back(Item::Byte(byte));
        self.peer_sent += 1;
    }

    fn peer_takes(&mut self, bytes: usize) {
        self.outbound -= bytes;
        if self.was_full && self.writable() {
            self.was_full = false;
            self.write_armed |= self.is_edge_triggered() && self.write_interest;
        }
    }

    /// Lets the peer act between two system calls, because the peer does not wait for the loop.
    fn peer_may_act(&mut self) {
        if self.steps == 0 || self.rare_events == 0 {
            return;
        }
        let steps = self.peer_steps();
        if let Some(chosen) = self.rare_event(steps.len()).checked_sub(1) {
            self.steps -= 1;
            self.record(|| format!("meanwhile {:?}", steps[chosen]));
            self.peer(steps[chosen]);
        }
    }

    // The selector.

    /// Returns true if an arrival arms the selector. Otherwise a call that blocks does.
    fn is_edge_triggered(&self) -> bool {
        self.rules.selector == Selector::Edge
    }

    fn readable(&self) -> bool {
        let bytes = self.inbound.iter().any(|item| *item != Item::UrgentMark);
        bytes || self.peer_finished || self.reset
    }

    /// Returns the number of bytes that the kernel has received and the connection has not read.
    fn queued(&self) -> usize {
        let bytes = self.inbound.iter();
        bytes.filter(|item| **item != Item::UrgentMark).count()
    }

    fn writable(&self) -> bool {
        self.reset || SEND_BUFFER - self.outbound >= WRITABLE_FROM
    }

    /// Returns whether a read event and whether a write event is due.
    fn due(&self) -> (bool, bool) {
        let read = self.read_armed && self.readable();
        let write = self.write_armed && self.write_interest && self.writable();
        (read, write)
    }

    fn event(&mut self) -> Option<Ready> {
        let (mut read, mut write) = self.due();
        if !read && !write {
            return None;
        }
        match self.rare_event(if read && write { 3 } else { 2 }) {
            1 => return Some(self.report(read, write)), // reported again in the next turn
            2 => (read, write) = (true, true),          // reported even if it does not hold
            3 => read = false,                          // reported as two events
            _ => {}
        }
        self.read_armed &= !read;
        self.write_armed &= !write;
        Some(self.report(read, write))
    }

    fn report(&self, read: bool, write: bool) -> Ready {
        let mut ready = Ready {
            readable: read,
            writable: write,
            read_closed: read && (self.peer_finished || self.reset),
            write_closed: self.reset || self.fin_sent && self.peer_finished,
            priority: read && self.inbound.contains(&Item::UrgentMark),
            error: self.reset,
        };
        (self.rules.hide)(&mut ready);
        ready
    }

    fn arm_write(&mut self, wanted: bool) {
        if wanted == self.write_interest {
            return;
        }
        self.peer_may_act();
        self.write_interest = wanted;
        self.write_armed = wanted;
    }

    fn shut_down(&mut self) -> bool {
        self.fin_sent = !self.reset;
        self.fin_sent
    }

    // The socket.

    /// Returns true if a signal can make a read block although bytes are queued. Linux knows only the last urgent mark. A
    /// second signal at the same mark would have to come right after the handling of the first one.
    fn may_block_falsely(&self) -> bool {
        let marks = self.inbound.len() - self.queued();
        let is_at_last_mark = marks == 1 && self.inbound.front() == Some(&Item::UrgentMark);
        is_at_last_mark && self.falsely_blocked_at != Some(self.read)
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.peer_may_act();
        if self.interrupting {
            return Err(ErrorKind::Interrupted.into());
        }
        let mut max = into.len();
        let is_at_mark = self.inbound.front() == Some(&Item::UrgentMark);
        match self.rare_event(if self.may_block_falsely() { 3 } else { 2 }) {
            1 => {
                self.interrupting = true;
                return Err(ErrorKind::Interrupted.into());
            }
            3 => {
                self.record(|| "a signal is pending at the urgent mark".to_string());
                self.falsely_blocked_at = Some(self.read);
                self.read_armed |= !self.is_edge_triggered();
                return Err(ErrorKind::WouldBlock.into());
            }
            2 if self.rules.short_read == ShortRead::ProvesNothing => max = 1,
            _ => {}
        }
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if is_at_mark {
            self.inbound.pop_front();
        }
        let mut got = 0;
        while got < max
            && let Some(&Item::Byte(byte)) = self.inbound.front()
        {
            into[got] = byte;
            got += 1;
            self.inbound.pop_front();
        }
        if got == 0 && !self.peer_finished {
            self.was_silent = true;
            self.read_armed |= !self.is_edge_triggered();
            return Err(ErrorKind::WouldBlock.into());
        }
        self.read_the_end = got == 0;
        self.read += got as u64;
        self.to_echo += if self.echoing { got } else { 0 };
        Ok(got)
    }

    fn send(&mut self, from: &[u8]) -> io::Result<usize> {
        self.peer_may_act();
        if self.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = SEND_BUFFER - self.outbound;
        if room == 0 {
            self.was_full = true;
            self.found_no_room = true;
            self.write_armed |= !self.is_edge_triggered();
            return Err(ErrorKind::WouldBlock.into());
        }
        let max = if self.rare_event(1) == 1 { 1 } else { room };
        let taken = from.len().min(max);
        for byte in &from[..taken] {
            if *byte != self.rules.tape.bytes[self.echoed] {
                self.violation = Some("the echo differs from the input");
            }
            self.echoed += 1;
        }
        if self.echoed > self.whole() {
            self.violation = Some("an incomplete message is echoed");
        }
        self.outbound += taken;
        Ok(taken)
    }

    fn called(&mut self, call: &str, answer: io::Result<usize>) -> io::Result<usize> {
        self.calls += 1;
        self.useful_calls += usize::from(answer.is_ok());
        self.record(|| format!("    {call} = {answer:?}"));
        answer
    }

    /// Returns how many of the bytes that were read belong to whole messages.
    fn whole(&self) -> usize {
        self.rules.tape.whole[self.to_echo]
    }

    fn owed(&self) -> usize {
        self.whole() - self.echoed
    }
}

impl Read for Machine<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read_the_end {
            self.violation = Some("a read after the end of the input");
        }
        let answer = self.receive(into);
        self.called("read", answer)
    }
}

impl Write for Machine<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let answer = self.send(from);
        self.called("write", answer)
    }

    fn flush(&mut self) -> io::Result<()> {
        unreachable!("a socket has nothing to flush")
    }
}
