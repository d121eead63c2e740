use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::{
    codec::json::{ObjectReader, Value},
    session::Key,
};

/// Pairs as `n` (a byte of length, bytes) twice over.
fn next_property<'a>(encoded: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut take = || {
        let (&len, rest) = encoded.split_first()?;
        let (taken, rest) = rest.split_at_checked(usize::from(len))?;
        *encoded = rest;
        Some(taken)
    };
    Some((take()?, take()?))
}

fn encode_properties(pairs: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in pairs {
        for text in [name.as_ref(), value.as_ref()] {
            encoded.push(u8::try_from(text.len()).unwrap());
            encoded.extend_from_slice(text);
        }
    }
    encoded
}

fn id() -> MessageId {
    MessageId::new(&[8, 3, 16, 0, 48, 0]).unwrap()
}

fn delivery(properties: &[u8]) -> Delivery<'_> {
    Delivery {
        message_id: id(),
        payload: Some(b"a"),
        properties: Properties {
            encoded: properties,
            next: next_property,
        },
        publish_time_ms: 1_637_510_905_917,
        event_time_ms: None,
        arrived: Default::default(),
        redelivery_count: 0,
        encryption: None,
        key: None,
    }
}

fn written(event: &Event<'_>, zone: &str) -> String {
    let zone = match zone {
        "UTC" => TimeZone::UTC,
        rules => TimeZone::posix(rules).unwrap(),
    };
    let mut out = b"before".to_vec();
    write_event(event, &mut out, &mut TimeFormat::new(zone));
    String::from_utf8(out).unwrap().split_off(6)
}

#[test]
fn receipts_and_failures_are_javas_to_the_byte() {
    let message_id = &id();
    for (context, expected) in [
        (
            Some("1"),
            r#"{"result":"ok","messageId":"CAMQADAA","context":"1","errorCode":0,"schemaVersion":0}"#,
        ),
        (
            None,
            r#"{"result":"ok","messageId":"CAMQADAA","errorCode":0,"schemaVersion":0}"#,
        ),
        (
            Some("\"\\/\u{1f}\n\u{2028}ä"),
            "{\"result\":\"ok\",\"messageId\":\"CAMQADAA\",\"context\":\"\\\"\\\\/\\u001F\\n\u{2028}ä\",\"errorCode\":0,\"schemaVersion\":0}",
        ),
    ] {
        let event = Event::Receipt {
            context,
            message_id,
        };
        assert_eq!(written(&event, "UTC"), expected);
    }
    let failed = |context, error| written(&Event::PublishFailed { context, error }, "UTC");
    assert_eq!(
        failed(Some(""), PublishError::Encoding("no \"base64\"".to_owned())),
        r#"{"result":"send-error:7","errorMsg":"no \"base64\"","context":"","errorCode":0,"schemaVersion":0}"#
    );
    assert_eq!(
        failed(None, PublishError::Backend("Class: text".to_owned())),
        r#"{"result":"send-error:8","errorMsg":"Class: text","errorCode":0,"schemaVersion":0}"#
    );
}

#[test]
fn deliveries_are_javas_to_the_byte() {
    let properties = encode_properties(&[("a", "2")]);
    let full = Delivery {
        event_time_ms: Some(1_609_549_445_678),
        redelivery_count: 4_294_967_295,
        key: Some(b"k"),
        ..delivery(&properties)
    };
    assert_eq!(
        written(&Event::Delivery(&full), "UTC"),
        r#"{"messageId":"CAMQADAA","payload":"YQ==","properties":{"a":"2"},"publishTime":"2021-11-21T16:08:25.917Z","redeliveryCount":4294967295,"eventTime":"2021-01-02T01:04:05.678Z","key":"k"}"#
    );
    let bare = Delivery {
        payload: Some(b""),
        event_time_ms: Some(0),
        key: Some(b""),
        ..delivery(&[])
    };
    assert_eq!(
        written(&Event::Delivery(&bare), "CET-1CEST,M3.5.0,M10.5.0/3"),
        r#"{"messageId":"CAMQADAA","payload":"","properties":{},"publishTime":"2021-11-21T17:08:25.917+01:00","redeliveryCount":0,"key":""}"#
    );
    let tombstone = Delivery {
        payload: None,
        event_time_ms: Some(-1),
        publish_time_ms: u64::MAX,
        key: Some(b"k\xff"),
        ..delivery(&[])
    };
    assert_eq!(
        written(&Event::Delivery(&tombstone), "UTC"),
        "{\"messageId\":\"CAMQADAA\",\"payload\":\"\",\"properties\":{},\"publishTime\":\"1969-12-31T23:59:59.999Z\",\"redeliveryCount\":0,\"eventTime\":\"1969-12-31T23:59:59.999Z\",\"key\":\"k\u{fffd}\",\"nullValue\":true}"
    );
    assert_eq!(
        written(&Event::EndOfTopic(true), "UTC"),
        r#"{"endOfTopic":true}"#
    );
    assert_eq!(
        written(&Event::EndOfTopic(false), "UTC"),
        r#"{"endOfTopic":false}"#
    );
}

