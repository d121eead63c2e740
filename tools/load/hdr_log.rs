//! The log of latencies, interval by interval, in the format that tools for HdrHistogram read.
//!
//! A thread of its own writes it, so that a slow disk slows nothing else down.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError},
};

use crate::{shared::about::about, tally::Times};

/// Values are nanoseconds; the column with the largest one is in milliseconds, as is the custom.
const MAX_DIVISOR: f64 = 1e6;
/// An interval is written once another is so many ahead: then all threads have told theirs.
const AHEAD: u64 = 3;

pub(crate) struct HdrLog {
    intervals: Sender<(u64, Times)>,
    writer: JoinHandle<io::Result<()>>,
}

impl HdrLog {
    /// Opens the file, which is tried before anything is measured.
    pub(crate) fn file(path: &Path) -> io::Result<File> {
        File::create(path).map_err(about(path.display()))
    }

    /// Writes to `file`, with intervals counted from `begin`.
    pub(crate) fn begin(file: File, begin: SystemTime, interval: Duration) -> Self {
        let mut file = BufWriter::new(file);
        let (intervals, told) = channel();
        let writer = thread::spawn(move || {
            write(&mut file, begin, interval, &told)
                .and_then(|()| file.flush())
                .map_err(about("the log of latencies"))
        });
        Self { intervals, writer }
    }

    pub(crate) fn take(&self, interval: u64, times: Times) {
        // A writer that failed says so at the end.
        let _ = self.intervals.send((interval, times));
    }

    /// Waits until all is written.
    pub(crate) fn finish(self) -> io::Result<()> {
        drop(self.intervals);
        let written = self.writer.join();
        written.map_err(|_| io::Error::other("the writer of the log panicked"))?
    }
}

fn write(
    file: &mut impl Write,
    begin: SystemTime,
    interval: Duration,
    told: &Receiver<(u64, Times)>,
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("latencies in nanoseconds")
        .with_start_time(begin)
        .with_base_time(begin)
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(file, &mut serializer)?;
    let mut waiting: BTreeMap<u64, Times> = BTreeMap::new();
    for (number, times) in told {
        waiting.entry(number).or_default().add(&times);
        while let Some(first) = waiting.first_entry() {
            if first.key() + AHEAD > number {
                break;
            }
            let (number, times) = first.remove_entry();
            put(&mut log, interval, number, &times)?;
        }
    }
    for (number, times) in waiting {
        put(&mut log, interval, number, &times)?;
    }
    Ok(())
}

fn put<W: Write>(
    log: &mut IntervalLogWriter<'_, '_, W, V2DeflateSerializer>,
    interval: Duration,
    number: u64,
    times: &Times,
) -> io::Result<()> {
    let Some(histogram) = times.get() else {
        return Ok(());
    };
    let start = interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
    log.write_histogram(histogram, start, interval, None)
        .map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use hdrhistogram::{
        Histogram,
        serialization::{
            Deserializer,
            interval_log::{IntervalLogIterator, LogEntry},
        },
    };

    use super::*;

    fn times(values: &[u64]) -> Times {
        let mut times = Times::default();
        for value in values {
            times.record(*value);
        }
        times
    }

    #[test]
    fn what_threads_tell_of_an_interval_stands_in_one_line() {
        let (send, told) = channel();
        for (interval, value) in [(0, 1000), (1, 2000), (0, 3000), (5, 4000), (1, 5000)] {
            send.send((interval, times(&[value]))).expect("open");
        }
        drop(send);
        let mut log = Vec::new();
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        write(&mut log, begin, Duration::from_secs(2), &told).expect("written");
        let mut counts = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            if let LogEntry::Interval(line) = entry.expect("an entry") {
                let packed = base64_simd::STANDARD
                    .decode_to_vec(line.encoded_histogram())
                    .expect("base64");
                let histogram: Histogram<u64> = Deserializer::new()
                    .deserialize(&mut packed.take(u64::MAX).by_ref())
                    .expect("read");
                counts.push((line.start_timestamp().as_secs(), histogram.len()));
            }
        }
        // The last of interval 1 came too late for its line, and has one of its own.
        assert_eq!(counts, [(0, 2), (2, 1), (2, 1), (10, 1)]);
    }
}
