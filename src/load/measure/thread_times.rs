//! The times of a process's threads, which come and go.

use std::collections::HashMap;
use std::time::Duration;

/// The times of one thread since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    /// The CPU time.
    pub cpu: Duration,
    /// The time for which the thread was ready to run and waited for a CPU.
    pub wait: Duration,
}

/// Adds up the times of the threads that were seen. A thread that has ended keeps the times that were seen last.
#[derive(Debug, Default)]
pub struct ThreadLog {
    /// The running threads by their ids.
    running: HashMap<i32, RunningThread>,
    /// The time for which all threads waited, those that have ended included.
    wait: Duration,
    /// The longest CPU time in the window of a thread that has ended.
    busiest_ended: Duration,
}

#[derive(Debug)]
struct RunningThread {
    times: ThreadTimes,
    /// The CPU time of the thread when the window started.
    window_start: Duration,
}

impl ThreadLog {
    /// Records the times of all running threads.
    pub fn record(&mut self, threads: impl IntoIterator<Item = (i32, ThreadTimes)>) {
        let mut running = HashMap::new();
        for (id, times) in threads {
            // The system may give the id of a thread that has ended to a new thread, which has used less.
            let seen = self.running.remove(&id).filter(|seen| {
                let is_same = seen.times.cpu <= times.cpu && seen.times.wait <= times.wait;
                self.busiest_ended = match is_same {
                    true => self.busiest_ended,
                    false => self.busiest_ended.max(seen.cpu_in_window()),
                };
                is_same
            });
            let waited_before = seen.as_ref().map_or(Duration::ZERO, |seen| seen.times.wait);
            self.wait += times.wait - waited_before;
            let window_start = seen.map_or(Duration::ZERO, |seen| seen.window_start);
            let thread = RunningThread {
                times,
                window_start,
            };
            running.insert(id, thread);
        }
        let ended = std::mem::replace(&mut self.running, running);
        let ended = ended.values().map(RunningThread::cpu_in_window);
        self.busiest_ended = ended.fold(self.busiest_ended, Duration::max);
    }

    /// Starts the window at the latest record.
    pub fn start_window(&mut self) {
        self.busiest_ended = Duration::ZERO;
        for thread in self.running.values_mut() {
            thread.window_start = thread.times.cpu;
        }
    }

    /// Returns the number of running threads.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Returns the time for which all threads have waited for a CPU, added up.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Returns the CPU time since the start of the window of the thread that used most.
    pub fn busiest(&self) -> Duration {
        let running = self.running.values().map(RunningThread::cpu_in_window);
        running.fold(self.busiest_ended, Duration::max)
    }
}

impl RunningThread {
    fn cpu_in_window(&self) -> Duration {
        self.times.cpu - self.window_start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cpu: u64, wait: u64) -> ThreadTimes {
        let [cpu, wait] = [cpu, wait].map(Duration::from_millis);
        ThreadTimes { cpu, wait }
    }

    fn figures(log: &ThreadLog) -> (u128, u128) {
        (log.wait().as_millis(), log.busiest().as_millis())
    }

    #[test]
    fn a_new_thread_counts_from_0_and_an_ended_thread_keeps_its_times() {
        let mut log = ThreadLog::default();
        log.record([(1, times(100, 10)), (2, times(500, 20))]);
        log.start_window();
        assert_eq!(figures(&log), (30, 0));
        log.record([(1, times(150, 11)), (2, times(520, 20)), (3, times(40, 5))]);
        assert_eq!(figures(&log), (36, 50));
        log.record([(2, times(530, 22))]);
        assert_eq!(figures(&log), (38, 50), "threads 1 and 3 have ended");
        log.record([]);
        assert_eq!(figures(&log), (38, 50));
    }

    #[test]
    fn an_id_that_is_used_again_is_a_new_thread() {
        let mut log = ThreadLog::default();
        log.start_window();
        log.record([(1, times(100, 10))]);
        log.record([(1, times(30, 2))]);
        assert_eq!(figures(&log), (12, 100));
        log.record([(1, times(300, 2))]);
        assert_eq!(figures(&log), (12, 300));
    }

    #[test]
    fn only_the_cpu_time_in_the_window_makes_a_thread_the_busiest() {
        let mut log = ThreadLog::default();
        log.record([(1, times(900, 0)), (2, times(10, 0))]);
        log.record([(2, times(20, 0))]);
        log.start_window();
        log.record([(2, times(25, 0))]);
        assert_eq!(figures(&log), (0, 5));
    }
}
