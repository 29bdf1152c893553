//! Every interval's histograms as an HdrHistogram log, format 1.2: a line a row, tagged with its name.

use std::io::{self, Write};
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::load::measure::results::Interval;

/// The log gives maxima in milliseconds; histograms are in nanoseconds.
const MAX_DIVISOR: f64 = 1e6;

/// A log that grows with every interval.
pub struct Log<'a, W: Write> {
    log: IntervalLogWriter<'a, 'a, W, V2DeflateSerializer>,
}

impl<'a, W: Write> Log<'a, W> {
    /// A log to `output` of intervals that count from `began`.
    ///
    /// # Errors
    ///
    /// Those of `output`.
    pub fn begin(
        output: &'a mut W,
        serializer: &'a mut V2DeflateSerializer,
        began: SystemTime,
    ) -> io::Result<Self> {
        let log = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.2]")
            .with_start_time(began)
            .with_base_time(began)
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(output, serializer)?;
        Ok(Self { log })
    }

    /// Adds the rows of `interval`.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn write(&mut self, interval: &Interval) -> io::Result<()> {
        let Interval {
            start,
            length,
            tally,
        } = interval;
        for (name, row) in tally.rows() {
            self.log
                .write_histogram(&row.histogram, *start, *length, Tag::new(name))
                .map_err(|error| match error {
                    IntervalLogWriterError::IoError(error) => error,
                    IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
                })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::super::histogram::decode;
    use super::*;
    use crate::load::measure::metrics::Metrics;
    use crate::load::testing::interval;

    #[test]
    fn every_row_of_every_interval_can_be_read_again() {
        let intervals = [
            interval(),
            Interval {
                start: Duration::from_secs(1),
                length: Duration::from_millis(250),
                tally: Metrics::default(),
            },
        ];
        let began = UNIX_EPOCH + Duration::from_millis(1_800_000_000_500);
        let mut log = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut writer = Log::begin(&mut log, &mut serializer, began).expect("memory");
        for interval in &intervals {
            writer.write(interval).expect("memory");
        }
        let text = String::from_utf8(log.clone()).expect("text");
        assert!(
            text.starts_with(
                "#[Histogram log format version 1.2]\n\
             #[StartTime: 1800000000.500 (seconds since epoch)]\n\
             #[BaseTime: 1800000000.500 (seconds since epoch)]\n\
             #[MaxValueDivisor: 1000000.000]\n\
             Tag=response,0.000,1.000,0.300,"
            ),
            "{text}"
        );

        let mut entries = IntervalLogIterator::new(&log).map(|entry| entry.expect("an entry"));
        for _ in 0..2 {
            let time = Duration::from_millis(1_800_000_000_500);
            let entry = entries.next().expect("a header");
            assert!([LogEntry::StartTime(time), LogEntry::BaseTime(time)].contains(&entry));
        }
        for interval in &intervals {
            for (name, row) in interval.tally.rows() {
                let Some(LogEntry::Interval(entry)) = entries.next() else {
                    panic!("no line for {name}");
                };
                assert_eq!(entry.tag(), Tag::new(name));
                assert_eq!(
                    (entry.start_timestamp(), entry.duration()),
                    (interval.start, interval.length)
                );
                let read = decode(entry.encoded_histogram()).expect("a histogram");
                assert_eq!(read, row.histogram, "{name}");
            }
        }
        assert_eq!(entries.next(), None);
    }
}
