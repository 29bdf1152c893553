//! Parser of lists of CPUs: `0,2-3`.

use mio_echo::load::CpuList;

use crate::cli::values::Expected;

/// A larger number is a typing error: no system has more CPUs.
const LAST_CPU: usize = 65_535;

/// Parses numbers of CPUs and ranges of them, which are separated by commas.
pub fn parse_cpus(text: &str) -> Result<CpuList, Expected> {
    let ranges: Option<Vec<_>> = text.split(',').map(parse_range).collect();
    let cpus = ranges.map(|ranges| ranges.into_iter().flatten().collect());
    cpus.and_then(CpuList::new)
        .ok_or("expected numbers of CPUs from 0 to 65535, such as 0 or 0,2-3")
}

fn parse_range(text: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_cpu(first)?, parse_cpu(last)?);
    (first <= last).then_some(first..=last)
}

fn parse_cpu(text: &str) -> Option<usize> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let cpu = text.parse().ok().filter(|_| is_number)?;
    (cpu <= LAST_CPU).then_some(cpu)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_has_numbers_and_ranges() {
        for (text, cpus) in [
            ("0", vec![0]),
            ("0,2-3", vec![0, 2, 3]),
            ("3,1-2,1", vec![1, 2, 3]),
            ("5-5", vec![5]),
            ("65535", vec![65_535]),
        ] {
            assert_eq!(parse_cpus(text).ok(), CpuList::new(cpus), "{text}");
        }
        for text in [
            "",
            ",",
            "0,",
            "-1",
            "1-",
            "3-2",
            "1-2-3",
            "+1",
            "a",
            "0 1",
            "65536",
            "0-99999999999",
        ] {
            parse_cpus(text).expect_err(text);
        }
    }

    proptest! {
        #[test]
        fn a_printed_list_is_parsed_again(cpus in proptest::collection::vec(0..=LAST_CPU, 1..20)) {
            let list = CpuList::new(cpus).expect("at least one CPU");
            prop_assert_eq!(parse_cpus(&list.to_string()), Ok(list));
        }
    }
}
