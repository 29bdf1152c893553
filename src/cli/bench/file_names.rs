//! The names of output files that hold `{shard}`, `{shards}` or `{host}`: one command line serves all shards of a load.

use std::path::PathBuf;

use mio_echo::load::Shard;
use sysinfo::System;

use crate::cli::refusal::{escape_control, invalid_value};

/// Replaces `{shard}` by the number of the shard, `{shards}` by the number of shards, and `{host}` by the name of this machine,
/// in the path of `option`.
///
/// # Errors
///
/// When the value does not exist.
pub fn expand(
    path: &mut Option<PathBuf>,
    option: &str,
    shard: Option<Shard>,
) -> Result<(), String> {
    let Some(text) = path.as_ref().and_then(|path| path.to_str()) else {
        return Ok(());
    };
    let mut expanded = text.to_owned();
    for (placeholder, value, without) in [
        (
            "{shard}",
            shard.map(|shard| shard.index.to_string()),
            "--shard is not set",
        ),
        (
            "{shards}",
            shard.map(|shard| shard.count.to_string()),
            "--shard is not set",
        ),
        (
            "{host}",
            System::host_name(),
            "the system does not tell its name",
        ),
    ] {
        if !expanded.contains(placeholder) {
            continue;
        }
        let Some(value) = value else {
            let expected = format!("expected no {placeholder}, because {without}");
            return Err(invalid_value(escape_control(text), option, &expected));
        };
        expanded = expanded.replace(placeholder, &value);
    }
    *path = Some(expanded.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, shard: Option<Shard>) -> Result<String, String> {
        let mut path = Some(PathBuf::from(text));
        expand(&mut path, "--output", shard)?;
        Ok(path.expect("a path").display().to_string())
    }

    #[test]
    fn placeholders_become_the_shard_and_the_host() {
        let shard = Some(Shard {
            index: 3,
            count: 16,
            launcher: None,
        });
        assert_eq!(
            expanded("a/run-{shard}of{shards}-{shard}.json", shard),
            Ok("a/run-3of16-3.json".into())
        );
        assert_eq!(
            expanded("{other}{}.json", None),
            Ok("{other}{}.json".into())
        );
        let host = System::host_name().expect("a name");
        assert_eq!(expanded("{host}.json", None), Ok(format!("{host}.json")));
        assert_eq!(
            expanded("{shard}.json", None),
            Err("invalid value '{shard}.json' for '--output': expected no {shard}, because --shard is not set".into())
        );
    }
}
