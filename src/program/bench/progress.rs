//! How a measurement goes, on standard error: a bar on a terminal, a line an interval elsewhere.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mio_echo::load::RunPhase;

/// Redraws a second: more would take CPU time from the measurement.
const REDRAWS: u8 = 2;

/// Shows how a measurement goes. Whoever reads may hold it up.
pub trait Show {
    /// A phase begins.
    fn phase(&mut self, phase: RunPhase);

    /// The current phase goes on; `elapsed` since it began.
    fn tick(&mut self, elapsed: Duration);

    /// The figures of an interval.
    fn interval(&mut self, line: String);

    /// Something that whoever measures should know.
    fn note(&mut self, line: &str);
}

/// The one that suits where standard error goes.
pub fn chosen() -> Box<dyn Show> {
    let is_bar = io::stderr().is_terminal() && can_redraw(|name| env::var_os(name));
    match is_bar {
        true => Box::new(Bar::new(ProgressDrawTarget::stderr_with_hz(REDRAWS))),
        false => Box::new(Lines(io::stderr())),
    }
}

/// Whether neither NO_COLOR nor TERM asks for plain text.
fn can_redraw(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = variable("TERM").is_some_and(|value| value == "dumb");
    !is_plain && !is_dumb
}

/// A line an interval. Nobody has to read them: errors are ignored.
struct Lines<W>(W);

impl<W: Write> Lines<W> {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.0, "{line}");
    }
}

impl<W: Write> Show for Lines<W> {
    fn phase(&mut self, phase: RunPhase) {
        match phase {
            RunPhase::Waiting(time) => self.line(&format!("waiting {:.1} s", time.as_secs_f64())),
            RunPhase::Connecting
            | RunPhase::WarmUp(_)
            | RunPhase::Measuring(_)
            | RunPhase::Finishing => {}
        }
    }

    fn tick(&mut self, _elapsed: Duration) {}

    fn interval(&mut self, line: String) {
        self.line(&line);
    }

    fn note(&mut self, line: &str) {
        self.line(line);
    }
}

/// One line that is drawn again and again.
struct Bar {
    bar: ProgressBar,
    phase: &'static str,
    length: Option<Duration>,
    last: String,
}

impl Bar {
    fn new(target: ProgressDrawTarget) -> Self {
        Self {
            bar: ProgressBar::with_draw_target(None, target),
            phase: "connecting",
            length: None,
            last: String::new(),
        }
    }

    fn draw(&self, elapsed: Duration) {
        let (phase, seconds) = (self.phase, elapsed.as_secs_f64());
        let of = self
            .length
            .map(|length| format!(" of {:.1} s", length.as_secs_f64()))
            .unwrap_or_default();
        self.bar
            .set_position(elapsed.as_millis().try_into().unwrap_or(u64::MAX));
        self.bar
            .set_message(format!("{phase} {seconds:.1} s{of}  {}", self.last));
    }
}

impl Show for Bar {
    fn phase(&mut self, phase: RunPhase) {
        (self.phase, self.length) = match phase {
            RunPhase::Connecting => ("connecting", None),
            RunPhase::Waiting(length) => ("waiting", Some(length)),
            RunPhase::WarmUp(length) => ("warm-up", Some(length)),
            RunPhase::Measuring(length) => ("measuring", length),
            RunPhase::Finishing => ("finishing", None),
        };
        match self.length {
            Some(length) => {
                self.bar.set_style(style("[{bar:30}] {msg}"));
                self.bar
                    .set_length(length.as_millis().try_into().unwrap_or(u64::MAX));
            }
            None => {
                self.bar.set_style(style("{msg}"));
                self.bar.unset_length();
            }
        }
        self.draw(Duration::ZERO);
    }

    fn tick(&mut self, elapsed: Duration) {
        self.draw(elapsed);
    }

    fn interval(&mut self, line: String) {
        self.last = line;
    }

    fn note(&mut self, line: &str) {
        self.bar.suspend(|| Lines(io::stderr()).line(line));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
