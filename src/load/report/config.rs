//! What was asked for, as reports give it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::load::measure::results::Results;
use crate::load::plan::settings::{Load, RunSettings, Target};
use crate::load::units::{counted, rounded};
use crate::net::IpFamily;

/// The timeout if nobody says.
const USUAL_TIMEOUT_S: f64 = 10.0;

/// What was asked for. Names end with the unit where there is one: `_s` is seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// `HOST:PORT`; null: a server of its own, started for the measurement.
    pub target: Option<String>,
    /// What was connected to.
    pub address: String,
    /// `any`, `ipv4` or `ipv6`.
    pub family: String,
    /// At once, over all threads and shards.
    pub connections: usize,
    /// Threads with a loop each.
    pub threads: usize,
    /// Most time for the window; null: no bound.
    pub duration_s: Option<f64>,
    /// Most messages, over all connections; null: no bound.
    pub messages: Option<u64>,
    /// Of messages, header or terminator included.
    pub sizes: Vec<SizeReport>,
    /// Most unanswered messages a connection.
    pub pipeline: usize,
    /// Messages a second over all connections and shards (an open loop); null: a closed loop.
    pub rate_per_s: Option<f64>,
    /// How messages of an open loop are spread: `constant` or `poisson`; null: a closed loop.
    pub arrival: Option<String>,
    /// Load before the window.
    pub warmup_s: f64,
    /// The length of an interval.
    pub interval_s: f64,
    /// For a connect, and for a reply.
    pub timeout_s: f64,
    /// Connects a second at the start; null: as fast as they are answered.
    pub connect_rate_per_s: Option<f64>,
    /// A connection for each message.
    pub churn: bool,
    /// How connections are closed: `fin` or `rst`.
    pub close: String,
    /// Whether every byte is compared.
    pub verify: bool,
    /// Of bytes, sizes and arrivals.
    pub seed: u64,
    /// Addresses to come from; empty: the system's choice.
    pub sources: Vec<String>,
    /// SO_SNDBUF and SO_RCVBUF; null: the system's autotuning.
    pub socket_buffer_bytes: Option<usize>,
    /// Of a greeting, discarded.
    pub skip_bytes: usize,
    /// How messages are cut.
    pub framing: String,
    /// Which part of the load; null: all of it.
    pub shard: Option<ShardReport>,
    /// When the warm-up was to begin, RFC 3339; null: at once.
    pub start_at: Option<String>,
}

/// Sizes from one to another, evenly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeReport {
    /// The least.
    pub from_bytes: usize,
    /// The greatest.
    pub to_bytes: usize,
    /// So many of all messages, compared with the weights of the other sizes.
    pub weight: u64,
}

