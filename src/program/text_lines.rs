//! Lines of plain text, for the commands without a log.

use std::io::{self, Write};

use super::retrying_stream::RetryingStream;
use super::whole_lines::LineSink;

/// A stream that gets lines as they are.
#[derive(Debug)]
pub struct TextLines<W> {
    stream: RetryingStream<W>,
    /// The start of the line about lost lines.
    prefix: &'static str,
}

impl<W: Write> TextLines<W> {
    /// Creates the lines on `stream`, which must not keep bytes back. The line about lost lines begins with `prefix`.
    pub fn new(stream: W, prefix: &'static str) -> Self {
        Self {
            stream: RetryingStream(stream),
            prefix,
        }
    }
}

impl<W: Write> LineSink for TextLines<W> {
    type Line = String;

    fn write_line(&mut self, line: &String) -> io::Result<()> {
        self.stream.write_all(format!("{line}\n").as_bytes())
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.stream.write_all(b"\n")
    }

    fn about_lost(&self, lost: u64) -> String {
        format!("{}{lost} lines lost", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::program::whole_lines::WholeLines;

    type Lines = WholeLines<TextLines<SharedDisk>>;

    /// A disk with room for `room` bytes more. Every third write reports `WouldBlock`.
    #[derive(Default)]
    struct Disk {
        room: usize,
        calls: usize,
        text: String,
    }

    #[derive(Clone, Default)]
    struct SharedDisk(Rc<RefCell<Disk>>);

    impl SharedDisk {
        fn set_room(&self, room: usize) {
            self.0.borrow_mut().room = room;
        }

        fn text(&self) -> String {
            self.0.borrow().text.clone()
        }
    }

    impl Write for SharedDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.borrow_mut();
            disk.calls += 1;
            let taken = bytes.len().min(disk.room).min(5);
            match taken {
                _ if disk.calls.is_multiple_of(3) => Err(io::ErrorKind::WouldBlock.into()),
                0 => Err(io::ErrorKind::StorageFull.into()),
                _ => {
                    disk.room -= taken;
                    disk.text += str::from_utf8(&bytes[..taken]).expect("ASCII");
                    Ok(taken)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_on_disk_with_room(room: usize) -> (Lines, SharedDisk) {
        let disk = SharedDisk::default();
        disk.set_room(room);
        (
            WholeLines::new(TextLines::new(disk.clone(), "test: ")),
            disk,
        )
    }

    fn write(lines: &mut Lines, texts: &[&str]) {
        for text in texts {
            lines.write(&(*text).to_owned(), 1);
        }
    }

    #[test]
    fn fault_s17_lines_on_a_full_disk_are_counted_and_the_next_line_begins_anew() {
        let (mut lines, disk) = lines_on_disk_with_room(9);
        write(&mut lines, &["first", "second", "third"]);
        assert_eq!(disk.text(), "first\nsec");
        // There is room for a part of the report, and then for all.
        disk.set_room(4);
        write(&mut lines, &["fourth"]);
        assert_eq!(disk.text(), "first\nsec\ntes");
        disk.set_room(100);
        write(&mut lines, &["fifth", "sixth"]);
        assert_eq!(
            disk.text(),
            "first\nsec\ntes\ntest: 3 lines lost\nfifth\nsixth\n"
        );
    }

    #[test]
    fn fault_s17_a_report_that_is_lost_counts_as_the_lines_that_it_reports() {
        let (mut lines, disk) = lines_on_disk_with_room(0);
        lines.write(&"200 lines lost".to_owned(), 200);
        write(&mut lines, &["lost too"]);
        disk.set_room(100);
        write(&mut lines, &["next"]);
        assert_eq!(disk.text(), "\ntest: 201 lines lost\nnext\n");
    }

    #[test]
    fn fault_s17_a_stream_that_would_block_gets_every_line() {
        let (mut lines, disk) = lines_on_disk_with_room(usize::MAX);
        for number in 10..99 {
            write(&mut lines, &[&format!("line {number}")]);
        }
        let expected: String = (10..99).map(|number| format!("line {number}\n")).collect();
        assert_eq!(disk.text(), expected);
    }
}
