//! The deadlines of all connections, in a pairing heap.
//!
//! ```text
//!            3            A node expires no later than its children. It knows its first child and its next sibling.
//!          / | \          Backwards it knows its previous sibling, or its parent if it is the first child.
//!         9--4--8
//!           / \           set    melds the new node with the root: the later one becomes a child of the other
//!          7---5          pop    melds the root's children in pairs, then the pairs into one heap: O(log n) amortised
//! ```
//!
//! The links live in the slab's slots. Nothing is allocated, and a node is as small as a node of a list.
//!
//! Every byte restarts a connection's timer, and the heap is not touched then. When the old deadline is due, the loop looks
//! at the connection and sets the timer again for the rest of its period. This rest can have any length up to the period,
//! so a sorted list per timer is too slow: if connections send twice a period, each would pass a quarter of all others.
//!
//! The heap: M. L. Fredman, R. Sedgewick, D. D. Sleator, R. E. Tarjan, "The pairing heap: a new form of self-adjusting
//! heap", Algorithmica 1, 1986. Times are nanoseconds of the monotonic clock in 64 bits, which last 584 years.

use std::time::Duration;

use slab::Slab;

use crate::conn::Timer;

/// The deadline of a timer that does not run. A real deadline is always earlier.
pub const NEVER: u64 = u64::MAX;

/// The key of no slot.
const NONE: u32 = u32::MAX;

/// The node of a slot in the heap.
#[derive(Debug)]
pub struct TimerNode {
    deadline: u64,
    first_child: u32,
    next: u32,
    /// The previous sibling, or the parent of a first child, or [`NONE`] for the root.
    previous: u32,
    timer: Option<Timer>,
}

/// A slot that has a node in the heap.
pub trait HasTimerNode {
    /// Returns the node of this slot.
    fn timer_node(&self) -> &TimerNode;
    /// Returns the node of this slot for a change.
    fn timer_node_mut(&mut self) -> &mut TimerNode;
}

/// The timers of all connections of one loop.
#[derive(Debug)]
pub struct Timers {
    /// The period of each timer in nanoseconds, in the order of [`Timer::ALL`].
    periods: [u64; Timer::ALL.len()],
    /// The node with the earliest deadline.
    root: u32,
}

impl TimerNode {
    /// Returns the timer that the connection reported when the node was last set, even if that timer never expires.
    pub fn timer(&self) -> Option<Timer> {
        self.timer
    }
}

impl Default for TimerNode {
    /// Creates a node without a deadline.
    fn default() -> Self {
        Self {
            deadline: NEVER,
            first_child: NONE,
            next: NONE,
            previous: NONE,
            timer: None,
        }
    }
}

impl Timers {
    /// Creates timers with these periods, of at least one nanosecond. A timer without a period never expires.
    pub fn new(period: impl Fn(Timer) -> Option<Duration>) -> Self {
        let period =
            |timer| period(timer).map_or(NEVER, |period: Duration| nanoseconds(period).max(1));
        Self {
            periods: Timer::ALL.map(period),
            root: NONE,
        }
    }

    /// Returns when `timer`, started at `since`, expires, or [`NEVER`].
    pub fn deadline(&self, timer: Timer, since: u64) -> u64 {
        since.saturating_add(self.periods[timer as usize])
    }

    /// Sets the deadline of the slot at `key`, which replaces its previous deadline. `timer` is the timer that the
    /// connection reports. The deadline may be that of another timer, which runs beside it.
    #[inline(never)]
    pub fn set<T: HasTimerNode>(
        &mut self,
        slots: &mut Slab<T>,
        key: usize,
        timer: Option<Timer>,
        deadline: u64,
    ) {
        self.remove(slots, key);
        let node = slots[key].timer_node_mut();
        node.timer = timer;
        if deadline != NEVER {
            node.deadline = deadline;
            self.root = meld(slots, self.root, key as u32);
        }
    }

    /// Returns the earliest deadline, or [`NEVER`].
    pub fn next_deadline<T: HasTimerNode>(&self, slots: &Slab<T>) -> u64 {
        let root = slots.get(self.root as usize);
        root.map_or(NEVER, |slot| slot.timer_node().deadline)
    }

    /// Removes the earliest deadline if it is due at `now`, and returns the key of its slot.
    pub fn pop_due<T: HasTimerNode>(&mut self, slots: &mut Slab<T>, now: u64) -> Option<usize> {
        let key = self.root as usize;
        slots
            .get(key)
            .filter(|slot| slot.timer_node().deadline <= now)?;
        self.remove(slots, key);
        Some(key)
    }

    fn remove<T: HasTimerNode>(&mut self, slots: &mut Slab<T>, key: usize) {
        let node = std::mem::take(slots[key].timer_node_mut());
        if node.deadline == NEVER {
            return;
        }
        let orphans = meld_all(slots, node.first_child);
        if self.root == key as u32 {
            self.root = orphans;
        } else {
            close_gap(slots, key as u32, &node);
            self.root = meld(slots, self.root, orphans);
        }
    }
}

