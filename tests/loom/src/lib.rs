//! Plays all orders in which threads can use what they share with a loop, with loom.
//!
//! `cargo test --manifest-path tests/loom/Cargo.toml`
//!
//! The files are those that the server uses. Their locks and atomics are loom's.
#![cfg(test)]

#[path = "../../../src/net/job_queue.rs"]
mod job_queue;
#[path = "../../../src/net/mailbox.rs"]
mod mailbox;
#[path = "../../../src/net/occupancy.rs"]
mod occupancy;
#[path = "../../../src/net/requests.rs"]
mod requests;
#[path = "../../../src/net/stop_flag.rs"]
mod stop_flag;

/// What `src/net/sync.rs` takes from the standard library.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(super) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;
}

use job_queue::JobQueue;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use mailbox::{Mailbox, Wake};
use occupancy::Occupancy;
use requests::Requests;
// Not loom's: loom drops what a stuck thread holds after the end of its model, where its own Arc panics.
use std::sync::Arc;
use stop_flag::StopFlag;

/// The number of the latest request for statistics that a sibling had seen when it counted.
#[derive(Clone)]
struct Stats(u64);

/// The wait of a loop: it ends at once if there was a wake since the last one.
#[derive(Clone)]
struct Wait(Arc<(Mutex<bool>, Condvar)>);

