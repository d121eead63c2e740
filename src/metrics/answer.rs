//! The parts of all shards → the JSON that the Java service answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Counts, LATENCY_BOUNDS_US, Part, Question, Session};

/// The answer's text, in JSON; `None` if the topic that was asked about has no session. For figures
/// see [`super::figures()`].
#[must_use]
pub fn answer(question: &Question, parts: Vec<Part>) -> Option<Vec<u8>> {
    let mut text = String::new();
    match question {
        Question::Namespaces => namespaces(&mut text, parts),
        Question::Topics => topics(&mut text, parts),
        Question::Topic(_) => {
            let sessions: Vec<Session> = parts.into_iter().flat_map(|it| it.sessions).collect();
            if sessions.is_empty() {
                return None;
            }
            topic(&mut text, &sessions);
        }
        Question::Figures(_) => return None,
    }
    Some(text.into_bytes())
}

fn namespaces(text: &mut String, parts: Vec<Part>) {
    let mut joined = BTreeMap::<Box<str>, Counts>::new();
    for (name, counts) in parts.into_iter().flat_map(|part| part.namespaces) {
        *joined.entry(name).or_default() += counts;
    }
    text.push('[');
    for (name, counts) in joined {
        separate(text, '[');
        text.push_str("{\"metrics\":");
        text.push_str(&Value::Object(metrics(&counts)).to_string());
        text.push_str(",\"dimensions\":");
        text.push_str(&json!({ "namespace": name }).to_string());
        text.push('}');
    }
    text.push(']');
}

/// In the order of names, as Java writes them.
fn metrics(counts: &Counts) -> Map<String, Value> {
    let plain = [
        ("ns_msg_publish_rate", counts.published),
        ("ns_byte_publish_rate", counts.published_bytes),
        ("ns_msg_failure_rate", counts.failed),
        ("ns_msg_deliver_rate", counts.delivered),
        ("ns_byte_deliver_rate", counts.delivered_bytes),
        ("ns_msg_ack_rate", counts.acknowledged),
    ];
    let plain = plain.map(|(name, value)| (name.to_owned(), value));
    let names = LATENCY_BOUNDS_US.map(|bound| bound.to_string());
    let beyond = names.last().map(|bound| format!("{bound}_higher"));
    let latencies = names
        .iter()
        .chain(&beyond)
        .map(|class| format!("ns_msg_publish_latency_{class}"))
        .zip(counts.latencies);
    let sorted: BTreeMap<String, u64> = plain.into_iter().chain(latencies).collect();
    sorted
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect()
}

fn topics(text: &mut String, parts: Vec<Part>) {
    let mut joined = BTreeMap::<Box<str>, Vec<Session>>::new();
    for session in parts.into_iter().flat_map(|part| part.sessions) {
        let sessions = joined.entry(session.topic.clone()).or_default();
        sessions.push(session);
    }
    text.push('{');
    for (name, sessions) in joined {
        separate(text, '{');
        text.push_str(&quoted(&name));
        text.push(':');
        topic(text, &sessions);
    }
    text.push('}');
}

fn topic(text: &mut String, sessions: &[Session]) {
    text.push_str("{\"producerStats\":[");
    for session in sessions.iter().filter(|it| it.subscription.is_none()) {
        separate(text, '[');
        let remote = quoted(&remote(session));
        let messages = session.messages;
        text.push_str(&format!(
            "{{\"remoteConnection\":{remote},\"numberOfMsgPublished\":{messages}}}"
        ));
    }
    text.push_str("],\"consumerStats\":[");
    for session in sessions {
        let Some(subscription) = &session.subscription else {
            continue;
        };
        separate(text, '[');
        let (remote, name) = (quoted(&remote(session)), quoted(&subscription.name));
        let (kind, messages) = (subscription.kind, session.messages);
        let mode = subscription
            .mode
            .map(|mode| format!("\"subscriptionMode\":\"{mode}\","))
            .unwrap_or_default();
        text.push_str(&format!(
            "{{\"remoteConnection\":{remote},\"subscriptionName\":{name},\
             \"subscriptionType\":\"{kind}\",{mode}\"numberOfMsgDelivered\":{messages}}}"
        ));
    }
    text.push_str("]}");
}