/// Melds two heaps, given by their roots, and returns the root of the result.
fn meld<T: HasTimerNode>(slots: &mut Slab<T>, one: u32, other: u32) -> u32 {
    match (one, other) {
        (NONE, root) | (root, NONE) => return root,
        _ => {}
    }
    let deadline = |key: u32| slots[key as usize].timer_node().deadline;
    let (earlier, later) = if deadline(other) < deadline(one) {
        (other, one)
    } else {
        (one, other)
    };
    let parent = slots[earlier as usize].timer_node_mut();
    let sibling = std::mem::replace(&mut parent.first_child, later);
    let child = slots[later as usize].timer_node_mut();
    (child.previous, child.next) = (earlier, sibling);
    if sibling != NONE {
        slots[sibling as usize].timer_node_mut().previous = later;
    }
    earlier
}

/// Melds all siblings from `first` on into one heap, and returns its root.
fn meld_all<T: HasTimerNode>(slots: &mut Slab<T>, first: u32) -> u32 {
    let mut rest = first;
    let mut pairs = NONE;
    while rest != NONE {
        let one = rest;
        let other = take_next(slots, one);
        rest = take_next(slots, other);
        let pair = meld(slots, one, other);
        slots[pair as usize].timer_node_mut().next = pairs;
        pairs = pair;
    }
    let mut root = NONE;
    while pairs != NONE {
        let pair = pairs;
        pairs = take_next(slots, pair);
        root = meld(slots, root, pair);
    }
    if root != NONE {
        slots[root as usize].timer_node_mut().previous = NONE;
    }
    root
}

/// Cuts the node at `key` off from its next siblings, and returns the first of them. [`NONE`] has no siblings.
fn take_next<T: HasTimerNode>(slots: &mut Slab<T>, key: u32) -> u32 {
    let slot = slots.get_mut(key as usize);
    slot.map_or(NONE, |slot| {
        std::mem::replace(&mut slot.timer_node_mut().next, NONE)
    })
}

/// Links the neighbours of the removed node `key` to each other.
fn close_gap<T: HasTimerNode>(slots: &mut Slab<T>, key: u32, node: &TimerNode) {
    let before = slots[node.previous as usize].timer_node_mut();
    if before.first_child == key {
        before.first_child = node.next;
    } else {
        before.next = node.next;
    }
    if node.next != NONE {
        slots[node.next as usize].timer_node_mut().previous = node.previous;
    }
}

