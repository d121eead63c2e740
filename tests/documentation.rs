//! Pages with tables that are made from the source say what the source does. With UPDATE_DOCS set, the tables are
//! written anew instead.

use std::{fs, path::Path};

use pulsar_ws_fast::{config, metrics};

#[test]
fn documentation_of_keys() {
    check("docs/configuration.md", "keys", &config::documentation());
}

#[test]
fn documentation_of_metrics() {
    check("docs/metrics.md", "metrics", &metrics::documentation());
}

/// The part between the page's marks of this name is `made`.
fn check(page: &str, name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let begin = format!("<!-- {name}: made from the source, see below -->\n\n");
    let end = format!("\n<!-- end of {name} -->\n");
    let text = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = text.split_once(&begin).expect("the page has the mark");
    let (written, after) = rest.split_once(&end).expect("the page has the end mark");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{begin}{made}{end}{after}"))
            .expect("the page can be written");
        return;
    }
    assert_eq!(written, made, "UPDATE_DOCS=1 cargo test documentation");
}
