//! Every schedule of a small world, under both kinds of selector.
//!
//! A model of the kernel's socket, of the selector that reports on it, of the peer, of a worker and of the server's
//! loop stand around a real [`Connection`]. Wherever something could go either way the model asks [`Choices`], which
//! makes it go both ways, in all combinations. After each schedule the worker brings back what it has, the peer takes
//! all that it is owed and finishes, the loop runs until it would sleep, and then nothing may be left over.
//!
//! The world is small: 2 bytes of read_buffer, a high-water mark of 2, a send buffer of 3, messages of 1 to 3 bytes. Bugs
//! in this kind of code need few steps, but just the right ones. A new input of the connection is a new [`Step`].

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

/// The kernel calls a send buffer writable only when this much of it is free; a write may succeed before.
const WRITABLE_FROM: usize = 2;

/// How often in a schedule the kernel or the selector does what it may, but rarely does.
const MISCHIEF: usize = if cfg!(feature = "soak") { 2 } else { 1 };

/// Makes every choice every way: depth first, by replaying a list of choices with its last one incremented.
#[derive(Default)]
struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// One of `0..options`.
    fn below(&mut self, options: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, options));
        }
        let (choice, _) = self.taken[self.at];
        self.at += 1;
        choice
    }

    /// Goes on to the next schedule; false after the last.
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

/// What differs between the worlds.
struct Rules {
    selector: Selector,
    short_read: ShortRead,
    /// What the selector does not tell: how a bug is planted.
    hide: fn(&mut Ready),
    framing: Framing,
    offload: Offload,
    /// What the peer sends.
    tape: &'static Tape,
    /// Steps that the peer and the server take in a schedule, beside those of the loop and the worker.
    steps: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Selector {
    /// epoll with `EPOLLET`, kqueue: reports an arrival, and room after a write that found none. Once.
    Edge,
    /// Windows, poll(2): reports what holds, then is deaf in that direction until a call has blocked.
    DrainToRearm,
}

const PLAINLY: fn(&mut Ready) = |_| {};
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
    // The loop: its next event, or its backlog.
    Turn,
    SpuriousEvent,
    // The peer.
    Send(u8),
    SendUrgent,
    Finish,
    Reset,
    Take(usize),
    // The worker.
    Complete,
    Panic,
    // The server.
    AdmitJob,
    ClockRunsOut(Timer),
    Stop,
    DrainDeadline,
}

/// The kernel's side of one socket and its selector. The peer sends what is on its tape, so the echo is right if the
/// n-th byte written is the n-th of the tape, and the message that it belongs to has come whole.
struct Machine<'a> {
    rules: &'a Rules,
    choices: &'a mut Choices,
    steps: usize,
    mischief: usize,

    inbound: VecDeque<Item>,
    peer_sent: usize,
    peer_finished: bool,
    reset: bool,
    outbound: usize,
    fin_sent: bool,
    found_full: bool,

    write_interest: bool,
    /// Under `Edge`: there is something to report. Under `DrainToRearm`: it is not deaf.
    read_armed: bool,
    write_armed: bool,

    /// Every read of this run is interrupted, until its budget is spent.
    interrupting: bool,
    /// A write of this run found no room.
    found_no_room: bool,
    /// What is read now is to be echoed.
    echoing: bool,
    to_echo: usize,
    echoed: usize,
    calls: usize,
    useful_calls: usize,
    read_the_end: bool,
    broken: Option<&'static str>,
    journal: Option<Vec<String>>,
}

impl<'a> Machine<'a> {
    fn new(rules: &'a Rules, choices: &'a mut Choices, journal: Option<Vec<String>>) -> Self {
        Self {
            rules,
            choices,
            steps: rules.steps,
            mischief: MISCHIEF,
            inbound: VecDeque::new(),
            peer_sent: 0,
            peer_finished: false,
            reset: false,
            outbound: 0,
            fin_sent: false,
            found_full: false,
            write_interest: false,
            read_armed: rules.selector == Selector::DrainToRearm,
            write_armed: false,
            interrupting: false,
            found_no_room: false,
            echoing: true,
            to_echo: 0,
            echoed: 0,
            calls: 0,
            useful_calls: 0,
            read_the_end: false,
            broken: None,
            journal,
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            journal.push(what());
        }
    }

    /// Whether, of so many pranks, one is played here: 0 for none.
    fn prank(&mut self, pranks: usize) -> usize {
        if self.mischief == 0 {
            return 0;
        }
        let prank = self.choices.below(pranks + 1);
        self.mischief -= usize::from(prank > 0);
        prank
    }

    // The peer.

