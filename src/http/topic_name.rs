//! Topic names as Pulsar's `TopicName`, `NamespaceName` and `NamedEntity` read them.
//!
//! A name is always read from its text, even where its parts were known before: that is how a slash in a topic's
//! local name turns `tenant/namespace/topic` into the older `tenant/cluster/namespace/topic`. Errors are the texts of
//! the `IllegalArgumentException`s that Java throws.

use std::fmt;

/// Whether a topic's messages are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Stored, until acknowledged.
    Persistent,
    /// Passed on to whoever listens.
    NonPersistent,
}

impl Domain {
    /// The domain of this exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "persistent" => Some(Self::Persistent),
            "non-persistent" => Some(Self::NonPersistent),
            _ => None,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Persistent => "persistent",
            Self::NonPersistent => "non-persistent",
        })
    }
}

/// A topic's full name in its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicName {
    /// The domain.
    pub domain: Domain,
    /// The tenant ("property" in old paths).
    pub tenant: String,
    /// The cluster, in names of the first version alone.
    pub cluster: Option<String>,
    /// The namespace without its tenant.
    pub namespace: String,
    /// What is behind the namespace. Contains slashes in names of the first version alone.
    pub local: String,
}

impl TopicName {
    /// Reads a full name, or one of the short forms `topic` and `tenant/namespace/topic`.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.contains("://") {
            return Self::parse_full(name);
        }
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
        match parts[..] {
            [_, _, _] => Self::parse_full(&format!("persistent://{name}")),
            [local] => Self::parse_full(&format!("persistent://public/default/{local}")),
            _ => Err(format!(
                "Invalid short topic name '{name}', it should be in the format of \
                 <tenant>/<namespace>/<topic> or <topic>"
            )),
        }
    }

    fn parse_full(name: &str) -> Result<Self, String> {
        let (domain, rest) = name.split_once("://").unwrap_or((name, ""));
        // In names, not in paths, its case does not matter.
        let domain = Domain::from_name(&domain.to_ascii_lowercase())
            .ok_or_else(|| format!("Invalid topic domain: '{domain}'"))?;
        let parts: Vec<&str> = rest.splitn(4, '/').collect();
        let (tenant, cluster, namespace, local) = match parts[..] {
            [tenant, namespace, local] => (tenant, None, namespace, local),
            [tenant, cluster, namespace, local] => (tenant, Some(cluster), namespace, local),
            _ => return Err(format!("Invalid topic name: {name}")),
        };
        check_namespace(tenant, cluster, namespace)?;
        if is_blank(local) {
            return Err(format!(
                "Invalid topic name: {name}. Topic local name must not be blank."
            ));
        }
        Ok(Self {
            domain,
            tenant: tenant.to_owned(),
            cluster: cluster.map(str::to_owned),
            namespace: namespace.to_owned(),
            local: local.to_owned(),
        })
    }

    /// The namespace with all that is before it, without the domain.
    pub fn namespace_name(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("{}/{cluster}/{}", self.tenant, self.namespace),
            None => format!("{}/{}", self.tenant, self.namespace),
        }
    }

    /// The name by which brokers and clients know the topic.
    pub fn full_name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/", self.domain, self.tenant)?;
        if let Some(cluster) = &self.cluster {
            write!(f, "{cluster}/")?;
        }
        write!(f, "{}/{}", self.namespace, self.local)
    }
}

/// Checks the parts of a namespace: each there, and each made of letters, digits and `-=:._`.
pub(super) fn check_namespace(
    tenant: &str,
    cluster: Option<&str>,
    namespace: &str,
) -> Result<(), String> {
    let parts: Vec<&str> = [Some(tenant), cluster, Some(namespace)]
        .into_iter()
        .flatten()
        .collect();
    if parts.iter().any(|part| part.is_empty()) {
        let joined = parts.join("/");
        return Err(format!("Invalid namespace format. namespace: {joined}"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-=:._".contains(c);
    match parts.iter().find(|part| !part.chars().all(allowed)) {
        Some(part) => Err(format!("Invalid named entity: {part}")),
        None => Ok(()),
    }
}

/// `StringUtils.isBlank`: empty, or nothing but what Java holds for white space, which leaves out the no-break spaces
/// and takes in four separators of ASCII.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\u{1c}'..='\u{1f}' => true,
        '\u{85}' | '\u{a0}' | '\u{2007}' | '\u{202f}' => false,
        c => c.is_whitespace(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_both_versions() {
        let name = TopicName::parse("persistent://public/default/t").unwrap();
        assert_eq!(name.cluster, None);
        assert_eq!(name.local, "t");
        assert_eq!(name.full_name(), "persistent://public/default/t");
        let shouted = TopicName::parse("PERSISTENT://public/default/t").unwrap();
        assert_eq!(shouted, name);

        let name = TopicName::parse("non-persistent://public/default/a/b/c").unwrap();
        assert_eq!(name.domain, Domain::NonPersistent);
        assert_eq!(name.cluster.as_deref(), Some("default"));
        assert_eq!(name.namespace, "a");
        assert_eq!(name.local, "b/c");
        assert_eq!(name.full_name(), "non-persistent://public/default/a/b/c");
    }

    #[test]
    fn short_names_are_completed() {
        let full = |name: &str| TopicName::parse(name).map(|name| name.full_name());
        assert_eq!(full("t").unwrap(), "persistent://public/default/t");
        assert_eq!(full("a/b/c").unwrap(), "persistent://a/b/c");
        for name in ["", "a/b", "a/b/c/d"] {
            assert!(
                full(name)
                    .unwrap_err()
                    .starts_with("Invalid short topic name '")
            );
        }
    }

    #[test]
    fn faults_are_told_as_java_tells_them() {
        let cases = [
            ("durable://a/b/c", "Invalid topic domain: 'durable'"),
            ("persistent://a/b", "Invalid topic name: persistent://a/b"),
            (
                "persistent://a//c",
                "Invalid namespace format. namespace: a/",
            ),
            (
                "persistent://a/b//d",
                "Invalid namespace format. namespace: a/b/",
            ),
            ("persistent://a b/c/d", "Invalid named entity: a b"),
            ("persistent://a/ä/d", "Invalid named entity: ä"),
            (
                "persistent://a/b/ \u{1f}",
                "Invalid topic name: persistent://a/b/ \u{1f}. Topic local name must not be blank.",
            ),
        ];
        for (name, text) in cases {
            assert_eq!(TopicName::parse(name), Err(text.to_owned()));
        }
        assert!(TopicName::parse("persistent://-=:._Az09/b/\u{a0}").is_ok());
    }
}
