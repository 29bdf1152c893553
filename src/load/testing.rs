//! Results for tests, of which every number is known.

use std::time::{Duration, UNIX_EPOCH};

use crate::conn::Framing;
use crate::load::measure::metrics::Metrics;
use crate::load::measure::results::{Interval, Results, ServerUsage};
use crate::load::measure::summary::IntervalSummary;
use crate::load::plan::settings::{
    Arrival, Close, Load, RunSettings, Sizes, StopCondition, Target,
};
use crate::net::IpFamily;

/// A closed loop of two connections, one second, 2,000 messages that took 101 to 300 us, evenly.
pub fn results() -> Results {
    Results {
        settings: settings(),
        address: ([127, 0, 0, 1], 7007).into(),
        began: UNIX_EPOCH + Duration::from_millis(1_800_000_000_500),
        window: Duration::from_secs(1),
        connected: 2,
        total: tally(),
        intervals: vec![IntervalSummary::of(&interval())],
        busiest: Some(0.2),
        generator_cpu: Some(Duration::from_millis(200)),
        server: None,
        interrupted: None,
    }
}

/// The one interval of them.
pub fn interval() -> Interval {
    Interval {
        start: Duration::ZERO,
        length: Duration::from_secs(1),
        tally: tally(),
    }
}

/// The same, with a schedule of 2,000 messages a second, and a server of its own.
pub fn open() -> Results {
    let mut results = results();
    results.settings.target = Target::OwnServer;
    results.settings.pipeline = 1024;
    results.settings.load = Load::Open {
        rate: 2_000.0,
        arrival: Arrival::Constant,
    };
    results.server = Some(ServerUsage {
        cpu: Some(Duration::from_millis(250)),
        rss: Some(3_500_000),
        bytes_per_connection: None,
    });
    results
}

fn settings() -> RunSettings {
    RunSettings {
        target: Target::Remote("localhost:7007".into()),
        family: IpFamily::Any,
        connections: 2,
        threads: 1,
        stop: StopCondition {
            duration: Some(Duration::from_secs(1)),
            messages: None,
        },
        sizes: Sizes::one(64),
        pipeline: 1,
        load: Load::Closed,
        warmup: Duration::from_millis(500),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(10),
        connect_rate: None,
        churn: false,
        close: Close::Fin,
        verify: true,
        seed: 1,
        sources: vec![],
        socket_buffer: None,
        skip: 0,
        framing: Framing::Raw,
        shard: None,
        start_at: None,
    }
}

fn tally() -> Metrics {
    let mut tally = Metrics::default();
    for message in 0..2_000 {
        let response = 101_000 + message % 200 * 1_000;
        tally.response.record(response);
        tally.wait.record(0);
        tally.service.record(response - 1_000);
        tally.send_lag.record(1_000);
        tally.turn.record(2_000);
        tally.in_flight += u128::from(response - 1_000);
    }
    tally.connect.record(50_000);
    tally.connect.record(70_000);
    tally.messages = 2_000;
    tally.bytes = 128_000;
    tally.elapsed = 1_000_000_000;
    tally.polling = 700_000_000;
    tally.spinning = 100_000_000;
    tally
}
