//! What the rest of the machine did to a measurement, judged.
//!
//! `tests/calibrate/interference.py` checks the limits on a quiet machine and on a busy one.

use super::reason::{Reason, ReasonCode};
use crate::load::measure::interference::Interference;
use crate::load::measure::measurement::Measurement;

/// The part of a core that others may use. Linux counts in steps of 10 ms, and several counters are subtracted, so a
/// smaller limit would judge the rounding in a window of one second.
const OTHERS_CORES: f64 = 0.05;

/// The share of all CPUs that others may use where waits are unknown: they may have used CPUs that nobody else needed.
const OTHERS_SHARE: f64 = 0.05;

/// The share of the window for which threads may wait for a CPU. Below it, others used CPUs that were idle otherwise: a
/// browser on one core of sixteen harms nobody.
const WAIT: f64 = 0.005;

/// The share of the CPU time that the hypervisor may steal. It is stolen in pieces of milliseconds, each of which delays
/// all messages that are due: a p99 suffers as soon as 1 % of the time is stolen.
const STOLEN: f64 = 0.02;

/// The share of the window for which cgroup limits may keep threads from running. The messages of that time are late, so
/// more than this share of the time makes the p99.
const THROTTLED: f64 = 0.01;

/// The share of the window for which the loops of the generator may be stalled. The messages of that time are late, so more
/// than this share of the time makes the p99.
const STALLED: f64 = 0.01;

/// Returns a reason if others used CPUs that the generator or the server waited for.
///
/// Waits alone are no reason, because the generator and the server wait for each other. A server in an unknown process
/// counts as others, and is no reason.
pub fn busy_machine(measurement: &Measurement) -> Option<Reason> {
    let interference = &measurement.interference;
    let (used, cpus) = (interference.others_cores?, interference.cpus?);
    let is_harmful = match longest_wait(interference) {
        Some(wait) => used > OTHERS_CORES && wait > WAIT,
        None => used > OTHERS_SHARE * cpus as f64,
    };
    let is_told_apart = !interference.others_include_server;
    Reason::when(is_harmful && is_told_apart, ReasonCode::BusyMachine, || {
        let waits = waits(interference).map(|waits| format!(" while {waits}"));
        let waits = waits.unwrap_or_default();
        format!("others used {used:.1} of {cpus} cores{waits}")
    })
}

/// Returns a reason if the hypervisor gave CPU time of this machine to others.
pub fn stolen_time(measurement: &Measurement) -> Option<Reason> {
    let stolen = measurement.interference.stolen?;
    Reason::when(stolen > STOLEN, ReasonCode::StolenTime, || {
        format!(
            "the hypervisor stole {:.0} % of the CPU time",
            stolen * 100.0
        )
    })
}

/// Returns a reason if the limits of cgroups kept threads from running.
pub fn throttled(measurement: &Measurement) -> Option<Reason> {
    let throttled = measurement.interference.throttled?;
    Reason::when(throttled > THROTTLED, ReasonCode::Throttled, || {
        let percent = throttled * 100.0;
        format!("cgroup limits throttled threads for {percent:.0} % of the time")
    })
}

/// Returns a reason if the generator itself stood still: it was stopped, waited for a CPU, or the machine was frozen.
pub fn stalled(measurement: &Measurement) -> Option<Reason> {
    let stalled = measurement.total.stalled as f64 / 1e9;
    let window = measurement.window.as_secs_f64();
    let is_long = stalled > STALLED * window;
    Reason::when(is_long, ReasonCode::Stalled, || {
        format!("the generator was stalled for {stalled:.2} s of {window:.1} s (stalls over 10 ms)")
    })
}

/// Returns a hint if threads waited for a CPU that no process but the generator and the server can have used.
pub fn shared_processors(interference: &Interference) -> Option<String> {
    let others = interference.others_cores?;
    let has_waited = longest_wait(interference).is_some_and(|wait| wait > WAIT);
    let sharing = match (interference.others_include_server, interference.server_wait) {
        (true, _) => "generator and server, or others, shared processors",
        (false, Some(_)) => "generator and server shared processors",
        (false, None) => "the threads of the generator shared processors",
    };
    let is_alone = others <= OTHERS_CORES || interference.others_include_server;
    let waits = waits(interference).filter(|_| has_waited && is_alone)?;
    Some(format!("{sharing}: {waits}"))
}

fn longest_wait(interference: &Interference) -> Option<f64> {
    let waits = [interference.generator_wait, interference.server_wait];
    waits.into_iter().flatten().reduce(f64::max)
}

