//! The figures of a server for monitoring, as Prometheus reads them: over HTTP, and in a file.
//!
//! ```text
//!      the loop's thread       |           the endpoint's thread
//!                              |
//!   MetricsObserver <------ question ------ Client <--- GET /metrics --- scraper
//!      |        |              |              ^
//!      |        +----------- figures ---------+
//!      |
//!      +--- every 10 s ---> file
//! ```
//!
//! Only the loop's thread knows the figures. When there is a question, a [`MetricsObserver`] there adds up what the server
//! has counted, and the endpoint's thread turns these figures into text. So a loop that stands still does not answer, and
//! the endpoint says that after 2 seconds. The health of the server needs no figures, and costs each loop only one turn.
//!
//! | file | content |
//! |------|---------|
//! | `observer.rs` | [`MetricsObserver`]: the loop's part |
//! | `figures.rs` | the figures, and all their names, kinds and meanings |
//! | `text.rs`, `page.rs` | the figures as text for Prometheus, and as a page for people |
//! | `endpoint.rs`, `client.rs`, `http.rs` | [`Endpoint`]: the thread, one of its clients, and requests and responses |
//! | `questions.rs` | questions to the loop, and its answers |
//! | `file.rs` | the file |

mod client;
mod endpoint;
mod figures;
mod file;
mod http;
mod observer;
mod page;
mod questions;
mod text;

#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;
pub use observer::MetricsObserver;
