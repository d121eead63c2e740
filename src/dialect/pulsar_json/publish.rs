//! What producers say: `ProducerMessage`, as `ProducerHandler.onWebSocketText` takes it.
//!
//! The payload stays in base64 and is decoded once, by the backend. So that a client still hears of the first thing
//! that Java would find wrong, a broken payload goes before everything that Java checks behind it.

use std::ops::Range;

use bytes::BytesMut;

use super::{FAILED_TO_DESERIALIZE, PAYLOAD_ENCODING, handler_threw};
use crate::{
    codec::{
        base64,
        json::{
            CoerceError, JsonError, ObjectReader, Text, Value,
            coerce::{as_bool, as_int, as_long, as_string},
        },
    },
    dialect::{
        Rejection, Scratch,
        event_time::{self, EventTimeError},
        scratch::StringList,
    },
    session::{Deliver, Payload, PayloadError, Publish, producer},
};

/// Reads a producer's frame.
pub(super) fn read<'a>(
    text: &'a [u8],
    scratch: &'a mut Scratch,
) -> Result<producer::Command<'a>, Rejection<'a>> {
    let Scratch {
        text: unescaped,
        properties,
        clusters,
        order,
        ..
    } = scratch;
    let fields = match Fields::read(text, properties, clusters) {
        Ok(Some(fields)) => fields,
        Ok(None) => return Err(wrong_payload("payload is required", None)),
        // Java has not got as far as the context.
        Err(error) => return Err(reply(FAILED_TO_DESERIALIZE, error.to_string(), None)),
    };

    // Everything is unescaped before anything is borrowed: the buffer may move.
    let payload = fields
        .payload
        .map(|text| Place::of(text.plain_bytes(), text, unescaped));
    let context = fields
        .context
        .map(|text| Place::of(text.plain(), text, unescaped));
    let key = fields
        .key
        .map(|text| Place::of(text.plain(), text, unescaped));
    let unescaped: &'a [u8] = unescaped;
    let context = context.map(|place| place.str(unescaped));
    let Some(payload) = payload.map(|place| place.bytes(unescaped)) else {
        return Err(wrong_payload("payload is required", context));
    };

    let checked = merge_properties(properties, order)
        .and_then(|()| check_clusters(clusters))
        .and_then(|()| read_event_time(fields.event_time, context));
    let event_time_ms = match checked {
        Ok(event_time_ms) => event_time_ms,
        Err(rejection) => {
            return Err(match base64::decode_vec(payload) {
                Ok(_) => rejection,
                Err(error) => wrong_payload(&payload_error(error).0, context),
            });
        }
    };
    Ok(producer::Command::Publish(Publish {
        payload: Payload {
            encoded: payload,
            len: base64::decoded_len(payload),
            decode: decode_payload,
        },
        context,
        key: key.map(|place| place.str(unescaped)),
        properties: properties.as_strings(),
        replication_clusters: (clusters.len() > 0).then(|| clusters.as_strings()),
        event_time_ms,
        deliver: fields.deliver(),
    }))
}

/// What matters of a `ProducerMessage`. Properties and clusters go straight into their lists.
#[derive(Default)]
struct Fields<'a> {
    payload: Option<Text<'a>>,
    context: Option<Text<'a>>,
    key: Option<Text<'a>>,
    event_time: Option<Text<'a>>,
    deliver_at_ms: i64,
    deliver_after_ms: i64,
}

