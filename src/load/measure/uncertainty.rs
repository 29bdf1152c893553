//! The uncertainty of the figures within a run: 95 % confidence intervals by sectioning.
//!
//! The window is cut into [`SECTIONS`] sections. The figure of the whole run is the centre of the interval, and the
//! deviations of the sections from the centre give its width. Sectioning needs no model of the response times, and
//! holds where they depend on each other over times that are short against a section (Asmussen and Glynn, Stochastic
//! Simulation, 2007, chapter IV).
//!
//! An interval tells how far the figure would move in a longer run under the same conditions. It does not tell how far
//! the figure of a next run may lie away.

use std::fmt;

use distrs::StudentsT;
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::percentile::Percentile;
use super::series::{WeightedValue, lag1_correlation};

/// The number of sections. With fewer sections the interval is wider, because t has fewer degrees of freedom. With more
/// sections, each has fewer samples, and its percentiles are biased.
const SECTIONS: usize = 20;

/// The probability that the figure lies below the upper end of its interval: 95 % lie inside, 2.5 % on each side.
const UPPER: f64 = 0.975;

/// The number of samples above the percentile that a section has on average: 20,000 samples for p99 in all. The
/// percentile of fewer samples is biased. The rate needs as many messages.
const SAMPLES_ABOVE: f64 = 10.0;

/// The lag-1 correlation of batches or sections from which on they depend on each other. In simulations without this
/// limit, the p99 of a slow process (AR(1) 0.999, 100,000 samples) lay in 82 % of its intervals.
///
/// The batches are tested too, as they are three times as many: in simulations of 22,000 samples, a third of such streams
/// passed the test of the sections, and none the test of the batches. The limit is not sharp: with 100,000 samples, 24 %
/// of them pass both, and 90 % of their intervals of messages/s contain the true figure.
const DEPENDENT: f64 = 0.3;

/// The number of independent samples above the percentile that a section has at least on average.
///
/// Long responses often come in bursts, and a burst tells no more than one sample. The limit is needed where the bursts
/// are shorter than a batch, so that batches do not depend on each other: p99 of AR(1) 0.999 with 400,000 samples lay
/// in 89 % of its intervals.
const INDEPENDENT_SAMPLES_ABOVE: f64 = 1.0;

/// A 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceInterval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The reason why a figure has no confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoInterval {
    /// The window has fewer than 20 batches.
    TooShort,
    /// A section has too few samples above the percentile.
    TooFewSamples,
    /// The percentile is only a lower bound.
    LowerBound,
    /// Neighbouring batches are alike.
    DependentBatches,
    /// The samples above the percentile come in a few bursts.
    DependentSamples,
}

/// A value for each figure that may have a confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerFigure<T> {
    /// The value for messages per second.
    pub messages_per_sec: T,
    /// The value for the median of the response, in microseconds.
    pub p50: T,
    /// The value for the 90th percentile of the response, in microseconds.
    pub p90: T,
    /// The value for the 99th percentile of the response, in microseconds.
    pub p99: T,
}

/// Returns the confidence intervals of the figures of a run. The batches are those of its whole window, in order.
pub fn confidence_intervals(
    batches: &[Batch],
) -> PerFigure<Result<ConfidenceInterval, NoInterval>> {
    let Some(run) = Run::of(batches) else {
        let none = Err(NoInterval::TooShort);
        return PerFigure {
            messages_per_sec: none,
            p50: none,
            p90: none,
            p99: none,
        };
    };
    PerFigure {
        messages_per_sec: run.interval_of_rate(),
        p50: run.interval_of(Percentile::P50),
        p90: run.interval_of(Percentile::P90),
        p99: run.interval_of(Percentile::P99),
    }
}

impl<T> PerFigure<T> {
    /// Applies `change` to each value.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> PerFigure<U> {
        PerFigure {
            messages_per_sec: change(self.messages_per_sec),
            p50: change(self.p50),
            p90: change(self.p90),
            p99: change(self.p99),
        }
    }
}

/// Formats the reason in plain words.
impl fmt::Display for NoInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "the run is too short",
            Self::TooFewSamples => "a part of the run has too few samples",
            Self::LowerBound => "the figure is only a lower bound",
            Self::DependentBatches => "the figure drifts",
            Self::DependentSamples => "the slow responses come in too few bursts",
        })
    }
}

/// A run in three resolutions.
struct Run<'a> {
    whole: Batch,
    sections: Vec<Batch>,
    batches: &'a [Batch],
}

impl<'a> Run<'a> {
    /// Returns `None` if there are too few batches.
    fn of(batches: &'a [Batch]) -> Option<Self> {
        let sections = sections(batches)?;
        let whole = Batch::join(&sections)?;
        Some(Self {
            whole,
            sections,
            batches,
        })
    }

    fn interval_of_rate(&self) -> Result<ConfidenceInterval, NoInterval> {
        let messages = self.whole.messages as f64 / SECTIONS as f64;
        match messages < SAMPLES_ABOVE {
            true => Err(NoInterval::TooFewSamples),
            false => self.interval(Batch::messages_per_sec),
        }
    }

