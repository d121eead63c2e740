//! The findings as a text for people, and as JSON for programs.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::finding::{Finding, Level};

const LEVEL_COLUMN: usize = 8;
const NAME_COLUMN: usize = 21;
/// Of what is said below a finding.
const LABEL_COLUMN: usize = 4;
const LEVELS: [Level; 4] = [Level::Problem, Level::Advice, Level::Unknown, Level::Ok];

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        Self { findings }
    }

    /// In the order in which they were looked for.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether something will fail, or be much slower than the machine allows.
    #[must_use]
    pub fn has_problem(&self) -> bool {
        self.count(Level::Problem) > 0
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|f| f.level == level).count()
    }

    /// For people, with colours: whoever prints takes them out where nobody sees them.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let bold = Style::new().bold();
        for group in self.findings.chunk_by(|a, b| a.group == b.group) {
            if let [first, ..] = group {
                // Writing into a String can't fail.
                let _ = writeln!(text, "{bold}{}{bold:#}", first.group);
            }
            for finding in group {
                write_finding(&mut text, finding);
            }
            text.push('\n');
        }
        let counts = LEVELS.map(|level| {
            let style = style(level);
            format!("{style}{} {}{style:#}", self.count(level), level.name())
        });
        let _ = writeln!(text, "{}", counts.join(", "));
        text
    }

    /// For programs: an object with `findings` and how many there are of each level.
    #[must_use]
    pub fn json(&self) -> String {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "group": finding.group,
                    "name": finding.name,
                    "level": finding.level.name(),
                    "seen": finding.seen,
                    "set": finding.set,
                    "why": finding.why,
                    "command": finding.command,
                })
            })
            .collect();
        let counts: serde_json::Map<String, serde_json::Value> = LEVELS
            .iter()
            .map(|&level| (level.name().to_owned(), self.count(level).into()))
            .collect();
        format!("{:#}\n", json!({ "findings": findings, "counts": counts }))
    }
}

fn write_finding(text: &mut String, finding: &Finding) {
    let style = style(finding.level);
    let (level, name, seen) = (finding.level.name(), finding.name, &finding.seen);
    let _ = writeln!(
        text,
        "  {style}{level:LEVEL_COLUMN$}{style:#}{name:NAME_COLUMN$}{seen}"
    );
    if finding.level == Level::Ok {
        return;
    }
    let indent = 2 + LEVEL_COLUMN;
    let said = [
        ("set", finding.set.as_deref()),
        ("why", Some(finding.why)),
        ("do", finding.command.as_deref()),
    ];
    let dim = Style::new().dimmed();
    for (label, words) in said {
        if let Some(words) = words {
            let _ = writeln!(
                text,
                "{:indent$}{dim}{label:LABEL_COLUMN$}{dim:#}{words}",
                ""
            );
        }
    }
}

fn style(level: Level) -> Style {
    let color = match level {
        Level::Ok => AnsiColor::Green,
        Level::Unknown => AnsiColor::Cyan,
        Level::Advice => AnsiColor::Yellow,
        Level::Problem => AnsiColor::Red,
    };
    Style::new().bold().fg_color(Some(color.into()))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Topic, *};

    const TOPIC: Topic = Topic {
        group: "ring",
        name: "kernel",
        why: "Because.",
    };

    fn report() -> Report {
        Report::new(vec![
            TOPIC.ok("6.1"),
            TOPIC.advice("a", "b").by("sysctl -w a=b"),
            TOPIC.problem("c", "d"),
        ])
    }

    #[test]
    fn text_for_people() {
        let text = anstream::adapter::strip_str(&report().text()).to_string();
        let expected = "\
ring
  ok      kernel               6.1
  advice  kernel               a
          set b
          why Because.
          do  sysctl -w a=b
  problem kernel               c
          set d
          why Because.

1 problem, 1 advice, 0 unknown, 1 ok
";
        assert_eq!(text, expected);
        assert!(report().text().contains('\u{1b}'), "no colour");
    }

    #[test]
    fn json_for_programs() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(json["counts"]["problem"], 1);
        assert_eq!(json["counts"]["unknown"], 0);
        assert_eq!(
            json["findings"][1],
            json!({"group": "ring", "name": "kernel", "level": "advice", "seen": "a", "set": "b",
                   "why": "Because.", "command": "sysctl -w a=b"})
        );
        assert_eq!(json["findings"][0]["set"], serde_json::Value::Null);
    }

    #[test]
    fn a_problem_is_one() {
        assert!(report().has_problem());
        assert!(!Report::new(vec![TOPIC.advice("a", "b")]).has_problem());
    }
}
