//! The server's loop with one connection, and the kernel around it.

use std::io::ErrorKind;
use std::sync::Arc;

use super::super::block_pool::BlockPool;
use super::super::connection::{Connection, Progress};
use super::super::messages::WorkerPanicked;
use super::super::readiness::Ready;
use super::super::write_buffer::Buffers;
use super::super::{CloseReason, State, Timer};
use super::journal::{Entry, record};
use super::kernel::{Kernel, PeerEnd};
use super::rules::{BrokenRule, Rules, timeout};
use super::step::{Chance, Step};
use super::words::{Armed, SECOND, outcome, parts};

/// A loop that has not gone to sleep after this many turns is spinning.
pub(crate) const MANY_TURNS: usize = 50;

/// The number of the connection, as in the worked traces.
const ID: u64 = 7;

/// The blocks of one connection: the first of its pending bytes, and its inbox.
pub(super) const GUARANTEED: usize = 2;

/// The server's loop with its one connection, and the kernel around it.
pub(crate) struct World<'a, C> {
    pub(crate) kernel: Kernel<'a, C>,
    pub(crate) connection: Connection,
    /// The message that a worker has, and the id of the connection.
    pub(super) job: Option<(u64, Vec<u8>)>,
    /// A message waits for room in the worker pool.
    pub(super) waiting: bool,
    /// The idle timer has expired, and no read has answered yet whether the peer is silent.
    pub(super) checking_idle: bool,
    /// The same for the frame timer.
    pub(super) checking_frame: bool,
    pub(super) buffers: &'a mut Buffers,
    pub(crate) backlog: bool,
    pub(crate) stopping: bool,
    /// The number of bytes that the kernel had received when the server stopped or the session timer expired, if the
    /// session was open then.
    pub(super) received_before_end: Option<usize>,
    /// What earlier worlds have added to the counter of discarded bytes.
    pub(super) discarded_before: u64,
    pub(crate) now: u64,
    /// The number of runs that may achieve nothing: one for each input.
    excused: usize,
    /// The number of turns, and of the latest turns one after the other that achieved nothing.
    pub(crate) turns: usize,
    pub(crate) useless_turns: usize,
    /// The first property that did not hold.
    pub(crate) fault: Option<&'static str>,
}

/// Returns the buffers of a world: blocks of `block` bytes, and `extra` ones beyond the guaranteed ones.
pub(crate) fn buffers(rules: &Rules, block: usize, extra: usize) -> Buffers {
    let blocks = BlockPool::new(block, GUARANTEED, extra).expect("memory");
    Buffers::new(rules.sizes.read_buffer, blocks, 1).expect("memory")
}

impl<'a, C: Chance> World<'a, C> {
    /// Creates a world whose connection has just been accepted.
    pub(crate) fn new(rules: &'a Rules, buffers: &'a mut Buffers, chance: &'a mut C) -> Self {
        Self {
            kernel: Kernel::new(rules, chance),
            connection: Connection::new(ID, Arc::new(rules.settings()), 0),
            job: None,
            waiting: false,
            checking_idle: false,
            checking_frame: false,
            discarded_before: buffers.discarded(0),
            buffers,
            backlog: false,
            stopping: false,
            received_before_end: None,
            now: 0,
            excused: 0,
            turns: 0,
            useless_turns: 0,
            fault: None,
        }
    }

    /// Lets `step` happen, and drives the connection if the step is one of the loop.
    pub(crate) fn perform(&mut self, step: Step) {
        match step {
            Step::Turn => return self.turn(),
            Step::SpuriousEvent => self.deliver(
                Ready {
                    readable: true,
                    writable: true,
                    ..Ready::default()
                },
                "spurious event",
            ),
            Step::Complete(outcome) => self.complete(outcome),
            Step::AdmitJob => {
                self.waiting = false;
                return self.submit();
            }
            Step::ClockRunsOut(timer) => self.expire(timer),
            Step::Stop(queued) => {
                self.happens(|| "the server stops".to_owned());
                self.stopping = true;
                if self.connection.state() == State::Open {
                    self.received_before_end = Some(self.kernel.peer_sent);
                }
                self.connection.handle_shutdown(queued);
            }
            Step::DrainDeadline => {
                self.happens(|| "the drain deadline has come".to_owned());
                self.kernel.has_lingered = true;
                self.connection.handle_drain_deadline();
            }
            Step::Peer(step) => {
                record(|| Entry::Happening(format!("the peer: {step:?}")));
                self.kernel.peer(step);
                return self.check_kernel();
            }
        }
        self.excused += 1;
        self.run();
    }

