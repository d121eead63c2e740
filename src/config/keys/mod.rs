//! What is known of a key: its type, its default, and what this build does with it.
//!
//! The table in [`table`] is the only place that lists keys. Checks, `--print-config` and the page
//! docs/configuration.md all follow it.

mod table;

use std::net::IpAddr;

pub(super) use table::{BROKER_TLS, GROUPS, KEYS_BY_CLASS};

/// Keys that belong together.
pub(super) struct Group {
    /// Headline in the documentation.
    pub(super) title: &'static str,
    pub(super) keys: &'static [Key],
}

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As it would be written in a file; empty where there is none.
    pub(super) default: &'static str,
    pub(super) handling: Handling,
    /// For the documentation: what it says, in a sentence without an end.
    pub(super) meaning: &'static str,
}

/// What a value must look like. Blank ones are always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Text,
    /// Anything that must not be shown.
    Secret,
    /// Items between commas.
    List,
    /// `true`, or anything else for false, as in Java.
    Boolean,
    /// `true` or `false`: who sets it relies on it, so a slip of the pen must not switch it off.
    SecurityBoolean,
    /// A Java `int`.
    Int,
    /// A Java `long`.
    Long,
    /// A number above zero, of this unit.
    Positive(&'static str),
    /// A TCP port; a blank value takes it away.
    Port,
    /// An IP address.
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// What this build does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// It has its effect.
    Honoured,
    /// It would change who may do what, or who can listen, and that is not built: a value that asks
    /// for it ends the start.
    Refused(&'static str),
    /// It has no effect, and nobody misses it; this is why.
    Silent(&'static str),
}

impl Kind {
    /// What is wrong with a value that is not blank, as the end of "expected …".
    pub(super) fn expects(self, value: &str) -> Option<String> {
        let (fits, expected) = match self {
            Self::Text | Self::Secret | Self::List | Self::Boolean => return None,
            Self::SecurityBoolean => (is_true(value) || is_false(value), "true or false"),
            Self::Int => (
                value.parse::<i32>().is_ok(),
                "a whole number from -2147483648 to 2147483647",
            ),
            Self::Long => (
                value.parse::<i64>().is_ok(),
                "a whole number from -9223372036854775808 to 9223372036854775807",
            ),
            Self::Positive(unit) => {
                let fits = value.parse::<i64>().is_ok_and(|number| number > 0);
                return (!fits).then(|| format!("a whole number of {unit} above 0"));
            }
            Self::Port => (
                value.parse::<u16>().is_ok(),
                "a port number from 0 to 65535",
            ),
            Self::Address => (value.parse::<IpAddr>().is_ok(), "an IP address"),
            Self::Choice(words) => {
                return (!words.contains(&value)).then(|| words.join(" or "));
            }
        };
        (!fits).then(|| expected.to_owned())
    }

    /// The name of the type, for the documentation.
    pub(super) fn name(self) -> String {
        match self {
            Self::Text | Self::Secret => "text".to_owned(),
            Self::List => "list".to_owned(),
            Self::Boolean | Self::SecurityBoolean => "true or false".to_owned(),
            Self::Int | Self::Long => "number".to_owned(),
            Self::Positive(unit) => unit.to_owned(),
            Self::Port => "port".to_owned(),
            Self::Address => "IP address".to_owned(),
            Self::Choice(words) => words.join(" or "),
        }
    }
}

impl Key {
    /// Whether a value that is not blank asks for anything but the default.
    pub(super) fn is_asked_for(&self, value: &str) -> bool {
        match self.kind {
            Kind::Boolean | Kind::SecurityBoolean => is_true(value) != is_true(self.default),
            _ => value != self.default,
        }
    }
}

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// Every known key, group by group.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    GROUPS.iter().flat_map(|group| group.keys)
}

/// Java: only `true`, in any case, is true.
pub(super) fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// What people mean by false.
pub(super) fn is_false(value: &str) -> bool {
    value.eq_ignore_ascii_case("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_defaults_fit_their_kind() {
        let mut names: Vec<_> = all().map(|key| key.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for key in all() {
            if !key.default.is_empty() {
                assert_eq!(key.kind.expects(key.default), None, "{}", key.name);
            }
            assert!(!key.is_asked_for(key.default), "{}", key.name);
            assert!(!key.meaning.ends_with('.'), "{}", key.name);
        }
    }

    #[test]
    fn kinds() {
        for (kind, good, bad) in [
            (Kind::Int, "-2147483648", "2147483648"),
            (Kind::Long, "9223372036854775807", "9223372036854775808"),
            (Kind::Positive("bytes"), "1", "0"),
            (Kind::Port, "0", "65536"),
            (Kind::Address, "::1", "localhost"),
            (Kind::SecurityBoolean, "False", "yes"),
            (Kind::Choice(&["text", "json"]), "json", "JSON"),
        ] {
            assert_eq!(kind.expects(good), None, "{good}");
            assert!(kind.expects(bad).is_some(), "{bad}");
        }
        assert_eq!(Kind::Boolean.expects("yes"), None);
    }
}
