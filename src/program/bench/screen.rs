//! Standard error as the display uses it: a bar on a terminal, lines elsewhere.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::progress::{BarState, Progress, Update};

/// Redraws a second. More would take CPU time from the measurement.
const REDRAWS: u8 = 2;

/// Standard error.
pub enum Screen {
    /// A line is printed above the bar.
    Bar(ProgressBar),
    /// Lines only.
    Lines,
}

impl Screen {
    /// Chooses a bar if standard error is a terminal that can redraw a line.
    pub fn stderr() -> Self {
        if io::stderr().is_terminal() && can_redraw(|name| env::var_os(name)) {
            let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
            Self::Bar(ProgressBar::with_draw_target(None, target).with_style(style("{wide_msg}")))
        } else {
            Self::Lines
        }
    }

    /// Returns the progress that produces updates for this screen.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Bar(_) => Progress::bar(),
            Self::Lines => Progress::Lines,
        }
    }

    /// Shows `update`. May block on the reader of standard error; errors are ignored.
    pub fn show(&mut self, update: Update) {
        match (self, update) {
            (Self::Bar(bar), Update::Line(line)) => bar.suspend(|| print(&line)),
            (Self::Lines, Update::Line(line)) => print(&line),
            (Self::Bar(bar), Update::Bar(state)) => draw(bar, state),
            (Self::Lines, Update::Bar(_)) => {}
        }
    }

    /// Removes the bar.
    pub fn clear(self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines => {}
        }
    }
}

/// Returns true if neither NO_COLOR nor TERM asks for plain text.
fn can_redraw(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = variable("TERM").is_some_and(|value| value == "dumb");
    !is_plain && !is_dumb
}

fn print(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Draws the bar and the text on one line of 80 columns. A narrower terminal cuts the text.
fn draw(bar: &ProgressBar, state: BarState) {
    match state.length {
        Some(length) => {
            bar.set_style(style("[{bar:10}] {wide_msg}"));
            bar.set_length(milliseconds(length));
        }
        None => {
            bar.set_style(style("{wide_msg}"));
            bar.unset_length();
        }
    }
    bar.set_position(milliseconds(state.elapsed));
    bar.set_message(state.text);
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
    use super::*;

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