    /// Runs one turn of the loop: delivers a due event, and drives the connection.
    fn turn(&mut self) {
        let (state, useful_calls) = (self.connection.state(), self.kernel.useful_calls);
        match self.kernel.event() {
            Some(ready) => {
                self.deliver(ready, "event");
                self.excused += 1;
            }
            None => self.happens(|| "the loop goes on with its backlog".to_owned()),
        }
        self.run();
        let is_useful =
            self.connection.state() != state || self.kernel.useful_calls != useful_calls;
        self.turns += 1;
        self.useless_turns = if is_useful { 0 } else { self.useless_turns + 1 };
    }

    fn deliver(&mut self, ready: Ready, what: &str) {
        record(|| {
            let parts = parts(ready).join(", ");
            Entry::Event(format!("{} s: {what} {parts}", self.second()), ready)
        });
        self.connection.handle_ready(ready);
    }

    /// Lets `timer` expire. The clock jumps to that moment.
    fn expire(&mut self, timer: Timer) {
        let started = match timer {
            Timer::Frame => self.connection.frame_timer_started().unwrap_or(self.now),
            Timer::Idle | Timer::Write | Timer::Linger => self.connection.timer_started(),
            Timer::Session => 0,
        };
        self.now = self.now.max(started + timeout(timer) - SECOND);
        self.happens(|| format!("the {} timer expires", format!("{timer:?}").to_lowercase()));
        self.kernel.was_silent = false;
        self.kernel.has_lingered |= timer == Timer::Linger;
        self.checking_idle |= timer == Timer::Idle;
        self.checking_frame |= timer == Timer::Frame;
        if timer == Timer::Session && self.connection.state() == State::Open {
            self.received_before_end
                .get_or_insert(self.kernel.peer_sent);
        }
        if timer == Timer::Idle && self.breaks(BrokenRule::TrustClock) {
            if self.kernel.queued() > 0 {
                self.kernel.violation = Some("a timeout although the input has arrived");
            }
            self.kernel.was_silent = true;
            return self.connection.end(CloseReason::IdleTimeout);
        }
        self.connection.handle_timeout(timer);
    }

    /// Drives the connection and does what its progress asks for.
    fn run(&mut self) {
        self.now += SECOND;
        loop {
            match self.drive() {
                Progress::SendFin => self.send_fin(),
                Progress::TakeError => {
                    self.connection
                        .handle_taken_error(ErrorKind::ConnectionReset);
                }
                Progress::Close => break self.kernel.close(PeerEnd::Fin),
                Progress::Abort => break self.abort(),
                Progress::Wait | Progress::Again | Progress::Offload => break,
            }
            self.excused += 1;
        }
        if self.breaks(BrokenRule::ForgetBelief) {
            // The first one only disproves that a block may be false.
            self.connection.readiness.read_would_block();
            self.connection.readiness.read_would_block();
        }
        if !self.is_closed() {
            self.register();
        }
        if self.connection.wants_job() && !self.is_closed() && !self.waiting {
            self.offload();
        }
        self.check_timers();
        self.check_kernel();
    }

    /// Drives the connection once, and checks what it has done.
    fn drive(&mut self) -> Progress {
        let state = self.connection.state();
        let (read, whole) = (self.kernel.to_echo, self.kernel.whole());
        let has_job = self.job.is_some() || self.connection.wants_job();
        let useful_calls = self.kernel.useful_calls;
        self.kernel.echoing = state == State::Open;
        self.kernel.found_no_room = false;

        let progress = self
            .connection
            .drive(&mut self.kernel, self.buffers, self.now);

        record(|| Entry::Outcome(progress, outcome(progress, self.armed(), &self.connection)));
        // After a run whose reads were all interrupted, another run follows.
        self.excused += usize::from(self.kernel.interrupting);
        if self.connection.state() == state && self.kernel.useful_calls == useful_calls {
            match self.excused.checked_sub(1) {
                Some(excused) => self.excused = excused,
                None => self.fail("spins"),
            }
        }
        if has_job && self.kernel.to_echo > read {
            self.fail("a read while a message waits for a worker");
        }
        self.checking_idle &= self.kernel.to_echo == read;
        self.checking_frame &= self.kernel.whole() == whole;
        self.check_run(progress);
        self.kernel.interrupting = false;
        self.backlog = progress == Progress::Again && !self.breaks(BrokenRule::ForgetBudget);
        self.checking_idle &= self.backlog;
        self.checking_frame &= self.backlog;
        progress
    }

