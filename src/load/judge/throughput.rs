//! How fast an open loop was, beside what it was to reach.

use std::time::Duration;

use crate::load::measure::metrics::Metrics;

/// An open loop has to achieve this share of its rate.
const ACHIEVED: f64 = 0.99;

/// As many standard deviations fewer may be due by chance where arrivals are random. Of `n` expected Poisson arrivals one
/// is the square root of `n`; three are exceeded downwards by one measurement in 741.
const CHANCE: f64 = 3.0;

/// How fast an open loop was, beside what it was to reach: messages a second.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    rate: f64,
    asked: f64,
    /// So many fewer there may be by chance.
    chance: f64,
}

/// The load that an open loop was to be.
#[derive(Clone, Copy, Debug)]
pub struct TargetRate {
    /// Messages a second.
    pub rate: f64,
    /// Whether they are due at random.
    pub is_random: bool,
    /// How many, if a number was given.
    pub messages: Option<u64>,
}

impl Throughput {
    /// Of a `window` in which `tally` was measured.
    pub fn of(asked: TargetRate, window: Duration, tally: &Metrics) -> Self {
        let TargetRate { rate, .. } = asked;
        let messages = tally.messages as f64;
        let seconds = match asked.messages {
            None => window.as_secs_f64(),
            Some(_) => (window.as_secs_f64() - until_first(tally)).max(messages / rate),
        };
        Self {
            rate: messages / seconds,
            asked: rate,
            chance: match asked.is_random {
                true => CHANCE * (rate / seconds).sqrt(),
                false => 0.0,
            },
        }
    }

    /// What was reached, as a share of what was asked; none where there was no time.
    pub fn share(&self) -> Option<f64> {
        Some(self.rate / self.asked).filter(|share| share.is_finite())
    }

    /// What is against one that was slower than asked.
    pub fn too_slow(&self) -> Option<String> {
        let Self {
            rate,
            asked,
            chance,
        } = *self;
        (rate < ACHIEVED * asked - chance).then(|| {
            let percent = percent_below(rate / asked);
            format!("achieved {percent} of the rate: {rate:.1} of {asked:.1} messages/s")
        })
    }
}

/// In seconds. Where a number of messages was asked for only they count, and before the first of them can be back there
/// is nothing to count: a server that is far away is not a slow one.
fn until_first(tally: &Metrics) -> f64 {
    Duration::from_nanos(tally.response.histogram.min()).as_secs_f64()
}

/// Rounded down, so that what is under a bound does not look as if it met it.
fn percent_below(share: f64) -> String {
    format!("{:.1} %", (share * 1000.0).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_achieved_than_a_number_of_messages_allows() {
        let asked = TargetRate {
            rate: 1.0,
            is_random: false,
            messages: Some(1),
        };
        let mut tally = Metrics::default();
        let share = |tally: &Metrics| Throughput::of(asked, Duration::from_secs(1), tally).share();
        assert_eq!(share(&tally), Some(0.0), "nothing came back");
        tally.messages = 1;
        tally.response.record(1_000_000_000);
        assert_eq!(share(&tally), Some(1.0));
    }
}
