//! A publishing client: a counter as context, and each reply held against what was stored.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::{Value, json};

use super::{
    actor::{Scene, Wish},
    partitions::Target,
    rng::Rng,
    text::base64,
    topic::Content,
    wire::MessageIdData,
    ws::WebSocket,
};

/// What a reply must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Ok,
    /// Broken base64.
    Encoding,
}

/// An entry, and a place in it where it is a batch.
type Place = ((u64, u64), Option<i32>);

/// One publishing session.
#[derive(Debug)]
pub(crate) struct Producer {
    target: Target,
    /// How many publishes it has in mind.
    planned: usize,
    sent: usize,
    large: bool,
    awaited: BTreeMap<usize, Awaited>,
    /// Replies to what was not even JSON carry no context.
    nonsense: usize,
    /// The number whose `ok` came last, its entry and the place in it, by topic: each partition is one.
    newest: BTreeMap<usize, (usize, Place)>,
}

impl Producer {
    pub(crate) fn new(target: Target, planned: usize, large: bool) -> Self {
        Self {
            target,
            planned,
            sent: 0,
            large,
            awaited: BTreeMap::new(),
            nonsense: 0,
            newest: BTreeMap::new(),
        }
    }

    /// Whether it has something to say.
    pub(crate) fn restless(&self, quiet: bool) -> bool {
        let done = self.awaited.is_empty() && self.nonsense == 0;
        done || (self.sent < self.planned && !quiet)
    }

    pub(super) fn act(&mut self, name: &str, ws: &mut WebSocket, scene: &mut Scene<'_>) -> Wish {
        if self.sent < self.planned && !scene.quiet {
            for _ in 0..scene.rng.range(1..12) {
                self.publish(name, ws, scene);
            }
            if scene.rng.one_in(10) {
                ws.ping(scene.rng);
            }
            if scene.rng.one_in(15) {
                ws.text(scene.rng, "no JSON at all");
                self.nonsense += 1;
            }
            if scene.rng.one_in(150) {
                return Wish::Vanish;
            }
            return Wish::Nothing;
        }
        if self.awaited.is_empty() && self.nonsense == 0 {
            return Wish::Close;
        }
        Wish::Nothing
    }

    fn publish(&mut self, name: &str, ws: &mut WebSocket, scene: &mut Scene<'_>) {
        let number = self.sent;
        self.sent += 1;
        let rng = &mut *scene.rng;
        let mut content = content(number, name, self.large, rng);
        if rng.one_in(6) {
            content.deliver_at = Some(1_700_000_000_000);
        }
        if rng.one_in(4) {
            content.replicate_to = vec!["here".into(), "there".into()];
        }
        let mut payload = base64(&content.payload);
        let mut awaited = Awaited::Ok;
        if rng.one_in(20) {
            payload.insert(0, '_');
            awaited = Awaited::Encoding;
        }
        let mut message = json!({ "payload": payload });
        message["context"] = match rng.below(2) {
            0 => json!(number),
            _ => json!(number.to_string()),
        };
        if let Some(key) = &content.key {
            message["key"] = json!(key);
        }
        if !content.properties.is_empty() {
            message["properties"] = json!(content.properties);
        }
        if let Some(millis) = content.event_time {
            let millis = i64::try_from(millis).expect("small");
            let time = jiff::Timestamp::from_millisecond(millis).expect("a time");
            message["eventTime"] = json!(time.to_string());
        }
        if let Some(at) = content.deliver_at {
            message["deliverAt"] = json!(at);
        }
        if !content.replicate_to.is_empty() {
            message["replicationClusters"] = json!(content.replicate_to);
        }
        ws.text(rng, &message.to_string());
        self.awaited.insert(number, awaited);
        let producing = scene.judge.producing.get_mut(name).expect("known");
        producing.published.push(content);
    }

