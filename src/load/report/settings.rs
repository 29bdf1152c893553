//! The settings of a run, as reports give them.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::load::measure::measurement::Results;
use crate::load::plan::launcher::Launcher;
use crate::load::plan::settings::{Arrival, Close, Load, Shard, SizeRange, Sizes, Target};
use crate::load::units::{format_decimal, pluralize};
use crate::net::{IpFamily, ScopedAddress, ScopedIp};

/// The usual timeout in seconds. The headline of a report names other timeouts only.
const USUAL_TIMEOUT_S: f64 = 10.0;

/// The settings of a run: `config` in the JSON report. A name that ends in `_s` is in seconds, one that ends in
/// `_bytes` is in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedSettings {
    /// The target as it was given, `HOST:PORT`; null if a server was started for the measurement.
    pub target: Option<String>,
    /// The address of the server, `ADDRESS:PORT`. A link-local address has its interface: `[fe80::1%eth0]:7`.
    pub address: String,
    /// The address family that the target's name may resolve to: `any`, `ipv4` or `ipv6`.
    pub family: String,
    /// The number of connections at once, over all threads and shards.
    pub connections: usize,
    /// The number of threads of each process. Each thread has an event loop of its own.
    pub threads: usize,
    /// The longest time that the window may last; null without a limit.
    pub duration_s: Option<f64>,
    /// The most messages that may be sent in the window, over all connections; null without a limit.
    pub messages: Option<u64>,
    /// The sizes of messages. Header or terminator are included.
    pub sizes: Sizes,
    /// The most unanswered messages on a connection.
    pub pipeline: usize,
    /// The rate of an open loop in messages per second, over all connections and shards; null for a closed loop.
    pub rate_per_s: Option<f64>,
    /// How an open loop spreads its messages over time: `constant` or `poisson`; null for a closed loop.
    pub arrival: Option<Arrival>,
    /// The length of the warm-up before the window.
    pub warmup_s: f64,
    /// The length of an interval.
    pub interval_s: f64,
    /// The time that a connect may take, and a reply.
    pub timeout_s: f64,
    /// The rate of connects before the load starts, per second; null if connects follow one another without delay.
    pub connect_rate_per_s: Option<f64>,
    /// True if each message has a connection of its own.
    pub churn: bool,
    /// How the generator closes a connection: `fin` or `rst`.
    pub close: Close,
    /// True if every byte of the replies is compared with what was sent.
    pub verify: bool,
    /// The seed of the payload, of random sizes and of random arrivals.
    pub seed: u64,
    /// The source addresses of the connections, as in `address` without the port; empty if the system chooses.
    pub sources: Vec<String>,
    /// SO_SNDBUF and SO_RCVBUF; null if the system tunes the buffers.
    pub socket_buffer_bytes: Option<usize>,
    /// The length of the greeting that is discarded on each connection.
    pub skip_bytes: usize,
    /// How messages are delimited: `raw`, `line`, `crlf`, `len8`, `len16` or `len16le`.
    pub framing: String,
    /// The shard of the load that this process generated; null if it generated the whole load.
    pub shard: Option<Shard>,
    /// The time at which the warm-up had to start, in RFC 3339; null if it started once all connections were up.
    pub start_at: Option<String>,
    /// The process of the server that was named; null if none was.
    pub server_pid: Option<u32>,
    /// The CPUs of the generator, such as `0,2-3`; null if the system chose.
    pub pin: Option<String>,
    /// The CPUs of the server that was started for the measurement; null if the system chose.
    pub server_pin: Option<String>,
    /// The text that was given to tell reports apart; null if none was.
    pub label: Option<String>,
}

