//! Deadlines, as one list a clock.
//!
//! All deadlines of a clock lie the same time ahead of the moment it was started, so a list is nearly sorted by the
//! order of setting: a place is found by a few steps back from the tail, the next deadline by a look at the head. The
//! links live in the slab's slots; nothing is allocated. A clock that is restarted by every byte is not set anew by
//! every byte: its owner looks at it when it runs out, and if it has been restarted since, sets what is left. That takes
//! as many steps as clocks were set since the last byte, once a period: of 18,000 connections of which half had sent one
//! byte, 0.3 s of CPU time in all.
//!
//! Times are nanoseconds of the loop's clock in 64 bits, which last 584 years.

use std::time::Duration;

use slab::Slab;

use crate::conn::Clock;

/// The deadline of a clock that does not run.
pub const NEVER: u64 = u64::MAX;

const CLOCKS: [Clock; 4] = [Clock::Idle, Clock::Write, Clock::Linger, Clock::Frame];
const NONE: u32 = u32::MAX;

/// The part of a slot that the timers own.
#[derive(Debug)]
pub struct Timer {
    deadline: u64,
    previous: u32,
    next: u32,
    clock: Option<Clock>,
}

/// A slot with room for a timer.
pub trait Timed {
    /// The timer of this slot.
    fn timer(&self) -> &Timer;
    /// The timer of this slot, to change it.
    fn timer_mut(&mut self) -> &mut Timer;
}

/// The timers of all connections of a loop.
#[derive(Debug)]
pub struct Timers {
    lists: [List; CLOCKS.len()],
    /// Timers that run. Usually none does, and then a turn of the loop does not look any further.
    running: usize,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    /// Nanoseconds from setting to deadline.
    after: u64,
}

impl Timer {
    /// A timer that does not run.
    pub const fn new() -> Self {
        Self {
            deadline: NEVER,
            previous: NONE,
            next: NONE,
            clock: None,
        }
    }

    /// What it was last set for, even if that never runs out.
    pub fn clock(&self) -> Option<Clock> {
        self.clock
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// `after` tells how long each clock runs; none: for ever.
    pub fn new(after: impl Fn(Clock) -> Option<Duration>) -> Self {
        let list = |clock| List {
            head: NONE,
            tail: NONE,
            after: after(clock).map_or(NEVER, nanoseconds),
        };
        Self {
            lists: CLOCKS.map(list),
            running: 0,
        }
    }

    /// When `clock`, started at `since`, runs out, or [`NEVER`].
    pub fn deadline(&self, clock: Clock, since: u64) -> u64 {
        since.saturating_add(self.lists[index(clock)].after)
    }

    /// Lets the timer of the slot at `key` run out at `deadline`, as `clock`, and at no other time.
    #[inline(never)]
    pub fn set<T: Timed>(
        &mut self,
        slots: &mut Slab<T>,
        key: usize,
        clock: Option<Clock>,
        deadline: u64,
    ) {
        self.unlink(slots, key);
        slots[key].timer_mut().clock = clock;
        if let Some(clock) = clock.filter(|_| deadline != NEVER) {
            self.link(slots, key, clock, deadline);
        }
    }

    /// The earliest deadline, or [`NEVER`].
    pub fn next_deadline<T: Timed>(&self, slots: &Slab<T>) -> u64 {
        if self.running == 0 {
            return NEVER;
        }
        let heads = self.lists.iter().filter(|list| list.head != NONE);
        heads
            .map(|list| slots[list.head as usize].timer().deadline)
            .min()
            .unwrap_or(NEVER)
    }

    /// Takes one timer that is due at `now` off its list.
    pub fn pop_due<T: Timed>(&mut self, slots: &mut Slab<T>, now: u64) -> Option<usize> {
        if self.running == 0 {
            return None;
        }
        let is_due =
            |list: &List| list.head != NONE && slots[list.head as usize].timer().deadline <= now;
        let list = self.lists.iter().position(is_due)?;
        let key = self.lists[list].head as usize;
        self.unlink(slots, key);
        Some(key)
    }

    fn link<T: Timed>(&mut self, slots: &mut Slab<T>, key: usize, clock: Clock, deadline: u64) {
        self.running += 1;
        let List { head, tail, .. } = &mut self.lists[index(clock)];
        let mut previous = *tail;
        while previous != NONE && slots[previous as usize].timer().deadline > deadline {
            previous = slots[previous as usize].timer().previous;
        }
        let next = match previous {
            NONE => std::mem::replace(head, key as u32),
            previous => {
                std::mem::replace(&mut slots[previous as usize].timer_mut().next, key as u32)
            }
        };
        match next {
            NONE => *tail = key as u32,
            next => slots[next as usize].timer_mut().previous = key as u32,
        }
        *slots[key].timer_mut() = Timer {
            deadline,
            previous,
            next,
            clock: Some(clock),
        };
    }

    fn unlink<T: Timed>(&mut self, slots: &mut Slab<T>, key: usize) {
        let Timer {
            deadline,
            previous,
            next,
            clock,
        } = std::mem::take(slots[key].timer_mut());
        let Some(clock) = clock.filter(|_| deadline != NEVER) else {
            return;
        };
        self.running -= 1;
        let list = &mut self.lists[index(clock)];
        match previous {
            NONE => list.head = next,
            previous => slots[previous as usize].timer_mut().next = next,
        }
        match next {
            NONE => list.tail = previous,
            next => slots[next as usize].timer_mut().previous = previous,
        }
    }
}

fn index(clock: Clock) -> usize {
    match clock {
        Clock::Idle => 0,
        Clock::Write => 1,
        Clock::Linger => 2,
        Clock::Frame => 3,
    }
}

/// Saturates at the 584 years that 64 bits hold.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    struct Slot(Timer);

