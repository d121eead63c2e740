//! A properties file with typed access to its keys. Knows Java's rules for blanks, numbers and
//! booleans, and no key.

use std::collections::BTreeMap;

use super::{ConfigError, properties};

/// A file's properties; of a repeated key the last one counts.
pub(super) struct File {
    name: String,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    line: usize,
    value: String,
}

impl File {
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        let properties = properties::parse(bytes).map_err(|error| {
            ConfigError(format!(
                "{name}:{}: malformed \\uXXXX: expected four hexadecimal digits",
                error.line
            ))
        })?;
        let entries = properties
            .into_iter()
            .map(|property| {
                let (line, value) = (property.line, property.value);
                (property.key, Entry { line, value })
            })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            entries,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The trimmed value; a blank one is as good as none.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let value = self.entries.get(key)?.value.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Java: only `true`, in any case, is true.
    pub(super) fn is_true(&self, key: &str) -> bool {
        self.text(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A Java `int`.
    pub(super) fn int(&self, key: &str) -> Result<Option<i32>, ConfigError> {
        self.text(key)
            .map(|value| {
                value.parse().map_err(|_| {
                    self.bad_value(key, "a whole number from -2147483648 to 2147483647")
                })
            })
            .transpose()
    }

    /// A Java `long` or `int` that means something only above zero.
    pub(super) fn positive(&self, key: &str, unit: &str) -> Result<Option<u64>, ConfigError> {
        self.text(key)
            .map(|value| match value.parse::<i64>() {
                Ok(number @ 1..) => Ok(number.unsigned_abs()),
                _ => Err(self.bad_value(key, &format!("a whole number of {unit} above 0"))),
            })
            .transpose()
    }

    /// A port that a blank value takes away.
    pub(super) fn optional_port(
        &self,
        key: &str,
        default: u16,
    ) -> Result<Option<u16>, ConfigError> {
        match (self.entries.get(key), self.text(key)) {
            (None, _) => Ok(Some(default)),
            (Some(_), None) => Ok(None),
            (Some(_), Some(value)) => match value.parse() {
                Ok(port) => Ok(Some(port)),
                Err(_) => Err(self.bad_value(key, "a port number from 0 to 65535")),
            },
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A sentence with file and line of the key that it is about.
    pub(super) fn error(&self, key: &str, sentence: &str) -> ConfigError {
        ConfigError(match self.entries.get(key) {
            Some(entry) => format!("{}:{}: {sentence}", self.name, entry.line),
            None => format!("{}: {sentence}", self.name),
        })
    }

    pub(super) fn bad_value(&self, key: &str, expected: &str) -> ConfigError {
        let value = self.text(key).unwrap_or_default();
        self.error(key, &format!("{key}={value}: expected {expected}"))
    }

    pub(super) fn into_properties(self) -> BTreeMap<String, String> {
        self.entries
            .into_iter()
            .map(|(key, entry)| (key, entry.value))
            .collect()
    }
}