impl Wait {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn wait(&self) {
        let (woken, changed) = &*self.0;
        let mut woken = woken.lock().unwrap();
        while !*woken {
            woken = changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

impl Wake for Wait {
    fn wake(&self) {
        let (woken, changed) = &*self.0;
        *woken.lock().unwrap() = true;
        changed.notify_one();
    }
}

/// A sender's wake that comes before the item, by hand.
struct AlreadyWoken;

impl Wake for AlreadyWoken {
    fn wake(&self) {}
}

/// Runs a loop until it has taken `count` items.
fn take(mailbox: &mut Mailbox<u32>, wait: &Wait, count: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    while taken.len() < count {
        if mailbox.is_empty() {
            wait.wait();
        }
        let items = mailbox.take();
        taken.extend(&items);
        mailbox.recycle(items);
    }
    taken
}

#[test]
fn no_item_is_lost_and_no_loop_waits_for_one_that_is_there() {
    loom::model(|| {
        let (mut mailbox, wait) = (Mailbox::new([Vec::new(), Vec::new()]), Wait::new());
        let sender = mailbox.sender(wait.clone());
        thread::spawn(move || {
            for item in [1, 2] {
                sender.send([item]).unwrap();
            }
        });
        assert_eq!(take(&mut mailbox, &wait, 2), [1, 2]);
    });
}

#[test]
fn an_item_reaches_a_mailbox_that_closes_or_stays_with_its_sender() {
    loom::model(|| {
        let (mut mailbox, wait) = (Mailbox::new([Vec::new(), Vec::new()]), Wait::new());
        let sender = mailbox.sender(wait);
        let sending = thread::spawn(move || sender.send([1]).is_ok());
        let taken = mailbox.close();
        assert_eq!(taken, vec![1; usize::from(sending.join().unwrap())]);
        assert!(mailbox.is_empty());
    });
}

/// Plays the orders with at most so many preemptions. All orders of three threads take hours, and those of two requests
/// minutes. Faults of this kind show with few preemptions.
fn play_orders_with(preemptions: usize, play: impl Fn() + Send + Sync + 'static) {
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(preemptions);
    orders.check(play);
}

#[test]
fn the_items_of_two_threads_arrive_once_each() {
    play_orders_with(2, || {
        let (mut mailbox, wait) = (Mailbox::new([Vec::new(), Vec::new()]), Wait::new());
        for item in [1, 2] {
            let sender = mailbox.sender(wait.clone());
            thread::spawn(move || sender.send([item]).unwrap());
        }
        let mut taken = take(&mut mailbox, &wait, 2);
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_before_its_item_can_leave_a_loop_waiting() {
    loom::model(|| {
        let (mut mailbox, wait) = (Mailbox::new([Vec::new(), Vec::new()]), Wait::new());
        let (sender, woken_before) = (mailbox.sender(AlreadyWoken), wait.clone());
        thread::spawn(move || {
            woken_before.wake();
            sender.send([1]).unwrap();
        });
        assert_eq!(take(&mut mailbox, &wait, 1), [1]);
    });
}

#[test]
fn a_loop_that_waits_for_a_free_slot_is_woken_by_a_release() {
    loom::model(|| {
        let wait = Wait::new();
        let occupancy = Arc::new(Occupancy::new(wait.clone()));
        let other_loop = Arc::clone(&occupancy);
        thread::spawn(move || {
            [1, 2]
                .into_iter()
                .for_each(|count| other_loop.set_released(count))
        });
        while occupancy.released() < 2 {
            occupancy.await_release();
            if occupancy.released() < 2 {
                wait.wait();
            }
        }
    });
}

/// Runs a sibling until it has answered request `last`. It looks for requests before each wait, as every loop does.
fn answer_requests(requests: &Requests, last: u64, sibling: &Wait, first: &Wait) {
    let mut answered = 0;
    while answered < last {
        let latest = requests.latest();
        if latest == answered {
            sibling.wait();
            continue;
        }
        let for_stats = requests.latest_for_stats();
        let stats = (for_stats > answered).then_some(Stats(for_stats));
        requests.answer(latest, stats);
        answered = latest;
        first.wake();
    }
}

#[test]
fn each_request_is_answered_and_statistics_are_not_older_than_their_request() {
    play_orders_with(3, || {
        let (first, sibling) = (Wait::new(), Wait::new());
        let requests = Arc::new(Requests::new());
        let (theirs, woken, waker) = (Arc::clone(&requests), sibling.clone(), first.clone());
        thread::spawn(move || answer_requests(&theirs, 2, &woken, &waker));
        requests.ask_for_turn(1);
        sibling.wake();
        while !requests.is_answered(1) {
            first.wait();
        }
        requests.ask_for_stats(2);
        sibling.wake();
        while requests.stats(2).is_none() {
            first.wait();
        }
        assert_eq!(requests.stats(2).unwrap().0, 2);
    });
}

/// Runs a loop until it is told to stop. It looks at the flag before each wait.
fn run_until_stopped(flag: &StopFlag, wait: &Wait) {
    while !flag.is_set() {
        wait.wait();
    }
}

#[test]
fn a_loop_that_is_told_to_stop_stops_and_sees_that_it_is_to_end_at_once() {
    loom::model(|| {
        let (flag, wait) = (Arc::new(StopFlag::new()), Wait::new());
        let (theirs, waker) = (Arc::clone(&flag), wait.clone());
        thread::spawn(move || theirs.request_abort(|| waker.wake()));
        run_until_stopped(&flag, &wait);
        assert!(flag.take_abort());
        assert!(!flag.take_abort(), "once");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_before_the_flag_can_leave_a_loop_waiting() {
    loom::model(|| {
        let (flag, wait) = (Arc::new(StopFlag::new()), Wait::new());
        let (theirs, waker) = (Arc::clone(&flag), wait.clone());
        let stopping = thread::spawn(move || run_until_stopped(&theirs, &wait));
        waker.wake();
        flag.request_stop(|| {});
        stopping.join().unwrap();
    });
}

/// A worker: it sends each job back as its reply until the queue is closed. Returns the number of its jobs.
fn work(queue: &JobQueue<u32>, replies: &mailbox::Sender<u32, Wait>) -> usize {
    let jobs = std::iter::from_fn(|| queue.next());
    jobs.map(|job| replies.send([job]).unwrap()).count()
}

#[test]
fn a_job_is_done_or_withdrawn_and_the_worker_ends_with_the_queue() {
    loom::model(|| {
        let (mut mailbox, wait) = (Mailbox::new([Vec::new(), Vec::new()]), Wait::new());
        let (queue, sender) = (
            Arc::new(JobQueue::new(Vec::new())),
            mailbox.sender(wait.clone()),
        );
        let theirs = Arc::clone(&queue);
        let worker = thread::spawn(move || work(&theirs, &sender));
        queue.add(1);
        queue.add(2);
        let withdrawn = queue.withdraw(|job| *job == 2);
        let done = 2 - withdrawn.iter().count();
        assert_eq!(take(&mut mailbox, &wait, done), [1, 2][..done]);
        queue.close();
        assert_eq!(worker.join().unwrap(), done);
    });
}

#[test]
fn two_workers_do_each_job_once_and_both_end_with_the_queue() {
    play_orders_with(2, || {
        let (mut mailbox, wait) = (Mailbox::new([Vec::new(), Vec::new()]), Wait::new());
        let queue = Arc::new(JobQueue::new(Vec::new()));
        let workers = [(); 2].map(|()| {
            let (queue, sender) = (Arc::clone(&queue), mailbox.sender(wait.clone()));
            thread::spawn(move || work(&queue, &sender))
        });
        queue.add(1);
        queue.add(2);
        let mut taken = take(&mut mailbox, &wait, 2);
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
        queue.close();
        let done = workers.map(|worker| worker.join().unwrap());
        assert_eq!(done.iter().sum::<usize>(), 2);
    });
}
