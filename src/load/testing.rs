//! Results whose figures are known, for tests.

use std::time::{Duration, UNIX_EPOCH};

use crate::conn::Framing;
use crate::load::measure::batch::Batch;
use crate::load::measure::interference::Interference;
use crate::load::measure::interval::{Interval, IntervalSummary};
use crate::load::measure::measurement::{Measurement, Results, TargetRate};
use crate::load::measure::metrics::Metrics;
use crate::load::measure::usage::ServerUsage;
use crate::load::plan::settings::{
    Arrival, Close, Load, RunSettings, Sizes, StopCondition, Target,
};
use crate::net::IpFamily;

/// Returns the results of a closed loop: two connections, one second, 2,000 messages with response times of 101 us to
/// 300 us, evenly distributed.
pub fn closed_loop() -> Results {
    results(settings())
}

/// Returns the same figures for an open loop of 2,000 messages per second against a server that was started for it.
pub fn open_loop() -> Results {
    let mut results = results(RunSettings {
        target: Target::OwnServer,
        pipeline: 1024,
        load: Load::Open {
            rate: 2_000.0,
            arrival: Arrival::Constant,
        },
        ..settings()
    });
    results.measurement.server = Some(ServerUsage {
        cpu_s: Some(0.25),
        cpu: Some(0.25),
        busiest_thread: Some(0.25),
        rss_bytes: Some(3_500_000),
        bytes_per_connection: None,
    });
    results
}

/// Returns the only interval of these results.
pub fn interval() -> Interval {
    Interval {
        start: Duration::ZERO,
        length: Duration::from_secs(1),
        response: metrics().response,
        counts: metrics().counts,
    }
}

fn results(settings: RunSettings) -> Results {
    Results {
        address: ([127, 0, 0, 1], 7007).into(),
        began: UNIX_EPOCH + Duration::from_millis(1_800_000_000_500),
        measurement: Measurement {
            window: Duration::from_secs(1),
            connections_asked: 2,
            connections_achieved: 2,
            target_rate: TargetRate::of(&settings),
            total: metrics(),
            intervals: vec![IntervalSummary::of(&interval())],
            batches: vec![Batch::new(interval(), Interference::default())],
            busiest: Some(0.2),
            generator_cpu: Some(Duration::from_millis(200)),
            server: None,
            interference: interference(),
            interrupted: None,
        },
        settings,
    }
}

fn interference() -> Interference {
    Interference {
        others_cores: Some(0.01),
        cpus: Some(2),
        stolen: Some(0.0),
        throttled: None,
        generator_wait: Some(0.001),
        server_wait: None,
        others_include_server: false,
    }
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
        server_pid: None,
        pin: None,
        server_pin: None,
        label: None,
    }
}

fn metrics() -> Metrics {
    let mut metrics = Metrics::default();
    for message in 0..2_000 {
        let response = 101_000 + message % 200 * 1_000;
        metrics.response.record(response);
        metrics.wait.record(0);
        metrics.service.record(response - 1_000);
        metrics.send_lag.record(1_000);
        metrics.turn.record(2_000);
        metrics.in_flight += u128::from(response - 1_000);
    }
    metrics.connect.record(50_000);
    metrics.connect.record(70_000);
    metrics.counts.messages = 2_000;
    metrics.counts.bytes = 128_000;
    metrics.elapsed = 1_000_000_000;
    metrics.polling = 700_000_000;
    metrics.spinning = 100_000_000;
    metrics
}
