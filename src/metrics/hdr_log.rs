//! The histograms of all cores in the form of HdrHistogram's interval logs, version 1.3: one line for each core and
//! figure, told apart by their tags, whose interval is the process's life.

use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogWriterBuilder, Tag},
};

use super::{
    figures::Core,
    table::{METRICS, Metric, Value},
};

/// What the text is.
pub(super) const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// The largest value of each line is told in milliseconds for its reader's eyes; that of messages in millions.
const MAX_DIVISOR: f64 = 1_000_000.0;

/// The log; `None` if it can't be made.
pub(super) fn write(cores: &[Core]) -> Option<String> {
    let mut text = Vec::new();
    let uptime = Duration::from_nanos(cores.iter().map(|core| core.uptime_nanos).max()?);
    let now = Duration::from_millis(cores.iter().map(|core| core.wall_ms).max()?);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values are nanoseconds, or messages]")
        .with_start_time(UNIX_EPOCH + now.saturating_sub(uptime))
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(&mut text, &mut serializer)
        .ok()?;
    for core in cores {
        for Metric { name, value, .. } in METRICS {
            let Value::Histogram(_, read) = value else {
                continue;
            };
            let tag = format!("core{}.{}", core.index, name.trim_end_matches("_seconds"));
            let life = Duration::from_nanos(core.uptime_nanos);
            log.write_histogram(read(core).cells(), Duration::ZERO, life, Tag::new(&tag))
                .ok()?;
        }
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use hdrhistogram::{
        Histogram as Cells,
        serialization::{
            Deserializer,
            interval_log::{IntervalLogIterator, LogEntry},
        },
    };

    use super::super::{
        figures::{BackendFigures, Figures, Gauges},
        *,
    };

    #[test]
    fn a_log_is_read_back() {
        let mut figures = Figures::new();
        figures.published(3_000_000, 1);
        figures.published(1_000, 1);
        figures.client_messages.record(64);
        let core = Core {
            index: 3,
            uptime_nanos: 90_500_000_000,
            wall_ms: 1_790_000_000_000,
            figures: figures.snapshot(),
            backend: BackendFigures::new(),
            gauges: Gauges::default(),
        };
        let text = hdr_log::write(&[core]).unwrap();
        assert!(
            text.starts_with("#[Histogram log format version 1.3]\n"),
            "{text}"
        );
        assert!(
            text.contains("\n#[StartTime: 1789999909.500 (seconds since epoch)]\n"),
            "{text}"
        );
        assert!(
            text.contains("\nTag=core3.publish_latency,0.000,90.500,3.0"),
            "{text}"
        );
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(text.as_bytes()) {
            let LogEntry::Interval(interval) = entry.unwrap() else {
                continue;
            };
            let bytes = decoded(interval.encoded_histogram());
            let cells: Cells<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            let tag = interval.tag().unwrap().as_str().to_owned();
            found.push((tag, cells.len(), cells.max()));
        }
        let of = |tag: &str| {
            let found = found.iter().find(|(name, ..)| name == tag);
            found.map(|(_, count, max)| (*count, *max))
        };
        assert_eq!(found.len(), 8);
        assert_eq!(of("core3.publish_latency"), Some((2, 3_014_655)));
        assert_eq!(of("core3.turn_client_messages"), Some((1, 64)));
        assert_eq!(of("core3.turn"), Some((0, 0)));
    }

    #[test]
    fn nobody_has_no_log() {
        assert_eq!(hdr_log::write(&[]), None);
    }

    fn decoded(text: &str) -> Vec<u8> {
        base64_simd::STANDARD.decode_to_vec(text).unwrap()
    }
}
