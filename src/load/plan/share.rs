//! The share of the load that one worker thread carries.
//!
//! Workers take turns: connection 0 of the load belongs to the first worker, connection 1 to the second, and so on over
//! the workers of all shards. Neighbours in an evenly spread schedule are therefore on different workers.

/// One worker's position among all workers of a load.
#[derive(Clone, Copy, Debug)]
pub struct WorkerShare {
    /// The number of the worker in this process, from 0.
    pub thread: usize,
    /// The number of workers in this process.
    pub threads: usize,
    /// The number of the worker among the workers of all shards, from 0.
    position: usize,
    /// The number of workers of all shards.
    workers: usize,
}

impl WorkerShare {
    /// Describes worker `thread` of `threads` in shard `shard` of `shards`.
    pub(super) fn new(thread: usize, threads: usize, shard: usize, shards: usize) -> Self {
        Self {
            thread,
            threads,
            position: shard + thread * shards,
            workers: threads * shards,
        }
    }

    /// Returns the number of workers of all shards.
    pub fn workers(self) -> usize {
        self.workers
    }

    /// Returns the numbers of this worker's connections, from 0, for a load of `connections`.
    pub fn connections(self, connections: usize) -> impl ExactSizeIterator<Item = usize> {
        (self.position..connections).step_by(self.workers)
    }

    /// Returns how many of the load's `messages` this worker starts.
    ///
    /// The messages are dealt to the load's `connections` one by one, so no connection of any shard has more than one
    /// message more than another. The evenly spread schedules of all workers therefore end together.
    pub fn messages(self, messages: u64, connections: usize) -> u64 {
        let count = connections as u64;
        let of_connection =
            |number| messages / count + u64::from((number as u64) < messages % count);
        self.connections(connections).map(of_connection).sum()
    }

    /// Returns the number of the `nth` socket of this worker, both from 1. Numbers are unique over all shards.
    pub fn connection_number(self, nth: u64) -> u64 {
        1 + (nth - 1) * self.workers as u64 + self.position as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(threads: usize, shards: usize) -> impl Iterator<Item = WorkerShare> {
        (0..shards).flat_map(move |shard| {
            (0..threads).map(move |thread| WorkerShare::new(thread, threads, shard, shards))
        })
    }

    #[test]
    fn every_connection_belongs_to_exactly_one_worker() {
        for (threads, shards, connections) in [(1, 1, 5), (2, 3, 20), (3, 2, 4)] {
            let mut all: Vec<_> = shares(threads, shards)
                .flat_map(|share| share.connections(connections))
                .collect();
            all.sort_unstable();
            assert_eq!(all, (0..connections).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_shares_of_the_messages_add_up() {
        for (threads, shards, messages, connections) in [(1, 1, 7, 3), (2, 3, 100, 7), (2, 2, 3, 9)]
        {
            let sum: u64 = shares(threads, shards)
                .map(|share| share.messages(messages, connections))
                .sum();
            assert_eq!(sum, messages);
        }
    }

    #[test]
    fn no_two_sockets_have_the_same_number() {
        let numbers =
            shares(2, 3).flat_map(|share| (1..=4).map(move |nth| share.connection_number(nth)));
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=24).collect::<Vec<_>>());
    }
}
