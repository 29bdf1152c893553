//! Parser of objectives: `p99<1ms,p50<200us,errors<0.1%`.

use std::time::Duration;

use mio_echo::load::{Objective, Percentile, Slo};

use crate::cli::values::{Expected, parse_duration, split_unit};

/// Parses objectives, which are separated by commas.
pub fn parse_objectives(text: &str) -> Result<Slo, Expected> {
    let objectives: Option<Vec<_>> = text.split(',').map(parse_objective).collect();
    objectives.map(Slo).ok_or("expected NAME<LIMIT,.. such as p99<1ms,errors<0.1%; NAME p50, p90, p99, p99.9, p99.99, max, mean or errors")
}

fn parse_objective(text: &str) -> Option<Objective> {
    let (name, limit) = text.split_once('<')?;
    match name {
        "errors" => Some(Objective::Errors(parse_percent(limit)?)),
        "max" => Some(Objective::Max(parse_limit(limit)?)),
        "mean" => Some(Objective::Mean(parse_limit(limit)?)),
        name => {
            let percentile = Percentile::ALL
                .into_iter()
                .find(|percentile| percentile.name() == name)?;
            Some(Objective::Percentile(percentile, parse_limit(limit)?))
        }
    }
}

/// Parses a duration above 0: nothing is shorter than 0.
fn parse_limit(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|limit| !limit.is_zero())
}

/// Parses a percentage above 0 %: no share is less than 0 %.
fn parse_percent(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text);
    let percent: f64 = number.parse().ok()?;
    (unit == "%" && percent > 0.0 && percent <= 100.0).then_some(percent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objectives_are_percentiles_max_mean_and_errors() {
        let Slo(objectives) =
            parse_objectives("p99<1ms,p50<200us,p99.99<.5,max<2s,mean<1ns,errors<0.1%")
                .expect("all");
        assert_eq!(
            objectives,
            [
                Objective::Percentile(Percentile::P99, Duration::from_millis(1)),
                Objective::Percentile(Percentile::P50, Duration::from_micros(200)),
                Objective::Percentile(Percentile::P9999, Duration::from_millis(500)),
                Objective::Max(Duration::from_secs(2)),
                Objective::Mean(Duration::from_nanos(1)),
                Objective::Errors(0.1),
            ]
        );
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            ",",
            "p99",
            "p99<",
            "p99<0",
            "p99<1x",
            "p99>1ms",
            "p99<=1ms",
            "p98<1ms",
            "P99<1ms",
            "p99 <1ms",
            "<1ms",
            "p99<1ms,",
            "errors<1",
            "errors<0%",
            "errors<101%",
            "errors<%",
            "errors<-1%",
            "max<1%",
            "errors<1ms",
            "p99.9.9<1ms",
            "errors<1.2.3%",
        ] {
            let refusal = parse_objectives(text).expect_err(text);
            assert!(
                refusal.starts_with("expected NAME<LIMIT"),
                "{text}: {refusal}"
            );
        }
    }

    proptest! {
        #[test]
        fn an_objective_of_every_percentile_is_parsed(nanoseconds in 1..=3_600_000_000_000_u64, which in 0..Percentile::ALL.len()) {
            let limit = Duration::from_nanos(nanoseconds);
            let percentile = Percentile::ALL[which];
            let text = format!("{}<{nanoseconds}ns", percentile.name());
            prop_assert_eq!(parse_objectives(&text), Ok(Slo(vec![Objective::Percentile(percentile, limit)])));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse_objectives(&text);
        }
    }
}
