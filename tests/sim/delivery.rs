//! A delivery as a consumer or reader sees it, held against what the topic stores.

use serde_json::Value;

use super::{
    broker::Broker,
    text::{consumer_id, place, unbase64},
    topic::Place,
};

/// Checks every field of a delivery; tells which message it is.
pub(crate) fn check(text: &str, topic: usize, broker: &Broker) -> Place {
    let json: Value = serde_json::from_str(text).expect("JSON");
    let fields = json.as_object().expect("an object");
    let string = |name: &str| fields.get(name).map(|it| it.as_str().expect("a string"));
    let id = string("messageId").expect("an id");
    let place = place(&broker.topics, topic, id);
    let topic = &broker.topics[topic];
    assert_eq!(id, consumer_id(topic, place), "the id in Java's encoding");
    let entry = &topic.entries[place.entry];
    assert_eq!(entry.corruption, None, "{place:?} can be read");
    let content = &entry.messages[place.member];
    let payload = unbase64(string("payload").expect("a payload"));
    assert!(payload == content.payload, "payload of {place:?}");
    assert_eq!(string("key"), content.key.as_deref(), "key of {place:?}");
    let properties = fields["properties"].as_object().expect("an object");
    assert_eq!(
        properties.len(),
        content.properties.len(),
        "properties of {place:?}"
    );
    for (name, value) in &content.properties {
        assert_eq!(properties[name], *value, "property of {place:?}");
    }
    let millis = |name| string(name).map(|time| time.parse::<jiff::Timestamp>().expect("a time"));
    let millis = |name| millis(name).map(|time| u64::try_from(time.as_millisecond()).expect("AD"));
    assert_eq!(
        millis("publishTime"),
        Some(entry.publish_time),
        "of {place:?}"
    );
    assert_eq!(millis("eventTime"), content.event_time, "of {place:?}");
    assert!(fields["redeliveryCount"].is_u64(), "of {place:?}");
    let optional = [
        content.key.is_some(),
        content.event_time.is_some(),
        content.is_null,
    ];
    let optional = optional.into_iter().filter(|there| *there).count();
    assert_eq!(fields.len(), 5 + optional, "no other field: {text}");
    let null = fields.get("nullValue").and_then(Value::as_bool);
    assert_eq!(null, content.is_null.then_some(true), "of {place:?}");
    place
}
