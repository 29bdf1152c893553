//! Pseudo-terminals.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{ioctl_fionbio, ioctl_fionread};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{DEADLINE, skip, wait_for};

/// A pseudo-terminal.
pub struct Terminal {
    /// The side of the person who reads and types.
    reader: File,
    /// The side of the programs.
    writer: File,
}

impl Terminal {
    /// Opens a pseudo-terminal. Prints that `test` is skipped, and returns `None`, if the system has none.
    #[track_caller]
    pub fn open(test: &str) -> Option<Self> {
        let opened = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).and_then(|reader| {
            grantpt(&reader)?;
            unlockpt(&reader)?;
            let name = ptsname(&reader, Vec::new())?;
            Ok((File::from(reader), name))
        });
        let (reader, name) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                skip(test, &format!("no pseudo-terminal: {error}"));
                return None;
            }
        };
        let writer = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OpenptFlags::NOCTTY.bits() as i32)
            .open(name.to_str().expect("a path"))
            .expect("the terminal");
        Some(Self { reader, writer })
    }

    /// Sets the number of columns.
    #[track_caller]
    pub fn set_columns(&self, columns: u16) {
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.reader, size).expect("a size");
    }

    /// Waits until a program has written `text`, which must be the first output.
    #[track_caller]
    pub fn await_first(&mut self, text: &str) {
        let mut first = vec![0; text.len()];
        self.reader.read_exact(&mut first).expect("some output");
        assert_eq!(String::from_utf8_lossy(&first), text);
    }

    /// Returns a descriptor for the standard stream of a program.
    #[track_caller]
    pub fn stream(&self) -> OwnedFd {
        self.writer.try_clone().expect("a descriptor").into()
    }

    /// Returns the text that the programs write until the last of them has ended.
    pub fn read_to_end(self) -> String {
        let Self { mut reader, writer } = self;
        // This process must not keep the terminal open.
        drop(writer);
        let mut text = Vec::new();
        // Linux reports the end of a terminal as an error.
        let _ = reader.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Fills the terminal, so that it polls as writable and has no room for a line.
    ///
    /// Linux frees the memory of a terminal in pieces. After all but the last byte of a free piece, the next write takes
    /// the memory of the whole next piece, and the end of its line finds no room.
    #[track_caller]
    pub fn leave_little_room(&mut self) {
        ioctl_fionbio(&self.writer, true).expect("a terminal that does not block");
        self.write_up_to(usize::MAX);
        // Pieces may differ in size, and the kernel may still move bytes to the reader.
        wait_for("little room is left", DEADLINE, || {
            self.free_one_piece();
            let piece = self.write_up_to(usize::MAX);
            self.free_one_piece();
            self.write_up_to(piece.saturating_sub(1));
            self.is_writable()
        });
        // A program is to find a terminal that blocks.
        ioctl_fionbio(&self.writer, false).expect("a terminal that blocks");
    }

    /// Writes single bytes until `bytes` are written or the terminal is full. Returns the number of written bytes.
    fn write_up_to(&mut self, bytes: usize) -> usize {
        for written in 0..bytes {
            if let Err(full) = self.writer.write_all(b".") {
                assert_eq!(full.kind(), ErrorKind::WouldBlock);
                return written;
            }
        }
        bytes
    }

    /// Reads from a full terminal until it polls as writable.
    fn free_one_piece(&mut self) {
        /// The bytes that can be read from a full terminal at once. The others reach the reader when it has read these.
        const READABLE: u64 = 4095;
        while !self.is_writable() {
            self.reader.read_exact(&mut [0; 100]).expect("a dot");
            wait_for("the kernel has moved the next bytes", DEADLINE, || {
                ioctl_fionread(&self.reader).expect("a number") == READABLE
            });
        }
    }

    fn is_writable(&self) -> bool {
        let mut polled = [PollFd::new(&self.writer, PollFlags::OUT)];
        poll(&mut polled, Some(&Timespec::default())).expect("polling a terminal") == 1
    }
}
