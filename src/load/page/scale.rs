//! Scales of plots: where a value lies in pixels, and which values have ticks.

/// Steps of ticks within a power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// Values that differ by this factor or more have a logarithmic scale.
const WIDE: f64 = 20.0;

/// A scale: it maps the values from `low` to `high` to pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Linear,
    Log,
}

impl Scale {
    /// Returns the linear scale that maps exactly `low` to `from` and `high` to `to`.
    pub fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            kind: Kind::Linear,
            low,
            high,
            from,
            to,
        }
    }

    /// Returns the logarithmic scale that maps exactly `low` to `from` and `high` to `to`. Both values are above 0.
    pub fn log((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let high = if high > low { high } else { low * 10.0 };
        Self {
            kind: Kind::Log,
            low,
            high,
            from,
            to,
        }
    }

    /// Returns a scale for amounts from `least` to `most`. It is logarithmic if they differ much, and else linear from 0. Its
    /// ends are round.
    pub fn of_amounts(least: f64, most: f64, pixels: (f64, f64)) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        match least > 0.0 && most / least >= WIDE {
            true => Self::log((round_down(least), round_up(most)), pixels),
            false => Self::linear((0.0, linear_end(most)), pixels),
        }
    }

    /// Returns the place of `value` in pixels. Values beyond the ends lie at the ends.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Returns true if equal distances are equal factors.
    pub fn is_log(&self) -> bool {
        self.kind == Kind::Log
    }

    /// Returns at most `most` round values, in ascending order, that divide the scale. `most` is at least 2.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linear => self.linear_ticks(most),
            Kind::Log => self.log_ticks(most),
        }
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        let step = round_up((self.high - self.low) / (most.max(2) - 1) as f64);
        let (first, last) = (
            (self.low / step).ceil(),
            (self.high / step * (1.0 + 1e-9)).floor(),
        );
        let count = (last - first) as usize + 1;
        (0..count).map(|n| (first + n as f64) * step).collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<f64> {
        let (low, high) = (self.low * (1.0 - 1e-9), self.high * (1.0 + 1e-9));
        let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
        let of_steps = |steps: &[f64]| -> Vec<f64> {
            let values = decades
                .clone()
                .flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
            values
                .filter(|value| (low..=high).contains(value))
                .collect()
        };
        for steps in [&STEPS[..], &STEPS[..1]] {
            let ticks = of_steps(steps);
            if (2..=most).contains(&ticks.len()) {
                return ticks;
            }
        }
        let powers = of_steps(&STEPS[..1]);
        let every = powers.len().div_ceil(most.max(2)).max(1);
        powers.into_iter().step_by(every).collect()
    }
}

/// Returns the end of a linear scale from 0 that shows `most`: a quarter of a power of ten steps further at most.
fn linear_end(most: f64) -> f64 {
    let step = round_up(most / 4.0);
    (most / step * (1.0 - 1e-9)).ceil() * step
}

/// Returns the largest of 1, 2 or 5 times a power of ten that is not above `value`.
fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = STEPS.iter().rev().map(|step| step * power);
    let mut fitting = steps.filter(|step| *step <= value * (1.0 + 1e-9));
    fitting.next().unwrap_or(power)
}

/// Returns the smallest of 1, 2 or 5 times a power of ten that is not below `value`.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let mut steps = STEPS.iter().map(|step| step * power);
    let fitting = steps.find(|step| *step >= value * (1.0 - 1e-9));
    fitting.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIXELS: (f64, f64) = (100.0, 0.0);

    #[test]
    fn amounts_that_differ_much_have_a_logarithmic_scale() {
        let scale = Scale::of_amounts(130.0, 301_000.0, PIXELS);
        assert!(scale.is_log());
        assert_eq!(scale.ticks(5), [100.0, 1e3, 1e4, 1e5]);
        let scale = Scale::of_amounts(130.0, 380.0, PIXELS);
        assert!(!scale.is_log());
        assert_eq!(scale.ticks(5), [0.0, 100.0, 200.0, 300.0, 400.0]);
        assert_eq!((scale.at(0.0), scale.at(400.0)), (100.0, 0.0));
    }

    proptest! {
        #[test]
        fn every_scale_has_a_few_ticks_inside(least in 1e-3..1e6, factor in 1.0..1e9_f64, most in 2..9_usize) {
            let (low, high) = (least, least * factor);
            let scale = Scale::of_amounts(low, high, PIXELS);
            let ticks = scale.ticks(most);
            prop_assert!((2..=most).contains(&ticks.len()), "{:?}", ticks);
            prop_assert!(ticks.is_sorted());
            for value in ticks.into_iter().chain([low, high]) {
                prop_assert!((scale.low * 0.999..=scale.high * 1.001).contains(&value), "{} {:?}", value, scale);
            }
            let lower = scale.at(low);
            prop_assert!((0.0..=100.0).contains(&lower) && scale.at(high) <= lower);
        }
    }
}
