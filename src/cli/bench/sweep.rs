//! Parser of a sweep: `size=64,1k,16k`, `size=64..64k` (doubled) or `rate=10k..200k/10`.

use std::iter;

use mio_echo::load::Parameter;

use super::values::{parse_pipeline, parse_rate};
use crate::cli::values::{Words, count_in, one_of, parse_size};

/// A larger number is a typing error.
pub const MOST_CONNECTIONS: usize = 10_000_000;

/// Each value is a measurement whose report stays in memory until the end, about 0.3 MB.
const MOST_VALUES: usize = 100;

const PARAMETERS: Words<Parameter> = &[
    ("size", Parameter::Size),
    ("rate", Parameter::Rate),
    ("connections", Parameter::Connections),
    ("pipeline", Parameter::Pipeline),
];

/// A value of `--sweep`.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepArg {
    /// What the sweep varies.
    pub parameter: Parameter,
    /// The values, at least one.
    pub values: Vec<f64>,
}

/// Parses a name and its values.
pub fn parse_sweep(text: &str) -> Result<SweepArg, String> {
    let (name, values) = text.split_once('=').ok_or_else(expected)?;
    let parameter = one_of(PARAMETERS)(name).map_err(|_| expected())?;
    let values = parse_values(parameter, values)?;
    match values.len() {
        1..=MOST_VALUES => Ok(SweepArg { parameter, values }),
        _ => Err(expected()),
    }
}

fn expected() -> String {
    format!(
        "expected KEY=VALUES with 1 to {MOST_VALUES} values, such as size=64,1k,16k or size=64..64k (doubled) or \
         rate=10k..200k/10 (10 values); KEY size, rate, connections or pipeline"
    )
}

fn parse_values(parameter: Parameter, text: &str) -> Result<Vec<f64>, String> {
    let Some((from, to)) = text.split_once("..") else {
        return text
            .split(',')
            .map(|value| parse_value(parameter, value))
            .collect();
    };
    let (to, count) = match to.split_once('/') {
        None => (to, None),
        Some((to, count)) => (to, Some(count_in(2..=MOST_VALUES)(count)?)),
    };
    let (from, to) = (parse_value(parameter, from)?, parse_value(parameter, to)?);
    if from >= to {
        return Err(expected());
    }
    let mut values = match count {
        None => doubled(from, to),
        Some(count) => spaced(from, to, count),
    };
    match parameter {
        Parameter::Rate => {}
        Parameter::Size | Parameter::Connections | Parameter::Pipeline => {
            values.iter_mut().for_each(|value| *value = value.round());
            values.dedup();
        }
    }
    Ok(values)
}

/// Returns `from`, its doubles below `to`, and `to`.
fn doubled(from: f64, to: f64) -> Vec<f64> {
    let doubles = iter::successors(Some(from), |value| Some(value * 2.0));
    let below = doubles.take_while(|value| *value < to);
    below.chain([to]).collect()
}

/// Returns `count` values at equal distances, with `from` and `to` among them.
fn spaced(from: f64, to: f64, count: usize) -> Vec<f64> {
    let distance = (to - from) / (count - 1) as f64;
    let below = (0..count - 1).map(|index| from + distance * index as f64);
    below.chain([to]).collect()
}

fn parse_value(parameter: Parameter, text: &str) -> Result<f64, String> {
    let whole = match parameter {
        Parameter::Rate => return parse_rate(text),
        Parameter::Size => parse_size(text)?,
        Parameter::Connections => count_in(1..=MOST_CONNECTIONS)(text)?,
        Parameter::Pipeline => parse_pipeline(text)?,
    };
    Ok(whole as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sweep_is_a_list_or_a_range_that_is_doubled_or_divided() {
        for (text, parameter, values) in [
            (
                "size=64,1k,16k",
                Parameter::Size,
                &[64.0, 1024.0, 16_384.0][..],
            ),
            ("size=64", Parameter::Size, &[64.0]),
            (
                "size=64..512",
                Parameter::Size,
                &[64.0, 128.0, 256.0, 512.0],
            ),
            (
                "size=64..300",
                Parameter::Size,
                &[64.0, 128.0, 256.0, 300.0],
            ),
            ("rate=10k..40k/4", Parameter::Rate, &[1e4, 2e4, 3e4, 4e4]),
            ("rate=0.5,1", Parameter::Rate, &[0.5, 1.0]),
            ("connections=1..2/3", Parameter::Connections, &[1.0, 2.0]),
            ("pipeline=16,1", Parameter::Pipeline, &[16.0, 1.0]),
        ] {
            let values = values.to_vec();
            assert_eq!(
                parse_sweep(text),
                Ok(SweepArg { parameter, values }),
                "{text}"
            );
        }
    }

    #[test]
    fn other_text_is_refused_with_what_is_allowed() {
        for (text, why) in [
            ("", "KEY size, rate, connections or pipeline"),
            ("size", "KEY=VALUES"),
            ("threads=1,2", "KEY size, rate, connections or pipeline"),
            ("size=", "expected a size"),
            ("size=64,", "expected a size"),
            ("size=0..64", "expected a size"),
            ("size=64..64", "KEY=VALUES"),
            ("size=64..1", "KEY=VALUES"),
            ("size=64..1k/1", "expected a count from 2 to 100"),
            ("size=64..1k/101", "expected a count from 2 to 100"),
            ("rate=x", "expected a number per second"),
            ("pipeline=2048", "expected a count from 1 to 1024"),
        ] {
            let refusal = parse_sweep(text).expect_err(text);
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
        let many = vec!["1"; MOST_VALUES + 1].join(",");
        parse_sweep(&format!("size={many}")).expect_err("too many");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*", values in "[0-9.,/k]*") {
            let _ = (parse_sweep(&text), parse_sweep(&format!("rate={values}")));
        }
    }
}
