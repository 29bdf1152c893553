//! What a measurement has to meet: `p99<1ms,p50<200us,errors<0.1%`.

use mio_echo::load::{Objective, Percentile, Slo};

use crate::cli::values::{duration, split_unit};

/// Objectives, separated by commas.
pub fn slo(text: &str) -> Result<Slo, String> {
    let objectives: Option<Vec<_>> = text.split(',').map(objective).collect();
    objectives.map(Slo).ok_or_else(|| {
        "expected NAME<LIMIT,.. such as p99<1ms,errors<0.1%; NAME p50, p90, p99, p99.9, p99.99, max, mean or errors".into()
    })
}

fn objective(text: &str) -> Option<Objective> {
    let (name, limit) = text.split_once('<')?;
    match name {
        "errors" => Some(Objective::Errors(share(limit)?)),
        "max" => Some(Objective::Max(positive(limit)?)),
        "mean" => Some(Objective::Mean(positive(limit)?)),
        name => {
            let percentile = Percentile::ALL
                .into_iter()
                .find(|percentile| percentile.name() == name)?;
            Some(Objective::Percentile(percentile, positive(limit)?))
        }
    }
}

/// Nothing is under 0.
fn positive(text: &str) -> Option<std::time::Duration> {
    duration(text).ok().filter(|limit| !limit.is_zero())
}

/// Of one, from a percentage. 0 % would be met never: nothing is under it.
fn share(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text);
    let percent: f64 = number.parse().ok()?;
    (unit == "%" && percent > 0.0 && percent <= 100.0).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objectives_are_percentiles_max_mean_and_errors() {
        let Slo(objectives) =
            slo("p99<1ms,p50<200us,p99.99<.5,max<2s,mean<1ns,errors<0.1%").expect("all");
        assert_eq!(
            objectives,
            [
                Objective::Percentile(Percentile::P99, Duration::from_millis(1)),
                Objective::Percentile(Percentile::P50, Duration::from_micros(200)),
                Objective::Percentile(Percentile::P9999, Duration::from_millis(500)),
                Objective::Max(Duration::from_secs(2)),
                Objective::Mean(Duration::from_nanos(1)),
                Objective::Errors(0.001),
            ]
        );
    }

    #[test]
    fn what_is_no_objective_is_refused() {
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
            let refusal = slo(text).expect_err(text);
            assert!(
                refusal.starts_with("expected NAME<LIMIT"),
                "{text}: {refusal}"
            );
        }
    }

    proptest! {
        #[test]
        fn an_objective_reads_as_it_is_printed(nanoseconds in 1..=3_600_000_000_000_u64, which in 0..Percentile::ALL.len()) {
            let limit = Duration::from_nanos(nanoseconds);
            let percentile = Percentile::ALL[which];
            let text = format!("{}<{nanoseconds}ns", percentile.name());
            prop_assert_eq!(slo(&text), Ok(Slo(vec![Objective::Percentile(percentile, limit)])));
        }

        #[test]
        fn no_text_upsets_the_parser(text in ".*") {
            let _ = slo(&text);
        }
    }
}
