//! The loop's part of the metrics: it hands out the figures, and writes the file.
//!
//! With several loops, the first one asks the others before each answer. So the endpoint notices every loop that hangs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::endpoint::Endpoint;
use super::figures::Figures;
use super::file::MetricsFile;
use super::questions::{Health, Questions, Topic};
use super::text;
use crate::net::timers::NEVER;
use crate::net::{Handle, Observation, Observer, StatsRequest, TurnRequest};

/// Gives the figures of a server to an [`Endpoint`] and to a file.
#[derive(Debug)]
pub struct MetricsObserver {
    /// When the server started, in seconds since 1970.
    started: u64,
    questions: Option<Arc<Questions>>,
    figures: PendingAnswer<StatsRequest>,
    health: PendingAnswer<TurnRequest>,
    file: Option<MetricsFile>,
    /// The request for the statistics of the next write.
    file_request: Option<StatsRequest>,
}

/// The answer to questions of one topic, while it waits for the answers of the loops to a request.
#[derive(Debug)]
struct PendingAnswer<R> {
    /// The number of the latest question that has led to a request.
    question: u64,
    request: Option<R>,
}

impl MetricsObserver {
    /// Creates the observer of a server that starts now.
    #[must_use]
    pub fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started: started.map_or(0, |since| since.as_secs()),
            questions: None,
            figures: PendingAnswer::new(),
            health: PendingAnswer::new(),
            file: None,
            file_request: None,
        }
    }

    /// Starts the thread of `endpoint`, which serves the figures of `server`. The thread ends with this observer.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread, or the poll that it waits with, cannot be created.
    pub fn serve_at(&mut self, endpoint: Endpoint, server: Handle) -> io::Result<()> {
        self.questions = Some(endpoint.start(server)?);
        Ok(())
    }

    /// Writes the figures to the file at `path` every 10 s, and when the server has ended. The loop waits for each write. A
    /// write that fails is logged.
    pub fn write_to(&mut self, path: PathBuf) {
        self.file = Some(MetricsFile::new(path));
    }

    /// Answers questions about the health of the server, if all loops have turned since.
    fn answer_health(&mut self, observation: &Observation<'_>) {
        let Some(questions) = &self.questions else {
            return;
        };
        let health = match observation.is_stopping {
            true => Health::Stopping,
            false => Health::Serving,
        };
        let new_request = || observation.request_turn();
        while let Some(request) = self.health.request(&questions.health, new_request)
            && observation.have_turned(request)
        {
            questions.answer_health(self.health.take(), health);
        }
    }

    /// Answers questions about the figures, if all loops have told theirs since.
    fn answer_figures(&mut self, observation: &Observation<'_>) {
        let Some(questions) = &self.questions else {
            return;
        };
        let new_request = || observation.request_stats();
        while let Some(request) = self.figures.request(&questions.figures, new_request)
            && let Some(figures) = self.figures_for(request, observation)
        {
            questions.answer_figures(self.figures.take(), figures);
        }
    }

    /// Writes the file, if it is due and all loops have told their figures since.
    fn write_file(&mut self, observation: &Observation<'_>) {
        let is_due =
            |file: &MetricsFile| observation.has_ended || file.next_write() <= observation.now;
        if !self.file.as_ref().is_some_and(is_due) {
            return;
        }
        let new_request = || observation.request_stats();
        let request = *self.file_request.get_or_insert_with(new_request);
        let figures = self.figures_for(request, observation);
        if let Some((file, figures)) = self.file.as_mut().zip(figures) {
            file.write(&text::of(&figures), observation.now);
            self.file_request = None;
        }
    }

    fn figures_for(&self, request: StatsRequest, observation: &Observation<'_>) -> Option<Figures> {
        Some(Figures {
            stats: observation.stats(request)?,
            is_stopping: observation.is_stopping,
            started: self.started,
        })
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Copy> PendingAnswer<R> {
    fn new() -> Self {
        Self {
            question: 0,
            request: None,
        }
    }

    /// Returns the request that an answer waits for. Without one, makes a request if `topic` has a new question.
    fn request<A>(&mut self, topic: &Topic<A>, new_request: impl FnOnce() -> R) -> Option<R> {
        let latest = topic.latest_question();
        if self.request.is_none() && self.question != latest {
            self.question = latest;
            self.request = Some(new_request());
        }
        self.request
    }

    /// Ends the wait, and returns the question that is answered now.
    fn take(&mut self) -> u64 {
        self.request = None;
        self.question
    }
}

impl Observer for MetricsObserver {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.answer_health(observation);
        self.answer_figures(observation);
        self.write_file(observation);
    }

    fn next_deadline(&self) -> u64 {
        match &self.file {
            Some(file) if self.file_request.is_none() => file.next_write(),
            Some(_) | None => NEVER,
        }
    }
}

impl Drop for MetricsObserver {
    fn drop(&mut self) {
        if let Some(questions) = &self.questions {
            questions.close();
        }
    }
}
