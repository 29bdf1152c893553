//! Options of `bench` that are right one by one and wrong together.

use std::path::{self, PathBuf};

use mio_echo::load::Shard;

use super::outputs::OutputArgs;
use super::source::Sources;
use super::{BenchArgs, values};
use crate::cli::printable;

impl BenchArgs {
    pub fn refuse_contradictions(&self, shard: Option<Shard>) -> Result<(), String> {
        let shards = shard.map_or(1, |shard| shard.count);
        self.refuse_idle_shards(shards)?;
        self.refuse_idle_threads(shards)?;
        self.refuse_sizes_that_cannot_be()?;
        self.refuse_deep_churn()?;
        self.refuse_idle_arrival()?;
        self.refuse_foreign_sources()?;
        self.refuse_awaiting_no_greeting()?;
        refuse_one_file_twice(&self.outputs, self.hlog.as_ref())
    }

    fn refuse_idle_shards(&self, shards: usize) -> Result<(), String> {
        let expected = format!("expected at least one for each of {shards} shards");
        if self.connections < shards {
            let connections = self.connections;
            return Err(format!(
                "invalid value '{connections}' for '--connections': {expected}"
            ));
        }
        match self.count {
            Some(count) if count < shards as u64 => {
                Err(format!("invalid value '{count}' for '--count': {expected}"))
            }
            _ => Ok(()),
        }
    }

    fn refuse_idle_threads(&self, shards: usize) -> Result<(), String> {
        let (threads, fewest) = (self.threads, self.connections / shards);
        if threads > fewest {
            return Err(format!(
                "invalid value '{threads}' for '--threads': expected at most {fewest}, one a connection; \
                 -d {threads}s is the duration"
            ));
        }
        Ok(())
    }

    fn refuse_sizes_that_cannot_be(&self) -> Result<(), String> {
        let framing = self.framing;
        let possible = values::possible_sizes(framing);
        let wrong = [self.size.smallest(), self.size.largest()]
            .into_iter()
            .find(|size| !possible.contains(size));
        match wrong {
            None => Ok(()),
            Some(size) => Err(format!(
                "invalid value '{size}' for '--size': expected a message with {framing} from {} to {} bytes",
                possible.start(),
                possible.end()
            )),
        }
    }

    fn refuse_deep_churn(&self) -> Result<(), String> {
        match self.pipeline {
            Some(depth) if self.churn && depth > 1 => Err(format!(
                "invalid value '{depth}' for '--pipeline': expected 1 with --churn, a connection has one message"
            )),
            _ => Ok(()),
        }
    }

    fn refuse_idle_arrival(&self) -> Result<(), String> {
        match self.arrival {
            Some(arrival) if self.rate.is_none() => Err(format!(
                "invalid value '{arrival}' for '--arrival': expected with --rate only, a closed loop has no schedule"
            )),
            _ => Ok(()),
        }
    }

    fn refuse_awaiting_no_greeting(&self) -> Result<(), String> {
        match self.skip {
            Some(bytes @ 1..) if self.target.is_none() => Err(format!(
                "invalid value '{bytes}' for '--skip': expected with HOST:PORT only, a server of its own sends no greeting"
            )),
            _ => Ok(()),
        }
    }

    fn refuse_foreign_sources(&self) -> Result<(), String> {
        let Some(Sources(sources)) = &self.source else {
            return Ok(());
        };
        let foreign = sources
            .iter()
            .find(|source| (self.ipv4 && source.is_ipv6()) || (self.ipv6 && source.is_ipv4()));
        match foreign {
            Some(source) => Err(format!(
                "invalid value '{source}' for '--source': expected an address of the family of -4 or -6"
            )),
            None => Ok(()),
        }
    }
}

/// However its path is written; links are not followed.
pub fn refuse_one_file_twice(outputs: &OutputArgs, hlog: Option<&PathBuf>) -> Result<(), String> {
    let given = [outputs.output.as_ref(), outputs.hgrm.as_ref(), hlog];
    let mut files: Vec<_> = given
        .into_iter()
        .flatten()
        .map(|path| (path::absolute(path).ok(), path))
        .collect();
    files.sort();
    match files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!(
            "invalid value '{}' for an output: expected a file of its own for each of --output, --hgrm, --hlog",
            printable(&pair[0].1.to_string_lossy())
        )),
        None => Ok(()),
    }
}
