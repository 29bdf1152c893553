use proptest::prelude::*;

use super::*;

#[test]
fn a_duration_is_a_decimal_with_a_unit_and_seconds_without_one() {
    for (text, nanoseconds) in [
        ("0", 0),
        ("0h", 0),
        ("1ns", 1),
        ("1.000ns", 1),
        ("15us", 15_000),
        ("1.5ms", 1_500_000),
        (".5", 500_000_000),
        ("0.5", 500_000_000),
        ("2", 2_000_000_000),
        ("30s", 30_000_000_000),
        ("0.000000001", 1),
        (".5m", 30_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("1000000h", 3_600_000_000_000_000_000),
    ] {
        assert_eq!(
            parse_duration(text),
            Ok(Duration::from_nanos(nanoseconds)),
            "{text}"
        );
    }
}

#[test]
fn a_duration_with_a_fraction_of_a_nanosecond_or_out_of_range_is_refused() {
    for text in [
        "",
        ".",
        "5.",
        "s",
        "abc",
        "-1",
        "-1s",
        "+1",
        "1e3",
        "1_000",
        "1,5",
        "1.2.3",
        "5 s",
        " 5s",
        "5s ",
        "5S",
        "5min",
        "5d",
        "1h30m",
        "inf",
        "NaN",
        "٣s",
        "0.5ns",
        "1.0000000001",
        "1000001h",
        "18446744073709551616ns",
        "340282366920938463463374607431768211456",
        ".000000000000000000000000000000000000000000000000000001",
    ] {
        let refusal = parse_duration(text).expect_err(text);
        assert!(
            refusal.starts_with("expected a duration from 0"),
            "{refusal}"
        );
    }
}

#[test]
fn a_keepalive_is_0_or_an_idle_time_that_the_kernel_accepts() {
    for (text, seconds) in [("0", 0), ("1", 1), ("5m", 300), ("32767s", 32_767)] {
        assert_eq!(
            parse_keepalive(text),
            Ok(Duration::from_secs(seconds)),
            "{text}"
        );
    }
    for text in ["", "off", "-1", "1ms", "999ms", "32768s", "10h"] {
        parse_keepalive(text).expect_err(text);
    }
}

#[test]
fn a_count_is_a_whole_number_and_k_is_a_thousand() {
    for (text, number) in [
        ("1", 1),
        ("007", 7),
        ("50k", 50_000),
        ("50K", 50_000),
        ("2m", 2_000_000),
    ] {
        assert_eq!(count_in(1..=u32::MAX)(text), Ok(number), "{text}");
    }
}

#[test]
fn seed_s1_1_a_count_is_parsed_strictly() {
    for text in [
        "",
        "abc",
        "-1",
        "+1",
        "0",
        "1.5",
        "1.5k",
        "k",
        "10 ",
        "5kB",
        "0x10",
        "1e3",
        "4294967296",
        "5000m",
        "99999999999999999999",
        "18446744073709551615k",
    ] {
        let refusal = count_in(1..=u32::MAX)(text).expect_err(text);
        assert!(
            refusal.starts_with("expected a count from 1 to 4294967295"),
            "{refusal}"
        );
    }
}

#[test]
fn a_size_is_in_bytes_and_k_is_1024() {
    for (text, bytes) in [
        ("1", 1),
        ("64", 64),
        ("16k", 16 << 10),
        ("16K", 16 << 10),
        ("16kB", 16 << 10),
        ("16KiB", 16 << 10),
        ("1m", 1 << 20),
        ("1MB", 1 << 20),
        ("1MiB", 1 << 20),
        ("1g", 1 << 30),
        ("1GiB", 1 << 30),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in [
        "",
        "0",
        "0k",
        "abc",
        "-1",
        "+1",
        "1.5k",
        ".5",
        "k",
        "16 k",
        "16ki",
        "16bytes",
        "1t",
        "1025m",
        "2g",
        "17179869184g",
        "99999999999999999999",
    ] {
        let refusal = parse_size(text).expect_err(text);
        assert!(
            refusal.starts_with("expected a size from 1 to 1g bytes"),
            "{refusal}"
        );
    }
}

#[test]
fn memory_may_be_larger_than_any_buffer() {
    for (text, bytes) in [("1", 1), ("64m", 64 << 20), ("1g", 1 << 30)] {
        assert_eq!(parse_memory(text), Ok(bytes), "{text}");
    }
    for (text, bytes) in [("2g", 2_u64 << 30), ("1024GiB", 1 << 40)] {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        assert_eq!(parse_memory(text), Ok(bytes), "{text}");
    }
    for text in [
        "",
        "0",
        "0m",
        "-1",
        "1.5g",
        "unlimited",
        "1t",
        "1025g",
        "17179869184g",
    ] {
        let refusal = parse_memory(text).expect_err(text);
        assert!(
            refusal.starts_with("expected a size from 1 to 1024g bytes"),
            "{refusal}"
        );
    }
}

#[test]
fn a_banner_has_four_escapes_and_keeps_its_placeholders() {
    for (text, bytes) in [
        ("", ""),
        ("Welcome\\r\\n", "Welcome\r\n"),
        ("a\\tb\\\\n", "a\tb\\n"),
        ("{peer} {id} {other}", "{peer} {id} {other}"),
        ("grüß\n", "grüß\n"),
    ] {
        assert_eq!(parse_banner(text).as_deref(), Ok(bytes), "{text}");
    }
    for text in ["\\", "a\\", "\\q", "\\0", "\\x41", "\\N"] {
        parse_banner(text).expect_err(text);
    }
}

#[test]
fn a_banner_is_measured_after_unescaping() {
    assert_eq!(
        parse_banner(&"\\n".repeat(4096)).map(|banner| banner.len()),
        Ok(4096)
    );
    parse_banner(&"x".repeat(4097)).expect_err("one byte too many");
    parse_banner(&"ü".repeat(2049)).expect_err("the limit is in bytes, not in characters");
}

#[test]
fn words_are_matched_exactly() {
    let parse = one_of(BOOL);
    assert_eq!(["true", "1"].map(&parse), [Ok(true), Ok(true)]);
    assert_eq!(["false", "0"].map(&parse), [Ok(false), Ok(false)]);
    for text in ["", "yes", "2", "TRUE"] {
        let expected = "expected true or 1 or false or 0";
        assert_eq!(parse(text), Err(expected.into()), "{text}");
    }
}

proptest! {
    #[test]
    fn every_duration_can_be_written_in_seconds(nanoseconds in 0..=3_600_000_000_000_000_000_u64) {
        let text = format!("{}.{:09}s", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        prop_assert_eq!(parse_duration(&text), Ok(Duration::from_nanos(nanoseconds)));
    }

    #[test]
    fn every_count_and_size_can_be_written_plainly(number in 1..=1_u64 << 30) {
        prop_assert_eq!(count_in(1..=u64::MAX)(&number.to_string()), Ok(number));
        prop_assert_eq!(parse_size(&number.to_string()).map(|bytes| bytes as u64), Ok(number));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".*") {
        let _ = (parse_duration(&text), parse_keepalive(&text), count_in(1..=u32::MAX)(&text), parse_size(&text), parse_banner(&text));
    }
}
