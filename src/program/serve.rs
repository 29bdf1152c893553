//! `mio-echo serve`: runs the server from its first log line to its exit code.

use std::env;
use std::error::Error;
use std::io;
use std::process::ExitCode;

use log::warn;
use mio_echo::conn::Framing;
use mio_echo::net::{Handle, Outcome, ScopedAddress, Server, threads};

use super::bounded_writer::Flushed;
use super::exit_code;
use super::failure::{cannot, fail};
use super::log_format::LineFormat;
use super::log_queue::LogQueue;
#[cfg(feature = "metrics")]
use super::metrics;
#[cfg(all(feature = "systemd", target_os = "linux"))]
use super::notifier::Notifier;
use super::standard_streams::{stdin, wait_for_end, write_stderr_bounded, write_stdout_bounded};
use crate::cli::{ServeOptions, unknown_variables};

/// Serves until a signal, or the end of standard input if that was asked for.
pub fn run(options: ServeOptions) -> ExitCode {
    let log = match LogQueue::install(options.level, LineFormat::resolve(options.log_format)) {
        Ok(log) => log,
        Err(error) => return fail(&error),
    };
    for line in unknown_variables(env::vars_os()) {
        warn!("{line}");
    }
    let outcome = serve(options, &log);
    let flushed = log.flush();
    if let Flushed::Lost(lines) = flushed {
        write_stderr_bounded(&format!(
            "mio-echo: {lines} log lines lost: standard error may block, and no thread could be started to wait for it"
        ));
    }
    let has_reader = matches!(flushed, Flushed::Written | Flushed::Lost(_));
    match outcome {
        Ok(Outcome::Stopped) => exit_code::FINISHED.into(),
        Ok(Outcome::ListenersFailed) if has_reader => {
            fail(&*Box::<dyn Error>::from("no listener is left"))
        }
        Ok(Outcome::Interrupted { signal }) => exit_code::of_signal(signal).into(),
        Err(error) if has_reader => fail(&*error),
        // Standard error has no reader: another line would wait as long again.
        Ok(Outcome::ListenersFailed) | Err(_) => exit_code::FAILED.into(),
    }
}

fn serve(options: ServeOptions, log: &LogQueue) -> Result<Outcome, Box<dyn Error>> {
    let framings: Vec<_> = options.config.framings().collect();
    let bound = options.config.listen.len();
    let mut server = Server::bind(options.config)?;
    server.install_signals()?;
    if options.stop_on_eof {
        stop_at_end_of_stdin(server.handle())?;
    }
    #[cfg(all(feature = "systemd", target_os = "linux"))]
    if let Some(notifier) = Notifier::from_environment()? {
        server.observe(Box::new(notifier));
    }
    let lines = start_lines(&server, &framings, bound);
    #[cfg(feature = "metrics")]
    let lines = lines + &metrics::start(&mut server, options.metrics)?;
    // A stopped reader of standard output must not stop the server.
    if let Err(error) = write_stdout_bounded(&lines) {
        warn!("start lines lost: {error}");
    }
    log.end_start();
    Ok(server.run()?)
}

/// One line for each listener, in the order of the command line. The listeners after the first `bound` are inherited.
fn start_lines(server: &Server, framings: &[Framing], bound: usize) -> String {
    let listeners = server.addresses().iter().zip(server.takes_both_families());
    listeners
        .zip(framings)
        .enumerate()
        .map(|(index, ((address, takes_both_families), framing))| {
            let coverage = match takes_both_families {
                true => " both-families",
                false => "",
            };
            let origin = match index < bound {
                true => "",
                false => " inherited",
            };
            let address = ScopedAddress(*address);
            format!("listening on {address} {framing}{coverage}{origin}\n")
        })
        .collect()
}

fn stop_at_end_of_stdin(server: Handle) -> io::Result<()> {
    let input = stdin().map_err(|error| cannot("read standard input", error))?;
    let read_and_stop = move || {
        wait_for_end(input);
        // If the wake fails, the loop finds the request at its next event.
        let _ = server.stop();
    };
    threads::spawn("stdin", read_and_stop)
        .map(drop)
        .map_err(|error| cannot("start a thread for --stop-on-eof", error))
}
