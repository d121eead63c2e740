//! One thing that was looked at, and what came of it.

use super::root::Unread;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It could not be read; the sentence says why.
    Unknown,
    /// It works, and would work better.
    Advice,
    /// It will fail, or be much slower than the machine allows.
    Problem,
}

impl Level {
    /// Its name in both formats.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Advice => "advice",
            Self::Problem => "problem",
        }
    }
}

/// What was looked at, what was seen, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The part of the machine.
    pub group: &'static str,
    /// The thing itself; unique in its group, except that each network card has its own.
    pub name: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What the machine says.
    pub seen: String,
    /// What it should be instead, for advice and problems.
    pub set: Option<String>,
    /// Why it matters, one sentence.
    pub why: &'static str,
    /// What to type to change it, where typing is enough.
    pub command: Option<String>,
}

/// A thing to look at: what all its findings share.
#[derive(Clone, Copy)]
pub(super) struct Topic {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) why: &'static str,
}

impl Topic {
    pub(super) fn ok(self, seen: impl Into<String>) -> Finding {
        self.finding(Level::Ok, seen.into(), None)
    }

    pub(super) fn unknown(self, unread: &Unread) -> Finding {
        self.finding(Level::Unknown, unread.to_string(), None)
    }

    pub(super) fn advice(self, seen: impl Into<String>, set: impl Into<String>) -> Finding {
        self.finding(Level::Advice, seen.into(), Some(set.into()))
    }

    pub(super) fn problem(self, seen: impl Into<String>, set: impl Into<String>) -> Finding {
        self.finding(Level::Problem, seen.into(), Some(set.into()))
    }

    fn finding(self, level: Level, seen: String, set: Option<String>) -> Finding {
        Finding {
            group: self.group,
            name: self.name,
            level,
            seen,
            set,
            why: self.why,
            command: None,
        }
    }
}

impl Finding {
    /// The command that does it.
    pub(super) fn by(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}
