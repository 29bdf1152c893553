//! Standard input, output and error. Other processes may share them, and their readers may stop.

#[cfg(all(windows, feature = "client"))]
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
#[cfg(unix)]
use std::os::fd::AsFd as AsStream;
#[cfg(windows)]
use std::os::windows::io::AsHandle as AsStream;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mio_echo::net::threads;

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long the end of the program waits at most for the reader of a stream.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The room of a pipe that polls as writable, in bytes: one page.
pub const WRITABLE_PIPE_ROOM: usize = 4096;

/// Writes the last `line` to standard error, and waits at most [`FLUSH_TIMEOUT`] for its reader. Errors are ignored.
pub fn write_stderr_bounded(line: &str) {
    // Nothing is sent: the wait ends with the write, or at its timeout.
    let _ = write(io::stderr(), format!("{line}\n")).recv_timeout(FLUSH_TIMEOUT);
}

/// Writes `text` to standard output, and never waits for its reader: if a pipe is full, a thread waits. Errors are
/// ignored.
pub fn write_stdout_detached(text: String) {
    drop(write(io::stdout(), text));
}

/// Writes `text` here, or in a thread if `stream` would block. The channel is disconnected at the end of the write, or
/// when the system has no thread left.
fn write(mut stream: impl Write + AsStream + Send + 'static, text: String) -> Receiver<()> {
    let can_write = can_write_without_blocking(&stream, text.len());
    let (writing, end) = mpsc::channel();
    let write = move || {
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.flush();
        drop(writing);
    };
    if can_write {
        write();
    } else {
        let _ = threads::spawn("output", write);
    }
    end
}

/// Returns true if a write of `bytes` bytes does not block. The answer for more than [`WRITABLE_PIPE_ROOM`] bytes is
/// not known, and false.
#[cfg(unix)]
pub fn can_write_without_blocking(output: &impl AsStream, bytes: usize) -> bool {
    bytes <= WRITABLE_PIPE_ROOM && readiness(output, PollFlags::OUT) == PollFlags::OUT
}

/// Returns false: Windows does not tell whether a write would block.
#[cfg(windows)]
pub fn can_write_without_blocking(_: &impl AsStream, _: usize) -> bool {
    false
}

/// Returns true if a read does not block: there is input, or the input has ended.
#[cfg(all(unix, feature = "client"))]
pub fn can_read_without_blocking(input: &impl AsStream) -> bool {
    !readiness(input, PollFlags::IN).is_empty()
}

/// Returns true if a read does not block. Windows tells that of a file only.
#[cfg(all(windows, feature = "client"))]
pub fn can_read_without_blocking(input: &impl AsStream) -> bool {
    let file = input.as_handle().try_clone_to_owned().map(File::from);
    file.and_then(|file| file.metadata())
        .is_ok_and(|metadata| metadata.is_file())
}

/// Polls `stream` without waiting.
#[cfg(unix)]
fn readiness(stream: &impl AsStream, wanted: PollFlags) -> PollFlags {
    let mut descriptor = [PollFd::new(stream, wanted)];
    match poll(&mut descriptor, Some(&Timespec::default())) {
        Ok(_) => descriptor[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

/// Reads standard input until it ends or fails. `WouldBlock` does not end it: another process that shares the stream
/// may have made it non-blocking.
pub fn wait_for_end_of_stdin() {
    let mut input = io::stdin().lock();
    let mut discarded = [0; 1024];
    loop {
        match input.read(&mut discarded).map_err(|error| error.kind()) {
            Ok(0) => return,
            Ok(_) | Err(ErrorKind::Interrupted) => {}
            #[cfg(unix)]
            Err(ErrorKind::WouldBlock) => {
                let _ = poll(&mut [PollFd::new(&input, PollFlags::IN)], None);
            }
            Err(_) => return,
        }
    }
}
