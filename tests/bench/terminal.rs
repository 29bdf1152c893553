//! A terminal: nothing is wider than the screen, and a wide screen is used.

use std::process::Command;
use std::thread;

use crate::bench::bench_against;
use crate::support::Server;
use crate::support::terminal::Terminal;

/// What a person with a terminal sees.
struct Screen {
    /// All that was written, with escape sequences.
    written: String,
    /// The lines and the states of the bar, without escape sequences.
    lines: Vec<String>,
}

impl Screen {
    /// Runs a measurement whose standard streams are a terminal of `columns` columns and a type that can redraw a line.
    /// Prints that `test` is skipped, and returns `None`, if there is no terminal.
    fn of(test: &str, columns: u16, change: impl FnOnce(&mut Command)) -> Option<Self> {
        let terminal = Terminal::open(test)?;
        terminal.set_columns(columns);
        let server = Server::start(&[]);
        let mut command = bench_against(server.address(), "-c 2 -d 3s -w 100ms -i 100ms");
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        change(&mut command);
        command.stdout(terminal.stream()).stderr(terminal.stream());
        let mut child = command.spawn().expect("bench");
        // The command has descriptors of the terminal, which would never end.
        drop(command);
        let reader = thread::spawn(|| terminal.read_to_end());
        assert!(child.wait().expect("bench").success());
        let written = reader.join().expect("the text");
        let plain = without_escape_sequences(&written);
        let lines = plain.split(['\r', '\n']).map(String::from).collect();
        Some(Self { written, lines })
    }

    /// Returns the last state of the bar that has all its figures.
    #[track_caller]
    fn bar(&self) -> &str {
        let mut bars = self.lines.iter().rev();
        let bar = bars.find(|line| line.starts_with('[') && line.contains("measured"));
        bar.expect("a bar")
    }

    #[track_caller]
    fn expect_within(&self, columns: usize) {
        for line in &self.lines {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
    }
}

/// Removes the sequences of ESC, `[`, parameters and a letter.
fn without_escape_sequences(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit() || ";?".contains(c));
        plain + rest.get(1..).unwrap_or_default()
    })
}

#[test]
fn at_80_columns_the_bar_and_the_report_fit_and_the_figures_are_complete() {
    let Some(screen) = Screen::of("80 columns", 80, |_| {}) else {
        return;
    };
    screen.expect_within(80);
    let bar = screen.bar();
    for part in ["/3.0 s", "messages/s", "p50", "p99"] {
        assert!(bar.contains(part), "{bar}");
    }
    assert!(
        screen
            .lines
            .iter()
            .any(|line| line.starts_with("Transfer/sec: "))
    );
}

#[test]
fn at_200_columns_the_bar_fills_the_line_and_draws_the_p99_of_each_interval() {
    let Some(screen) = Screen::of("200 columns", 200, |_| {}) else {
        return;
    };
    screen.expect_within(200);
    let bar = screen.bar();
    assert!(bar.chars().count() > 180, "{bar}");
    let (figures, drawing) = bar.split_once("p99 of each interval").expect("both");
    // On a busy machine an interval can have too few samples.
    assert!(drawing.contains('█') || figures.contains("p99 -"), "{bar}");
}

#[test]
fn at_40_columns_the_bar_is_cut_and_the_report_breaks_between_words() {
    let Some(screen) = Screen::of("40 columns", 40, |_| {}) else {
        return;
    };
    screen.expect_within(40);
    assert!(screen.bar().contains("measured"));
}

#[test]
fn no_color_and_a_dumb_terminal_get_plain_lines() {
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let Some(screen) = Screen::of(name, 80, |command| {
            command.env(name, value);
        }) else {
            return;
        };
        assert!(!screen.written.contains('\u{1b}'), "{name}");
        let text = screen.written.replace("\r\n", "\n");
        assert!(!text.contains('\r'), "{name}");
        assert!(text.contains("0.1 s  "), "{name}: {text}");
    }
}
