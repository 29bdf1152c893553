//! A list of CPUs.

use std::fmt;

/// The numbers of at least one CPU, in ascending order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(Vec<usize>);

impl CpuList {
    /// Returns the list of these CPUs; `None` if there are none.
    pub fn new(mut cpus: Vec<usize>) -> Option<Self> {
        cpus.sort_unstable();
        cpus.dedup();
        (!cpus.is_empty()).then_some(Self(cpus))
    }

    /// Returns the numbers of the CPUs.
    pub fn cpus(&self) -> &[usize] {
        &self.0
    }
}

/// Formats the list as it is typed: `0,2-3`.
impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.0.chunk_by(|a, b| a + 1 == *b);
        for (number, range) in ranges.enumerate() {
            let comma = if number > 0 { "," } else { "" };
            match range {
                [only] => write!(f, "{comma}{only}")?,
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_and_printed_as_ranges() {
        let text = |cpus: &[usize]| CpuList::new(cpus.to_vec()).map(|list| list.to_string());
        assert_eq!(text(&[]), None);
        assert_eq!(text(&[7]).as_deref(), Some("7"));
        assert_eq!(text(&[3, 0, 2, 3]).as_deref(), Some("0,2-3"));
        assert_eq!(text(&[0, 1, 2, 5, 7, 8]).as_deref(), Some("0-2,5,7-8"));
    }
}