/// An address as Java writes one that has no name: IPv6 in full groups.
fn remote(session: &Session) -> String {
    match session.remote {
        std::net::SocketAddr::V4(address) => format!("/{address}"),
        std::net::SocketAddr::V6(address) => {
            let groups = address.ip().segments().map(|group| format!("{group:x}"));
            format!("/[{}]:{}", groups.join(":"), address.port())
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A comma, unless it is the first of its list.
fn separate(text: &mut String, open: char) {
    if !text.ends_with(open) {
        text.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Subscription, *};

    fn session(topic: &str, remote: &str, subscription: Option<Subscription>) -> Session {
        Session {
            topic: topic.into(),
            remote: remote.parse().unwrap(),
            messages: 7,
            subscription,
        }
    }

    fn text(question: &Question, parts: Vec<Part>) -> String {
        String::from_utf8(answer(question, parts).unwrap()).unwrap()
    }

    #[test]
    fn sessions_are_told_by_topic() {
        let consumer = Subscription {
            name: "s \"x\"".into(),
            kind: "Key_Shared",
            mode: Some("Durable"),
        };
        let reader = Subscription {
            name: "reader-0123456789".into(),
            kind: "Exclusive",
            mode: None,
        };
        let first = Part {
            sessions: vec![
                session("persistent://b/c/d", "[fe::1]:9", None),
                session("persistent://a/b/c", "1.2.3.4:5", Some(consumer)),
            ],
            ..Part::default()
        };
        let second = Part {
            sessions: vec![
                session("persistent://a/b/c", "1.2.3.4:6", Some(reader)),
                session("persistent://a/b/c", "1.2.3.4:7", None),
            ],
            ..Part::default()
        };
        let expected = r#"{"persistent://a/b/c":{"producerStats":[{"remoteConnection":"/1.2.3.4:7","numberOfMsgPublished":7}],"consumerStats":[{"remoteConnection":"/1.2.3.4:5","subscriptionName":"s \"x\"","subscriptionType":"Key_Shared","subscriptionMode":"Durable","numberOfMsgDelivered":7},{"remoteConnection":"/1.2.3.4:6","subscriptionName":"reader-0123456789","subscriptionType":"Exclusive","numberOfMsgDelivered":7}]},"persistent://b/c/d":{"producerStats":[{"remoteConnection":"/[fe:0:0:0:0:0:0:1]:9","numberOfMsgPublished":7}],"consumerStats":[]}}"#;
        assert_eq!(text(&Question::Topics, vec![first, second]), expected);
    }

    #[test]
    fn a_topic_without_sessions_is_none() {
        let question = Question::Topic("persistent://a/b/c".into());
        assert_eq!(answer(&question, vec![Part::default()]), None);
        assert_eq!(text(&Question::Topics, vec![Part::default()]), "{}");
        assert_eq!(text(&Question::Namespaces, vec![]), "[]");
    }

    #[test]
    fn counts_of_all_shards_are_added() {
        let counts = Counts {
            published: 2,
            published_bytes: 30,
            delivered: 4,
            acknowledged: 1,
            latencies: [1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            ..Counts::default()
        };
        let part = Part {
            namespaces: vec![("a/b".into(), counts)],
            ..Part::default()
        };
        let expected = r#"[{"metrics":{"ns_byte_deliver_rate":0,"ns_byte_publish_rate":60,"ns_msg_ack_rate":2,"ns_msg_deliver_rate":8,"ns_msg_failure_rate":0,"ns_msg_publish_latency_1000":0,"ns_msg_publish_latency_10000":0,"ns_msg_publish_latency_100000":0,"ns_msg_publish_latency_1000000":0,"ns_msg_publish_latency_1000000_higher":2,"ns_msg_publish_latency_20000":0,"ns_msg_publish_latency_200000":0,"ns_msg_publish_latency_500":2,"ns_msg_publish_latency_5000":0,"ns_msg_publish_latency_50000":0,"ns_msg_publish_rate":4},"dimensions":{"namespace":"a/b"}}]"#;
        assert_eq!(
            text(&Question::Namespaces, vec![part.clone(), part]),
            expected
        );
    }
}
