//! The table of docs/metrics.md, made from the table of metrics so that they can't differ.

use std::fmt::Write;

use super::table::{METRICS, Metric, PREFIX, Value};

/// All metrics as Markdown.
#[must_use]
pub fn documentation() -> String {
    let mut page = "| name | type | labels | meaning |\n|---|---|---|---|\n\
        | `pulsar_ws_build_info` | gauge | `version` | 1, with the version of the program |\n"
        .to_owned();
    for Metric { name, help, value } in METRICS {
        let labels = match value {
            Value::ProcessCounter(_) => String::new(),
            Value::Counters(label, _) | Value::Gauges(label, _) => {
                format!("`core`, `{}` ({})", label.0, label.1.join(", "))
            }
            Value::Counter(_) | Value::Gauge(_) | Value::Histogram(..) => "`core`".to_owned(),
        };
        let kind = value.kind();
        // Writing into a String can't fail.
        let _ = writeln!(page, "| `{PREFIX}{name}` | {kind} | {labels} | {help} |");
    }
    page
}
