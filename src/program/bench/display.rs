//! What is shown of a measurement, by a thread of its own.
//!
//! Whoever reads standard error may stop: a pager that waits, a terminal after Ctrl-S. The thread that measures must not
//! wait for that, since it takes what the loops report, and obeys signals. So it hands what is to be shown to a bounded
//! queue. What finds that full is lost, and the loss is told when there is room again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use mio_echo::load::{RunEvent, RunPhase, interval_line};

use super::progress::{self, Show};
use crate::program::standard_streams::PATIENCE;

/// What may wait: some minutes of a bar that moves twice a second.
const CAPACITY: usize = 1024;

/// Shows a measurement. Dropping it waits until all of that is shown, but for [`PATIENCE`] at most.
pub struct Display {
    /// Until it is dropped.
    queue: Option<SyncSender<Event>>,
    /// Lines that have been lost since that was told. The thread tells of the last ones, behind the queue.
    lost: Arc<AtomicU64>,
    /// Ends with the thread.
    end: Receiver<()>,
}

enum Event {
    RunPhase(RunPhase),
    Tick(Duration),
    Interval(String),
    Note(String),
}

impl Display {
    /// On standard error.
    pub fn start() -> Self {
        Self::with(CAPACITY, progress::chosen)
    }

    /// The thread makes what shows. Without a thread, for want of resources, nothing is shown.
    fn with(capacity: usize, show: impl FnOnce() -> Box<dyn Show> + Send + 'static) -> Self {
        let (queue, events) = mpsc::sync_channel(capacity);
        let (ended, end) = mpsc::channel::<()>();
        let lost = Arc::new(AtomicU64::new(0));
        let still_lost = Arc::clone(&lost);
        let run = move || {
            let mut shown = show();
            events
                .iter()
                .for_each(|event: Event| event.show(&mut *shown));
            match still_lost.load(Ordering::Acquire) {
                0 => {}
                lost => shown.note(&about_lost(lost)),
            }
            // The bar clears its line.
            drop(shown);
            drop(ended);
        };
        let _ = thread::Builder::new().name("display".into()).spawn(run);
        Self {
            queue: Some(queue),
            lost,
            end,
        }
    }

    /// Queues `event`. An interval or a note that finds the queue full is counted as lost.
    pub fn handle(&self, event: RunEvent) {
        match event {
            RunEvent::PhaseBegan(phase) => {
                self.show(Event::RunPhase(phase));
            }
            RunEvent::Tick(elapsed) => {
                self.show(Event::Tick(elapsed));
            }
            RunEvent::IntervalFinished(interval) => {
                self.show_line(Event::Interval(interval_line(interval)));
            }
            RunEvent::Note(line) => self.show_line(Event::Note(line)),
        }
    }

    /// Shows `line`, or counts it as lost.
    fn show_line(&self, line: Event) {
        if !self.show(line) {
            self.lost.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether `event` has found room.
    fn show(&self, event: Event) -> bool {
        self.tell_lost() && self.queue(event)
    }

    /// Whether no loss is untold.
    fn tell_lost(&self) -> bool {
        let lost = self.lost.load(Ordering::Acquire);
        let is_told = lost == 0 || self.queue(Event::Note(about_lost(lost)));
        if is_told {
            self.lost.store(0, Ordering::Release);
        }
        is_told
    }

    fn queue(&self, event: Event) -> bool {
        let queue = self.queue.as_ref();
        queue.is_some_and(|queue| queue.try_send(event).is_ok())
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.queue = None;
        // Nothing is sent: it ends, or it takes too long.
        let _ = self.end.recv_timeout(PATIENCE);
    }
}

impl Event {
    fn show(self, shown: &mut dyn Show) {
        match self {
            Self::RunPhase(phase) => shown.phase(phase),
            Self::Tick(elapsed) => shown.tick(elapsed),
            Self::Interval(line) => shown.interval(line),
            Self::Note(line) => shown.note(&line),
        }
    }
}

fn about_lost(lost: u64) -> String {
    format!("lines lost, as nobody read them in time: {lost}")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::time::Instant;

    use super::*;

    /// Tells of each line that it has it, and keeps it until it is told to let go.
    struct Gated {
        shown: Sender<String>,
        gate: Receiver<()>,
    }

    impl Show for Gated {
        fn phase(&mut self, _: RunPhase) {}

        fn tick(&mut self, _: Duration) {}

        fn interval(&mut self, line: String) {
            self.note(&line);
        }

        fn note(&mut self, line: &str) {
            self.shown.send(line.to_owned()).expect("a test");
            // Without its other end the gate is open.
            let _ = self.gate.recv();
        }
    }

    fn note(display: &Display, line: &str) {
        display.handle(RunEvent::Note(line.to_owned()));
    }

    /// With room for two.
    fn gated() -> (Display, Receiver<String>, Sender<()>) {
        let (shown, lines) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let display = Display::with(2, || Box::new(Gated { shown, gate }));
        (display, lines, open)
    }

    #[test]
    fn what_finds_no_room_is_lost_and_the_loss_is_told_when_there_is_some() {
        let (display, lines, open) = gated();
        note(&display, "1");
        assert_eq!(lines.recv().as_deref(), Ok("1"));
        for line in ["2", "3", "lost", "lost"] {
            note(&display, line);
        }
        for line in ["2", "3"] {
            open.send(()).expect("it waits");
            assert_eq!(lines.recv().as_deref(), Ok(line));
        }
        note(&display, "4");
        drop(open);
        drop(display);
        let rest: Vec<_> = lines.iter().collect();
        assert_eq!(rest, [&*about_lost(2), "4"]);
    }

    #[test]
    fn the_end_tells_of_the_last_loss() {
        let (display, lines, open) = gated();
        note(&display, "1");
        assert_eq!(lines.recv().as_deref(), Ok("1"));
        for line in ["2", "3", "lost"] {
            note(&display, line);
        }
        drop(open);
        drop(display);
        let rest: Vec<_> = lines.iter().collect();
        assert_eq!(rest, ["2", "3", &*about_lost(1)]);
    }

    #[test]
    fn a_tick_that_finds_no_room_is_no_loss() {
        let (display, lines, open) = gated();
        note(&display, "1");
        assert_eq!(lines.recv().as_deref(), Ok("1"));
        for _ in 0..5 {
            display.handle(RunEvent::Tick(Duration::ZERO));
        }
        drop(open);
        drop(display);
        assert_eq!(lines.iter().count(), 0);
    }

    #[test]
    fn the_end_waits_no_longer_than_its_patience() {
        let (display, lines, _open) = gated();
        note(&display, "1");
        assert_eq!(lines.recv().as_deref(), Ok("1"));
        let begun = Instant::now();
        drop(display);
        assert!(begun.elapsed() >= PATIENCE);
    }
}
