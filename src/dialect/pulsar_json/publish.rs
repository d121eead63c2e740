//! What producers say: `ProducerMessage`, as `ProducerHandler.onWebSocketText` takes it.
//!
//! The payload stays in base64 and is decoded once, by the backend. So that a client still hears of the first thing
//! that Java would find wrong, a broken payload goes before everything that Java checks behind it.

mod fields;
mod properties;

use std::ops::Range;

use bytes::BytesMut;

use self::{fields::Fields, properties::merge_properties};
use super::{FAILED_TO_DESERIALIZE, PAYLOAD_ENCODING, handler_threw};
use crate::{
    codec::{base64, json::Text},
    dialect::{
        Rejection, Scratch,
        event_time::{self, EventTimeError},
        parameters::is_blank,
        scratch::StringList,
    },
    session::{
        Command, Payload, PayloadError, Publish, Sealed,
        producer::{self, Compression},
    },
};

const HALF_COMPRESSED: &str =
    "the params compressionType and uncompressedMessageSize should both empty or both non-empty";

/// Reads a producer's frame.
pub(super) fn read<'a>(
    is_sealed: bool,
    text: &'a [u8],
    scratch: &'a mut Scratch,
) -> Result<Command<'a>, Rejection<'a>> {
    let Scratch {
        text: unescaped,
        properties,
        clusters,
        order,
        param,
        ..
    } = scratch;
    let mut fields = Fields::default();
    match fields.read(text, properties, clusters) {
        Ok(true) => {}
        Ok(false) => return Err(wrong_payload("payload is required", None)),
        // Java has not got as far as the context.
        Err(error) => return Err(reply(FAILED_TO_DESERIALIZE, error.to_string(), None)),
    }

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
        .and_then(|()| read_event_time(fields.event_time, context))
        .and_then(|event_time_ms| {
            let sealed = is_sealed.then(|| read_sealed(&fields, param, context));
            Ok((event_time_ms, sealed.transpose()?))
        });
    let (event_time_ms, sealed) = match checked {
        Ok(checked) => checked,
        Err(rejection) => {
            return Err(match base64::decode_vec(payload) {
                Ok(_) => rejection,
                Err(error) => wrong_payload(&payload_error(error).0, context),
            });
        }
    };
    Ok(Command::Producer(producer::Command::Publish(Publish {
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
        extra: None,
        sealed,
    })))
}

/// What belongs to content that the client encrypted. Java takes a message without parameter, and its
/// own consumers then choke on it.
fn read_sealed<'a>(
    fields: &Fields<'_>,
    param: &'a mut BytesMut,
    context: Option<&'a str>,
) -> Result<Sealed<'a>, Rejection<'a>> {
    let wrong = |message: String| reply(PAYLOAD_ENCODING, message, context);
    let encoded = fields.encryption_param.as_ref().map(Text::to_cow);
    let encoded = encoded.filter(|text| !is_blank(text));
    let encoded = encoded.ok_or_else(|| wrong("encryptionParam is required".to_owned()))?;
    base64::decode_append(encoded.as_bytes(), param)
        .map_err(|error| wrong(format!("Invalid Base64 encryptionParam error={error}")))?;
    let compressed = match (fields.compression, fields.uncompressed_size) {
        (Some(compression), Some(size)) => Some((compression, size)),
        (None | Some(Compression::None), None) => None,
        _ => return Err(wrong(HALF_COMPRESSED.to_owned())),
    };
    Ok(Sealed { param, compressed })
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
