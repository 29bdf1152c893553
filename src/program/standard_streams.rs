//! Standard input, output and error. Other processes may share them, and their readers may stop.

#[cfg(all(windows, feature = "client"))]
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Stdin, Stdout, Write};
#[cfg(unix)]
use std::os::fd::AsFd as AsStream;
#[cfg(windows)]
use std::os::windows::io::AsHandle as AsStream;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mio_echo::net::threads;
#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(unix)]
use rustix::fs::{OFlags, fcntl_getfl};
#[cfg(unix)]
use rustix::io::Errno;
#[cfg(unix)]
use socket2::SockRef;

use super::retrying_stream::RetryingStream;

/// How long the end of the program waits at most for the reader of a stream.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns standard input.
///
/// # Errors
///
/// Fails if the descriptor is not open for reading. The standard library takes it for a stream that has ended.
pub fn stdin() -> io::Result<RetryingStream<Stdin>> {
    let stream = io::stdin();
    #[cfg(unix)]
    check_access(&stream, OFlags::RDONLY)?;
    Ok(RetryingStream(stream))
}

/// Returns standard output.
///
/// # Errors
///
/// Fails if the descriptor is not open for writing. The standard library discards what is written to it.
pub fn stdout() -> io::Result<RetryingStream<Stdout>> {
    let stream = io::stdout();
    #[cfg(unix)]
    check_access(&stream, OFlags::WRONLY)?;
    Ok(RetryingStream(stream))
}

