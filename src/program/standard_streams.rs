//! What may be asked of a standard stream before it is used: others share it, and nobody may be held up by it.

#[cfg(all(windows, feature = "client"))]
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long the end of the program waits at most for one of them that takes nothing.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What a pipe that polls as writable has room for, in bytes.
pub const PAGE: usize = 4096;

/// Writes the last `line` to standard error, and waits for no longer than [`PATIENCE`]. Nobody has to read it: errors are
/// ignored.
pub fn write_stderr_bounded(line: String) {
    let is_taken_at_once = takes_at_once(&io::stderr(), line.len() + 1);
    let write = move || {
        let _ = writeln!(io::stderr(), "{line}");
    };
    if is_taken_at_once {
        return write();
    }
    let (ended, end) = mpsc::channel::<()>();
    let write = move || {
        write();
        drop(ended);
    };
    if thread::Builder::new()
        .name("stderr".into())
        .spawn(write)
        .is_ok()
    {
        // Nothing is sent: it ends, or it takes too long.
        let _ = end.recv_timeout(PATIENCE);
    }
}

/// Whether so many `bytes` can be written without waiting. Of more than a [`PAGE`] that is not known.
#[cfg(unix)]
pub fn takes_at_once(output: &impl AsFd, bytes: usize) -> bool {
    bytes <= PAGE && readiness(output, PollFlags::OUT) == PollFlags::OUT
}

/// Whether so many bytes can be written without waiting: not known.
#[cfg(windows)]
pub fn takes_at_once<T>(_: &T, _: usize) -> bool {
    false
}

/// Whether reading would not wait: there is more, or it has ended.
#[cfg(all(unix, feature = "client"))]
pub fn is_readable_at_once(input: &impl AsFd) -> bool {
    !readiness(input, PollFlags::IN).is_empty()
}

/// Whether reading would not wait, which is known of a file.
#[cfg(all(windows, feature = "client"))]
pub fn is_readable_at_once(input: &impl std::os::windows::io::AsHandle) -> bool {
    let file = input.as_handle().try_clone_to_owned().map(File::from);
    file.and_then(|file| file.metadata())
        .is_ok_and(|metadata| metadata.is_file())
}

/// What `poll` says at once.
#[cfg(unix)]
fn readiness(stream: &impl AsFd, wanted: PollFlags) -> PollFlags {
    let mut descriptor = [PollFd::new(stream, wanted)];
    match poll(&mut descriptor, Some(&Timespec::default())) {
        Ok(_) => descriptor[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

/// Reads standard input to its end, which an error is too. That it has nothing at the moment is none: whoever shares it
/// may have made it non-blocking.
pub fn await_end_of_input() {
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
