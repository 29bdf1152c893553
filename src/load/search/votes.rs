//! What the runs of a search have said about each rate.

/// A rate is decided by this many equal results: the best of three.
const MAJORITY: u32 = 2;

/// The rates that were measured, in ascending order.
#[derive(Clone, Debug, Default)]
pub struct Rates(Vec<RateVotes>);

/// What the runs at one rate have said.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateVotes {
    /// Messages per second.
    pub rate: f64,
    met: u32,
    not_met: u32,
}

/// The rates between which the limit lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bracket {
    /// The highest rate below the other end that meets the objectives.
    pub met: Option<RateVotes>,
    /// The lowest rate that does not meet the objectives.
    pub not_met: Option<RateVotes>,
}

impl Rates {
    /// Counts the result of a run at `rate`.
    pub fn record(&mut self, rate: f64, is_met: bool) {
        let at = self.0.partition_point(|votes| votes.rate < rate);
        if self.0.get(at).is_none_or(|votes| votes.rate != rate) {
            let votes = RateVotes {
                rate,
                ..RateVotes::default()
            };
            self.0.insert(at, votes);
        }
        let votes = &mut self.0[at];
        match is_met {
            true => votes.met += 1,
            false => votes.not_met += 1,
        }
    }

    /// Returns a rate whose runs contradict each other, without a majority.
    pub fn tied(&self) -> Option<RateVotes> {
        let mut rates = self.0.iter();
        rates.find(|votes| votes.met == votes.not_met).copied()
    }

    /// Returns the rates between which the limit lies.
    pub fn bracket(&self) -> Bracket {
        let not_met = self.0.iter().position(|votes| votes.not_met > votes.met);
        let below = &self.0[..not_met.unwrap_or(self.0.len())];
        Bracket {
            met: below.iter().rev().find(|votes| votes.is_met()).copied(),
            not_met: not_met.map(|at| self.0[at]),
        }
    }
}

impl RateVotes {
    /// Returns true if another run would not change the majority of three.
    pub fn is_decided(&self) -> bool {
        self.met >= MAJORITY || self.not_met >= MAJORITY
    }

    fn is_met(&self) -> bool {
        self.met > self.not_met
    }
}