impl<'a> Fields<'a> {
    /// `None` for the literal `null`.
    fn read(
        text: &'a [u8],
        properties: &mut StringList,
        clusters: &mut StringList,
    ) -> Result<Option<Self>, JsonError> {
        let Some(mut members) = ObjectReader::new(text)? else {
            return Ok(None);
        };
        let mut fields = Self::default();
        while let Some((name, value)) = members.next()? {
            let name = match name.plain_bytes() {
                Some(plain) => std::borrow::Cow::Borrowed(plain),
                None => std::borrow::Cow::Owned(name.to_cow().into_owned().into_bytes()),
            };
            let taken = match &*name {
                b"payload" => as_string(&value).map(|text| fields.payload = text),
                b"context" => as_string(&value).map(|text| fields.context = text),
                b"key" => as_string(&value).map(|text| fields.key = text),
                b"eventTime" => as_string(&value).map(|text| fields.event_time = text),
                b"deliverAt" => as_long(&value).map(|ms| fields.deliver_at_ms = ms),
                b"deliverAfterMs" => as_long(&value).map(|ms| fields.deliver_after_ms = ms),
                b"properties" => match value {
                    Value::Object(object) => {
                        properties.clear();
                        read_properties(object.reader(), properties)?;
                        Ok(())
                    }
                    Value::Null => {
                        properties.clear();
                        Ok(())
                    }
                    _ => Err(CoerceError::new("an object of strings", &value)),
                },
                b"replicationClusters" => match value {
                    Value::Array(array) => {
                        clusters.clear();
                        let mut elements = array.reader();
                        while let Some(element) = elements.next()? {
                            push(clusters, &element).map_err(|error| elements.refuse(error))?;
                        }
                        Ok(())
                    }
                    Value::Null => {
                        clusters.clear();
                        Ok(())
                    }
                    _ => Err(CoerceError::new("an array of strings", &value)),
                },
                name => check_ignored(name, &value),
            };
            taken.map_err(|error| members.refuse(error))?;
        }
        Ok(Some(fields))
    }

    /// The delay goes before the time; neither counts unless it is positive.
    const fn deliver(&self) -> Deliver {
        if self.deliver_after_ms > 0 {
            Deliver::AfterMs(self.deliver_after_ms)
        } else if self.deliver_at_ms > 0 {
            Deliver::AtMs(self.deliver_at_ms)
        } else {
            Deliver::Now
        }
    }
}

/// Fields that mean nothing here and must still be of their types; all others are nobody's.
fn check_ignored(name: &[u8], value: &Value<'_>) -> Result<(), CoerceError> {
    match name {
        b"sequenceId" | b"schemaVersion" => as_long(value).map(drop),
        b"disableReplication" => as_bool(value).map(drop),
        b"keySchema" | b"valueSchema" | b"encryptionParam" => as_string(value).map(drop),
        b"uncompressedMessageSize" => as_int(value).map(drop),
        b"compressionType" => match value {
            // Unknown names and ordinals are null.
            Value::String(_) | Value::Null => Ok(()),
            Value::Number(number) if number.parse::<i32>().is_ok() => Ok(()),
            _ => Err(CoerceError::new("a compression type", value)),
        },
        _ => Ok(()),
    }
}

fn read_properties(
    mut members: ObjectReader<'_>,
    properties: &mut StringList,
) -> Result<(), JsonError> {
    while let Some((name, value)) = members.next()? {
        properties.push_with(|text| name.unescape_append(text));
        push(properties, &value).map_err(|error| members.refuse(error))?;
    }
    Ok(())
}

fn push(list: &mut StringList, value: &Value<'_>) -> Result<(), CoerceError> {
    match as_string(value)? {
        Some(text) => list.push_with(|out| text.unescape_append(out)),
        None => list.push_null(),
    }
    Ok(())
}

/// A text that needs no unescaping lies in the message; any other one lies in the scratch.
enum Place<T> {
    Message(T),
    Scratch(Range<usize>),
}

impl<T> Place<T> {
    fn of(plain: Option<T>, text: Text<'_>, scratch: &mut Vec<u8>) -> Self {
        match plain {
            Some(plain) => Self::Message(plain),
            None => {
                let start = scratch.len();
                text.unescape_append(scratch);
                Self::Scratch(start..scratch.len())
            }
        }
    }
}

impl<'a> Place<&'a [u8]> {
    fn bytes(self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Message(plain) => plain,
            Self::Scratch(range) => &scratch[range],
        }
    }
}