    fn send_fin(&mut self) {
        if !self.kernel.shut_down() {
            return self.connection.handle_error(ErrorKind::NotConnected);
        }
        self.connection.handle_fin_sent(self.now);
        if self.breaks(BrokenRule::NoLinger) {
            record(|| Entry::Happening("the loop does not wait for the peer's FIN".to_owned()));
            self.connection.handle_timeout(Timer::Linger);
        }
    }

    fn abort(&mut self) {
        let end = if self.breaks(BrokenRule::FinForReset) {
            if self.kernel.echoed < self.kernel.rules.tape.whole(self.kernel.peer_sent) {
                self.fail("the peer takes a part of its echo for the whole");
            }
            record(|| Entry::Happening("the loop closes the socket with a FIN".to_owned()));
            PeerEnd::Fin
        } else {
            PeerEnd::Reset
        };
        self.kernel.close(end);
    }

    /// Registers for write events while bytes are pending.
    fn register(&mut self) {
        let is_wanted = self.armed() == Armed::Write;
        if self.breaks(BrokenRule::AlwaysWritable) {
            self.kernel.register_write(is_wanted);
        } else {
            self.kernel.arm_write(is_wanted);
        }
    }

    /// Returns what the loop registers for after a run.
    fn armed(&self) -> Armed {
        let asked = Armed::asked_by(&self.connection);
        if self.breaks(BrokenRule::AlwaysWritable) && !self.is_closed() {
            Armed::Write
        } else if self.breaks(BrokenRule::NeverWritable) && asked == Armed::Write {
            Armed::WriteNotThoughWanted
        } else {
            asked
        }
    }

    /// Gives a message to the worker, or finds the queue of the pool full.
    fn offload(&mut self) {
        self.waiting = self.kernel.chance.is_pool_full();
        if self.waiting {
            self.happens(|| "the queue of the worker pool is full".to_owned());
        } else {
            self.submit();
        }
    }

    fn submit(&mut self) {
        if let Some(message) = self.connection.poll_job(self.buffers) {
            record(|| Entry::Happening(format!("a worker gets {message:?}")));
            self.job = Some((self.connection.id(), message.to_vec()));
        }
    }

    /// Lets the worker return its message. The reply is dropped if another connection has taken the slot by now.
    pub(super) fn complete(&mut self, outcome: Result<(), WorkerPanicked>) {
        self.happens(|| "the worker is ready".to_owned());
        if let Some((id, message)) = self.job.take()
            && id == self.connection.id()
        {
            let reply = outcome.map(|()| &message[..]);
            self.connection.handle_completion(reply, self.buffers);
        }
    }

    /// Lets the peer take everything and the worker finish, and runs the loop until it would sleep for ever.
    pub(crate) fn run_until_asleep(&mut self) {
        for _ in 0..MANY_TURNS {
            self.kernel.peer_takes(self.kernel.outbound);
            if self.is_closed() || self.fault.is_some() {
                return;
            }
            if self.has_work() {
                self.perform(Step::Turn);
            } else if self.waiting {
                self.perform(Step::AdmitJob);
            } else if self.job.is_some() {
                self.perform(Step::Complete(Ok(())));
            } else {
                return;
            }
        }
        self.fail("spins");
    }

    /// Returns true if the loop would not sleep: an event is due, or the connection is in the backlog.
    pub(crate) fn has_work(&self) -> bool {
        !self.is_closed() && (self.backlog || self.kernel.due() != (false, false))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.connection.state() == State::Closed
    }

    /// Records that a property does not hold.
    pub(super) fn fail(&mut self, fault: &'static str) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn breaks(&self, rule: BrokenRule) -> bool {
        self.kernel.rules.breaks(rule)
    }

    /// Records what happens to the connection, and when it runs.
    fn happens(&self, what: impl FnOnce() -> String) {
        record(|| Entry::Happening(format!("{} s: {}", self.second(), what())));
    }

    /// Returns the second in which the next run takes place.
    fn second(&self) -> u64 {
        self.now / SECOND + 1
    }
}
