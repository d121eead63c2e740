//! A pattern that topics are chosen by.

use fancy_regex::Regex;

/// Which topics of a namespace are meant, by their names.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    namespace: String,
    regex: Regex,
    common: Option<String>,
}

impl TopicPattern {
    /// A pattern that names (without their domain) must match, of topics in one namespace. `common` is
    /// the pattern itself, if every usual engine understands it alike.
    #[must_use]
    pub const fn new(namespace: String, regex: Regex, common: Option<String>) -> Self {
        Self {
            namespace,
            regex,
            common,
        }
    }

    /// Where to look.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pattern, for others to apply too; `None` if they might understand it in another way.
    #[must_use]
    pub fn common(&self) -> Option<&str> {
        self.common.as_deref()
    }

    /// Whether a topic is meant, by its full name. A match that costs too much is none.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let name = topic.split_once("://").map_or(topic, |(_, name)| name);
        self.regex.is_match(name).unwrap_or_else(|error| {
            tracing::warn!(topic, %error, "a topic can't be matched");
            false
        })
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.regex.as_str() == other.regex.as_str()
    }
}