/// One of several processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardReport {
    /// From 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl ConfigReport {
    /// Of a measurement.
    pub fn of(results: &Results) -> Self {
        let settings = &results.settings;
        let (rate, arrival) = match settings.load {
            Load::Closed => (None, None),
            Load::Open { rate, arrival } => (Some(rate), Some(arrival.to_string())),
        };
        Self {
            target: match &settings.target {
                Target::OwnServer => None,
                Target::Remote(target) => Some(target.clone()),
            },
            address: results.address.to_string(),
            family: family(settings.family).into(),
            connections: settings.connections,
            threads: settings.threads,
            duration_s: settings.stop.duration.map(|time| time.as_secs_f64()),
            messages: settings.stop.messages,
            sizes: sizes(settings),
            pipeline: settings.pipeline,
            rate_per_s: rate,
            arrival,
            warmup_s: settings.warmup.as_secs_f64(),
            interval_s: settings.interval.as_secs_f64(),
            timeout_s: settings.timeout.as_secs_f64(),
            connect_rate_per_s: settings.connect_rate,
            churn: settings.churn,
            close: settings.close.to_string(),
            verify: settings.verify,
            seed: settings.seed,
            sources: settings
                .sources
                .iter()
                .map(|source| source.to_string())
                .collect(),
            socket_buffer_bytes: settings.socket_buffer,
            skip_bytes: settings.skip,
            framing: settings.framing.to_string(),
            shard: settings.shard.map(|shard| ShardReport {
                index: shard.index,
                count: shard.count,
            }),
            start_at: settings.start_at.map(rfc3339),
        }
    }

    /// All of it on one line.
    pub fn line(&self) -> String {
        let mut parts = vec![
            self.framing.clone(),
            format!("messages of {}", self.sizes_text()),
            counted(self.connections as u64, "connection"),
            counted(self.threads as u64, "thread"),
            format!("pipeline {}", self.pipeline),
            self.load_text(),
        ];
        parts.extend(self.unusual());
        parts.push(format!("warm-up {} s", rounded(self.warmup_s, 3)));
        parts.push(self.length_text());
        format!("{}: {}", self.target_text(), parts.join(", "))
    }

    fn target_text(&self) -> String {
        match &self.target {
            None => format!("{} (a server of its own)", self.address),
            Some(target) if *target == self.address => target.clone(),
            Some(target) => format!("{target} ({})", self.address),
        }
    }

    fn sizes_text(&self) -> String {
        let is_weighted = self.sizes.len() > 1;
        let texts: Vec<_> = self
            .sizes
            .iter()
            .map(|size| {
                let range = match (size.from_bytes, size.to_bytes) {
                    (from, to) if from == to => format!("{to} B"),
                    (from, to) => format!("{from} to {to} B"),
                };
                let weight = if is_weighted {
                    format!(" x{}", size.weight)
                } else {
                    String::new()
                };
                range + &weight
            })
            .collect();
        texts.join(" + ")
    }

    fn load_text(&self) -> String {
        match (self.rate_per_s, &self.arrival) {
            (Some(rate), Some(arrival)) => {
                format!("open loop, {} messages/s {arrival}", rounded(rate, 3))
            }
            _ => "closed loop".into(),
        }
    }

    /// What is not as it is by default, and changes what is measured. Not the family, which the address tells, and not when
    /// the load began.
    fn unusual(&self) -> Vec<String> {
        let shard = self
            .shard
            .map(|shard| format!("shard {} of {}", shard.index, shard.count));
        let sources = (!self.sources.is_empty())
            .then(|| format!("from {}", counted_addresses(self.sources.len())));
        [
            self.churn.then(|| "a connection a message".into()),
            (self.close == "rst").then(|| "closed by reset".into()),
            (!self.verify).then(|| "not verified".into()),
            sources,
            self.socket_buffer_bytes
                .map(|bytes| format!("socket buffers {bytes} B")),
            (self.skip_bytes > 0).then(|| format!("greeting of {} B", self.skip_bytes)),
            (self.timeout_s != USUAL_TIMEOUT_S)
                .then(|| format!("timeout {} s", rounded(self.timeout_s, 9))),
            self.connect_rate_per_s
                .map(|rate| format!("{} connects/s", rounded(rate, 3))),
            shard,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn length_text(&self) -> String {
        let duration = self
            .duration_s
            .map(|seconds| format!("{} s", rounded(seconds, 3)));
        let messages = self.messages.map(|messages| counted(messages, "message"));
        let both: Vec<_> = [duration, messages].into_iter().flatten().collect();
        both.join(" or ")
    }
}

/// To the millisecond, in UTC.
pub fn rfc3339(moment: SystemTime) -> String {
    let moment = OffsetDateTime::from(moment);
    let whole = moment - Duration::from_nanos(u64::from(moment.nanosecond() % 1_000_000));
    whole.format(&Rfc3339).unwrap_or_default()
}

fn family(family: IpFamily) -> &'static str {
    match family {
        IpFamily::Any => "any",
        IpFamily::V4 => "ipv4",
        IpFamily::V6 => "ipv6",
    }
}

fn sizes(settings: &RunSettings) -> Vec<SizeReport> {
    let size = |(range, weight): &(std::ops::RangeInclusive<usize>, u64)| SizeReport {
        from_bytes: *range.start(),
        to_bytes: *range.end(),
        weight: *weight,
    };
    settings.sizes.0.iter().map(size).collect()
}

fn counted_addresses(number: usize) -> String {
    match number {
        1 => "1 address".into(),
        _ => format!("{number} addresses"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::load::plan::settings::{Arrival, Close, Shard, Sizes};
    use crate::load::testing::{open, results};

    #[test]
    fn the_line_names_what_was_measured() {
        assert_eq!(
            ConfigReport::of(&results()).line(),
            "localhost:7007 (127.0.0.1:7007): raw, messages of 64 B, 2 connections, 1 thread, pipeline 1, closed loop, \
             warm-up 0.5 s, 1 s"
        );
        let mut unusual = open();
        let settings = &mut unusual.settings;
        settings.load = Load::Open {
            rate: 0.5,
            arrival: Arrival::Poisson,
        };
        settings.sizes = Sizes(vec![(1..=4096, 9), (8..=8, 1)]);
        (settings.churn, settings.close, settings.verify) = (true, Close::Rst, false);
        settings.shard = Some(Shard { index: 1, count: 4 });
        settings.sources = vec![([10, 0, 0, 1]).into()];
        settings.socket_buffer = Some(4096);
        settings.skip = 24;
        settings.timeout = Duration::from_millis(200);
        settings.connect_rate = Some(1000.0);
        settings.stop.messages = Some(7);
        assert_eq!(
            ConfigReport::of(&unusual).line(),
            "127.0.0.1:7007 (a server of its own): raw, messages of 1 to 4096 B x9 + 8 B x1, 2 connections, 1 thread, \
             pipeline 1024, open loop, 0.5 messages/s poisson, a connection a message, closed by reset, not verified, \
             from 1 address, socket buffers 4096 B, greeting of 24 B, timeout 0.2 s, 1000 connects/s, shard 1 of 4, warm-up 0.5 s, 1 s or 7 messages"
        );
    }

    #[test]
    fn a_moment_is_given_to_the_millisecond() {
        let moment = UNIX_EPOCH + Duration::from_nanos(1_800_000_000_500_999_999);
        assert_eq!(rfc3339(moment), "2027-01-15T08:00:00.5Z");
    }
}