impl<'a> Place<&'a str> {
    fn str(self, scratch: &'a [u8]) -> &'a str {
        match self {
            Self::Message(plain) => plain,
            // What unescaping appends is UTF-8.
            Self::Scratch(range) => std::str::from_utf8(&scratch[range]).unwrap_or_default(),
        }
    }
}

/// Makes names unique as `LinkedHashMap` does: the first place, the last value. A null value that is left ends the
/// session, as in `TypedMessageBuilderImpl.properties`.
fn merge_properties(
    properties: &mut StringList,
    order: &mut Vec<u32>,
) -> Result<(), Rejection<'static>> {
    if !properties.has_nulls() && !has_duplicates(properties, order) {
        return Ok(());
    }
    let mut merged: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for position in (0..properties.len()).step_by(2) {
        let name = properties.get(position).to_vec();
        let value =
            (!properties.is_null(position + 1)).then(|| properties.get(position + 1).to_vec());
        match places.get(&name) {
            Some(&place) => {
                let (_, last): &mut (_, Option<Vec<u8>>) = &mut merged[place];
                *last = value;
            }
            None => {
                places.insert(name.clone(), merged.len());
                merged.push((name, value));
            }
        }
    }
    properties.clear();
    for (name, value) in merged {
        let Some(value) = value else {
            let name = String::from_utf8_lossy(&name);
            return Err(handler_threw(format!(
                "Need Non-Null value for key: {name}"
            )));
        };
        properties.push_with(|text| text.extend_from_slice(&name));
        properties.push_with(|text| text.extend_from_slice(&value));
    }
    Ok(())
}

/// Few names are compared with one another, many are sorted first, so that no message costs a square of its length.
fn has_duplicates(properties: &StringList, order: &mut Vec<u32>) -> bool {
    const FEW: usize = 8;
    let pairs = properties.len() / 2;
    let name = |pair: usize| properties.get(pair * 2);
    if pairs <= FEW {
        return (1..pairs).any(|later| (0..later).any(|earlier| name(earlier) == name(later)));
    }
    order.clear();
    order.extend((0u32..).take(pairs));
    order.sort_unstable_by(|&a, &b| name(a as usize).cmp(name(b as usize)));
    order
        .windows(2)
        .any(|two| name(two[0] as usize) == name(two[1] as usize))
}

fn check_clusters(clusters: &StringList) -> Result<(), Rejection<'static>> {
    if clusters.has_nulls() {
        return Err(handler_threw("replicationClusters must not contain null"));
    }
    Ok(())
}

fn read_event_time<'a>(
    text: Option<Text<'_>>,
    context: Option<&'a str>,
) -> Result<Option<i64>, Rejection<'a>> {
    let Some(text) = text else {
        return Ok(None);
    };
    match event_time::parse(&text.to_cow()) {
        Ok(ms) => Ok(Some(ms)),
        Err(EventTimeError::Unreadable(sentence)) => {
            Err(reply(PAYLOAD_ENCODING, sentence, context))
        }
        // The `ArithmeticException` of `Instant.toEpochMilli`, which nobody catches.
        Err(EventTimeError::OutOfRange) => Err(handler_threw("long overflow")),
    }
}

fn decode_payload(encoded: &[u8], content: &mut BytesMut) -> Result<(), PayloadError> {
    base64::decode_append(encoded, content).map_err(payload_error)
}

fn payload_error(error: base64::DecodeError) -> PayloadError {
    PayloadError(format!("Invalid Base64 message-payload error={error}"))
}

fn wrong_payload<'a>(message: &str, context: Option<&'a str>) -> Rejection<'a> {
    reply(PAYLOAD_ENCODING, message.to_owned(), context)
}

const fn reply(code: u8, message: String, context: Option<&str>) -> Rejection<'_> {
    Rejection::Reply {
        code,
        message,
        context,
    }
}

#[cfg(test)]
mod tests;
