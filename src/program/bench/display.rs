//! The progress of a measurement on standard error, written by a thread: a bar on a terminal, lines elsewhere.
//!
//! The reader of standard error may stop. The thread that measures must not wait for that reader, because it handles
//! the workers' events and signals. So it queues what is to be shown. A line that finds the queue full is lost, and the
//! loss is reported when there is room again. A state of the bar is dropped without a report: the next one replaces it.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mio_echo::load::RunEvent;
use terminal_size::terminal_size_of;

use super::progress::{Progress, Step, Update};
use super::status_text::StatusText;
use super::wrap::wrap;
use crate::program::bounded_writer::BoundedWriter;
use crate::program::standard_streams::can_write_without_blocking;
use crate::program::text_lines::TextLines;
use crate::program::whole_lines::WholeLines;

/// Updates that may wait: some minutes of a bar that moves twice a second.
const CAPACITY: usize = 1024;

/// The most bytes that are written with a line: a line feed, and a line about lost lines before it.
const LINE_OVERHEAD: usize = 64;

/// The columns of a terminal that does not tell its size.
const DEFAULT_WIDTH: usize = 80;

/// The columns of a bar beside a text that leaves no more room.
const SHORTEST_BAR: usize = 10;

/// Redraws a second. More would take CPU time from the measurement.
const REDRAWS: u8 = 2;

/// Shows a measurement. A drop waits until everything is shown, as long as [`BoundedWriter::flush`] waits.
pub struct Display {
    progress: Progress,
    updates: Arc<BoundedWriter<Update>>,
}

impl Display {
    /// Creates the display on standard error.
    pub fn stderr() -> Self {
        let bar = stderr_bar();
        let progress = match bar.is_hidden() {
            true => Progress::Lines,
            false => Progress::bar(),
        };
        let lines = Mutex::new(WholeLines::new(TextLines::new(io::stderr(), "")));
        Self::new(progress, move |update| show(&bar, &lines, update))
    }

    /// If the system refuses the thread, only lines that standard error takes without blocking are shown.
    fn new(progress: Progress, show: impl Fn(Update) + Send + Sync + 'static) -> Self {
        let updates = BoundedWriter::new("display", show, can_be_shown, Update::LinesLost);
        updates.begin();
        Self { progress, updates }
    }

    /// Returns a function that shows a line, without waiting, from any thread.
    pub fn line_writer(&self) -> impl Fn(String) + Send + Sync + use<> {
        let updates = Arc::clone(&self.updates);
        move |line| {
            updates.push(Update::Line(line), CAPACITY);
        }
    }

    /// Shows `event`, without waiting.
    pub fn handle(&mut self, event: RunEvent) {
        let update = self.progress.update(event);
        self.show(update);
    }

    /// Shows that a run of a comparison begins, without waiting.
    pub fn begin_step(&mut self, step: Step) {
        let update = self.progress.begin_step(step);
        self.show(update);
    }

    /// Shows that a run of a comparison goes on, without waiting.
    pub fn update_step(&mut self, step: Step) {
        let update = self.progress.update_step(step);
        self.show(update);
    }