    fn peer_steps(&self) -> Vec<Step> {
        let mut steps = vec![];
        if self.reset {
            return steps;
        }
        if !self.peer_finished {
            steps.extend([
                Step::Send(1),
                Step::Send(2),
                Step::Send(3),
                Step::SendUrgent,
                Step::Finish,
            ]);
        }
        if self.outbound > 0 {
            steps.push(Step::Take(1));
        }
        if self.outbound > 1 {
            steps.push(Step::Take(self.outbound));
        }
        steps.push(Step::Reset);
        steps
    }

    fn peer(&mut self, step: Step) {
        match step {
            Step::Send(bytes) => (0..bytes).for_each(|_| self.peer_sends_a_byte()),
            Step::SendUrgent => {
                self.inbound.push_back(Item::UrgentMark);
                self.peer_sends_a_byte();
            }
            Step::Finish => self.peer_finished = true,
            Step::Reset => {
                self.reset = true;
                self.inbound.clear();
            }
            Step::Take(bytes) => return self.peer_takes(bytes),
            _ => unreachable!("{step:?} is not the peer's"),
        }
        self.read_armed |= self.edge();
        self.write_armed |= self.edge() && self.reset;
    }

    fn peer_sends_a_byte(&mut self) {
        let byte = self.rules.tape.bytes[self.peer_sent];
        self.inbound.push_back(Item::Byte(byte));
        self.peer_sent += 1;
    }

    fn peer_takes(&mut self, bytes: usize) {
        self.outbound -= bytes;
        if self.found_full && self.writable() {
            self.found_full = false;
            self.write_armed |= self.edge() && self.write_interest;
        }
    }

    /// The peer does not wait for the loop: it may act between any two calls.
    fn peer_may_act(&mut self) {
        if self.steps == 0 || self.mischief == 0 {
            return;
        }
        let steps = self.peer_steps();
        if let Some(chosen) = self.prank(steps.len()).checked_sub(1) {
            self.steps -= 1;
            self.note(|| format!("meanwhile {:?}", steps[chosen]));
            self.peer(steps[chosen]);
        }
    }

    // The selector.

    /// An arrival arms an edge, a call that blocks arms a selector that had gone deaf.
    fn edge(&self) -> bool {
        self.rules.selector == Selector::Edge
    }

    fn readable(&self) -> bool {
        let bytes = self.inbound.iter().any(|item| *item != Item::UrgentMark);
        bytes || self.peer_finished || self.reset
    }

    fn writable(&self) -> bool {
        self.reset || SEND_BUFFER - self.outbound >= WRITABLE_FROM
    }

    /// The next event, if there is one.
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
        match self.prank(if read && write { 3 } else { 2 }) {
            1 => return Some(self.report(read, write)), // and once more with the next turn
            2 => (read, write) = (true, true),          // whether it holds or not
            3 => read = false,                          // split in two
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

    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.peer_may_act();
        if self.interrupting {
            return Err(ErrorKind::Interrupted.into());
        }
        let mut most = into.len();
        match self.prank(2) {
            1 => {
                self.interrupting = true;
                return Err(ErrorKind::Interrupted.into());
            }
            2 if self.rules.short_read == ShortRead::ProvesNothing => most = 1,
            _ => {}
        }
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.inbound.front() == Some(&Item::UrgentMark) {
            self.inbound.pop_front();
        }
        let mut got = 0;
        while got < most
            && let Some(&Item::Byte(byte)) = self.inbound.front()
        {
            into[got] = byte;
            got += 1;
            self.inbound.pop_front();
        }
        if got == 0 && !self.peer_finished {
            self.read_armed |= !self.edge();
            return Err(ErrorKind::WouldBlock.into());
        }
        self.read_the_end = got == 0;
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
            self.found_full = true;
            self.found_no_room = true;
            self.write_armed |= !self.edge();
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = if self.prank(1) == 1 { 1 } else { room };
        let taken = from.len().min(most);
        for byte in &from[..taken] {
            if *byte != self.rules.tape.bytes[self.echoed] {
                self.broken = Some("the echo differs");
            }
            self.echoed += 1;
        }
        if self.echoed > self.whole() {
            self.broken = Some("an unfinished message is echoed");
        }
        self.outbound += taken;
        Ok(taken)
    }

    fn called(&mut self, call: &str, answer: io::Result<usize>) -> io::Result<usize> {
        self.calls += 1;
        self.useful_calls += usize::from(answer.is_ok());
        self.note(|| format!("    {call} = {answer:?}"));
        answer
    }

    /// How many of the bytes that were read belong to whole messages.
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
            self.broken = Some("a read after the end");
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