/// Returns `duration` in nanoseconds, saturating at the 584 years that 64 bits hold.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    thread_local! {
        /// The number of accesses to nodes.
        static ACCESSES: Cell<usize> = const { Cell::new(0) };
    }

    const MS: u64 = 1_000_000;

    struct Slot(TimerNode);

    impl HasTimerNode for Slot {
        fn timer_node(&self) -> &TimerNode {
            ACCESSES.set(ACCESSES.get() + 1);
            &self.0
        }
        fn timer_node_mut(&mut self) -> &mut TimerNode {
            ACCESSES.set(ACCESSES.get() + 1);
            &mut self.0
        }
    }

    fn slots(n: usize) -> Slab<Slot> {
        (0..n)
            .map(|key| (key, Slot(TimerNode::default())))
            .collect()
    }

    fn timers() -> Timers {
        Timers::new(|timer| {
            Some(Duration::from_secs(match timer {
                Timer::Idle => 1,
                Timer::Write => 3,
                Timer::Linger => 2,
                Timer::Frame => 10,
                Timer::Session => 20,
            }))
        })
    }

    fn set(timers: &mut Timers, slots: &mut Slab<Slot>, key: usize, timer: Timer, since: u64) {
        let deadline = timers.deadline(timer, since);
        timers.set(slots, key, Some(timer), deadline);
    }

    fn due(timers: &mut Timers, slots: &mut Slab<Slot>, now: u64) -> Vec<usize> {
        std::iter::from_fn(|| timers.pop_due(slots, now)).collect()
    }

    #[test]
    fn each_timer_has_its_own_period() {
        let timers = timers();
        for (timer, seconds) in [
            (Timer::Idle, 1),
            (Timer::Write, 3),
            (Timer::Linger, 2),
            (Timer::Frame, 10),
            (Timer::Session, 20),
        ] {
            assert_eq!(
                timers.deadline(timer, 5),
                5 + seconds * 1000 * MS,
                "{timer:?}"
            );
        }
    }

    #[test]
    fn timers_expire_in_the_order_of_their_deadlines() {
        let (mut timers, mut slots) = (timers(), slots(4));
        for (key, since) in [(0, 100), (1, 300), (2, 200), (3, 0)] {
            set(&mut timers, &mut slots, key, Timer::Frame, since * MS);
        }
        assert_eq!(due(&mut timers, &mut slots, 20_000 * MS), [3, 0, 2, 1]);
    }

    #[test]
    fn the_next_deadline_is_the_earliest_of_all_timers() {
        let (mut timers, mut slots) = (timers(), slots(2));
        assert_eq!(timers.next_deadline(&slots), NEVER);
        set(&mut timers, &mut slots, 0, Timer::Write, 0);
        assert_eq!(timers.next_deadline(&slots), 3000 * MS);
        set(&mut timers, &mut slots, 1, Timer::Idle, 500 * MS);
        assert_eq!(timers.next_deadline(&slots), 1500 * MS);
        let reported = [0, 1].map(|key: usize| slots[key].0.timer());
        assert_eq!(reported, [Some(Timer::Write), Some(Timer::Idle)]);
    }

    #[test]
    fn a_timer_that_is_set_again_expires_after_the_others() {
        let (mut timers, mut slots) = (timers(), slots(3));
        for key in 0..3 {
            set(&mut timers, &mut slots, key, Timer::Idle, key as u64);
        }
        set(&mut timers, &mut slots, 0, Timer::Idle, 100 * MS);
        assert_eq!(due(&mut timers, &mut slots, 1000 * MS + 2), [1, 2]);
        assert_eq!(due(&mut timers, &mut slots, 1100 * MS - 1), [0_usize; 0]);
        assert_eq!(due(&mut timers, &mut slots, 1100 * MS), [0]);
        assert_eq!(timers.next_deadline(&slots), NEVER);
    }

    #[test]
    fn a_stopped_timer_and_a_timer_without_a_period_never_expire() {
        let mut timers =
            Timers::new(|timer| (timer == Timer::Write).then_some(Duration::from_secs(3)));
        let mut slots = slots(2);
        set(&mut timers, &mut slots, 0, Timer::Idle, 0);
        set(&mut timers, &mut slots, 1, Timer::Write, 0);
        timers.set(&mut slots, 1, None, NEVER);
        assert_eq!(timers.next_deadline(&slots), NEVER);
        assert_eq!(due(&mut timers, &mut slots, u64::MAX), [0_usize; 0]);
    }

    #[test]
    fn a_timer_with_a_period_of_zero_does_not_expire_at_its_start() {
        let mut timers = Timers::new(|_| Some(Duration::ZERO));
        let mut slots = slots(1);
        set(&mut timers, &mut slots, 0, Timer::Idle, 5);
        assert_eq!(due(&mut timers, &mut slots, 5), [0_usize; 0]);
        assert_eq!(due(&mut timers, &mut slots, 6), [0]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Set { key: usize, deadline: u64 },
        Stop { key: usize },
        PopDue { now: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let (key, time) = (0..KEYS, 0..100u64);
        prop_oneof![
            4 => (key.clone(), time.clone()).prop_map(|(key, deadline)| Step::Set { key, deadline }),
            1 => key.prop_map(|key| Step::Stop { key }),
            3 => time.prop_map(|now| Step::PopDue { now }),
        ]
    }

    const KEYS: usize = 12;

    proptest! {
        #[test]
        fn the_earliest_deadline_is_always_popped_first(steps in vec(step(), 1..200)) {
            let (mut timers, mut slots) = (timers(), slots(KEYS));
            let mut deadlines = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set { key, deadline } => {
                        timers.set(&mut slots, key, Some(Timer::Idle), deadline);
                        deadlines.insert(key, deadline);
                    }
                    Step::Stop { key } => {
                        timers.set(&mut slots, key, None, NEVER);
                        deadlines.remove(&key);
                    }
                    Step::PopDue { now } => {
                        let earliest = deadlines.values().copied().min().filter(|at| *at <= now);
                        let popped = timers.pop_due(&mut slots, now);
                        prop_assert_eq!(popped.and_then(|key| deadlines.remove(&key)), earliest);
                    }
                }
                let earliest = deadlines.values().copied().min();
                prop_assert_eq!(timers.next_deadline(&slots), earliest.unwrap_or(NEVER));
            }
        }
    }

    #[test]
    fn timers_that_are_set_twice_a_period_do_not_pass_all_others() {
        const N: usize = 10_000;
        let (mut timers, mut slots) = (timers(), slots(N));
        for key in 0..N {
            let since = key as u64 * 1000 * MS / N as u64;
            set(&mut timers, &mut slots, key, Timer::Idle, since);
        }
        ACCESSES.set(0);
        for round in 0..10 * N {
            let now = timers.next_deadline(&slots);
            let key = timers.pop_due(&mut slots, now).expect("every timer runs");
            let silent = [0, 500 * MS][round % 2];
            set(&mut timers, &mut slots, key, Timer::Idle, now - silent);
        }
        let accesses = ACCESSES.get() / (10 * N);
        assert!(
            accesses < 20 * N.ilog2() as usize,
            "{accesses} accesses to nodes per timer"
        );
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
                    Timer::Idle,
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