    fn interval_of(&self, percentile: Percentile) -> Result<ConfidenceInterval, NoInterval> {
        let samples_above = (1.0 - percentile.quantile()) * self.whole.samples() / SECTIONS as f64;
        let has_no_sample = |section: &Batch| section.samples() == 0.0;
        // The difference allows for the rounding of 1 - 0.99.
        if samples_above + 1e-9 < SAMPLES_ABOVE || self.sections.iter().any(has_no_sample) {
            return Err(NoInterval::TooFewSamples);
        }
        let is_lower_bound = |part: &Batch| {
            let response = &part.response;
            !percentile.is_known(response.histogram.len(), response.lower_bounds())
        };
        if is_lower_bound(&self.whole) || self.sections.iter().any(is_lower_bound) {
            return Err(NoInterval::LowerBound);
        }
        let microseconds = |part: &Batch| {
            let nanoseconds = part.percentile(percentile);
            WeightedValue {
                value: nanoseconds.value / 1e3,
                ..nanoseconds
            }
        };
        let interval = self.interval(microseconds)?;
        let burst = burst_length(&self.whole, self.batches, percentile);
        match samples_above / burst < INDEPENDENT_SAMPLES_ABOVE {
            true => Err(NoInterval::DependentSamples),
            false => Ok(interval),
        }
    }

    /// Returns the interval of the figure that `figure` computes of a part of the run.
    fn interval(
        &self,
        figure: impl Fn(&Batch) -> WeightedValue,
    ) -> Result<ConfidenceInterval, NoInterval> {
        let series = |parts: &[Batch]| parts.iter().map(&figure).collect::<Vec<_>>();
        let (sections, batches) = (series(&self.sections), series(self.batches));
        let between_batches = lag1_correlation(&batches);
        if lag1_correlation(&sections) > DEPENDENT || between_batches > DEPENDENT {
            return Err(NoInterval::DependentBatches);
        }
        let centre = figure(&self.whole).value;
        let error = standard_error(centre, &sections) * inflation(between_batches);
        let half = StudentsT::ppf(UPPER, (SECTIONS - 1) as f64) * error;
        Ok(ConfidenceInterval {
            low: (centre - half).max(0.0),
            high: centre + half,
        })
    }
}

/// Groups the batches into sections of nearly equal length. Returns `None` if a section has no batch.
fn sections(batches: &[Batch]) -> Option<Vec<Batch>> {
    let start = batches.first()?.start;
    let length: f64 = batches.iter().map(|batch| batch.length.as_secs_f64()).sum();
    let section_of = |batch: &Batch| {
        let middle = batch.start.saturating_sub(start) + batch.length / 2;
        (middle.as_secs_f64() / length * SECTIONS as f64) as usize
    };
    let grouped = batches.chunk_by(|a, b| section_of(a) == section_of(b));
    let sections: Vec<_> = grouped.filter_map(Batch::join).collect();
    (sections.len() == SECTIONS).then_some(sections)
}

/// Returns the standard error of `centre`, the figure of the whole run.
///
/// Sections are not taken as equally precise: a section of slow responses has fewer samples in a closed loop.
fn standard_error(centre: f64, sections: &[WeightedValue]) -> f64 {
    let weight: f64 = sections.iter().map(|section| section.weight).sum();
    let square =
        |section: &WeightedValue| (section.weight / weight * (section.value - centre)).powi(2);
    let count = sections.len() as f64;
    (sections.iter().map(square).sum::<f64>() * count / (count - 1.0)).sqrt()
}

/// Returns the factor of the standard error for batches whose lag-1 correlation is `correlation`: the variance of a mean
/// grows by (1 + r) / (1 - r).
///
/// Sections remove the dependence of batches only in part. In simulations without this factor, the rate of a slow process
/// (AR(1) 0.999, 100,000 samples) lay in 90 % of its intervals.
fn inflation(correlation: f64) -> f64 {
    let positive = correlation.max(0.0);
    ((1.0 + positive) / (1.0 - positive)).sqrt()
}

/// Returns the number of samples above the percentile that tell as much as one independent sample, at least 1.
///
/// The number is the variance of the batches' counts of such samples, as a multiple of the variance of independent
/// samples (the index of dispersion).
fn burst_length(whole: &Batch, batches: &[Batch], percentile: Percentile) -> f64 {
    let value = whole.percentile(percentile).value as u64;
    let share_above = |batch: &Batch| 1.0 - batch.response.histogram.quantile_below(value);
    let share = share_above(whole);
    // The excess of a batch, in standard deviations of independent samples, squared.
    let excess = |batch: &Batch| {
        batch.samples() * (share_above(batch) - share).powi(2) / (share * (1.0 - share))
    };
    let with_samples = batches.iter().filter(|batch| batch.samples() > 0.0);
    let dispersion = with_samples.map(excess).sum::<f64>() / (batches.len() - 1) as f64;
    // Not a number if no sample lies above, because many samples are equal.
    dispersion.max(1.0)
}

#[cfg(test)]
mod tests;