#[test]
fn how_a_message_was_encrypted_is_told_as_java_does() {
    fn next<'a>(encoded: &mut &'a [u8]) -> Option<Key<'a>> {
        let (name, rest) = encoded.split_first_chunk::<1>()?;
        *encoded = rest;
        Some(Key {
            name,
            value: if rest.is_empty() { b"last" } else { b"value" },
            metadata: delivery(if *name == *b"b" { &[] } else { PAIRS }).properties,
        })
    }
    const PAIRS: &[u8] = &[1, b'm', 1, b'1', 1, b'm', 1, b'2'];
    let properties = encode_properties(&[("m", "1"), ("m", "2")]);
    assert_eq!(properties, PAIRS);
    let encryption = |keys| Encryption {
        keys: Keys {
            encoded: keys,
            next,
        },
        param: Some(&[0, 1, 2]),
        algorithm: None,
        compression: Compression::Lz4,
        uncompressed_bytes: 100,
        batch_size: None,
    };
    let told = |encryption| {
        let delivery = Delivery {
            encryption: Some(encryption),
            event_time_ms: Some(1),
            key: Some(b"k"),
            ..delivery(&[])
        };
        let event = Event::Delivery(&delivery);
        let text = written(&event, "UTC");
        let told = text.split_once(r#","encryptionContext":"#).unwrap().1;
        told.strip_suffix(r#","key":"k"}"#).unwrap().to_owned()
    };
    assert_eq!(
        told(encryption(b"a")),
        r#"{"keys":{"a":{"keyValue":"bGFzdA==","metadata":{"m":"2"}}},"param":"AAEC","compressionType":"LZ4","uncompressedMessageSize":100,"batchSize":null}"#
    );
    let more = Encryption {
        param: None,
        algorithm: Some(b"AES/\"GCM"),
        compression: Compression::None,
        uncompressed_bytes: u32::MAX,
        batch_size: Some(3),
        ..encryption(b"bab")
    };
    assert_eq!(
        told(more),
        r#"{"keys":{"a":{"keyValue":"dmFsdWU=","metadata":{"m":"2"}},"b":{"keyValue":"bGFzdA==","metadata":{}}},"algorithm":"AES/\"GCM","compressionType":"NONE","uncompressedMessageSize":-1,"batchSize":3}"#
    );
}

#[test]
fn of_a_property_that_repeats_the_last_value_counts() {
    for many in [0, 20] {
        let mut pairs = vec![
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), "2".to_owned()),
        ];
        pairs.extend((0..many).map(|n| (format!("x{n}"), "y".to_owned())));
        pairs.push(("a".to_owned(), "3".to_owned()));
        let encoded = encode_properties(&pairs);
        let text = written(&Event::Delivery(&delivery(&encoded)), "UTC");
        assert!(text.contains(r#""properties":{"b":"2","#), "{text}");
        assert!(text.contains(r#","a":"3"},"publishTime""#), "{text}");
        assert!(!text.contains(r#""a":"1""#), "{text}");
    }
}

#[test]
fn the_hint_is_the_length_of_plain_texts() {
    let times = Delivery {
        event_time_ms: Some(1_609_549_445_678),
        key: Some(b"key"),
        ..delivery(&[])
    };
    let tombstone = Delivery {
        payload: None,
        ..delivery(&[])
    };
    let message_id = &id();
    for event in [
        Event::Receipt {
            context: Some("context"),
            message_id,
        },
        Event::PublishFailed {
            context: None,
            error: PublishError::Backend("text".to_owned()),
        },
        Event::Delivery(&times),
        Event::Delivery(&tombstone),
        Event::EndOfTopic(true),
    ] {
        let text = written(&event, "CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(event_len_hint(&event), text.len(), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_parses_back(
        payload in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100)),
        pairs in proptest::collection::vec(("[a-c\"\\\\\n]{0,2}", "\\PC{0,10}"), 0..14),
        key in proptest::option::of("\\PC{0,20}|[\u{0}-\u{20}]{1,5}"),
        event_time_ms in proptest::option::of(any::<i64>()),
        publish_time_ms in any::<u64>(),
    ) {
        let encoded = encode_properties(&pairs);
        let delivery = Delivery {
            payload: payload.as_deref(),
            key: key.as_deref().map(str::as_bytes),
            event_time_ms,
            publish_time_ms,
            ..delivery(&encoded)
        };
        let text = written(&Event::Delivery(&delivery), "UTC");
        let mut members = ObjectReader::new(text.as_bytes()).unwrap().unwrap();
        let mut expected: HashMap<&str, &str> = HashMap::new();
        expected.extend(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut names = Vec::new();
        while let Some((name, value)) = members.next().unwrap() {
            names.push(name.to_cow().into_owned());
            match (&*name.to_cow(), value) {
                ("payload", Value::String(text)) => {
                    let decoded = crate::codec::base64::decode_vec(text.plain_bytes().unwrap());
                    prop_assert_eq!(decoded.unwrap(), payload.clone().unwrap_or_default());
                }
                ("key", Value::String(text)) => prop_assert_eq!(Some(&*text.to_cow()), key.as_deref()),
                ("properties", Value::Object(object)) => {
                    let mut properties = object.reader();
                    while let Some((name, value)) = properties.next().unwrap() {
                        let Value::String(value) = value else { panic!("{value:?}") };
                        prop_assert_eq!(expected.remove(&*name.to_cow()), Some(&*value.to_cow()));
                    }
                    prop_assert!(expected.is_empty());
                }
                _ => {}
            }
        }
        prop_assert_eq!(members.position(), text.len());
        let mut wanted = vec!["messageId", "payload", "properties", "publishTime", "redeliveryCount"];
        wanted.extend(event_time_ms.filter(|&ms| ms != 0).map(|_| "eventTime"));
        wanted.extend(key.as_ref().map(|_| "key"));
        wanted.extend(payload.is_none().then_some("nullValue"));
        prop_assert_eq!(names, wanted);
    }
}
