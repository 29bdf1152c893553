//! Parser of a start time: RFC 3339, `@` and Unix time, or the next multiple of a duration.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::values::parse_duration;

/// The latest start, from now. A later one is a typing error, such as Unix time in milliseconds.
const LATEST: Duration = Duration::from_secs(366 * 24 * 3600);

const EXPECTED: &str = "expected RFC 3339 as in 2030-01-31T12:00:00Z, @ and Unix time, or next: and a duration as in next:60s";

/// Parses a time in the future.
pub fn parse_start_time(text: &str) -> Result<SystemTime, String> {
    parse_after(SystemTime::now(), text)
}

fn parse_after(now: SystemTime, text: &str) -> Result<SystemTime, String> {
    let start = parse_time(now, text).ok_or(EXPECTED)?;
    match start.duration_since(now) {
        Ok(ahead) if ahead <= LATEST => Ok(start),
        Ok(_) => Err("expected a time within a year from now".into()),
        Err(past) => {
            let ago = past.duration().as_secs_f64();
            Err(format!(
                "expected a time in the future, this was {ago:.1} s ago"
            ))
        }
    }
}

fn parse_time(now: SystemTime, text: &str) -> Option<SystemTime> {
    if let Some(unix) = text.strip_prefix('@') {
        return UNIX_EPOCH.checked_add(parse_seconds(unix)?);
    }
    if let Some(period) = text.strip_prefix("next:") {
        return next_multiple(now, parse_duration(period).ok()?);
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(SystemTime::from)
}

/// Parses a decimal number of seconds, without a unit.
fn parse_seconds(text: &str) -> Option<Duration> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    parse_duration(text).ok().filter(|_| is_plain)
}

/// Returns the next multiple of `period` since the epoch, so that processes on several hosts agree.
fn next_multiple(now: SystemTime, period: Duration) -> Option<SystemTime> {
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let next = now.checked_div(period.as_nanos())? + 1;
    let nanoseconds = next.checked_mul(period.as_nanos())?;
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2027-01-15T08:00:00Z, a whole minute.
    const NOW: u64 = 1_800_000_000;

    fn after_now(text: &str) -> Result<Duration, String> {
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let start = parse_after(now, text)?;
        Ok(start.duration_since(now).expect("not in the past"))
    }

    #[test]
    fn a_start_time_is_a_date_unix_time_or_the_next_multiple() {
        for (text, milliseconds) in [
            ("2027-01-15T08:00:01Z", 1_000),
            ("2027-01-15T08:00:00.5Z", 500),
            ("2027-01-15T10:30:00+02:00", 1_800_000),
            ("@1800000000", 0),
            ("@1800000001.25", 1_250),
            ("next:60s", 60_000),
            ("next:7", 6_000),
            ("next:1500ms", 1_500),
        ] {
            assert_eq!(
                after_now(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn other_text_and_times_in_the_past_are_refused() {
        for (text, why) in [
            ("", "expected RFC 3339"),
            ("now", "expected RFC 3339"),
            ("2027-01-15", "expected RFC 3339"),
            ("2027-01-15T08:00:00", "expected RFC 3339"),
            ("@", "expected RFC 3339"),
            ("@-1", "expected RFC 3339"),
            ("@1h", "expected RFC 3339"),
            ("@99999999999999999999", "expected RFC 3339"),
            ("next:", "expected RFC 3339"),
            ("next:0", "expected RFC 3339"),
            (
                "@1799999998.5",
                "expected a time in the future, this was 1.5 s ago",
            ),
            ("1999-12-31T23:59:59Z", "expected a time in the future"),
            ("@1900000000", "expected a time within a year"),
        ] {
            let refusal = after_now(text).expect_err(text);
            assert!(refusal.starts_with(why), "{text}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn processes_that_start_in_one_period_agree(late in 0..60_000_u64) {
            let now = UNIX_EPOCH + Duration::from_secs(NOW) + Duration::from_millis(late);
            let next = UNIX_EPOCH + Duration::from_secs(NOW + 60);
            prop_assert_eq!(parse_after(now, "next:60s"), Ok(next));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse_start_time(&text);
        }
    }
}