impl ReportedSettings {
    /// Returns the settings of the run that had these results.
    pub fn of(results: &Results) -> Self {
        let settings = &results.settings;
        let sources = settings.sources.iter();
        let (rate, arrival) = match settings.load {
            Load::Closed => (None, None),
            Load::Open { rate, arrival } => (Some(rate), Some(arrival)),
        };
        Self {
            target: match &settings.target {
                Target::OwnServer => None,
                Target::Remote(target) => Some(target.clone()),
            },
            address: ScopedAddress(results.address).to_string(),
            family: family_name(settings.family).into(),
            connections: settings.connections,
            threads: settings.threads,
            duration_s: settings.stop.duration.map(|time| time.as_secs_f64()),
            messages: settings.stop.messages,
            sizes: settings.sizes.clone(),
            pipeline: settings.pipeline,
            rate_per_s: rate,
            arrival,
            warmup_s: settings.warmup.as_secs_f64(),
            interval_s: settings.interval.as_secs_f64(),
            timeout_s: settings.timeout.as_secs_f64(),
            connect_rate_per_s: settings.connect_rate,
            churn: settings.churn,
            close: settings.close,
            verify: settings.verify,
            seed: settings.seed,
            sources: sources
                .map(|source| ScopedIp(*source).to_string())
                .collect(),
            socket_buffer_bytes: settings.socket_buffer,
            skip_bytes: settings.skip,
            framing: settings.framing.to_string(),
            shard: settings.shard,
            start_at: settings.start_at.map(rfc3339),
            server_pid: settings.server_pid,
            pin: settings.pin.as_ref().map(ToString::to_string),
            server_pin: settings.server_pin.as_ref().map(ToString::to_string),
            label: settings.label.clone(),
        }
    }

    /// Returns the first setting, in alphabetical order, in which the load of `other` differs from this load, and both
    /// values. Returns `None` if both are shards of the same load.
    pub fn difference(&self, other: &Self) -> Option<String> {
        self.without_shard().first_difference(other.without_shard())
    }

    /// Returns the first setting in which the runs of `other` differ from these runs, and both values. The server may be
    /// another one. Returns `None` if the runs can be compared.
    pub fn difference_of_runs(&self, other: &Self) -> Option<String> {
        self.without_server()
            .first_difference(other.without_server())
    }

    fn first_difference(self, other: Self) -> Option<String> {
        if self == other {
            return None;
        }
        let value = |settings| serde_json::to_value(settings).expect("every name is text");
        let (this, other) = (value(self), value(other));
        let mut settings = this.as_object()?.iter();
        let (setting, value) = settings.find(|(setting, value)| **value != other[*setting])?;
        Some(format!("{setting} is {}, not {value}", other[setting]))
    }

    /// Returns the settings without the server, the text that tells reports apart, the time of the start, and the seed: loads
    /// of the same distribution are alike.
    fn without_server(&self) -> Self {
        Self {
            target: None,
            address: String::new(),
            server_pid: None,
            label: None,
            start_at: None,
            seed: 0,
            ..self.clone()
        }
    }

    /// Returns the settings of the whole load, without those that each shard has of its own and those that do not change
    /// the load.
    fn without_shard(&self) -> Self {
        Self {
            shard: None,
            address: String::new(),
            sources: Vec::new(),
            server_pid: None,
            pin: None,
            label: None,
            ..self.clone()
        }
    }

    /// Returns the settings on one line, the target first.
    pub fn headline(&self) -> String {
        format!("{}: {}", self.target_text(), self.load_line())
    }

    /// Returns the settings on one line, without the target.
    pub fn load_line(&self) -> String {
        let mut parts = vec![
            self.framing.clone(),
            format!("messages of {}", self.sizes_text()),
            pluralize(self.connections as u64, "connection"),
            pluralize(self.threads as u64, "thread"),
            format!("pipeline {}", self.pipeline),
            self.load_text(),
        ];
        parts.extend(self.unusual());
        parts.push(format!("warm-up {} s", format_decimal(self.warmup_s, 3)));
        parts.push(self.stop_text());
        parts.join(", ")
    }

    fn target_text(&self) -> String {
        match &self.target {
            None => format!("{} (server started for this measurement)", self.address),
            Some(target) if *target == self.address => target.clone(),
            Some(target) => format!("{target} ({})", self.address),
        }
    }

    /// Returns the sizes of the messages as text.
    pub(super) fn sizes_text(&self) -> String {
        let range = |size: &SizeRange| match (size.from_bytes, size.to_bytes) {
            (from, to) if from == to => format!("{to} B"),
            (from, to) => format!("{from} to {to} B"),
        };
        if let [size] = &self.sizes.0[..] {
            return range(size);
        }
        let weighted = |size: &SizeRange| format!("{} x{}", range(size), size.weight);
        let texts: Vec<_> = self.sizes.0.iter().map(weighted).collect();
        texts.join(" + ")
    }

    fn load_text(&self) -> String {
        match self.rate_per_s.zip(self.arrival) {
            Some((rate, arrival)) => {
                let rate = format_decimal(rate, 3);
                format!("open loop, {rate} messages/s {arrival}")
            }
            None => "closed loop".into(),
        }
    }

