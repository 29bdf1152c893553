//! `mio-echo serve`.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;

use mio_echo::conn::Framing;
use mio_echo::net::{Handle, Outcome, Server};

use super::log_queue::LogQueue;
use super::standard_streams::{await_end_of_input, takes_at_once};
use super::{exit_code, fail};
use crate::cli::Serve;

pub fn serve(options: Serve) -> ExitCode {
    let log = match LogQueue::install(options.level) {
        Ok(log) => log,
        Err(error) => return fail(&error),
    };
    let outcome = run(options, &log);
    let is_written = log.flush();
    match outcome {
        Ok(Outcome::Stopped) => exit_code::FINISHED.into(),
        Ok(Outcome::Interrupted { signal }) => exit_code::of_signal(signal).into(),
        Err(error) if is_written => fail(&*error),
        // Whoever reads standard error does not, and would hold us up.
        Err(_) => exit_code::FAILED.into(),
    }
}

fn run(options: Serve, log: &LogQueue) -> Result<Outcome, Box<dyn Error>> {
    let framings: Vec<Framing> = options
        .config
        .listen
        .iter()
        .map(|(_, framing)| *framing)
        .collect();
    let mut server = Server::bind(options.config)?;
    server.install_signals()?;
    announce(server.addresses(), &framings);
    if options.stop_on_eof {
        stop_at_end_of_input(server.handle())?;
    }
    log.end_start();
    Ok(server.run()?)
}

/// Nobody has to read this: errors are ignored, and a full pipe holds nobody up but a thread.
fn announce(addresses: &[SocketAddr], framings: &[Framing]) {
    let lines: String = addresses
        .iter()
        .zip(framings)
        .map(|(address, framing)| format!("listening on {address} {framing}\n"))
        .collect();
    let is_taken_at_once = takes_at_once(&io::stdout(), lines.len());
    let write = move || {
        let mut output = io::stdout().lock();
        let _ = output
            .write_all(lines.as_bytes())
            .and_then(|()| output.flush());
    };
    if is_taken_at_once {
        write();
    } else {
        let _ = thread::Builder::new().name("stdout".into()).spawn(write);
    }
}

fn stop_at_end_of_input(server: Handle) -> io::Result<()> {
    let read_and_stop = move || {
        await_end_of_input();
        // A failed wake leaves the request to the next event.
        let _ = server.stop();
    };
    thread::Builder::new()
        .name("stdin".into())
        .spawn(read_and_stop)
        .map(drop)
}
