//! What clients and brokers send: bytes for a [`World`](super::World).

use pulsar_ws_fast::{
    codec::base64::encode_append,
    ws::frame::{Header, Opcode},
};

use super::{
    proto::{
        BaseCommand, Deliver, KeyValue, MessageIdData, MessageMetadata, SingleMessageMetadata,
    },
    wire::{Body, Style, put_frame},
};
use prost::Message;

/// What a publish carries besides payload and context.
pub(crate) const PROPERTIES_AND_KEY: &str =
    r#""properties":{"key1":"value1","key2":"value2"},"key":"customer-4711","#;

/// Appends one text message as a client frames it.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let header = Header {
        fin: true,
        opcode: Opcode::Text,
        compressed: false,
        mask: Some(key),
        payload_bytes: text.len() as u64,
    };
    header.encode(out);
    out.extend(
        text.bytes()
            .zip(key.into_iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
}

/// The text of one publish; `more` is other fields, each with its comma.
pub(crate) fn publish(payload_bytes: usize, more: &str, context: usize) -> String {
    let mut payload = Vec::new();
    encode_append(&vec![b'p'; payload_bytes], &mut payload);
    let payload = String::from_utf8(payload).expect("base64 is text");
    format!(r#"{{"payload":"{payload}",{more}"context":"{context}"}}"#)
}

/// So many publishes of one client.
pub(crate) fn publishes(count: usize, payload_bytes: usize, more: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for context in 0..count {
        put_text(&mut bytes, &publish(payload_bytes, more, context));
    }
    bytes
}

/// An entry of one message, or of as many as `batch` says.
pub(crate) fn put_entry(
    out: &mut Vec<u8>,
    consumer_id: u64,
    entry_id: u64,
    payload_bytes: usize,
    batch: Option<i32>,
) {
    let properties = vec![KeyValue {
        key: "key1".into(),
        value: "value1".into(),
    }];
    let content = vec![b'p'; payload_bytes];
    let mut metadata = MessageMetadata {
        producer_name: "standalone-0-1".into(),
        sequence_id: entry_id,
        publish_time: 1_790_000_000_000 + entry_id,
        num_messages_in_batch: batch,
        ..MessageMetadata::default()
    };
    let mut payload = Vec::new();
    if let Some(count) = batch {
        let single = SingleMessageMetadata {
            properties,
            payload_size: i32::try_from(payload_bytes).expect("small"),
            ..SingleMessageMetadata::default()
        };
        let single = single.encode_to_vec();
        let len = u32::try_from(single.len()).expect("small");
        for _ in 0..count {
            payload.extend_from_slice(&len.to_be_bytes());
            payload.extend_from_slice(&single);
            payload.extend_from_slice(&content);
        }
    } else {
        metadata.properties = properties;
        payload = content;
    }
    let command = BaseCommand {
        deliver: Some(Deliver {
            consumer_id,
            message_id: MessageIdData {
                ledger_id: 1234,
                entry_id,
                partition: Some(-1),
                ..MessageIdData::default()
            },
            redelivery_count: None,
            ack_set: Vec::new(),
            consumer_epoch: None,
        }),
        ..BaseCommand::default()
    };
    let body = Body {
        style: Style::Checked,
        metadata: metadata.encode_to_vec(),
        payload,
    };
    put_frame(out, command, Some(&body));
}

/// Appends an acknowledgement of each delivery in a client's outbox; tells how many there were.
pub(crate) fn put_acks(out: &mut Vec<u8>, texts: &[u8]) -> usize {
    const ID: &[u8] = br#""messageId":""#;
    let mut rest = texts;
    let mut count = 0;
    while let Some(at) = memchr::memmem::find(rest, ID) {
        rest = &rest[at + ID.len()..];
        let len = memchr::memchr(b'"', rest).expect("a closing quote");
        let id = std::str::from_utf8(&rest[..len]).expect("base64 is text");
        put_text(out, &format!(r#"{{"messageId":"{id}"}}"#));
        count += 1;
    }
    count
}
