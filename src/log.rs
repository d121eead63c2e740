//! The log on the standard error, behind a queue: a log that nobody reads must not hold a shard.
//!
//! Lines that find the queue full are lost. Their number is told as soon as there is room again, in
//! a line that stands where they are missing. So are lines that can't be written, to a full disk for one; their
//! number is told behind the next one that can.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use pulsar_ws_fast::metrics::LOG_LINES_LOST;

/// Lines that may wait for whoever reads them; further ones are lost.
const LINES_MAX: usize = 8192;
/// How long the process's end waits for them.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// What lines are appended to.
#[derive(Clone)]
pub(super) struct Log {
    entries: Sender<Entry>,
    lost: Arc<AtomicU64>,
}

enum Entry {
    Line(Vec<u8>),
    /// So many lines are missing here.
    Lost(u64),
    /// Everything before is written.
    Flush(Sender<()>),
}

thread_local! {
    /// Of the thread that writes the log, whose own lines don't wait for it.
    static OUTPUT: RefCell<Option<Output>> = const { RefCell::new(None) };
}

impl Log {
    /// Starts the thread that writes.
    pub(super) fn start() -> io::Result<Self> {
        let (log, waiting) = Self::new(LINES_MAX);
        let lost = log.lost.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                OUTPUT.set(Some(Output::new(Box::new(io::stderr()))));
                for entry in &waiting {
                    write_out(entry);
                    if waiting.is_empty() {
                        write_out(Entry::Lost(lost.swap(0, Ordering::Relaxed)));
                    }
                }
            })?;
        Ok(log)
    }

    fn new(lines_max: usize) -> (Self, Receiver<Entry>) {
        let (entries, waiting) = bounded(lines_max);
        let log = Self {
            entries,
            lost: Arc::default(),
        };
        (log, waiting)
    }

    /// Waits for what is in the queue, as long as the process's end may.
    pub(super) fn flush(&self) {
        let (done, flushed) = bounded(1);
        let entry = Entry::Flush(done);
        if self.entries.send_timeout(entry, FLUSH_MAX).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_MAX);
        }
    }

    /// Whether the queue took a line, and before it the number of those that it did not take.
    fn append(&self, line: &[u8]) -> bool {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && self.entries.try_send(Entry::Lost(lost)).is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
            return false;
        }
        self.entries.try_send(Entry::Line(line.to_vec())).is_ok()
    }
}

