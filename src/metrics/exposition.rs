//! The figures of all cores as Prometheus reads them: text format 0.0.4.
//!
//! Written here, because crates for it keep the figures themselves, in atomics, and tell counters in the form of
//! OpenMetrics; what is left of them for figures that are there already is less than this.

use std::fmt::{Display, Write};

use super::{
    figures::Core,
    table::{Label, METRICS, Metric, PREFIX, Unit, Value},
};

/// What the text is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text of all metrics. `cores` are in the order in which they are told.
pub(super) fn write(cores: &[Core]) -> String {
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    head(
        &mut text,
        "build_info",
        "1, with the version of the program",
        "gauge",
    );
    line(
        &mut text,
        "build_info",
        format_args!("{{version=\"{version}\"}}"),
        1,
    );
    for Metric { name, help, value } in METRICS {
        head(&mut text, name, help, value.kind());
        match value {
            Value::ProcessCounter(read) => line(&mut text, name, "", read()),
            Value::Counter(read) | Value::Gauge(read) => {
                for core in cores {
                    let labels = format_args!("{{core=\"{}\"}}", core.index);
                    line(&mut text, name, labels, read(core));
                }
            }
            Value::Counters(label, read) | Value::Gauges(label, read) => {
                for core in cores {
                    labelled(&mut text, name, core, label, |value| read(core, value));
                }
            }
            Value::Histogram(unit, _) => {
                for core in cores {
                    histogram(&mut text, name, *unit, core, value);
                }
            }
        }
    }
    text
}

fn labelled(
    text: &mut String,
    name: &str,
    core: &Core,
    Label(label, values): &Label,
    read: impl Fn(usize) -> u64,
) {
    for (index, value) in values.iter().enumerate() {
        let labels = format_args!("{{core=\"{}\",{label}=\"{value}\"}}", core.index);
        line(text, name, labels, read(index));
    }
}

fn histogram(text: &mut String, name: &str, unit: Unit, core: &Core, value: &Value) {
    let Value::Histogram(_, read) = value else {
        return;
    };
    let (histogram, core) = (read(core), core.index);
    let bounds = unit.bounds();
    for (bound, within) in bounds.iter().zip(histogram.within(bounds)) {
        let bound = scaled(*bound, unit);
        let labels = format_args!("_bucket{{core=\"{core}\",le=\"{bound}\"}}");
        line(text, name, labels, within);
    }
    let labels = format_args!("_bucket{{core=\"{core}\",le=\"+Inf\"}}");
    line(text, name, labels, histogram.count());
    let sum = scaled(histogram.sum(), unit);
    line(text, name, format_args!("_sum{{core=\"{core}\"}}"), sum);
    let count = histogram.count();
    line(text, name, format_args!("_count{{core=\"{core}\"}}"), count);
}

/// In seconds, or in messages.
#[allow(
    clippy::cast_precision_loss,
    reason = "Prometheus reads floating point numbers"
)]
fn scaled(value: u64, unit: Unit) -> f64 {
    value as f64 / unit.divisor()
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing into a String can't fail, here and below.
    let _ = writeln!(
        text,
        "# HELP {PREFIX}{name} {help}.\n# TYPE {PREFIX}{name} {kind}"
    );
}

fn line(text: &mut String, name: &str, rest: impl Display, value: impl Display) {
    let _ = writeln!(text, "{PREFIX}{name}{rest} {value}");
}

#[cfg(test)]
mod tests {
    use super::super::{
        figures::{BackendFigures, Bound, Ender, Endpoint, Figures, Gauges},
        *,
    };

    fn core(index: usize) -> Core {
        let (mut figures, mut backend) = (Figures::new(), BackendFigures::new());
        figures.published(2_000_000, 100);
        figures.published(2_600_000, 100);
        figures.published(40_000_000_000, 1);
        backend.stored(50_000, 3);
        figures.counters.opened(Endpoint::Reader);
        figures.counters.opened(Endpoint::Reader);
        figures.counters.ended(Endpoint::Reader, Ender::Loss);
        figures.counters.answered(101);
        figures.counters.answered(504);
        figures.counters.answered(999);
        figures.counters.answered(0);
        figures.counters.stopped(Bound::Drain);
        Core {
            index,
            uptime_nanos: 5_000_000_000,
            wall_ms: 1_790_000_000_000,
            figures: figures.snapshot(),
            backend: backend.snapshot(),
            gauges: Gauges {
                buffers_lent: [1, 2],
                ..Gauges::default()
            },
        }
    }

    #[test]
    fn what_is_counted_is_told_for_each_core() {
        let text = exposition::write(&[core(0), core(7)]);
        for line in [
            "# TYPE pulsar_ws_publish_latency_seconds histogram",
            "pulsar_ws_publish_latency_seconds_bucket{core=\"0\",le=\"0.00005\"} 0",
            "pulsar_ws_publish_latency_seconds_bucket{core=\"0\",le=\"0.001\"} 0",
            "pulsar_ws_publish_latency_seconds_bucket{core=\"0\",le=\"0.0025\"} 1",
            "pulsar_ws_publish_latency_seconds_bucket{core=\"0\",le=\"0.005\"} 2",
            "pulsar_ws_publish_latency_seconds_bucket{core=\"7\",le=\"30\"} 2",
            "pulsar_ws_publish_latency_seconds_bucket{core=\"7\",le=\"+Inf\"} 3",
            "pulsar_ws_publish_latency_seconds_sum{core=\"7\"} 40.0046",
            "pulsar_ws_publish_latency_seconds_count{core=\"7\"} 3",
            "pulsar_ws_broker_round_trip_seconds_bucket{core=\"7\",le=\"0.00005\"} 1",
            "pulsar_ws_stored_entry_messages_bucket{core=\"7\",le=\"2\"} 0",
            "pulsar_ws_stored_entry_messages_bucket{core=\"7\",le=\"4\"} 1",
            "pulsar_ws_stored_entry_messages_sum{core=\"7\"} 3",
            "# TYPE pulsar_ws_sessions gauge",
            "pulsar_ws_sessions{core=\"0\",endpoint=\"reader\"} 1",
            "pulsar_ws_sessions_opened_total{core=\"0\",endpoint=\"reader\"} 2",
            "pulsar_ws_sessions_closed_total{core=\"0\",by=\"loss\"} 1",
            "pulsar_ws_answers_total{core=\"0\",status=\"1xx\"} 1",
            "pulsar_ws_answers_total{core=\"0\",status=\"5xx\"} 1",
            "pulsar_ws_published_bytes_total{core=\"0\"} 201",
            "pulsar_ws_reads_stopped_total{core=\"0\",bound=\"drain\"} 1",
            "pulsar_ws_read_buffers_lent{core=\"0\",leg=\"broker\"} 2",
            "# TYPE pulsar_ws_log_lines_lost_total counter",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(text.ends_with('\n'));
    }
}
