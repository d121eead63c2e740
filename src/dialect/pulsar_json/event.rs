//! What clients are told: `ProducerAck`, `ConsumerMessage` and `EndOfTopicResponse`, as Jackson writes them.
//!
//! Everything is appended to the client's outbox in one go; the payload is copied once, while it becomes base64. The
//! order of keys is the order of fields in the Java classes, null fields are left out, and the two zeros at the end of
//! a `ProducerAck` are always there.

use std::collections::HashMap;

use super::{PAYLOAD_ENCODING, UNKNOWN};
use crate::{
    codec::{
        base64::{encode_append, encoded_len},
        json::{write_str, write_string},
    },
    dialect::TimeFormat,
    session::{
        Delivery, Encryption, Event, Keys, MessageId, Properties, PublishError,
        producer::Compression,
    },
};

const ACK_END: &[u8] = br#","errorCode":0,"schemaVersion":0}"#;

/// Appends an event's text.
pub(in crate::dialect) fn write_event(
    event: &Event<'_>,
    out: &mut Vec<u8>,
    times: &mut TimeFormat,
) {
    match event {
        Event::Receipt {
            context,
            message_id,
        } => write_receipt(*context, message_id, out),
        Event::PublishFailed { context, error } => {
            let (code, message) = match error {
                PublishError::Encoding(message) => (PAYLOAD_ENCODING, message),
                PublishError::Backend(message) => (UNKNOWN, message),
            };
            write_failure(code, message, *context, out);
        }
        Event::Delivery(delivery) => write_delivery(delivery, out, times),
        Event::EndOfTopic(true) => out.extend_from_slice(br#"{"endOfTopic":true}"#),
        Event::EndOfTopic(false) => out.extend_from_slice(br#"{"endOfTopic":false}"#),
    }
}

/// How long the text will be: right where no string needs escapes, there are no properties, and times have
/// milliseconds and a zone that is not UTC. Properties are taken to be as long as they are encoded, which tells enough
/// without a look at each.
pub(in crate::dialect) fn event_len_hint(event: &Event<'_>) -> usize {
    const RECEIPT: usize = r#"{"result":"ok","messageId":"""#.len() + ACK_END.len();
    const FAILURE: usize = r#"{"result":"send-error:8","errorMsg":"""#.len() + ACK_END.len();
    const CONTEXT: usize = r#","context":"""#.len();
    const TIME: usize = "2026-11-21T03:08:25.917+02:00".len();
    const DELIVERY: usize =
        r#"{"messageId":"","payload":"","properties":{},"publishTime":"","redeliveryCount":0}"#
            .len()
            + TIME;
    const EVENT_TIME: usize = r#","eventTime":"""#.len() + TIME;
    const KEY: usize = r#","key":"""#.len();
    const NULL_VALUE: usize = r#","nullValue":true"#.len();

    let of_context = |context: &Option<&str>| context.map_or(0, |text| CONTEXT + text.len());
    let of_id = |id: &MessageId| encoded_len(id.as_bytes().len());
    match event {
        Event::Receipt {
            context,
            message_id,
        } => RECEIPT + of_id(message_id) + of_context(context),
        Event::PublishFailed { context, error } => {
            let (PublishError::Encoding(message) | PublishError::Backend(message)) = error;
            FAILURE + message.len() + of_context(context)
        }
        Event::Delivery(delivery) => {
            DELIVERY
                + of_id(&delivery.message_id)
                + delivery
                    .payload
                    .map_or(NULL_VALUE, |payload| encoded_len(payload.len()))
                + delivery.properties.encoded.len()
                + delivery.event_time_ms.map_or(0, |_| EVENT_TIME)
                + delivery.key.map_or(0, |key| KEY + key.len())
                + delivery.encryption.as_ref().map_or(0, encryption_len_hint)
        }
        Event::EndOfTopic(_) => r#"{"endOfTopic":true}"#.len(),
    }
}

#[cold]
fn encryption_len_hint(encryption: &Encryption<'_>) -> usize {
    const CONTEXT: usize =
        r#","encryptionContext":{"keys":{},"param":"","algorithm":"","compressionType":"SNAPPY","uncompressedMessageSize":2147483647,"batchSize":null}"#
            .len();
    const KEY: usize = r#""":{"keyValue":"","metadata":{}},"#.len();
    let keys: usize = encryption
        .keys
        .map(|key| KEY + key.name.len() + encoded_len(key.value.len()))
        .sum();
    let param = encryption.param.map_or(0, |param| encoded_len(param.len()));
    CONTEXT + keys + param + encryption.algorithm.map_or(0, <[u8]>::len)
}

fn write_receipt(context: Option<&str>, message_id: &MessageId, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"result":"ok","messageId":""#);
    encode_append(message_id.as_bytes(), out);
    out.push(b'"');
    write_context(context, out);
    out.extend_from_slice(ACK_END);
}

/// Appends the answer to a publish that failed: the error's number is part of `result`.
pub(in crate::dialect) fn write_failure(
    code: u8,
    message: &str,
    context: Option<&str>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(br#"{"result":"send-error:"#);
    write_number(code.into(), out);
    out.extend_from_slice(br#"","errorMsg":"#);
    write_str(out, message);
    write_context(context, out);
    out.extend_from_slice(ACK_END);
}

fn write_context(context: Option<&str>, out: &mut Vec<u8>) {
    if let Some(context) = context {
        out.extend_from_slice(br#","context":"#);
        write_str(out, context);
    }
}

fn write_delivery(delivery: &Delivery<'_>, out: &mut Vec<u8>, times: &mut TimeFormat) {
    out.extend_from_slice(br#"{"messageId":""#);
    encode_append(delivery.message_id.as_bytes(), out);
    out.extend_from_slice(br#"","payload":""#);
    encode_append(delivery.payload.unwrap_or_default(), out);
    out.extend_from_slice(br#"","properties":{"#);
    write_properties(delivery.properties, out);
    out.extend_from_slice(br#"},"publishTime":""#);
    // Java takes the wire's unsigned number as a `long`.
    times.write(delivery.publish_time_ms.cast_signed(), out);
    out.extend_from_slice(br#"","redeliveryCount":"#);
    write_number(delivery.redelivery_count, out);
    if let Some(event_time_ms) = delivery.event_time_ms.filter(|&ms| ms != 0) {
        out.extend_from_slice(br#","eventTime":""#);
        times.write(event_time_ms, out);
        out.push(b'"');
    }
    if let Some(encryption) = &delivery.encryption {
        write_encryption(encryption, out);
    }
    if let Some(key) = delivery.key {
        out.extend_from_slice(br#","key":"#);
        write_string(out, key);
    }
    if delivery.payload.is_none() {
        out.extend_from_slice(br#","nullValue":true"#);
    }
    out.push(b'}');
}

/// `EncryptionContext`. A batch's size is there even if it is null, being an `Optional` in Java.
#[cold]
fn write_encryption(encryption: &Encryption<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","encryptionContext":{"keys":{"#);
    write_keys(encryption.keys, out);
    out.push(b'}');
    if let Some(param) = encryption.param {
        out.extend_from_slice(br#","param":""#);
        encode_append(param, out);
        out.push(b'"');
    }
    if let Some(algorithm) = encryption.algorithm {
        out.extend_from_slice(br#","algorithm":"#);
        write_string(out, algorithm);
    }
    out.extend_from_slice(br#","compressionType":""#);
    out.extend_from_slice(match encryption.compression {
        Compression::None => b"NONE",
        Compression::Lz4 => b"LZ4",
        Compression::Zlib => b"ZLIB",
        Compression::Zstd => b"ZSTD",
        Compression::Snappy => b"SNAPPY",
    });
    out.extend_from_slice(br#"","uncompressedMessageSize":"#);
    // Java takes the wire's unsigned number as an `int`.
    let size = encryption.uncompressed_bytes.cast_signed();
    if size < 0 {
        out.push(b'-');
    }
    write_number(size.unsigned_abs(), out);
    out.extend_from_slice(br#","batchSize":"#);
    match encryption.batch_size {
        Some(size) => write_number(size, out),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// Writes each name once, with its last key.
fn write_keys(mut keys: Keys<'_>, out: &mut Vec<u8>) {
    let mut first = true;
    while let Some(key) = keys.next() {
        let mut later = keys;
        if later.any(|other| other.name == key.name) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_string(out, key.name);
        out.extend_from_slice(br#":{"keyValue":""#);
        encode_append(key.value, out);
        out.extend_from_slice(br#"","metadata":{"#);
        write_properties(key.metadata, out);
        out.extend_from_slice(b"}}");
    }
}

/// Writes each name once, with its last value. Few pairs are compared with what follows them; many are looked up, so that
/// no message costs a square of its length.
fn write_properties(properties: Properties<'_>, out: &mut Vec<u8>) {
    const FEW: usize = 8;
    if properties.encoded.is_empty() {
        return;
    }
    let mut pairs = [(&[][..], &[][..]); FEW];
    let mut count = 0;
    for pair in properties {
        let Some(place) = pairs.get_mut(count) else {
            return write_many_properties(properties, out);
        };
        *place = pair;
        count += 1;
    }
    let mut rest = &pairs[..count];
    let mut first = true;
    while let Some(((name, value), later)) = rest.split_first() {
        if !later.iter().any(|(other, _)| other == name) {
            write_property(name, value, &mut first, out);
        }
        rest = later;
    }
}

#[cold]
fn write_many_properties(properties: Properties<'_>, out: &mut Vec<u8>) {
    let last: HashMap<&[u8], usize> = properties
        .enumerate()
        .map(|(at, (name, _))| (name, at))
        .collect();
    let mut first = true;
    for (at, (name, value)) in properties.enumerate() {
        if last.get(name) == Some(&at) {
            write_property(name, value, &mut first, out);
        }
    }
}

fn write_property(name: &[u8], value: &[u8], first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    write_string(out, name);
    out.push(b':');
    write_string(out, value);
}

fn write_number(number: u32, out: &mut Vec<u8>) {
    if let Ok(only @ ..10) = u8::try_from(number) {
        return out.push(b'0' + only);
    }
    let mut digits = [0; 10];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests;
