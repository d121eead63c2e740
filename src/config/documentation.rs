//! The tables of docs/configuration.md, made from the table of keys so that they can't differ.

use std::fmt::Write;

use super::keys::{self, Handling, Key};

/// All known keys as Markdown.
#[must_use]
pub fn documentation() -> String {
    let mut page = String::new();
    for group in keys::GROUPS {
        // Writing into a String can't fail.
        let _ = writeln!(
            page,
            "### {}\n\n| key | type | default | meaning | here |\n|---|---|---|---|---|",
            group.title
        );
        for key in group.keys {
            row(&mut page, key);
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn row(page: &mut String, key: &Key) {
    let default = match key.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let here = match key.handling {
        Handling::Honoured => "yes".to_owned(),
        Handling::Refused(what) => format!("**refused**: {what} is not built yet"),
        Handling::Silent(why) => why.to_owned(),
    };
    let _ = writeln!(
        page,
        "| `{}` | {} | {default} | {} | {here} |",
        key.name,
        key.kind.name(),
        key.meaning,
    );
}
