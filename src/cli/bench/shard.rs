//! Which part of a load this process is: `I/N`, or `auto/N` in a Kubernetes Indexed Job.

use std::ffi::OsString;

use mio_echo::load::Shard;

use crate::cli::values::count;

/// More processes than this is a slip of the finger.
const MOST_SHARDS: usize = 65_536;

/// What a Kubernetes Indexed Job tells each of its pods.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// One value of `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedShard {
    /// None: the environment says.
    index: Option<usize>,
    count: usize,
}

/// `I/N` or `auto/N`.
pub fn shard(text: &str) -> Result<TypedShard, String> {
    typed(text).ok_or_else(|| {
        format!("expected I/N or auto/N, I from 0 and under N, N to {MOST_SHARDS}, such as 0/4")
    })
}

fn typed(text: &str) -> Option<TypedShard> {
    let (index, of) = text.split_once('/')?;
    let of = count(1..=MOST_SHARDS)(of).ok()?;
    let index = match index {
        "auto" => None,
        index => Some(count(0..=of - 1)(index).ok()?),
    };
    Some(TypedShard { index, count: of })
}

impl TypedShard {
    /// With the number that `variable`, the environment, holds where none was typed.
    ///
    /// # Errors
    ///
    /// When there is no such variable, or it holds no number of a shard.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Shard, String> {
        let index = match self.index {
            Some(index) => index,
            None => self.index_of_job(variable(INDEX_VARIABLE))?,
        };
        Ok(Shard {
            index,
            count: self.count,
        })
    }

    fn index_of_job(self, value: Option<OsString>) -> Result<usize, String> {
        let of = self.count;
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(format!(
                "invalid value 'auto/{of}' for '--shard': expected {INDEX_VARIABLE} to be set, as in a Kubernetes Indexed Job"
            ));
        };
        let value = value.to_string_lossy();
        count(0..=of - 1)(&value).map_err(|expected| {
            let value = crate::cli::printable(&value);
            format!("invalid value '{value}' for '{INDEX_VARIABLE}': {expected}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, variable: Option<&str>) -> Result<(usize, usize), String> {
        let typed = shard(text)?;
        let shard = typed.resolve(|name| {
            assert_eq!(name, "JOB_COMPLETION_INDEX");
            variable.map(OsString::from)
        })?;
        Ok((shard.index, shard.count))
    }

    #[test]
    fn a_shard_is_a_number_from_0_of_so_many() {
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
    fn auto_is_what_the_job_says() {
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
