//! Parser of a shard: `I/N`, or `auto` and `auto/N` for what a launcher says in the environment.

use std::ffi::OsString;

use mio_echo::load::{Launcher, Shard};

use crate::cli::refusal::{escape_control, invalid_value};
use crate::cli::values::count_in;

/// A larger number is a typing error.
const MOST_SHARDS: usize = 65_536;

/// A value of `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardArg {
    /// `I/N`.
    Typed { index: usize, count: usize },
    /// `auto`, or `auto/N` with the number of shards.
    Auto { count: Option<usize> },
}

/// Parses `I/N`, `auto` or `auto/N`.
pub fn parse_shard(text: &str) -> Result<ShardArg, String> {
    parse(text).ok_or_else(|| {
        format!(
            "expected I/N, auto or auto/N, I from 0 and less than N, N at most {MOST_SHARDS}, such as 0/4"
        )
    })
}

fn parse(text: &str) -> Option<ShardArg> {
    let number_of_shards = |text: &str| count_in(1..=MOST_SHARDS)(text).ok();
    match text.split_once('/') {
        None => (text == "auto").then_some(ShardArg::Auto { count: None }),
        Some(("auto", count)) => Some(ShardArg::Auto {
            count: Some(number_of_shards(count)?),
        }),
        Some((index, count)) => {
            let count = number_of_shards(count)?;
            let index = count_in(0..=count - 1)(index).ok()?;
            Some(ShardArg::Typed { index, count })
        }
    }
}

impl ShardArg {
    /// Returns the shard. `variable` looks up what a launcher says in the environment.
    ///
    /// # Errors
    ///
    /// When no launcher says which shard this is, or when what it says is not a shard, or not one of the typed number.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Shard, String> {
        let set = |name: &str| {
            let value = variable(name)?.to_string_lossy().into_owned();
            (!value.is_empty()).then_some(value)
        };
        match self {
            Self::Typed { index, count } => Ok(Shard {
                index,
                count,
                launcher: None,
            }),
            Self::Auto { count } => Environment(&set).shard(count),
        }
    }
}

