//! Histograms as text: base64 of HdrHistogram's V2 encoding with DEFLATE.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::load::measure::latency_histogram::LatencyHistogram;

/// Returns `histogram` as text.
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("the encoding holds all counts, and a Vec takes all bytes");
    STANDARD.encode(bytes)
}

/// Returns the histogram that `text` holds, with the bounds of a [`LatencyHistogram`].
///
/// # Errors
///
/// When `text` holds no histogram, or one with times beyond these bounds.
pub fn decode(text: &str) -> Result<Histogram<u64>, Box<dyn Error>> {
    let bytes = STANDARD.decode(text)?;
    let decoded: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..])?;
    let mut histogram = LatencyHistogram::default().histogram;
    histogram.add(decoded)?;
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::measure::latency_histogram::LONGEST;

    proptest! {
        #[test]
        fn a_decoded_histogram_equals_the_encoded_one(times in prop::collection::vec(0..=2 * LONGEST, 0..50)) {
            let mut latencies = LatencyHistogram::default();
            times.into_iter().for_each(|time| latencies.record(time));
            let decoded = decode(&encode(&latencies.histogram)).expect("a histogram");
            prop_assert_eq!(decoded, latencies.histogram);
        }

        #[test]
        fn decoding_never_panics(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (decode(&text), decode(&STANDARD.encode(bytes)));
        }
    }
}
