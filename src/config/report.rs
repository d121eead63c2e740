//! The configuration as the process took it, for people: each value with where it came from.

use std::fmt::Write;

use super::{
    keys::{self, Key},
    secret,
    settings::Settings,
};

/// Values longer than this push their origin out of the column.
const VALUE_COLUMN: usize = 56;

impl Settings {
    /// One line for each known key and for each other one that is set: `key=value`, and where it was
    /// set. Secrets are hidden. Not meant to be read by a program, nor as a file.
    #[must_use]
    pub fn report(&self) -> String {
        let mut report = String::new();
        for group in keys::GROUPS {
            headline(&mut report, group.title);
            for key in group.keys {
                self.report_known(&mut report, key);
            }
        }
        let mut others = self
            .keys()
            .filter(|key| keys::find(key).is_none())
            .peekable();
        if others.peek().is_some() {
            headline(&mut report, "Not known");
        }
        for key in others {
            self.report_set(&mut report, key);
        }
        report
    }

    fn report_known(&self, report: &mut String, key: &Key) {
        if self.text(key.name).is_some() || self.is_blank(key.name) && key.default.is_empty() {
            return self.report_set(report, key.name);
        }
        line(report, key.name, key.default, "default");
    }

    fn report_set(&self, report: &mut String, key: &str) {
        let origin = self.origin(key).map(ToString::to_string);
        line(report, key, &self.shown(key), &origin.unwrap_or_default());
    }
}

fn headline(report: &mut String, title: &str) {
    let gap = if report.is_empty() { "" } else { "\n" };
    // Writing into a String can't fail.
    let _ = writeln!(report, "{gap}### {title} ###");
}

fn line(report: &mut String, key: &str, value: &str, origin: &str) {
    let setting = format!("{}={value}", secret::shown(key, false));
    let _ = writeln!(report, "{setting:VALUE_COLUMN$}  # {origin}");
}