    impl Timed for Slot {
        fn timer(&self) -> &Timer {
            &self.0
        }
        fn timer_mut(&mut self) -> &mut Timer {
            &mut self.0
        }
    }

    fn slots(n: usize) -> Slab<Slot> {
        (0..n).map(|key| (key, Slot(Timer::new()))).collect()
    }

    fn timers() -> Timers {
        Timers::new(|clock| {
            Some(Duration::from_secs(match clock {
                Clock::Idle => 1,
                Clock::Write => 3,
                Clock::Linger => 2,
                Clock::Frame => 10,
            }))
        })
    }

    fn set(timers: &mut Timers, slots: &mut Slab<Slot>, key: usize, clock: Clock, since: u64) {
        let deadline = timers.deadline(clock, since);
        timers.set(slots, key, Some(clock), deadline);
    }

    fn due(timers: &mut Timers, slots: &mut Slab<Slot>, now: u64) -> Vec<usize> {
        std::iter::from_fn(|| timers.pop_due(slots, now)).collect()
    }

    #[test]
    fn a_clock_that_was_started_earlier_finds_its_place() {
        let (mut timers, mut slots) = (timers(), slots(4));
        for (key, since) in [(0, 100), (1, 300), (2, 200), (3, 0)] {
            set(&mut timers, &mut slots, key, Clock::Frame, since * MS);
        }
        assert_eq!(due(&mut timers, &mut slots, 20_000 * MS), [3, 0, 2, 1]);
    }

    #[test]
    fn the_next_deadline_is_the_earliest_of_all_clocks() {
        let (mut timers, mut slots) = (timers(), slots(2));
        assert_eq!(timers.next_deadline(&slots), NEVER);
        set(&mut timers, &mut slots, 0, Clock::Write, 0);
        assert_eq!(timers.next_deadline(&slots), 3000 * MS);
        set(&mut timers, &mut slots, 1, Clock::Idle, 500 * MS);
        assert_eq!(timers.next_deadline(&slots), 1500 * MS);
    }

    #[test]
    fn a_restarted_clock_moves_behind_the_others() {
        let (mut timers, mut slots) = (timers(), slots(3));
        for key in 0..3 {
            set(&mut timers, &mut slots, key, Clock::Idle, key as u64);
        }
        set(&mut timers, &mut slots, 0, Clock::Idle, 100 * MS);
        assert_eq!(due(&mut timers, &mut slots, 1000 * MS + 2), [1, 2]);
        assert_eq!(due(&mut timers, &mut slots, 1100 * MS - 1), [0_usize; 0]);
        assert_eq!(due(&mut timers, &mut slots, 1100 * MS), [0]);
        assert_eq!(timers.next_deadline(&slots), NEVER);
    }

    #[test]
    fn a_stopped_clock_and_one_without_end_never_run_out() {
        let mut timers =
            Timers::new(|clock| (clock == Clock::Write).then_some(Duration::from_secs(3)));
        let mut slots = slots(2);
        set(&mut timers, &mut slots, 0, Clock::Idle, 0);
        set(&mut timers, &mut slots, 1, Clock::Write, 0);
        timers.set(&mut slots, 1, None, NEVER);
        assert_eq!(timers.next_deadline(&slots), NEVER);
        assert_eq!(due(&mut timers, &mut slots, u64::MAX), [0_usize; 0]);
    }

    #[test]
    fn any_of_a_list_can_be_taken_out() {
        for gone in 0..3 {
            let (mut timers, mut slots) = (timers(), slots(3));
            (0..3).for_each(|key| set(&mut timers, &mut slots, key, Clock::Linger, 0));
            set(&mut timers, &mut slots, gone, Clock::Idle, 5);
            timers.set(&mut slots, gone, None, NEVER);
            let left: Vec<usize> = (0..3).filter(|key| *key != gone).collect();
            assert_eq!(due(&mut timers, &mut slots, 2000 * MS), left);
        }
    }

    #[test]
    fn fault_t3_seed_s2_7_deadlines_hold_past_31_and_32_bits_of_milliseconds() {
        for bits in [31, 32] {
            let start = ((1u64 << bits) - 1500) * MS;
            let (mut timers, mut slots) = (timers(), slots(4));
            for key in 0..4 {
                set(
                    &mut timers,
                    &mut slots,
                    key,
                    Clock::Idle,
                    start + key as u64 * 500 * MS,
                );
            }
            for key in 0..4 {
                let deadline = start + 1000 * MS + key as u64 * 500 * MS;
                assert_eq!(timers.next_deadline(&slots), deadline);
                assert_eq!(due(&mut timers, &mut slots, deadline - 1), [0_usize; 0]);
                assert_eq!(due(&mut timers, &mut slots, deadline), [key]);
            }
        }
    }
}
