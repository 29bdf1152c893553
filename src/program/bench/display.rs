//! The progress of a measurement on standard error, written by a thread.
//!
//! The reader of standard error may stop. The thread that measures must not wait for that reader, because it handles
//! the workers' events and signals. So it queues what is to be shown. A line that finds the queue full is lost, and the
//! loss is reported when there is room again. A state of the bar is dropped without a report: the next one replaces it.

use std::sync::Arc;

use mio_echo::load::RunEvent;

use super::progress::{Progress, Update};
use super::screen::Screen;
use crate::program::bounded_writer::{BoundedWriter, Queued, QueuedItems};
use crate::program::standard_streams::FLUSH_TIMEOUT;

/// Updates that may wait: some minutes of a bar that moves twice a second.
const CAPACITY: usize = 1024;

/// Shows a measurement. A drop waits until everything is shown, for [`FLUSH_TIMEOUT`] at most.
pub struct Display {
    progress: Progress,
    updates: Arc<BoundedWriter<Update>>,
}

impl Display {
    /// Starts the display on standard error: a bar on a terminal, lines elsewhere.
    pub fn start() -> Self {
        let mut screen = Screen::stderr();
        Self::new(screen.progress(), |updates| {
            for update in updates {
                screen.show(match update {
                    Queued::Item(update) => update,
                    Queued::Lost(lost) => Update::Line(lines_lost(lost)),
                });
            }
            screen.clear();
        })
    }

    /// If the system has no thread left, nothing is shown.
    fn new(progress: Progress, show: impl FnOnce(QueuedItems<Update>) + Send + 'static) -> Self {
        let updates = BoundedWriter::new();
        let _ = updates.start_thread("display", |updates| {
            show(updates);
            Ok(())
        });
        Self { progress, updates }
    }

    /// Shows `event`, without waiting.
    pub fn handle(&mut self, event: RunEvent) {
        match self.progress.update(event) {
            Some(line @ Update::Line(_)) => self.updates.push_or_count(line, CAPACITY),
            Some(state @ Update::Bar(_)) => {
                self.updates.push(state, CAPACITY);
            }
            None => {}
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.updates.close(FLUSH_TIMEOUT);
    }
}

fn lines_lost(lost: u64) -> String {
    format!("lines lost, because they were not read in time: {lost}")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::{Duration, Instant};

    use mio_echo::load::RunPhase;

    use super::*;

    /// A display whose thread reports each update, and then blocks until the gate opens.
    fn gated(progress: Progress) -> (Display, Receiver<Queued<Update>>, Sender<()>) {
        let (shown, updates) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let display = Display::new(progress, move |updates| {
            for update in updates {
                shown.send(update).expect("a test");
                // Once its other end is dropped, the gate is open.
                let _ = gate.recv();
            }
        });
        (display, updates, open)
    }

    fn line(text: &str) -> Queued<Update> {
        Queued::Item(Update::Line(text.into()))
    }

    fn note(display: &mut Display, text: &str) {
        display.handle(RunEvent::Note(text.to_owned()));
    }

    #[test]
    fn lines_that_find_no_room_are_lost_and_reported() {
        let (mut display, updates, open) = gated(Progress::Lines);
        note(&mut display, "1");
        assert_eq!(updates.recv(), Ok(line("1")));
        for _ in 0..CAPACITY {
            note(&mut display, "2");
        }
        for _ in 0..2 {
            note(&mut display, "lost");
        }
        drop(open);
        drop(display);
        let rest: Vec<_> = updates.iter().skip(CAPACITY - 1).collect();
        assert_eq!(rest, [line("2"), Queued::Lost(2)]);
    }

    #[test]
    fn a_state_of_the_bar_that_finds_no_room_is_no_loss() {
        let (mut display, updates, open) = gated(Progress::bar());
        display.handle(RunEvent::PhaseBegan(RunPhase::Connecting));
        updates.recv().expect("the first state");
        for _ in 0..CAPACITY + 5 {
            display.handle(RunEvent::Tick(Duration::ZERO));
        }
        drop(open);
        drop(display);
        assert_eq!(updates.iter().count(), CAPACITY);
    }

    #[test]
    fn a_drop_waits_for_a_stopped_reader_for_the_timeout_only() {
        let (mut display, updates, _open) = gated(Progress::Lines);
        note(&mut display, "1");
        assert_eq!(updates.recv(), Ok(line("1")));
        let start = Instant::now();
        drop(display);
        assert!(start.elapsed() >= FLUSH_TIMEOUT);
    }
}