/// Fails if `stream` is open neither in the mode `wanted` nor for reading and writing. A stream whose mode is not known
/// passes.
#[cfg(unix)]
fn check_access(stream: &impl AsStream, wanted: OFlags) -> io::Result<()> {
    let is_wrong = |flags: OFlags| ![wanted, OFlags::RDWR].contains(&(flags & OFlags::ACCMODE));
    match fcntl_getfl(stream) {
        Ok(flags) if is_wrong(flags) => Err(Errno::BADF.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes the last `line` to standard error, and waits at most [`FLUSH_TIMEOUT`] for its reader. Errors are ignored.
pub fn write_stderr_bounded(line: &str) {
    let text = format!("{line}\n");
    match write(io::stderr(), text.as_bytes()) {
        // Nothing is sent: the wait ends with the write, or at its timeout.
        Ok(end) => drop(end.recv_timeout(FLUSH_TIMEOUT)),
        Err(_refused) => write_last_without_thread(text.as_bytes()),
    }
}

/// Writes to a terminal what the terminal takes without blocking. Other streams have got that part of `text` before.
#[cfg(unix)]
fn write_last_without_thread(text: &[u8]) {
    let stderr = io::stderr();
    if stderr.is_terminal() {
        write_without_blocking(&stderr, text);
    }
}

/// Writes `text`, and may block: Windows does not tell, and a failure without a line would be worse.
#[cfg(windows)]
fn write_last_without_thread(text: &[u8]) {
    let _ = io::stderr().write_all(text);
}

/// Writes `text` to standard output. If a reader has made room, this waits at most [`FLUSH_TIMEOUT`] for the write. If
/// there is no room, a thread waits, and errors of the stream are ignored.
///
/// # Errors
///
/// Fails if the stream fails while this waits, or if the system refuses the thread that would wait. Some of `text` is
/// lost then.
pub fn write_stdout_bounded(text: &str) -> io::Result<()> {
    let explain = |what, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let failed = |error| explain("cannot write standard output", error);
    let refused = |error| {
        let what = "standard output may block, and no thread can be started to wait for it";
        explain(what, error)
    };
    let RetryingStream(stream) = stdout().map_err(failed)?;
    let has_room = polls_as_writable(&stream);
    let end = write(stream, text.as_bytes()).map_err(refused)?;
    match has_room.then(|| end.recv_timeout(FLUSH_TIMEOUT)) {
        Some(Ok(written)) => written.map_err(failed),
        // All is written, the wait has timed out, or nothing was to be waited for.
        Some(Err(_)) | None => Ok(()),
    }
}

/// Writes here what `stream` takes without blocking, and the rest in a thread. Only a thread writes to a terminal. The
/// thread sends its result. The channel is disconnected at the end of the write.
///
/// # Errors
///
/// Fails if the system refuses the thread.
fn write(
    stream: impl Write + AsStream + IsTerminal + Send + 'static,
    text: &[u8],
) -> io::Result<Receiver<io::Result<()>>> {
    let written = match stream.is_terminal() {
        true => 0,
        false => write_without_blocking(&stream, text),
    };
    let (writing, end) = mpsc::channel();
    let rest = text[written..].to_vec();
    if !rest.is_empty() {
        let write_rest = move || {
            let mut stream = RetryingStream(stream);
            let result = stream.write_all(&rest).and_then(|()| stream.flush());
            // An error means that nobody waits.
            let _ = writing.send(result);
        };
        threads::spawn("output", write_rest)?;
    }
    Ok(end)
}

/// Returns true if a write of `bytes` bytes does not block. The answer for a terminal, and for more bytes than
/// [`guaranteed_room`], is not known, and false.
#[cfg(unix)]
pub fn can_write_without_blocking(output: &(impl AsStream + IsTerminal), bytes: usize) -> bool {
    !output.is_terminal() && bytes <= guaranteed_room(output) && polls_as_writable(output)
}

/// Returns false: Windows does not tell whether a write would block.
#[cfg(windows)]
pub fn can_write_without_blocking(_: &impl AsStream, _: usize) -> bool {
    false
}

/// Waits until `output` takes a write, or has an error. A pipe takes a line of up to `PIPE_BUF` bytes then, whole, although
/// it is non-blocking.
#[cfg(unix)]
pub fn wait_until_writable(output: &impl AsStream) {
    let mut descriptor = [PollFd::new(output, PollFlags::OUT)];
    while poll(&mut descriptor, None) == Err(Errno::INTR) {}
}

/// Does nothing: the standard streams of Windows block.
#[cfg(windows)]
pub fn wait_until_writable(_: &impl AsStream) {}

/// Writes as much of `bytes` as `output` takes without blocking. Returns the number of written bytes.
#[cfg(unix)]
fn write_without_blocking(output: &(impl AsStream + IsTerminal), bytes: &[u8]) -> usize {
    let room = guaranteed_room(output);
    let mut written = 0;
    while written < bytes.len() && polls_as_writable(output) {
        let piece = &bytes[written..bytes.len().min(written + room)];
        match rustix::io::write(output, piece) {
            Ok(taken) => written += taken,
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    written
}

/// Returns 0: Windows does not tell whether a write would block.
#[cfg(windows)]
fn write_without_blocking(_: &impl AsStream, _: &[u8]) -> usize {
    0
}

/// Returns how many bytes a write takes without blocking if `output` polls as writable.
///
/// A pipe takes `PIPE_BUF` bytes, and a file or `/dev/null` never blocks. A terminal promises one byte, and shows a line
/// feed as two. A socket polls as writable if a third of its send buffer is free, which also has to hold the kernel's own
/// data.
#[cfg(unix)]
fn guaranteed_room(output: &(impl AsStream + IsTerminal)) -> usize {
    const ENOUGH_FOR_A_SOCKET: usize = 16 * libc::PIPE_BUF;
    let socket = SockRef::from(output).send_buffer_size();
    let is_small_socket = socket.is_ok_and(|size| size < ENOUGH_FOR_A_SOCKET);
    if output.is_terminal() || is_small_socket {
        1
    } else {
        libc::PIPE_BUF
    }
}

/// Returns true if `output` has room for at least one byte, and no error.
#[cfg(unix)]
fn polls_as_writable(output: &impl AsStream) -> bool {
    readiness(output, PollFlags::OUT) == PollFlags::OUT
}

/// Returns false: Windows does not tell whether a write would block.
#[cfg(windows)]
fn polls_as_writable(_: &impl AsStream) -> bool {
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
pub fn wait_for_end(stdin: RetryingStream<Stdin>) {
    // A wait in poll(2) costs nothing, unlike the retries of the stream.
    let mut input = stdin.0.lock();
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
