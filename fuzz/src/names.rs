//! What names something: message ids, topics, data keys, brokers' addresses.

use prost::Message;
use pulsar_ws_fast::{
    dialect::Dialect,
    http::{
        route,
        topic_name::{Domain, TopicName},
    },
    pulsar::message_id::PulsarId,
    session::{MessageId, Spec, producer::Encryption},
};
use serde_json::{Map, Value, json};

use crate::{
    proto::MessageIdData,
    script::{Script, repeated},
};

/// The first byte says what the others are.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.byte() % 4 {
        0 => message_id(script.rest()),
        1 => topic(&String::from_utf8_lossy(script.rest())),
        2 => path(&String::from_utf8_lossy(script.rest())),
        _ => keys(script),
    }
}

/// As prost reads it, and written so that it is read the same.
fn message_id(bytes: &[u8]) {
    if let Ok(id) = PulsarId::decode(bytes) {
        let encoded = id.encode();
        assert!(encoded.as_bytes().len() <= MessageId::BYTES_MAX);
        let again = PulsarId::decode(encoded.as_bytes()).expect("an id");
        assert_eq!(again, id);
        let judged = MessageIdData::decode(encoded.as_bytes()).expect("an id");
        assert_eq!(judged.ledger_id, id.entry.ledger);
        assert_eq!(judged.entry_id, id.entry.entry);
    }
    let Ok(judged) = MessageIdData::decode(bytes) else {
        return;
    };
    let ours = PulsarId::decode(&judged.encode_to_vec()).expect("an id");
    let natural = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    assert_eq!(ours.entry.ledger, judged.ledger_id);
    assert_eq!(ours.entry.entry, judged.entry_id);
    assert_eq!(ours.partition, natural(judged.partition));
    assert_eq!(ours.batch_index, natural(judged.batch_index));
    assert_eq!(
        ours.batch_size,
        natural(judged.batch_size).unwrap_or_default()
    );
}

/// A name that is read is read the same from its full form.
fn topic(text: &str) {
    let Ok(name) = TopicName::parse(text) else {
        return;
    };
    let full = name.full_name();
    assert_eq!(TopicName::parse(&full), Ok(name.clone()), "{full}");
    assert!(full.contains(&name.namespace_name()));
    let domain = full.split("://").next().and_then(Domain::from_name);
    assert_eq!(domain, Some(name.domain));
}

/// A topic in a path is the topic whose parts stand there.
fn path(local: &str) {
    let escaped: String =
        percent_encoding::utf8_percent_encode(local, percent_encoding::NON_ALPHANUMERIC)
            .to_string();
    for kind in ["producer", "reader"] {
        let target = format!("/ws/v2/{kind}/persistent/public/default/{escaped}");
        let Ok(endpoint) = route::mount(&target).and_then(|mount| route::endpoint(&mount)) else {
            continue;
        };
        let full = format!("persistent://public/default/{local}");
        assert_eq!(TopicName::parse(&full), Ok(endpoint.topic), "{target}");
    }
}

/// Keys of a client that encrypts, as it names them.
fn keys(mut script: Script<'_>) {
    let mut written = Map::new();
    let mut expected = Vec::new();
    while !script.is_over() && written.len() < 5 {
        let name = script.text();
        let value = repeated(&mut script);
        let metadata: Map<String, Value> = (0..script.byte() % 3)
            .map(|_| (script.text(), Value::String(script.text())))
            .collect();
        let is_name = !name.trim().is_empty() && name.chars().all(|c| c > ' ');
        if !is_name || written.contains_key(&name) {
            return;
        }
        let key_value = base64_simd::STANDARD.encode_to_string(&value);
        written.insert(
            name.clone(),
            json!({"keyValue": key_value, "metadata": metadata}),
        );
        expected.push((name, value, metadata));
    }
    if expected.is_empty() {
        return;
    }
    let text = serde_json::to_vec(&written).expect("JSON");
    let text = base64_simd::STANDARD.encode_to_string(text);
    let escaped = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
    let target = format!("/ws/v2/producer/persistent/public/default/t?encryptionKeys={escaped}");
    let mount = route::mount(&target).expect("a path");
    let endpoint = route::endpoint(&mount).expect("an endpoint");
    let Ok(Spec::Producer(spec)) = Dialect::PulsarJson.spec(&endpoint) else {
        panic!("no producer");
    };
    let Some(Encryption::ByClient(keys)) = spec.encryption else {
        panic!("no keys");
    };
    assert_eq!(keys.len(), expected.len());
    for (name, value, metadata) in expected {
        let key = keys.iter().find(|key| key.name == name).expect("the key");
        assert_eq!(key.value, value);
        assert_eq!(key.metadata.len(), metadata.len());
        for (name, value) in &key.metadata {
            assert_eq!(metadata[name], **value);
        }
    }
}

/// Ids with and without a partition and a batch, names of both versions, keys.
pub fn seeds() -> Vec<Vec<u8>> {
    let id = MessageIdData {
        ledger_id: 12,
        entry_id: 300,
        partition: Some(-1),
        batch_index: Some(2),
        batch_size: Some(9),
        ..MessageIdData::default()
    };
    let mut seeds = vec![
        vec![0, 8, 12, 16, 5, 48, 0],
        vec![0, 8, 12, 16, 5, 24, 1, 48, 0, 58, 6, 8, 12, 16, 4, 48, 0],
        [&[0], &id.encode_to_vec()[..]].concat(),
        [
            &[3],
            &b"\x03key\0\x03abc\x01\x01a\x01b\x04key2\x03\x02zz\0"[..],
        ]
        .concat(),
    ];
    for name in [
        "t",
        "public/default/t",
        "persistent://public/default/t",
        "NON-persistent://p/c/n/t/u",
        "persistent://p/c/n/a://b",
    ] {
        seeds.push([&[1], name.as_bytes()].concat());
        seeds.push([&[2], name.as_bytes()].concat());
    }
    seeds
}
