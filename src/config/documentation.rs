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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const BEGIN: &str = "<!-- keys: made from the source, see below -->\n\n";
    const END: &str = "\n<!-- end of keys -->\n";

    /// With UPDATE_DOCS set, the page is written anew instead.
    #[test]
    fn the_page_says_what_the_code_does() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
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