/// The environment: it returns the value of a variable that is set.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// Returns the shard that the innermost launcher names, one of `typed` shards.
    fn shard(&self, typed: Option<usize>) -> Result<Shard, String> {
        let option = typed.map_or("auto".into(), |typed| format!("auto/{typed}"));
        let refused = |expected: String| Err(invalid_value(&option, "--shard", &expected));
        let mut launchers = Launcher::ALL.into_iter();
        let Some(launcher) = launchers.find(|launcher| self.has_started(*launcher)) else {
            return refused(format!("expected one of {} to be set", names()));
        };
        let index_variable = launcher.index_variable();
        let count = match (self.count(launcher)?, typed) {
            (Some((name, count)), Some(typed)) if count != typed => {
                return refused(format!("expected auto/{count}, because {name} is {count}"));
            }
            (Some((_, count)), _) | (None, Some(count)) => count,
            (None, None) => {
                return refused(format!(
                    "expected auto/N, because {index_variable} is set, which does not tell the number of shards"
                ));
            }
        };
        let index = self.index(launcher)?.filter(|index| *index < count);
        let Some(index) = index else {
            let value = (self.0)(index_variable).unwrap_or_default();
            let expected = format!("expected one of {count} shards");
            return Err(invalid_value(
                escape_control(&value),
                index_variable,
                &expected,
            ));
        };
        Ok(Shard {
            index,
            count,
            launcher: Some(launcher),
        })
    }

    /// Returns true if `launcher` has started this process. A job of Slurm with one task may be one of a job array.
    fn has_started(&self, launcher: Launcher) -> bool {
        let has_index = (self.0)(launcher.index_variable()).is_some();
        match launcher {
            Launcher::SlurmTask => has_index && (self.0)("SLURM_NTASKS").is_some_and(|n| n != "1"),
            Launcher::OpenMpi
            | Launcher::Pmi
            | Launcher::SlurmArray
            | Launcher::AwsBatch
            | Launcher::Kubernetes
            | Launcher::Parallel => has_index,
        }
    }

    /// Returns the number of shards that the launcher tells, with the name of its variable.
    fn count(&self, launcher: Launcher) -> Result<Option<(&'static str, usize)>, String> {
        let name = match launcher {
            Launcher::OpenMpi => "OMPI_COMM_WORLD_SIZE",
            Launcher::Pmi => "PMI_SIZE",
            Launcher::SlurmTask => "SLURM_NTASKS",
            Launcher::SlurmArray => "SLURM_ARRAY_TASK_COUNT",
            Launcher::AwsBatch => "AWS_BATCH_JOB_ARRAY_SIZE",
            Launcher::Kubernetes | Launcher::Parallel => return Ok(None),
        };
        let count = self.number(name)?;
        match (1..=MOST_SHARDS).contains(&count) {
            true => Ok(Some((name, count))),
            false => {
                let expected = format!("expected 1 to {MOST_SHARDS} shards");
                Err(invalid_value(count, name, &expected))
            }
        }
    }

    /// Returns the number of the shard, from 0; `None` if the launcher numbers its processes in another way.
    fn index(&self, launcher: Launcher) -> Result<Option<usize>, String> {
        let number = self.number(launcher.index_variable())?;
        Ok(match launcher {
            Launcher::OpenMpi
            | Launcher::Pmi
            | Launcher::SlurmTask
            | Launcher::AwsBatch
            | Launcher::Kubernetes => Some(number),
            // Numbered from 1.
            Launcher::Parallel => number.checked_sub(1),
            // A list such as 1,5,7 has no step that fits.
            Launcher::SlurmArray => {
                let first = self.number("SLURM_ARRAY_TASK_MIN")?;
                let step = self.number("SLURM_ARRAY_TASK_STEP")?;
                let distance = number.checked_sub(first);
                let distance = distance.filter(|distance| distance.checked_rem(step) == Some(0));
                distance.map(|distance| distance / step)
            }
        })
    }

    fn number(&self, name: &str) -> Result<usize, String> {
        let value = (self.0)(name).unwrap_or_default();
        let number = value.parse::<usize>();
        number.map_err(|_| invalid_value(escape_control(&value), name, "expected a number"))
    }
}

