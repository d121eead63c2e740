//! What was set, and where: the file, over it the environment, over it the command line.
//!
//! Knows Java's rules for blanks, numbers and booleans, and how an error names the place of a
//! value. What a key means is decided elsewhere.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path};

use super::{
    ConfigError, Overrides,
    keys::{self, Kind},
    properties, secret,
};

/// Before a key's name in the environment, where it reaches keys that are not known too.
const ENVIRONMENT_PREFIX: &str = "PULSAR_PREFIX_";

/// Every key that is set, each with the place that had the last word.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file's name, where there is one.
    file: Option<String>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    value: String,
    origin: Origin,
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File { name: String, line: usize },
    Environment(String),
    Flag(&'static str),
}

impl Settings {
    /// Reads the file, if there is one, and puts the environment and the command line over it.
    ///
    /// As in Pulsar's container images, a variable counts by the name of a key that is known or
    /// stands in the file, and by any name after `PULSAR_PREFIX_`; the plain one wins.
    ///
    /// # Errors
    /// The file can't be read or has an escape that Java refuses too; a variable is not UTF-8.
    pub fn read(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let file = match path {
            None => None,
            Some(path) => {
                let name = path.display().to_string();
                let bytes = std::fs::read(path)
                    .map_err(|error| ConfigError::one(format!("{name}: can't be read: {error}")))?;
                Some((name, bytes))
            }
        };
        let file = file
            .as_ref()
            .map(|(name, bytes)| (name.as_str(), &bytes[..]));
        Self::parse(file, environment, overrides)
    }

    /// As [`Settings::read`], with the file's name and content at hand.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(
        file: Option<(&str, &[u8])>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self {
            file: file.map(|(name, _)| name.to_owned()),
            entries: BTreeMap::new(),
        };
        if let Some((name, bytes)) = file {
            settings.take_file(name, bytes)?;
        }
        settings.take_environment(environment)?;
        settings.take_overrides(overrides);
        Ok(settings)
    }

    fn take_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ConfigError> {
        let properties = properties::parse(bytes).map_err(|error| {
            ConfigError::one(format!(
                "{name}:{}: malformed \\uXXXX: expected four hexadecimal digits",
                error.line
            ))
        })?;
        for property in properties {
            let origin = Origin::File {
                name: name.to_owned(),
                line: property.line,
            };
            self.set(property.key, property.value, origin);
        }
        Ok(())
    }

    fn take_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        let mut plain = Vec::new();
        for (variable, value) in environment {
            // A name that is not UTF-8 names no key.
            let Ok(variable) = variable.into_string() else {
                continue;
            };
            let prefixed = variable.strip_prefix(ENVIRONMENT_PREFIX);
            let key = match prefixed {
                Some("") => continue,
                Some(key) => key,
                None if self.entries.contains_key(&variable) => &variable,
                None if keys::find(&variable).is_some() => &variable,
                None => continue,
            };
            let Ok(value) = value.into_string() else {
                return Err(ConfigError::one(format!(
                    "environment variable {variable}: expected UTF-8"
                )));
            };
            let (key, value) = (key.to_owned(), value.trim().to_owned());
            if prefixed.is_some() {
                self.set(key, value, Origin::Environment(variable));
            } else {
                plain.push((key, value));
            }
        }
        for (key, value) in plain {
            self.set(key.clone(), value, Origin::Environment(key));
        }
        Ok(())
    }

    fn take_overrides(&mut self, overrides: &Overrides) {
        let flags = [
            (
                "bindAddress",
                "--bind",
                overrides.bind.map(|ip| ip.to_string()),
            ),
            (
                "webServicePort",
                "--port",
                overrides.port.map(|port| port.to_string()),
            ),
            (
                "brokerServiceUrl",
                "--broker-url",
                overrides.broker_url.clone(),
            ),
            (
                "webSocketLogFormat",
                "--log-format",
                overrides.log_format.clone(),
            ),
        ];
        for (key, flag, value) in flags {
            if let Some(value) = value {
                self.set(key.to_owned(), value, Origin::Flag(flag));
            }
        }
    }

    fn set(&mut self, key: String, value: String, origin: Origin) {
        self.entries.insert(key, Entry { value, origin });
    }

    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The trimmed value; a blank one is as good as none.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let value = self.entries.get(key)?.value.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Whether a key is set to nothing.
    pub(super) fn is_blank(&self, key: &str) -> bool {
        self.entries.contains_key(key) && self.text(key).is_none()
    }

    /// Where a key is set.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        self.entries.get(key).map(|entry| &entry.origin)
    }

    /// A Java `int`; one that is none was refused before.
    pub(super) fn int(&self, key: &str) -> Option<i32> {
        self.text(key)?.parse().ok()
    }

    /// A number above zero; one that is none was refused before.
    pub(super) fn positive(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A sentence with the place of the key that it is about.
    pub(super) fn error(&self, key: &str, sentence: &str) -> String {
        match (self.origin(key), &self.file) {
            (Some(origin @ (Origin::File { .. } | Origin::Environment(_))), _) => {
                format!("{origin}: {sentence}")
            }
            (Some(Origin::Flag(_)), _) | (None, None) => sentence.to_owned(),
            (None, Some(file)) => format!("{file}: {sentence}"),
        }
    }

    /// The same with the value, unless it is a secret.
    pub(super) fn bad_value(&self, key: &str, sentence: &str) -> String {
        let name = match self.origin(key) {
            Some(Origin::Flag(flag)) => flag,
            _ => key,
        };
        let value = self.shown(key);
        self.error(key, &format!("{name}={value}: {sentence}"))
    }

    /// A value as it may be shown to anybody.
    pub(super) fn shown(&self, key: &str) -> String {
        let value = self.text(key).unwrap_or_default();
        let is_secret = keys::find(key).map_or_else(
            || secret::is_secret_name(key),
            |key| key.kind == Kind::Secret,
        );
        secret::shown(value, is_secret)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.origin, f)
    }
}
