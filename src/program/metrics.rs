//! `--metrics` and `--metrics-file` of `mio-echo serve`.

use std::error::Error;

use mio_echo::metrics::{Endpoint, MetricsObserver};
use mio_echo::net::{ScopedAddress, Server};

use super::failure::cannot;
use crate::cli::MetricsOptions;

/// Shows the metrics of `server` where `options` say. Returns the start line of the endpoint, if there is one.
///
/// # Errors
///
/// When the address cannot be listened on, or the thread cannot be started.
pub fn start(server: &mut Server, options: MetricsOptions) -> Result<String, Box<dyn Error>> {
    if options == MetricsOptions::default() {
        return Ok(String::new());
    }
    let mut observer = MetricsObserver::new();
    let mut start_line = String::new();
    if let Some(listen) = options.listen {
        let endpoint = Endpoint::bind(listen)?;
        let address = ScopedAddress(endpoint.address());
        start_line = format!("metrics on http://{address}/metrics\n");
        let started = observer.serve_at(endpoint, server.handle());
        started.map_err(|error| cannot("start the thread of --metrics", error))?;
    }
    if let Some(path) = options.file {
        observer.write_to(path);
    }
    server.observe(Box::new(observer));
    Ok(start_line)
}
