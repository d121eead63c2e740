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
    /// Reads them into one that is empty. `false` for the literal `null`.
    pub(super) fn read(
        &mut self,
        text: &'a [u8],
        properties: &mut StringList,
        clusters: &mut StringList,
    ) -> Result<bool, JsonError> {
        let Some(mut members) = ObjectReader::new(text)? else {
            return Ok(false);
        };
        loop {
            // What nearly every message has.
            while let Some((name, text)) = members.next_plain() {
                match name {
                    b"payload" => self.payload = Some(text),
                    b"context" => self.context = Some(text),
                    b"key" => self.key = Some(text),
                    name => {
                        let value = Value::String(text);
                        self.take(&members, name, &value, properties, clusters)?;
                    }
                }
            }
            if read_plain_properties(&mut members, properties) {
                continue;
            }
            let Some((name, value)) = members.next()? else {
                return Ok(true);
            };
            let name = match name.plain_bytes() {
                Some(plain) => Cow::Borrowed(plain),
                None => Cow::Owned(name.to_cow().into_owned().into_bytes()),
            };
            self.take(&members, &name, &value, properties, clusters)?;
        }
    }

    /// Takes one field.
    fn take(
        &mut self,
        members: &ObjectReader<'a>,
        name: &[u8],
        value: &Value<'a>,
        properties: &mut StringList,
        clusters: &mut StringList,
    ) -> Result<(), JsonError> {
        let taken = match name {
            b"payload" => as_string(value).map(|text| self.payload = text),
            b"context" => as_string(value).map(|text| self.context = text),
            b"key" => as_string(value).map(|text| self.key = text),
            b"eventTime" => as_string(value).map(|text| self.event_time = text),
            b"deliverAt" => as_long(value).map(|ms| self.deliver_at_ms = ms),
            b"deliverAfterMs" => as_long(value).map(|ms| self.deliver_after_ms = ms),
            b"encryptionParam" => as_string(value).map(|text| self.encryption_param = text),
            b"compressionType" => {
                as_compression(value).map(|compression| self.compression = compression)
            }
            b"uncompressedMessageSize" => as_int(value).map(|size| self.uncompressed_size = size),
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
                _ => Err(CoerceError::new("an object of strings", value)),
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
                _ => Err(CoerceError::new("an array of strings", value)),
            },
            name => check_ignored(name, value),
        };
        taken.map_err(|error| members.refuse(error))
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

/// Reads properties that need no second look. What it declines is read again from its beginning.
fn read_plain_properties(members: &mut ObjectReader<'_>, properties: &mut StringList) -> bool {
    let mut is_begun = false;
    let is_read = members.next_plain_object(b"properties", |name, text| {
        if !std::mem::replace(&mut is_begun, true) {
            properties.clear();
        }
        properties.push_with(|out| out.extend_from_slice(name));
        properties.push_with(|out| out.extend_from_slice(text));
    });
    if is_read && !is_begun {
        properties.clear();
    }
    is_read
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
