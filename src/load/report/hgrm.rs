//! A latency histogram in the text format of HdrHistogram's tools, in milliseconds. HdrHistogram's plotter reads it.

use std::io::{self, Write};

use hdrhistogram::Histogram;

use crate::load::measure::latency_histogram::LatencyHistogram;

/// The number of steps in each halving of the distance to 100 %, as in HdrHistogram's own tools.
const STEPS_PER_HALVING: u32 = 5;

const HEADER: &str = "         Value     Percentile TotalCount 1/(1-Percentile)\n";

const NANOSECONDS_PER_MILLISECOND: f64 = 1e6;

/// Writes the percentiles of `latencies` to `output`.
///
/// # Errors
///
/// When writing to `output` fails.
pub fn write(output: &mut dyn Write, latencies: &LatencyHistogram) -> io::Result<()> {
    let histogram = &latencies.histogram;
    let milliseconds = |nanoseconds: f64| nanoseconds / NANOSECONDS_PER_MILLISECOND;
    writeln!(output, "{HEADER}")?;
    let mut total = 0;
    for step in histogram.iter_quantiles(STEPS_PER_HALVING) {
        total += step.count_since_last_iteration();
        // The bucket of the histogram may reach beyond the longest time in it.
        let value = milliseconds(step.value_iterated_to().min(latencies.max) as f64);
        let quantile = step.quantile_iterated_to();
        let inverse = 1.0 / (1.0 - quantile);
        writeln!(
            output,
            "{value:14.6} {quantile:14.12} {total:10} {inverse:14.2}"
        )?;
    }
    let [mean, deviation] = [histogram.mean(), histogram.stdev()].map(milliseconds);
    let (max, count) = (milliseconds(latencies.max as f64), histogram.len());
    let (buckets, sub_buckets) = (histogram.buckets(), sub_buckets(histogram));
    write!(
        output,
        "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]\n\
         #[Max     = {max:12.6}, Total count    = {count:12}]\n\
         #[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]\n"
    )
}

/// Returns the number of values that the first bucket distinguishes.
fn sub_buckets(histogram: &Histogram<u64>) -> u32 {
    (2 * 10_u32.pow(histogram.sigfig().into())).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::closed_loop;

    fn written(latencies: &LatencyHistogram) -> String {
        let mut output = Vec::new();
        write(&mut output, latencies).expect("a Vec takes all bytes");
        String::from_utf8(output).expect("UTF-8")
    }

    #[test]
    fn the_format_is_that_of_hdr_histograms_own_tools() {
        let mut latencies = LatencyHistogram::default();
        (0..3).for_each(|_| latencies.record(1_000_000));
        latencies.record(2_500_000);
        assert_eq!(
            written(&latencies),
            "         Value     Percentile TotalCount 1/(1-Percentile)

      1.000447 0.000000000000          3           1.00
      1.000447 0.100000000000          3           1.11
      1.000447 0.200000000000          3           1.25
      1.000447 0.300000000000          3           1.43
      1.000447 0.400000000000          3           1.67
      1.000447 0.500000000000          3           2.00
      1.000447 0.550000000000          3           2.22
      1.000447 0.600000000000          3           2.50
      1.000447 0.650000000000          3           2.86
      1.000447 0.700000000000          3           3.33
      2.500000 0.750000000000          4           4.00
      2.500000 1.000000000000          4            inf
#[Mean    =     1.375040, StdDeviation   =     0.649256]
#[Max     =     2.500000, Total count    =            4]
#[Buckets =           32, SubBuckets     =         2048]
"
        );
    }

    #[test]
    fn each_line_has_four_columns_that_agree_with_the_histogram() {
        let latencies = &closed_loop().measurement.total.response;
        let text = written(latencies);
        let lines: Vec<_> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .collect();
        for line in &lines {
            let columns: Vec<f64> = line
                .split_whitespace()
                .map(|column| column.parse().expect("a number"))
                .collect();
            let [value, quantile, total, inverse] = columns[..] else {
                panic!("{line}");
            };
            let nanoseconds = (value * 1e6).round() as u64;
            let expected = latencies.histogram.count_between(0, nanoseconds);
            assert_eq!(total as u64, expected, "{line}");
            assert!(total >= quantile * 2_000.0 && inverse >= 1.0, "{line}");
        }
        assert!(lines.last().expect("a line").ends_with(" inf"));
    }

    #[test]
    fn an_empty_histogram_is_written_without_nan() {
        let text = written(&LatencyHistogram::default());
        assert!(text.contains("Total count    =            0]"), "{text}");
        assert!(!text.contains("NaN"), "{text}");
    }
}
