//! Questions of the endpoint's thread to the loop, and the loop's answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::figures::Figures;
use crate::net::Handle;

/// What the loop and the endpoint's thread share.
#[derive(Debug)]
pub(super) struct Questions {
    server: Handle,
    endpoint: Handle,
    pub figures: Topic<Arc<Figures>>,
    pub health: Topic<Health>,
}

/// Questions with an answer of type `A`. They are numbered from 1. An answer has the number of the latest question that it
/// answers, so it is never older than the question.
#[derive(Debug)]
pub(super) struct Topic<A> {
    latest_question: AtomicU64,
    latest_answer: Mutex<Option<(u64, A)>>,
}

/// The health of a server all of whose loops turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Serving,
    Stopping,
}

impl Questions {
    /// Creates the questions between the loop of `server` and the thread of `endpoint`.
    pub(super) fn new(server: Handle, endpoint: Handle) -> Self {
        Self {
            server,
            endpoint,
            figures: Topic::new(),
            health: Topic::new(),
        }
    }

    /// Asks the loop for the figures, and returns the number of the question.
    pub(super) fn ask_for_figures(&self) -> u64 {
        self.ask(&self.figures)
    }

    /// Asks the loop for the health of the server, and returns the number of the question.
    pub(super) fn ask_for_health(&self) -> u64 {
        self.ask(&self.health)
    }

    /// Answers all questions about the figures up to `question`.
    pub(super) fn answer_figures(&self, question: u64, figures: Figures) {
        self.answer(&self.figures, question, Arc::new(figures));
    }

    /// Answers all questions about the health up to `question`.
    pub(super) fn answer_health(&self, question: u64, health: Health) {
        self.answer(&self.health, question, health);
    }

    /// Ends the endpoint's thread.
    pub(super) fn close(&self) {
        // If the wake fails, the thread ends at its next event.
        let _ = self.endpoint.stop();
    }

    /// Returns true if the endpoint's thread must end.
    pub(super) fn is_closed(&self) -> bool {
        self.endpoint.stop_requested()
    }

    fn ask<A>(&self, topic: &Topic<A>) -> u64 {
        let question = topic.latest_question.fetch_add(1, Ordering::AcqRel) + 1;
        // If the wake fails, the loop finds the question after its next event.
        let _ = self.server.wake();
        question
    }

    fn answer<A>(&self, topic: &Topic<A>, question: u64, answer: A) {
        *topic.lock() = Some((question, answer));
        // If the wake fails, the endpoint finds the answer when the time for it is over.
        let _ = self.endpoint.wake();
    }
}

impl<A> Topic<A> {
    fn new() -> Self {
        Self {
            latest_question: AtomicU64::new(0),
            latest_answer: Mutex::new(None),
        }
    }

    /// Returns the number of the latest question.
    pub(super) fn latest_question(&self) -> u64 {
        self.latest_question.load(Ordering::Acquire)
    }

    /// Returns the answer to `question`, or `None` if the loop has not answered yet.
    pub(super) fn answer_to(&self, question: u64) -> Option<A>
    where
        A: Clone,
    {
        let latest = self.lock();
        let (_, answer) = latest.as_ref().filter(|(latest, _)| *latest >= question)?;
        Some(answer.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(u64, A)>> {
        self.latest_answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
