//! Topics, and the paths by which a service knows them.

use std::io;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::target::Query;

/// What may stand in a path as it is; the service does not decode tenants and namespaces.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One topic for all, or one for each.
pub(crate) struct Topic {
    /// `persistent/tenant/namespace/`
    folder: String,
    name: String,
    one: bool,
}

impl Topic {
    /// `text` is `domain://tenant/namespace/name`, or a name in `persistent://public/default`.
    pub(crate) fn new(text: &str, one: bool) -> io::Result<Self> {
        let (domain, rest) = text.split_once("://").unwrap_or(("persistent", text));
        let parts: Vec<&str> = rest.split('/').collect();
        let (tenant, namespace, name) = match parts[..] {
            [name] => ("public", "default", name),
            [tenant, namespace, name] => (tenant, namespace, name),
            _ => ("", "", ""),
        };
        if name.is_empty() || !matches!(domain, "persistent" | "non-persistent") {
            let text = "a topic is persistent://TENANT/NAMESPACE/NAME, non-persistent://… or NAME";
            return Err(io::Error::other(text));
        }
        Ok(Self {
            folder: format!("{domain}/{tenant}/{namespace}/"),
            name: name.into(),
            one,
        })
    }

    pub(crate) fn producer(&self, index: usize, query: &Query) -> String {
        format!("/ws/v2/producer/{}{}", self.path(index), query.text())
    }

    pub(crate) fn consumer(&self, index: usize, subscription: &str, query: &Query) -> String {
        let subscription = utf8_percent_encode(subscription, KEPT);
        format!(
            "/ws/v2/consumer/{}/{subscription}{}",
            self.path(index),
            query.text()
        )
    }

    pub(crate) fn reader(&self, index: usize, query: &Query) -> String {
        format!("/ws/v2/reader/{}{}", self.path(index), query.text())
    }

    fn path(&self, index: usize) -> String {
        let (folder, name) = (&self.folder, utf8_percent_encode(&self.name, KEPT));
        if self.one {
            format!("{folder}{name}")
        } else {
            format!("{folder}{name}-{index}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_service() {
        let query = Query::default();
        let topic = Topic::new("persistent://public/default/load", false).expect("a topic");
        assert_eq!(
            topic.producer(3, &query),
            "/ws/v2/producer/persistent/public/default/load-3"
        );
        let topic = Topic::new("non-persistent://t/ns/a b", true).expect("a topic");
        assert_eq!(
            topic.consumer(3, "s/1", &query.clone().or("a", "b")),
            "/ws/v2/consumer/non-persistent/t/ns/a%20b/s%2F1?a=b"
        );
        let topic = Topic::new("load", true).expect("a topic");
        assert_eq!(
            topic.reader(0, &query),
            "/ws/v2/reader/persistent/public/default/load"
        );
        for text in ["", "a/b", "http://a/b/c", "persistent://a/b/", "a/b/c/d"] {
            assert!(Topic::new(text, true).is_err(), "{text}");
        }
    }
}