/// Says for how long threads waited for a CPU; `None` if nothing is known.
fn waits(interference: &Interference) -> Option<String> {
    let percent = |wait: f64| format!("{:.1} %", wait * 100.0);
    let generator = interference.generator_wait.map(percent);
    let server = interference.server_wait.map(percent);
    let time = "of the time";
    match (generator, server) {
        (Some(generator), Some(server)) => Some(format!(
            "the generator waited for a CPU for {generator} and the server for {server} {time}"
        )),
        (Some(generator), None) => Some(format!(
            "the generator waited for a CPU for {generator} {time}"
        )),
        (None, Some(server)) => Some(format!("the server waited for a CPU for {server} {time}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::judge::verdict::Verdict;
    use crate::load::testing::closed_loop;

    fn quiet() -> Interference {
        Interference {
            others_cores: Some(0.05),
            cpus: Some(16),
            stolen: Some(0.02),
            throttled: Some(0.01),
            generator_wait: Some(0.005),
            server_wait: Some(0.005),
            others_include_server: false,
        }
    }

    /// Returns the reasons against a measurement that is valid otherwise.
    fn reasons(change: impl FnOnce(&mut Interference)) -> Vec<String> {
        let mut measurement = closed_loop().measurement;
        measurement.interference = quiet();
        change(&mut measurement.interference);
        Verdict::of(&measurement).reasons
    }

    fn hint(change: impl FnOnce(&mut Interference)) -> Option<String> {
        let mut interference = quiet();
        change(&mut interference);
        shared_processors(&interference)
    }

    #[test]
    fn a_machine_at_its_limits_is_quiet() {
        assert_eq!(reasons(|_| {}), [""; 0]);
        assert_eq!(hint(|_| {}), None);
    }

    #[test]
    fn others_are_a_reason_only_if_generator_or_server_waited() {
        let busy = |i: &mut Interference| i.others_cores = Some(0.94);
        assert_eq!(reasons(busy), [""; 0]);
        let generator_waited = |i: &mut Interference| {
            busy(i);
            i.generator_wait = Some(0.012);
        };
        assert_eq!(
            reasons(generator_waited),
            [
                "others used 0.9 of 16 cores while the generator waited for a CPU for 1.2 % and the server for 0.5 % of the time"
            ]
        );
        let server_waited = |i: &mut Interference| {
            i.others_cores = Some(0.06);
            i.server_wait = Some(0.006);
        };
        assert_eq!(reasons(server_waited).len(), 1);
        assert_eq!([hint(generator_waited), hint(server_waited)], [None, None]);
    }

    #[test]
    fn the_wait_of_the_generator_alone_is_enough_to_judge_a_server_elsewhere() {
        let remote = |wait| {
            reasons(|i| (i.others_cores, i.generator_wait, i.server_wait) = (Some(2.0), wait, None))
        };
        assert_eq!(remote(Some(0.005)), [""; 0]);
        assert_eq!(
            remote(Some(0.25)),
            [
                "others used 2.0 of 16 cores while the generator waited for a CPU for 25.0 % of the time"
            ]
        );
    }

    #[test]
    fn where_waits_are_unknown_others_may_use_a_share_of_all_cpus() {
        let unknown = |cores| {
            reasons(|i| {
                i.others_cores = Some(cores);
                (i.generator_wait, i.server_wait) = (None, None);
            })
        };
        assert_eq!(unknown(0.79), [""; 0]);
        assert_eq!(unknown(0.81), ["others used 0.8 of 16 cores"]);
    }

    #[test]
    fn a_server_in_an_unknown_process_is_no_reason() {
        let local = |i: &mut Interference| {
            i.others_cores = Some(1.5);
            i.generator_wait = Some(0.5);
            i.server_wait = None;
            i.others_include_server = true;
        };
        assert_eq!(reasons(local), [""; 0]);
        assert_eq!(
            hint(local).as_deref(),
            Some(
                "generator and server, or others, shared processors: the generator waited for a CPU for 50.0 % of the time"
            )
        );
    }

    #[test]
    fn stolen_and_throttled_time_are_reasons_for_themselves() {
        assert_eq!(
            reasons(|i| i.stolen = Some(0.031)),
            ["the hypervisor stole 3 % of the CPU time"]
        );
        assert_eq!(
            reasons(|i| i.throttled = Some(0.02)),
            ["cgroup limits throttled threads for 2 % of the time"]
        );
    }

    #[test]
    fn waits_alone_are_a_hint() {
        let both = |i: &mut Interference| i.server_wait = Some(0.1);
        assert_eq!(reasons(both), [""; 0]);
        assert_eq!(
            hint(both).as_deref(),
            Some(
                "generator and server shared processors: the generator waited for a CPU for 0.5 % and the server for 10.0 % of the time"
            )
        );
        let threads = hint(|i| (i.generator_wait, i.server_wait) = (Some(0.1), None));
        assert!(
            threads.is_some_and(|hint| hint.starts_with("the threads of the generator shared"))
        );
    }

    #[test]
    fn what_is_unknown_is_no_reason_and_no_hint() {
        assert_eq!(reasons(|i| *i = Interference::default()), [""; 0]);
        assert_eq!(shared_processors(&Interference::default()), None);
        let sum = hint(|i| (i.others_cores, i.generator_wait) = (None, Some(0.9)));
        assert_eq!(sum, None, "a sum of reports tells no more");
    }

    #[test]
    fn stalls_over_1_percent_of_the_window_are_a_reason() {
        let reasons = |stalled| {
            let mut measurement = closed_loop().measurement;
            measurement.total.stalled = stalled;
            Verdict::of(&measurement).reasons
        };
        assert_eq!(reasons(10_000_000), [""; 0]);
        let text = "the generator was stalled for 0.02 s of 1.0 s (stalls over 10 ms)";
        assert_eq!(reasons(20_000_000), [text]);
    }
}
