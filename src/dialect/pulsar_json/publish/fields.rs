//! The fields of a `ProducerMessage`, coerced as Jackson coerces them.

use std::borrow::Cow;

use crate::{
    codec::json::{
        CoerceError, JsonError, ObjectReader, Text, Value,
        coerce::{as_bool, as_int, as_long, as_string},
    },
    dialect::scratch::StringList,
    session::{Deliver, producer::Compression},
};

/// What matters of a `ProducerMessage`. Properties and clusters go straight into their lists.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) payload: Option<Text<'a>>,
    pub(super) context: Option<Text<'a>>,
    pub(super) key: Option<Text<'a>>,
    pub(super) event_time: Option<Text<'a>>,
    pub(super) deliver_at_ms: i64,
    pub(super) deliver_after_ms: i64,
    pub(super) encryption_param: Option<Text<'a>>,
    pub(super) compression: Option<Compression>,
    pub(super) uncompressed_size: Option<i32>,
}

impl<'a> Fields<'a> {
    /// `None` for the literal `null`.
    pub(super) fn read(
        text: &'a [u8],
        properties: &mut StringList,
        clusters: &mut StringList,
    ) -> Result<Option<Self>, JsonError> {
        let Some(mut members) = ObjectReader::new(text)? else {
            return Ok(None);
        };
        let mut fields = Self::default();
        while let Some((name, value)) = members.next()? {
            // What nearly every message has.
            if let (Some(plain), Value::String(text)) = (name.plain_bytes(), value) {
                let place = match plain {
                    b"payload" => Some(&mut fields.payload),
                    b"context" => Some(&mut fields.context),
                    b"key" => Some(&mut fields.key),
                    _ => None,
                };
                if let Some(place) = place {
                    *place = Some(text);
                    continue;
                }
            }
            let name = match name.plain_bytes() {
                Some(plain) => Cow::Borrowed(plain),
                None => Cow::Owned(name.to_cow().into_owned().into_bytes()),
            };
            let taken = match &*name {
                b"payload" => as_string(&value).map(|text| fields.payload = text),
                b"context" => as_string(&value).map(|text| fields.context = text),
                b"key" => as_string(&value).map(|text| fields.key = text),
                b"eventTime" => as_string(&value).map(|text| fields.event_time = text),
                b"deliverAt" => as_long(&value).map(|ms| fields.deliver_at_ms = ms),
                b"deliverAfterMs" => as_long(&value).map(|ms| fields.deliver_after_ms = ms),
                b"encryptionParam" => as_string(&value).map(|text| fields.encryption_param = text),
                b"compressionType" => {
                    as_compression(&value).map(|compression| fields.compression = compression)
                }
                b"uncompressedMessageSize" => {
                    as_int(&value).map(|size| fields.uncompressed_size = size)
                }
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
    pub(super) const fn deliver(&self) -> Deliver {
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
        b"keySchema" | b"valueSchema" => as_string(value).map(drop),
        _ => Ok(()),
    }
}

/// A name or an ordinal, which may stand in quotes; unknown ones are null.
fn as_compression(value: &Value<'_>) -> Result<Option<Compression>, CoerceError> {
    let by_ordinal = |ordinal: i32| {
        [
            Compression::None,
            Compression::Lz4,
            Compression::Zlib,
            Compression::Zstd,
            Compression::Snappy,
        ]
        .get(usize::try_from(ordinal).ok()?)
        .copied()
    };
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(match &*text.to_cow() {
            "NONE" => Some(Compression::None),
            "LZ4" => Some(Compression::Lz4),
            "ZLIB" => Some(Compression::Zlib),
            "ZSTD" => Some(Compression::Zstd),
            "SNAPPY" => Some(Compression::Snappy),
            other => other.parse().ok().and_then(by_ordinal),
        }),
        Value::Number(number) => match number.parse() {
            Ok(ordinal) => Ok(by_ordinal(ordinal)),
            Err(_) => Err(CoerceError::new("a compression type", value)),
        },
        _ => Err(CoerceError::new("a compression type", value)),
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