impl Write for Log {
    /// Takes one line, or counts it as lost.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_written = with_output(|output| {
            // Told behind a line that is not about that itself.
            output.failed += output.write(line).unwrap_or(0);
        })
        .is_some();
        if !is_written && !self.append(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            LOG_LINES_LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where lines end up, and which of them did not.
struct Output {
    to: Box<dyn Write>,
    /// Lines that could not be written since the last one that could.
    failed: u64,
    /// The last one was written in part.
    is_cut: bool,
}

impl Output {
    fn new(to: Box<dyn Write>) -> Self {
        Self {
            to,
            failed: 0,
            is_cut: false,
        }
    }

    /// Writes a line. If it is the first one again that could be written: how many were lost before it.
    fn write(&mut self, line: &[u8]) -> Option<u64> {
        // What was written of another one must not become a part of this one.
        if (self.is_cut && !self.put(b"\n")) || !self.put(line) {
            self.failed += 1;
            LOG_LINES_LOST.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(std::mem::take(&mut self.failed)).filter(|failed| *failed > 0)
    }

    /// Whether all of it was written.
    fn put(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.to.write(bytes) {
                Ok(0) => return false,
                Ok(written) => {
                    bytes = &bytes[written..];
                    self.is_cut = !bytes.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn write_out(entry: Entry) {
    match entry {
        Entry::Line(line) => {
            if let Some(lines) = with_output(|output| output.write(&line)).flatten() {
                tell(lines, || {
                    tracing::warn!(lines, "log lines were lost: they could not be written");
                });
            }
        }
        Entry::Lost(0) => {}
        Entry::Lost(lines) => tell(lines, || {
            tracing::warn!(lines, "log lines were lost: nobody read them");
        }),
        Entry::Flush(done) => {
            let _ = done.send(());
        }
    }
}

/// Tells of lines that were lost, now or behind the next line that can be written.
fn tell(lines: u64, line: impl FnOnce()) {
    let failed = || with_output(|output| output.failed);
    let before = failed();
    line();
    if failed() > before {
        with_output(|output| output.failed += lines);
    }
}

/// For the thread that writes the log.
fn with_output<T>(then: impl FnOnce(&mut Output) -> T) -> Option<T> {
    OUTPUT.with_borrow_mut(|output| output.as_mut().map(then))
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    fn said(waiting: &Receiver<Entry>) -> Vec<String> {
        let said = waiting.try_iter().map(|entry| match entry {
            Entry::Line(line) => String::from_utf8(line).unwrap(),
            Entry::Lost(lines) => format!("{lines} lost"),
            Entry::Flush(_) => "flush".to_owned(),
        });
        said.collect()
    }

    #[test]
    fn lost_lines_are_told_where_they_are_missing() {
        let (mut log, waiting) = Log::new(3);
        for line in ["a", "b", "c", "d", "e"] {
            assert_eq!(log.write(line.as_bytes()).unwrap(), 1);
        }
        assert_eq!(said(&waiting), ["a", "b", "c"]);
        log.write_all(b"f").unwrap();
        log.write_all(b"g").unwrap();
        assert_eq!(said(&waiting), ["2 lost", "f", "g"]);
    }

    /// A disk with room for so many bytes.
    #[derive(Clone, Default)]
    struct Disk {
        room: Rc<Cell<usize>>,
        bytes: Rc<RefCell<Vec<u8>>>,
    }

    impl Disk {
        fn text(&self) -> String {
            String::from_utf8(self.bytes.borrow().clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = bytes.len().min(self.room.get());
            if written == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room.set(self.room.get() - written);
            self.bytes.borrow_mut().extend_from_slice(&bytes[..written]);
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_and_cut_off() {
        let disk = Disk::default();
        let mut output = Output::new(Box::new(disk.clone()));
        let lost = LOG_LINES_LOST.load(Ordering::Relaxed);
        disk.room.set(6);
        for line in ["one\n", "two\n", "three\n"] {
            assert_eq!(output.write(line.as_bytes()), None);
        }
        disk.room.set(100);
        assert_eq!(output.write(b"four\n"), Some(2));
        assert_eq!(output.write(b"five\n"), None);
        assert_eq!(disk.text(), "one\ntw\nfour\nfive\n");
        assert!(LOG_LINES_LOST.load(Ordering::Relaxed) >= lost + 2);
    }

    #[test]
    fn what_could_not_be_told_of_lost_lines_is_told_later() {
        let disk = Disk::default();
        OUTPUT.set(Some(Output::new(Box::new(disk.clone()))));
        let (log, _waiting) = Log::new(1);
        let told = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::with_default(told, || {
            write_out(Entry::Line(b"one\n".to_vec()));
            // What is told of it is cut, and so is what is told of those that nobody read.
            disk.room.set(8);
            write_out(Entry::Line(b"two\n".to_vec()));
            disk.room.set(2);
            write_out(Entry::Lost(30));
            disk.room.set(1000);
            write_out(Entry::Lost(5));
            write_out(Entry::Line(b"three\n".to_vec()));
        });
        let text = disk.text();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let [two, cut, other_cut, unread, three, unwritten] = lines[..] else {
            panic!("{text}");
        };
        assert_eq!((two, three), ("two", "three"));
        assert!("WARN log lines were lost".starts_with(cut) && other_cut.len() < 2);
        assert!(unread.ends_with("nobody read them lines=5"), "{text}");
        // The first one, thirty that nobody read, and two lines that told of lost ones.
        assert!(
            unwritten.ends_with("could not be written lines=33"),
            "{text}"
        );
    }

    #[test]
    fn a_number_that_finds_no_room_is_kept() {
        let (mut log, waiting) = Log::new(1);
        log.write_all(b"a").unwrap();
        log.write_all(b"b").unwrap();
        log.write_all(b"c").unwrap();
        assert_eq!(said(&waiting), ["a"]);
        // The number takes the room that there is.
        log.write_all(b"d").unwrap();
        assert_eq!(said(&waiting), ["2 lost"]);
        log.write_all(b"e").unwrap();
        assert_eq!(said(&waiting), ["1 lost"]);
        log.write_all(b"f").unwrap();
        assert_eq!(said(&waiting), ["1 lost"]);
    }
}