    fn show(&self, update: Option<Update>) {
        match update {
            Some(Update::Bar { .. }) if self.updates.is_full(CAPACITY) => {}
            Some(update) => {
                self.updates.push(update, CAPACITY);
            }
            None => {}
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.updates.push(Update::End, usize::MAX);
        // A line that is not shown by now is lost. The report of the run follows anyhow.
        let _ = self.updates.flush();
    }
}

/// Returns true if `update` is shown without blocking. Only the thread redraws a terminal.
fn can_be_shown(update: &Update) -> bool {
    match update {
        Update::Line(line) => can_write_without_blocking(&io::stderr(), line.len() + LINE_OVERHEAD),
        Update::LinesLost(_) => can_write_without_blocking(&io::stderr(), 2 * LINE_OVERHEAD),
        Update::Bar { .. } | Update::End => false,
    }
}

/// Creates a bar, which is hidden unless standard error is a terminal that can redraw a line.
fn stderr_bar() -> ProgressBar {
    if io::stderr().is_terminal() && can_redraw(|name| env::var_os(name)) {
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
        ProgressBar::with_draw_target(None, target).with_style(style("{wide_msg}"))
    } else {
        ProgressBar::hidden()
    }
}

/// Returns true if neither NO_COLOR nor TERM asks for plain text.
fn can_redraw(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = variable("TERM").is_some_and(|value| value == "dumb");
    !is_plain && !is_dumb
}

/// Shows `update`: a line above the bar, or a state of the bar. May block on the reader of standard error.
fn show(bar: &ProgressBar, lines: &Mutex<WholeLines<TextLines<Stderr>>>, update: Update) {
    let write = |line: String, count| {
        let line = match bar.is_hidden() {
            true => line,
            false => wrap(&line, columns()).trim_end().into(),
        };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        bar.suspend(|| lines.write(&line, count));
    };
    match update {
        Update::Line(line) => write(line, 1),
        Update::LinesLost(lost) => write(format!("{lost} lines lost"), lost),
        Update::Bar {
            elapsed,
            length,
            text,
        } => {
            let (template, text) = layout(text, length.is_some(), columns());
            bar.set_style(style(&template));
            bar.set_length(milliseconds(length.unwrap_or_default()));
            bar.set_position(milliseconds(elapsed));
            bar.set_message(text);
        }
        Update::End => bar.finish_and_clear(),
    }
}

/// Returns the number of columns of standard error.
fn columns() -> usize {
    terminal_size_of(io::stderr()).map_or(DEFAULT_WIDTH, |(width, _)| width.0.into())
}

/// Returns the template and the text of a bar on one line of `width` columns. The bar takes the room that the text leaves. A
/// terminal that is too narrow cuts the text.
fn layout(text: StatusText, has_bar: bool, width: usize) -> (String, String) {
    let frame = match has_bar {
        true => "[] ".len(),
        false => 0,
    };
    let room = |text: &str| width.checked_sub(frame + text.chars().count());
    let text = match room(&text.full) {
        Some(room) if room >= SHORTEST_BAR => text.full,
        Some(_) | None => text.short,
    };
    let length = room(&text).unwrap_or_default().max(SHORTEST_BAR);
    let template = match has_bar {
        true => format!("[{{bar:{length}}}] {{wide_msg}}"),
        false => "{wide_msg}".into(),
    };
    (template, text)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Instant;

    use mio_echo::load::RunPhase;

    use super::*;
    use crate::program::standard_streams::FLUSH_TIMEOUT;

    /// A display whose thread reports each update, and then blocks until the gate opens.
    fn gated(progress: Progress) -> (Display, Receiver<Update>, Sender<()>) {
        let (shown, updates) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let gate = Mutex::new(gate);
        let display = Display::new(progress, move |update| {
            shown.send(update).expect("a test");
            // Once its other end is dropped, the gate is open.
            let _ = gate.lock().expect("one thread").recv();
        });
        (display, updates, open)
    }

    fn line(text: &str) -> Update {
        Update::Line(text.into())
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
        let lines = updates.try_iter().filter(|update| *update != Update::End);
        let rest: Vec<_> = lines.skip(CAPACITY - 1).collect();
        assert_eq!(rest, [line("2"), Update::LinesLost(2)]);
    }

    #[test]
    fn the_bar_takes_the_room_that_the_text_leaves_and_nothing_wraps() {
        let text = |full: usize, short: usize| StatusText {
            full: "f".repeat(full),
            short: "s".repeat(short),
        };
        for (width, has_bar, template, shown) in [
            (200, true, "[{bar:97}] {wide_msg}", 'f'),
            (113, true, "[{bar:10}] {wide_msg}", 'f'),
            (112, true, "[{bar:49}] {wide_msg}", 's'),
            (80, true, "[{bar:17}] {wide_msg}", 's'),
            (40, true, "[{bar:10}] {wide_msg}", 's'),
            (200, false, "{wide_msg}", 'f'),
            (80, false, "{wide_msg}", 's'),
        ] {
            let (got, text) = layout(text(100, 60), has_bar, width);
            assert_eq!(got, template, "{width}");
            assert!(text.starts_with(shown), "{width}");
        }
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
        let rest: Vec<_> = updates.try_iter().skip(CAPACITY).collect();
        assert_eq!(rest, [Update::End]);
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

    #[test]
    fn no_color_and_a_dumb_terminal_get_lines() {
        for (name, value, expected) in [
            ("NO_COLOR", "1", false),
            ("NO_COLOR", "", true),
            ("TERM", "dumb", false),
            ("TERM", "xterm", true),
        ] {
            let variable = |asked: &str| (asked == name).then(|| value.into());
            assert_eq!(can_redraw(variable), expected, "{name}={value}");
        }
    }
}