    pub(super) fn text(&mut self, name: &str, text: &str, scene: &Scene<'_>) {
        let json: Value = serde_json::from_str(text).expect("JSON");
        let string = |field: &str| json[field].as_str();
        let result = string("result").expect("a result");
        assert!(
            text.ends_with(r#""errorCode":0,"schemaVersion":0}"#),
            "{text}"
        );
        if result == "send-error:3" {
            assert!(json.get("context").is_none(), "{text}");
            self.nonsense = self
                .nonsense
                .checked_sub(1)
                .expect("one nonsense, one reply");
            return;
        }
        let number: usize = string("context")
            .expect("a context")
            .parse()
            .expect("a number");
        let awaited = self.awaited.remove(&number);
        let awaited = awaited.unwrap_or_else(|| panic!("{name}: a second reply to {number}"));
        match result {
            "ok" => {
                assert_eq!(awaited, Awaited::Ok, "{text}");
                self.stored(name, number, string("messageId").expect("an id"), scene);
            }
            "send-error:7" => assert_eq!(awaited, Awaited::Encoding, "{text}"),
            "send-error:8" => assert!(scene.faults, "{text}"),
            _ => panic!("{text}"),
        }
    }

    /// An `ok` names an entry that holds exactly what was published.
    fn stored(&mut self, name: &str, number: usize, id: &str, scene: &Scene<'_>) {
        let data = MessageIdData::decode(&*super::text::unbase64(id)).expect("an id");
        let canonical = MessageIdData {
            ledger_id: data.ledger_id,
            entry_id: data.entry_id,
            partition: data.partition,
            batch_index: data.batch_index,
            batch_size: Some(0),
            ..MessageIdData::default()
        };
        assert_eq!(data, canonical, "a producer's id");
        assert_eq!(base64(&canonical.encode_to_vec()), id, "in Java's encoding");
        let published = &scene.judge.producing[name].published[number];
        let index = match (&mut self.target, data.partition) {
            (Target::Topic(topic), None) => *topic,
            (Target::Partitions(partitions), Some(partition)) => {
                partitions.topic(scene.broker, partition, published.key.as_deref())
            }
            (target, partition) => panic!("{target:?} has no {partition:?}"),
        };
        let topic = &scene.broker.topics[index];
        let entry = topic.find(&data).expect("ok means stored");
        let entry = &topic.entries[entry];
        assert_eq!(data.batch_index.is_some(), entry.batched, "{name}: {id}");
        let place = data.batch_index.unwrap_or(0);
        let stored = &entry.messages[usize::try_from(place).expect("an index")];
        assert_eq!(stored, published, "{name}: {number} is stored");
        let place = (entry.id, data.batch_index);
        if let Some((before, last)) = self.newest.insert(index, (number, place)) {
            assert!(before < number, "{name}: ok of {number} after {before}");
            assert!(last < place, "{name}: ids ascend");
        }
    }

    /// At the end of a session that nothing disturbed: what is stored was confirmed.
    pub(crate) fn nothing_unconfirmed(&self, name: &str, scene: &Scene<'_>) {
        for number in self.awaited.keys() {
            assert!(
                !scene.judge.is_stored(name, *number),
                "{name}: {number} is stored, its ok never came"
            );
        }
    }
}

/// A message of an application, with its number and whose it is in front.
pub(crate) fn content(number: usize, whose: &str, large: bool, rng: &mut Rng) -> Content {
    let len = match rng.below(12) {
        0 => rng.below(5000),
        1 if large => rng.below(100_000),
        _ => rng.below(120),
    };
    let mut payload = format!("{number}:{whose}:").into_bytes();
    payload.extend(rng.bytes(len));
    let key = match rng.below(4) {
        0 => None,
        1 => Some(String::new()),
        _ => Some(format!("k\u{e9}y-\"{}", rng.below(4))),
    };
    let properties = (0..rng.below(4)).map(|index| (format!("p{index}"), format!("v\n{number}")));
    Content {
        payload,
        key,
        properties: properties.collect(),
        event_time: rng
            .one_in(3)
            .then(|| 1_600_000_000_000 + rng.next() % 1_000_000),
        ..Content::default()
    }
}
