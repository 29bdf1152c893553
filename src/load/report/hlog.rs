//! The response times of each interval as an HdrHistogram log, format 1.2: one line per interval, with a tag.

use std::io::{self, Write};
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::load::measure::interval::Interval;

/// The nanoseconds in a millisecond: the log gives maxima in milliseconds, and the histograms are in nanoseconds.
const MAX_DIVISOR: f64 = 1e6;

/// The tag of the lines.
const RESPONSE: &str = "response";

/// An HdrHistogram log that grows with each interval.
pub struct IntervalLog<'a, W: Write> {
    log: IntervalLogWriter<'a, 'a, W, V2DeflateSerializer>,
}

impl<'a, W: Write> IntervalLog<'a, W> {
    /// Starts a log to `output`. The starts of its intervals count from `began`.
    ///
    /// # Errors
    ///
    /// When writing to `output` fails.
    pub fn start(
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

    /// Adds the response times of `interval`.
    ///
    /// # Errors
    ///
    /// When writing to the output fails.
    pub fn write(&mut self, interval: &Interval) -> io::Result<()> {
        let response = &interval.response.histogram;
        self.log
            .write_histogram(
                response,
                interval.start,
                interval.length,
                Tag::new(RESPONSE),
            )
            .map_err(|error| match error {
                IntervalLogWriterError::IoError(error) => error,
                IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
            })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::super::histogram::decode;
    use super::*;
    use crate::load::measure::latency_histogram::LatencyHistogram;
    use crate::load::measure::metrics::Counts;
    use crate::load::testing::interval;

    #[test]
    fn the_histogram_of_each_interval_can_be_read_again() {
        let intervals = [
            interval(),
            Interval {
                start: Duration::from_secs(1),
                length: Duration::from_millis(250),
                response: LatencyHistogram::default(),
                counts: Counts::default(),
            },
        ];
        let began = UNIX_EPOCH + Duration::from_millis(1_800_000_000_500);
        let mut log = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut writer =
            IntervalLog::start(&mut log, &mut serializer, began).expect("a Vec takes all bytes");
        for interval in &intervals {
            writer.write(interval).expect("a Vec takes all bytes");
        }
        let text = String::from_utf8(log.clone()).expect("UTF-8");
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
            let Some(LogEntry::Interval(entry)) = entries.next() else {
                panic!("no line");
            };
            assert_eq!(entry.tag(), Tag::new(RESPONSE));
            assert_eq!(
                (entry.start_timestamp(), entry.duration()),
                (interval.start, interval.length)
            );
            let read = decode(entry.encoded_histogram()).expect("a histogram");
            assert_eq!(read, interval.response.histogram);
        }
        assert_eq!(entries.next(), None);
    }
}
