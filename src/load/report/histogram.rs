//! Histograms as text: base64 of HdrHistogram's V2 encoding with DEFLATE.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::load::measure::metrics::LatencyHistogram;

/// The text of `histogram`.
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a histogram of our bounds, and memory to write it to");
    STANDARD.encode(bytes)
}

/// The histogram that `text` holds, with the bounds of a [`LatencyHistogram`].
///
/// # Errors
///
/// When there is none, or one with times that a row cannot hold.
pub fn decode(text: &str) -> Result<Histogram<u64>, Box<dyn Error>> {
    let bytes = STANDARD.decode(text)?;
    let typed: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..])?;
    let mut histogram = LatencyHistogram::default().histogram;
    histogram.add(typed)?;
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::measure::metrics::LONGEST;

    proptest! {
        #[test]
        fn a_histogram_reads_as_it_was_written(times in prop::collection::vec(0..=2 * LONGEST, 0..50)) {
            let mut row = LatencyHistogram::default();
            times.into_iter().for_each(|time| row.record(time));
            let read = decode(&encode(&row.histogram)).expect("what was written");
            prop_assert_eq!(read, row.histogram);
        }

        #[test]
        fn no_text_upsets_the_reader(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (decode(&text), decode(&STANDARD.encode(bytes)));
        }
    }
}