/// Returns the names of the variables that are looked for, as a list in words.
fn names() -> String {
    let names = Launcher::ALL.map(|launcher| match launcher {
        Launcher::SlurmTask => "SLURM_PROCID with SLURM_NTASKS over 1",
        Launcher::OpenMpi
        | Launcher::Pmi
        | Launcher::SlurmArray
        | Launcher::AwsBatch
        | Launcher::Kubernetes
        | Launcher::Parallel => launcher.index_variable(),
    });
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resolves `text` with `variables`, such as `PMI_RANK=1 PMI_SIZE=4`, to `I/N` and the launcher.
    fn resolved(text: &str, variables: &str) -> Result<(String, Option<Launcher>), String> {
        let set = |name: &str| {
            let mut pairs = variables.split(' ').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(set, _)| *set == name)
                .map(|(_, value)| value.into())
        };
        let shard = parse_shard(text)?.resolve(set)?;
        Ok((format!("{}/{}", shard.index, shard.count), shard.launcher))
    }

    #[track_caller]
    fn assert_refused(text: &str, variables: &str, expected: &str) {
        let refusal = resolved(text, variables).expect_err(variables);
        assert!(refusal.contains(expected), "{variables}: {refusal}");
        assert_eq!(refusal.lines().count(), 1);
    }

    #[test]
    fn a_shard_is_an_index_from_0_and_a_number_of_shards() {
        assert_eq!(resolved("0/1", ""), Ok(("0/1".into(), None)));
        assert_eq!(resolved("3/4", "PMI_RANK=0"), Ok(("3/4".into(), None)));
        for text in [
            "",
            "1",
            "4/4",
            "/4",
            "1/",
            "0/0",
            "-1/4",
            "a/4",
            "auto/",
            "auto/0",
            "automatic",
            "1/2/3",
            "0/65537",
        ] {
            assert_refused(text, "", "expected I/N, auto or auto/N");
        }
    }

    #[test]
    fn each_launcher_tells_the_shard_in_its_own_variables() {
        use Launcher::{AwsBatch, Kubernetes, OpenMpi, Parallel, Pmi, SlurmArray, SlurmTask};
        for (text, variables, shard, launcher) in [
            (
                "auto",
                "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4",
                "2/4",
                OpenMpi,
            ),
            ("auto", "PMI_RANK=0 PMI_SIZE=1", "0/1", Pmi),
            ("auto", "SLURM_PROCID=3 SLURM_NTASKS=4", "3/4", SlurmTask),
            (
                "auto",
                "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_COUNT=5 SLURM_ARRAY_TASK_STEP=2",
                "2/5",
                SlurmArray,
            ),
            (
                "auto",
                "AWS_BATCH_JOB_ARRAY_INDEX=9 AWS_BATCH_JOB_ARRAY_SIZE=10",
                "9/10",
                AwsBatch,
            ),
            ("auto/4", "JOB_COMPLETION_INDEX=2", "2/4", Kubernetes),
            ("auto/4", "PARALLEL_SEQ=4", "3/4", Parallel),
            ("auto/4", "PMI_RANK=1 PMI_SIZE=4", "1/4", Pmi),
        ] {
            let expected = Ok((shard.into(), Some(launcher)));
            assert_eq!(resolved(text, variables), expected, "{variables}");
        }
    }

    #[test]
    fn the_innermost_launcher_wins() {
        let array = "SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_STEP=1";
        let task = "SLURM_PROCID=0 SLURM_NTASKS=1";
        let mpi = "OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=8";
        for (variables, shard) in [
            (format!("{array} {task}"), "1/2"),
            (format!("{array} SLURM_PROCID=2 SLURM_NTASKS=4"), "2/4"),
            (
                format!("{array} SLURM_PROCID=2 SLURM_NTASKS=4 {mpi}"),
                "3/8",
            ),
            (format!("{array} PMI_RANK= PMI_SIZE="), "1/2"),
        ] {
            let (got, _) = resolved("auto", &variables).expect("a shard");
            assert_eq!(got, shard, "{variables}");
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for name in ["OMPI_COMM_WORLD_RANK", "SLURM_PROCID with", "PARALLEL_SEQ"] {
            assert_refused("auto", "SLURM_PROCID=0 SLURM_NTASKS=1", name);
        }
        for (text, variables, expected) in [
            (
                "auto",
                "JOB_COMPLETION_INDEX=1",
                "'auto' for '--shard': expected auto/N",
            ),
            ("auto", "PARALLEL_SEQ=1", "because PARALLEL_SEQ is set"),
            (
                "auto/3",
                "PMI_RANK=1 PMI_SIZE=4",
                "expected auto/4, because PMI_SIZE is 4",
            ),
            (
                "auto",
                "PMI_RANK=4 PMI_SIZE=4",
                "'4' for 'PMI_RANK': expected one of 4 shards",
            ),
            ("auto", "PMI_RANK=0", "'' for 'PMI_SIZE': expected a number"),
            (
                "auto",
                "PMI_RANK=-1 PMI_SIZE=4",
                "'-1' for 'PMI_RANK': expected a number",
            ),
            ("auto", "PMI_RANK=1\n PMI_SIZE=4", r"'1\n' for 'PMI_RANK'"),
            (
                "auto",
                "PMI_RANK=0 PMI_SIZE=0",
                "'0' for 'PMI_SIZE': expected 1 to 65536 shards",
            ),
            (
                "auto/4",
                "PARALLEL_SEQ=0",
                "'0' for 'PARALLEL_SEQ': expected one of 4 shards",
            ),
            (
                "auto",
                "SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_STEP=3",
                "'5' for 'SLURM_ARRAY_TASK_ID': expected one of 3 shards",
            ),
        ] {
            assert_refused(text, variables, expected);
        }
    }
}
