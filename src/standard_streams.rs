//! What may be asked of a standard stream before it is used: others share it, and nobody may be held up by it.

use std::io::{self, ErrorKind, Read};

/// Whether a few lines can be written without waiting. A pipe that polls as writable has room for a page.
#[cfg(unix)]
pub fn takes_a_page_at_once(output: &impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut descriptor = [PollFd::new(output, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut descriptor, Some(&at_once)).is_ok() && descriptor[0].revents() == PollFlags::OUT
}

/// Whether a few lines can be written without waiting: not known.
#[cfg(windows)]
pub fn takes_a_page_at_once<T>(_: &T) -> bool {
    false
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
                use rustix::event::{PollFd, PollFlags, poll};
                let _ = poll(&mut [PollFd::new(&input, PollFlags::IN)], None);
            }
            Err(_) => return,
        }
    }
}
