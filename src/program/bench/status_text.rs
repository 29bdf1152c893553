//! The text beside the bar: the figures of the last intervals, in a long and a short form.

use std::collections::VecDeque;

use mio_echo::load::schema::LatencySummary;
use mio_echo::load::{Interval, IntervalSummary, Percentile};

/// The number of intervals whose p99 is drawn.
const INTERVALS_DRAWN: usize = 20;

/// The heights of a spark line, from low to high.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The figures of the last intervals.
#[derive(Debug, Default)]
pub struct Figures {
    /// The figures of the last interval, empty before the first one.
    last: StatusText,
    /// The p99 of the response of the last intervals in microseconds, oldest first; `None` for too few samples.
    p99: VecDeque<Option<f64>>,
}

/// The text beside a bar in two lengths. A terminal shows the longer text if it fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusText {
    /// The text for a wide terminal.
    pub full: String,
    /// The text for 80 columns.
    pub short: String,
}

impl Figures {
    /// Returns the figures as text that follows the time. The text is empty before the first interval.
    pub fn text(&self) -> &StatusText {
        &self.last
    }

    /// Adds the figures of the latest interval.
    pub fn add(&mut self, interval: &Interval) {
        let summary = IntervalSummary::of(interval);
        let rate = with_separators((summary.messages as f64 / summary.seconds) as u64);
        let length = match summary.seconds {
            1.0 => "second".into(),
            seconds => format!("{seconds:.1} s"),
        };
        let times = LatencySummary::of(&interval.response);
        let [p50, p99] = [Percentile::P50, Percentile::P99].map(|p| match times.percentile(p) {
            Some(time) if times.is_lower_bound(p) => format!(">{}", with_unit(time)),
            Some(time) => with_unit(time),
            None => "-".into(),
        });
        if self.p99.len() == INTERVALS_DRAWN {
            self.p99.pop_front();
        }
        self.p99.push_back(times.percentile(Percentile::P99));
        self.last = StatusText {
            full: format!(
                " · last {length}: {rate} messages/s, response p50 {p50}, p99 {p99} · p99 of each interval {}",
                spark_line(&self.p99)
            ),
            short: format!(" · {rate} messages/s · p50 {p50} · p99 {p99}"),
        };
    }
}

impl StatusText {
    /// Returns a text that is the same for each terminal.
    pub fn same(text: String) -> Self {
        Self {
            full: text.clone(),
            short: text,
        }
    }
}

/// Draws one character for each value, from 0 to the largest. A missing value is a space.
fn spark_line(values: &VecDeque<Option<f64>>) -> String {
    let largest = values.iter().flatten().copied().fold(0.0, f64::max);
    let draw = |value: f64| {
        let height = (value / largest * HEIGHTS.len() as f64) as usize;
        HEIGHTS[height.min(HEIGHTS.len() - 1)]
    };
    let marks = values.iter().map(|value| value.map_or(' ', draw));
    marks.collect()
}

fn with_unit(microseconds: f64) -> String {
    match microseconds {
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

/// Writes `number` with a comma before each group of three digits.
fn with_separators(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio_echo::load::{Counts, LatencyHistogram};

    use super::*;

    /// Returns an interval of a second with 1,000 messages whose response took `milliseconds`.
    fn interval(milliseconds: u64) -> Interval {
        let mut response = LatencyHistogram::default();
        for _ in 0..1_000 {
            response.record(milliseconds * 1_000_000);
        }
        Interval {
            start: Duration::ZERO,
            length: Duration::from_secs(1),
            response,
            counts: Counts {
                messages: 1_000,
                ..Counts::default()
            },
        }
    }

    #[test]
    fn a_wide_terminal_shows_the_p99_of_the_last_intervals() {
        let mut figures = Figures::default();
        let texts = (1..=INTERVALS_DRAWN as u64 + 8).map(|milliseconds| {
            figures.add(&interval(milliseconds));
            figures.text().full.clone()
        });
        let texts: Vec<_> = texts.collect();
        let start = " · last second: 1,000 messages/s, response p50 ";
        assert!(texts[0].starts_with(start), "{}", texts[0]);
        assert!(
            texts[0].ends_with(" · p99 of each interval █"),
            "{}",
            texts[0]
        );
        assert!(texts[3].ends_with(" ▃▅▇█"), "{}", texts[3]);
        let last = texts[27].rsplit(' ').next().expect("a spark line");
        assert_eq!(last.chars().count(), INTERVALS_DRAWN, "{last}");
    }

    #[test]
    fn an_interval_with_too_few_samples_leaves_a_gap() {
        let values = [Some(1.0), None, Some(8.0)].into();
        assert_eq!(spark_line(&values), "▂ █");
        assert_eq!(spark_line(&[None, None].into()), "  ");
    }

    #[test]
    fn numbers_are_written_with_units_and_separators() {
        assert_eq!(
            [716.2, 2_600.0, 1_500_000.0].map(with_unit),
            ["716 us", "2.6 ms", "1.5 s"]
        );
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(with_separators),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
