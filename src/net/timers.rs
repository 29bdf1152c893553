//! Deadlines, as one list a clock.
//!
//! All deadlines of a clock lie the same time ahead of the moment they were set, so a list in the order of setting is
//! sorted by deadline: setting and clearing cost a few links, finding the next one is a look at the head. The links
//! live in the slab's slots; nothing is allocated. Times are nanoseconds of the loop's clock in 64 bits, which last
//! 584 years.

use std::time::Duration;

use slab::Slab;

use crate::conn::Clock;

/// The deadline of a clock that does not run.
pub const NEVER: u64 = u64::MAX;

const CLOCKS: usize = 3;
const NONE: u32 = u32::MAX;

/// The part of a slot that the timers own.
#[derive(Debug)]
pub struct Timer {
    deadline: u64,
    previous: u32,
    next: u32,
    list: u8,
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
    lists: [List; CLOCKS],
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
            list: 0,
        }
    }

    /// When it runs out, or [`NEVER`].
    pub fn deadline(&self) -> u64 {
        self.deadline
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// How long each clock runs; none: for ever.
    pub fn new(idle: Option<Duration>, write: Option<Duration>, linger: Option<Duration>) -> Self {
        let list = |after: Option<Duration>| List {
            head: NONE,
            tail: NONE,
            after: after.map_or(NEVER, nanoseconds),
        };
        let mut lists = [list(None); CLOCKS];
        lists[index(Clock::Idle)] = list(idle);
        lists[index(Clock::Write)] = list(write);
        lists[index(Clock::Linger)] = list(linger);
        Self { lists, running: 0 }
    }

    /// When `clock`, started at `since`, runs out, or [`NEVER`].
    pub fn deadline(&self, clock: Option<Clock>, since: u64) -> u64 {
        clock.map_or(NEVER, |clock| {
            since.saturating_add(self.lists[index(clock)].after)
        })
    }

    /// Lets `clock`, started at `since`, be the one that runs for the slot at `key`; none stops it. Within a clock,
    /// `since` must not go back from call to call.
    pub fn set<T: Timed>(
        &mut self,
        slots: &mut Slab<T>,
        key: usize,
        clock: Option<Clock>,
        since: u64,
    ) {
        self.unlink(slots, key);
        let deadline = self.deadline(clock, since);
        if let Some(clock) = clock.filter(|_| deadline != NEVER) {
            self.append(slots, key, index(clock), deadline);
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
        let due =
            |list: &&List| list.head != NONE && slots[list.head as usize].timer().deadline <= now;
        let key = self.lists.iter().find(due)?.head as usize;
        self.unlink(slots, key);
        Some(key)
    }

    fn append<T: Timed>(&mut self, slots: &mut Slab<T>, key: usize, list: usize, deadline: u64) {
        self.running += 1;
        let previous = std::mem::replace(&mut self.lists[list].tail, key as u32);
        if previous == NONE {
            self.lists[list].head = key as u32;
        } else {
            let before = slots[previous as usize].timer_mut();
            debug_assert!(
                before.deadline <= deadline,
                "a clock's deadlines are set in their order"
            );
            before.next = key as u32;
        }
        *slots[key].timer_mut() = Timer {
            deadline,
            previous,
            next: NONE,
            list: list as u8,
        };
    }

    fn unlink<T: Timed>(&mut self, slots: &mut Slab<T>, key: usize) {
        let Timer {
            deadline,
            previous,
            next,
            list,
        } = std::mem::take(slots[key].timer_mut());
        if deadline == NEVER {
            return;
        }
        self.running -= 1;
        let list = &mut self.lists[usize::from(list)];
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
    }
}

/// Saturates at the 584 years that 64 bits hold.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
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
        Timers::new(
            Some(Duration::from_secs(1)),
            Some(Duration::from_secs(3)),
            Some(Duration::from_secs(2)),
        )
    }

    fn due(timers: &mut Timers, slots: &mut Slab<Slot>, now: u64) -> Vec<usize> {
        std::iter::from_fn(|| timers.pop_due(slots, now)).collect()
    }

    #[test]
    fn the_next_deadline_is_the_earliest_of_all_clocks() {
        let (mut timers, mut slots) = (timers(), slots(2));
        assert_eq!(timers.next_deadline(&slots), NEVER);
        timers.set(&mut slots, 0, Some(Clock::Write), 0);
        assert_eq!(timers.next_deadline(&slots), 3000 * MS);
        timers.set(&mut slots, 1, Some(Clock::Idle), 500 * MS);
        assert_eq!(timers.next_deadline(&slots), 1500 * MS);
    }

    #[test]
    fn a_restarted_clock_moves_behind_the_others() {
        let (mut timers, mut slots) = (timers(), slots(3));
        for key in 0..3 {
            timers.set(&mut slots, key, Some(Clock::Idle), key as u64);
        }
        timers.set(&mut slots, 0, Some(Clock::Idle), 100 * MS);
        assert_eq!(due(&mut timers, &mut slots, 1000 * MS + 2), [1, 2]);
        assert_eq!(due(&mut timers, &mut slots, 1100 * MS - 1), []);
        assert_eq!(due(&mut timers, &mut slots, 1100 * MS), [0]);
        assert_eq!(timers.next_deadline(&slots), NEVER);
    }

    #[test]
    fn a_stopped_clock_and_one_without_end_never_run_out() {
        let mut timers = Timers::new(None, Some(Duration::from_secs(3)), None);
        let mut slots = slots(2);
        timers.set(&mut slots, 0, Some(Clock::Idle), 0);
        timers.set(&mut slots, 1, Some(Clock::Write), 0);
        timers.set(&mut slots, 1, None, 0);
        assert_eq!(timers.next_deadline(&slots), NEVER);
        assert_eq!(due(&mut timers, &mut slots, u64::MAX), []);
    }

    #[test]
    fn any_of_a_list_can_be_taken_out() {
        for gone in 0..3 {
            let (mut timers, mut slots) = (timers(), slots(3));
            (0..3).for_each(|key| timers.set(&mut slots, key, Some(Clock::Linger), 0));
            timers.set(&mut slots, gone, Some(Clock::Idle), 5);
            timers.set(&mut slots, gone, None, 5);
            let left: Vec<usize> = (0..3).filter(|key| *key != gone).collect();
            assert_eq!(due(&mut timers, &mut slots, 2000 * MS), left);
        }
    }

    #[test]
    fn fault_t3_deadlines_hold_past_31_and_32_bits_of_milliseconds() {
        for bits in [31, 32] {
            let start = ((1u64 << bits) - 1500) * MS;
            let (mut timers, mut slots) = (timers(), slots(4));
            for key in 0..4 {
                timers.set(
                    &mut slots,
                    key,
                    Some(Clock::Idle),
                    start + key as u64 * 500 * MS,
                );
            }
            for key in 0..4 {
                let deadline = start + 1000 * MS + key as u64 * 500 * MS;
                assert_eq!(timers.next_deadline(&slots), deadline);
                assert_eq!(due(&mut timers, &mut slots, deadline - 1), []);
                assert_eq!(due(&mut timers, &mut slots, deadline), [key]);
            }
        }
    }
}