    /// Returns the settings that differ from the defaults and change what is measured. The family is left out, because
    /// the address shows it. The start time is left out, because it does not change what is measured.
    fn unusual(&self) -> Vec<String> {
        let sources = self.sources.len() as u64;
        [
            self.churn.then(|| "one connection per message".into()),
            (self.close == Close::Rst).then(|| "closed by reset".into()),
            (!self.verify).then(|| "not verified".into()),
            (sources > 0).then(|| pluralize(sources, "source IP")),
            self.socket_buffer_bytes
                .map(|bytes| format!("socket buffers {bytes} B")),
            (self.skip_bytes > 0).then(|| format!("greeting of {} B", self.skip_bytes)),
            (self.timeout_s != USUAL_TIMEOUT_S)
                .then(|| format!("timeout {} s", format_decimal(self.timeout_s, 9))),
            self.connect_rate_per_s
                .map(|rate| format!("{} connects/s", format_decimal(rate, 3))),
            self.pin
                .as_ref()
                .map(|cpus| format!("generator on CPUs {cpus}")),
            self.server_pin
                .as_ref()
                .map(|cpus| format!("server on CPUs {cpus}")),
            self.shard.map(shard_text),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn stop_text(&self) -> String {
        let duration = self
            .duration_s
            .map(|seconds| format!("window {} s", format_decimal(seconds, 3)));
        let messages = self.messages.map(|messages| pluralize(messages, "message"));
        let limits: Vec<_> = [duration, messages].into_iter().flatten().collect();
        limits.join(" or ")
    }
}

fn family_name(family: IpFamily) -> &'static str {
    match family {
        IpFamily::Any => "any",
        IpFamily::V4 => "ipv4",
        IpFamily::V6 => "ipv6",
    }
}

/// Returns `time` in UTC, cut to the millisecond, in RFC 3339.
pub fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let cut = time - Duration::from_nanos(u64::from(time.nanosecond() % 1_000_000));
    cut.format(&Rfc3339).unwrap_or_default()
}

/// Returns the shard in words, with the variable that told it.
fn shard_text(shard: Shard) -> String {
    let Shard { index, count, .. } = shard;
    let source = shard.launcher.map(Launcher::index_variable);
    let source = source.map_or(String::new(), |variable| format!(" ({variable})"));
    format!("shard {index} of {count}{source}")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::load::plan::cpu_list::CpuList;
    use crate::load::testing::{closed_loop, open_loop};

    #[test]
    fn the_headline_names_each_unusual_setting() {
        assert_eq!(
            ReportedSettings::of(&closed_loop()).headline(),
            "localhost:7007 (127.0.0.1:7007): raw, messages of 64 B, 2 connections, 1 thread, pipeline 1, closed loop, \
             warm-up 0.5 s, window 1 s"
        );
        let mut unusual = open_loop();
        let settings = &mut unusual.settings;
        settings.load = Load::Open {
            rate: 0.5,
            arrival: Arrival::Poisson,
        };
        settings.sizes = Sizes(vec![SizeRange::new(1..=4096, 9), SizeRange::new(8..=8, 1)]);
        (settings.churn, settings.close, settings.verify) = (true, Close::Rst, false);
        settings.shard = Some(Shard {
            index: 1,
            count: 4,
            launcher: Some(Launcher::SlurmTask),
        });
        settings.sources = vec![([10, 0, 0, 1], 0).into()];
        settings.socket_buffer = Some(4096);
        settings.skip = 24;
        settings.timeout = Duration::from_millis(200);
        settings.connect_rate = Some(1000.0);
        settings.pin = CpuList::new(vec![0]);
        settings.server_pin = CpuList::new(vec![2, 3]);
        settings.stop.messages = Some(7);
        assert_eq!(
            ReportedSettings::of(&unusual).headline(),
            "127.0.0.1:7007 (server started for this measurement): raw, messages of 1 to 4096 B x9 + 8 B x1, \
             2 connections, 1 thread, pipeline 1024, open loop, 0.5 messages/s poisson, one connection per message, closed by reset, \
             not verified, 1 source IP, socket buffers 4096 B, greeting of 24 B, timeout 0.2 s, 1000 connects/s, generator on CPUs 0, server on CPUs 2-3, shard 1 of 4 (SLURM_PROCID), \
             warm-up 0.5 s, window 1 s or 7 messages"
        );
    }

    #[test]
    fn a_time_is_cut_to_the_millisecond() {
        let time = UNIX_EPOCH + Duration::from_nanos(1_800_000_000_500_999_999);
        assert_eq!(rfc3339(time), "2027-01-15T08:00:00.5Z");
    }
}
