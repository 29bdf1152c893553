//! Parser of a shard: `I/N`, or `auto/N` in a Kubernetes Indexed Job.

use std::ffi::OsString;

use mio_echo::load::Shard;

use crate::cli::refusal::{escape_control, invalid_value};
use crate::cli::values::count_in;

/// A larger number is a typing error.
const MOST_SHARDS: usize = 65_536;

/// The variable that a Kubernetes Indexed Job sets in each of its pods.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// A value of `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardArg {
    /// The index. Without one, the environment decides.
    index: Option<usize>,
    count: usize,
}

/// Parses `I/N` or `auto/N`.
pub fn parse_shard(text: &str) -> Result<ShardArg, String> {
    parse(text).ok_or_else(|| {
        format!(
            "expected I/N or auto/N, I from 0 and less than N, N at most {MOST_SHARDS}, such as 0/4"
        )
    })
}

fn parse(text: &str) -> Option<ShardArg> {
    let (index, count) = text.split_once('/')?;
    let count = count_in(1..=MOST_SHARDS)(count).ok()?;
    let index = match index {
        "auto" => None,
        index => Some(count_in(0..=count - 1)(index).ok()?),
    };
    Some(ShardArg { index, count })
}

impl ShardArg {
    /// Returns the shard. If no index was typed, `variable` looks it up in the environment.
    ///
    /// # Errors
    ///
    /// When the variable is not set, or is not the index of a shard.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Shard, String> {
        let count = self.count;
        let index = match self.index {
            Some(index) => index,
            None => index_of_job(count, variable(INDEX_VARIABLE))?,
        };
        Ok(Shard { index, count })
    }
}

fn index_of_job(count: usize, value: Option<OsString>) -> Result<usize, String> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        let expected =
            format!("expected {INDEX_VARIABLE} to be set, as in a Kubernetes Indexed Job");
        return Err(invalid_value(format!("auto/{count}"), "--shard", &expected));
    };
    let value = value.to_string_lossy();
    count_in(0..=count - 1)(&value)
        .map_err(|expected| invalid_value(escape_control(&value), INDEX_VARIABLE, &expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, variable: Option<&str>) -> Result<(usize, usize), String> {
        let typed = parse_shard(text)?;
        let shard = typed.resolve(|name| {
            assert_eq!(name, "JOB_COMPLETION_INDEX");
            variable.map(OsString::from)
        })?;
        Ok((shard.index, shard.count))
    }

    #[test]
    fn a_shard_is_an_index_from_0_and_a_number_of_shards() {
        assert_eq!(resolved("0/1", None), Ok((0, 1)));
        assert_eq!(resolved("3/4", Some("ignored")), Ok((3, 4)));
        for text in [
            "", "1", "4/4", "/4", "1/", "0/0", "-1/4", "a/4", "auto", "auto/0", "1/2/3", "0/65537",
        ] {
            let refusal = resolved(text, None).expect_err(text);
            assert!(refusal.starts_with("expected I/N or auto/N"), "{refusal}");
        }
    }

    #[test]
    fn auto_reads_the_index_from_the_job() {
        assert_eq!(resolved("auto/4", Some("2")), Ok((2, 4)));
        for unset in [None, Some("")] {
            let refusal = resolved("auto/4", unset).expect_err("unset");
            assert!(
                refusal.contains("'auto/4' for '--shard': expected JOB_COMPLETION_INDEX to be set"),
                "{refusal}"
            );
        }
        for wrong in ["4", "x", "-1", "1\n"] {
            let refusal = resolved("auto/4", Some(wrong)).expect_err(wrong);
            assert!(
                refusal.contains("for 'JOB_COMPLETION_INDEX': expected a count from 0 to 3"),
                "{refusal}"
            );
            assert_eq!(refusal.lines().count(), 1);
        }
    }
}
