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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const BEGIN: &str = "<!-- metrics: made from the source, see below -->\n\n";
    const END: &str = "\n<!-- end of metrics -->\n";

    /// With UPDATE_DOCS set, the page is written anew instead.
    #[test]
    fn the_page_says_what_the_code_does() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).expect("the page has the mark");
        let (written, after) = rest.split_once(END).expect("the page has the end mark");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let page = format!("{before}{BEGIN}{}{END}{after}", documentation());
            fs::write(&path, page).unwrap();
            return;
        }
        assert_eq!(
            written,
            documentation(),
            "UPDATE_DOCS=1 cargo test documentation"
        );
    }
}
