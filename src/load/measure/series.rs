//! A series: values in the order of time, each with a weight.

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedValue {
    /// The value.
    pub value: f64,
    /// The weight: the time or the number of samples from which the value was computed.
    pub weight: f64,
}

/// Returns the weighted mean of `series`. Not finite if all weights are 0.
pub fn mean(series: &[WeightedValue]) -> f64 {
    let weight: f64 = series.iter().map(|point| point.weight).sum();
    let sum: f64 = series.iter().map(|point| point.weight * point.value).sum();
    sum / weight
}

/// Returns the lag-1 correlation of `series`: 0 if neighbours are independent, 1 if they are equal. Returns 0 if all
/// values are equal.
///
/// A value counts by its weight: a short last batch would otherwise hide the correlation of all others.
pub fn lag1_correlation(series: &[WeightedValue]) -> f64 {
    let mean = mean(series);
    let deviation = |point: &WeightedValue| point.weight.sqrt() * (point.value - mean);
    let deviations: Vec<_> = series.iter().map(deviation).collect();
    correlation_of_neighbours(&[&deviations])
}

/// Returns the lag-1 correlation of deviations from the mean, where each of `parts` has a mean of its own.
pub fn correlation_of_neighbours(parts: &[&[f64]]) -> f64 {
    let pairs = parts.iter().flat_map(|part| part.windows(2));
    let covariance: f64 = pairs.map(|pair| pair[0] * pair[1]).sum();
    let all = parts.iter().copied().flatten();
    let variance: f64 = all.map(|deviation| deviation * deviation).sum();
    match variance > 0.0 {
        true => covariance / variance,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(f64, f64)]) -> Vec<WeightedValue> {
        let point = |&(value, weight): &(f64, f64)| WeightedValue { value, weight };
        points.iter().map(point).collect()
    }

    #[test]
    fn a_mean_counts_each_value_by_its_weight() {
        assert_eq!(mean(&series(&[(1.0, 3.0), (5.0, 1.0)])), 2.0);
    }

    #[test]
    fn neighbours_that_differ_have_a_negative_correlation_and_equal_ones_a_positive() {
        let up_and_down = series(&[(1.0, 1.0), (3.0, 1.0), (1.0, 1.0), (3.0, 1.0)]);
        assert_eq!(lag1_correlation(&up_and_down), -0.75);
        let step = series(&[(1.0, 1.0), (1.0, 1.0), (3.0, 1.0), (3.0, 1.0)]);
        assert_eq!(lag1_correlation(&step), 0.25);
        assert_eq!(lag1_correlation(&series(&[(2.0, 1.0), (2.0, 1.0)])), 0.0);
    }

    #[test]
    fn a_value_without_weight_does_not_change_the_correlation() {
        let step = [(1.0, 1.0), (1.0, 1.0), (3.0, 1.0), (3.0, 1.0)];
        let with_outlier = [&step[..], &[(1e9, 0.0)]].concat();
        assert_eq!(lag1_correlation(&series(&with_outlier)), 0.25);
    }
}
