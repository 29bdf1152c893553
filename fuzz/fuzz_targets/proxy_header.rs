//! The decoder of PROXY headers panics on no input. It decides with the first byte that allows a decision, and bytes that
//! come later do not change what it has found.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mio_echo::net::proxy::{LONGEST_HEADER, decode};

fuzz_target!(|stream: &[u8]| {
    for length in 0..=stream.len() {
        let decision = decode(&stream[..length]);
        if decision == Ok(None) {
            assert!(length < LONGEST_HEADER, "a header without an end");
            continue;
        }
        if let Ok(Some(header)) = decision {
            assert_eq!(header.length, length, "the header ends with this byte");
        }
        assert_eq!(decode(stream), decision);
        return;
    }
});
