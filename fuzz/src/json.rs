//! Publishes, acknowledgements and commands: the same however they are spelled, and as serde_json reads them.

use bytes::BytesMut;
use pulsar_ws_fast::{
    codec::{base64::decode_vec, json::write_string},
    dialect::{Dialect, Rejection, Scratch, TimeFormat},
    http::route::EndpointKind,
    session::{
        Command, Deliver, Delivery, Event, MessageId, Properties, producer::Command as Producer,
    },
};
use serde_json::{Map, Value};

use crate::script::{BEFORE, Chance, Script, behind};

/// What a message means. Errors of JSON itself tell a place, which depends on the spelling.
#[derive(Debug, PartialEq)]
enum Got {
    Publish(Publish),
    Command(String),
    Reply(u8, Option<String>, Option<String>),
    Close(u16, String),
}

#[derive(Debug, PartialEq)]
struct Publish {
    payload: Result<Vec<u8>, String>,
    context: Option<String>,
    key: Option<String>,
    properties: Vec<(Vec<u8>, Vec<u8>)>,
    clusters: Option<Vec<Vec<u8>>>,
    event_time_ms: Option<i64>,
    deliver: Deliver,
    sealed: Option<String>,
}

const FAILED_TO_DESERIALIZE: u8 = 3;
const PAYLOAD_ENCODING: u8 = 7;

/// The first byte says who speaks.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let kind = script.byte();
    if kind & 0x80 != 0 {
        return deliveries(script);
    }
    let endpoint = [
        EndpointKind::Producer,
        EndpointKind::Producer,
        EndpointKind::Consumer,
        EndpointKind::Reader,
    ][usize::from(kind % 4)];
    let is_sealed = kind & 4 != 0;
    let mut chance = Chance(u64::from(script.byte()));
    let text = String::from_utf8_lossy(script.rest()).into_owned();
    let got = read(endpoint, is_sealed, &text);
    for other in [spaced(&text), escaped(&text, &mut chance)] {
        let other_got = read(endpoint, is_sealed, &other);
        assert_eq!(got, other_got, "{text:?} and {other:?}");
    }
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    match (values.next(), endpoint) {
        (Some(Err(error)), _) if is_wrong_for_jackson(&error) => {
            let is_rejected = matches!(got, Got::Reply(..) | Got::Close(..));
            assert!(is_rejected, "{error}: {got:?}");
        }
        (Some(Ok(Value::Object(fields))), EndpointKind::Producer) if !is_sealed => {
            if let Some(expected) = expected(&fields) {
                assert_eq!(in_order(got), expected, "{text:?}");
            }
        }
        _ => {}
    }
}

fn read(endpoint: EndpointKind, is_sealed: bool, text: &str) -> Got {
    let mut scratch = Scratch::new();
    // What the last message left there means nothing.
    let _ = Dialect::PulsarJson.read_command(
        EndpointKind::Producer,
        true,
        br#"{"payload":"AA==","context":"\u0041","properties":{"x":"y"},"replicationClusters":["z"]}"#,
        &mut scratch,
    );
    match Dialect::PulsarJson.read_command(endpoint, is_sealed, text.as_bytes(), &mut scratch) {
        Ok(Command::Producer(Producer::Publish(publish))) => {
            let mut payload = BytesMut::from(BEFORE);
            let decoded = (publish.payload.decode)(publish.payload.encoded, &mut payload);
            let content = behind(&payload);
            let payload = decoded.map(|()| content.to_vec()).map_err(|error| error.0);
            if let Ok(content) = &payload {
                assert_eq!(content.len(), publish.payload.len);
            }
            let owned = |bytes: &[u8]| bytes.to_vec();
            Got::Publish(Publish {
                payload,
                context: publish.context.map(str::to_owned),
                key: publish.key.map(str::to_owned),
                properties: publish
                    .properties
                    .pairs()
                    .map(|(name, value)| (owned(name), owned(value)))
                    .collect(),
                clusters: publish
                    .replication_clusters
                    .map(|clusters| clusters.iter().map(owned).collect()),
                event_time_ms: publish.event_time_ms,
                deliver: publish.deliver,
                sealed: publish.sealed.map(|sealed| format!("{sealed:?}")),
            })
        }
        Ok(command) => Got::Command(format!("{command:?}")),
        Err(Rejection::Reply {
            code,
            message,
            context,
        }) => {
            let message = (code != FAILED_TO_DESERIALIZE).then_some(message);
            Got::Reply(code, message, context.map(str::to_owned))
        }
        Err(Rejection::Close { code, reason }) => Got::Close(code, reason),
    }
}

/// The same with white space wherever it may stand.
fn spaced(text: &str) -> String {
    let mut spaced = String::from("\n");
    let (mut is_quoted, mut is_escape) = (false, false);
    for c in text.chars() {
        let is_structure = matches!(c, '{' | '[' | ':' | ',' | '}' | ']');
        if !is_quoted && matches!(c, ':' | ',' | '}' | ']') {
            spaced.push('\r');
        }
        spaced.push(c);
        if is_escape {
            is_escape = false;
        } else if c == '"' {
            is_quoted = !is_quoted;
        } else if is_quoted {
            is_escape = c == '\\';
        } else if is_structure {
            spaced.push_str("\t \n");
        }
    }
    spaced
}

/// The same with escapes in the place of some characters.
fn escaped(text: &str, chance: &mut Chance) -> String {
    let mut escaped = String::new();
    let mut is_quoted = false;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' if is_quoted => {
                escaped.push(c);
                let Some(kind) = rest.next() else { break };
                escaped.push(kind);
                if kind == 'u' {
                    // A broken one shows itself by what is there.
                    let digits = rest.as_str();
                    let len = digits
                        .char_indices()
                        .take(4)
                        .take_while(|(_, c)| c.is_ascii_hexdigit());
                    let len = len.count();
                    escaped.push_str(&digits[..len]);
                    rest = digits[len..].chars();
                }
                continue;
            }
            '"' => is_quoted = !is_quoted,
            c if is_quoted && c.is_ascii_alphanumeric() && chance.below(3) == 0 => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
                continue;
            }
            _ => {}
        }
        escaped.push(c);
    }
    escaped
}

/// Whether Jackson refuses it too: it takes halves of surrogate pairs, numbers of any size, and deeper nests.
fn is_wrong_for_jackson(error: &serde_json::Error) -> bool {
    let text = error.to_string();
    let is_laxer = ["surrogate", "hex escape", "out of range", "recursion limit"];
    !is_laxer.iter().any(|part| text.contains(part))
}

/// What a publish is whose fields are all of the types that they should be of.
fn expected(fields: &Map<String, Value>) -> Option<Got> {
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        Some(_) => None,
    };
    let long = |name: &str| fields.get(name).map_or(Some(0), Value::as_i64);
    let known = [
        "payload",
        "context",
        "key",
        "properties",
        "replicationClusters",
        "deliverAt",
        "deliverAfterMs",
    ];
    if fields.keys().any(|name| !known.contains(&name.as_str())) {
        return None;
    }
    let (payload, context, key) = (text("payload")?, text("context")?, text("key")?);
    let (at, after) = (long("deliverAt")?, long("deliverAfterMs")?);
    let mut properties = match fields.get("properties") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(pairs)) => pairs
            .iter()
            .map(|(name, value)| Some((name.clone().into_bytes(), bytes(value)?)))
            .collect::<Option<_>>()?,
        Some(_) => return None,
    };
    let clusters: Vec<_> = match fields.get("replicationClusters") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(names)) => names.iter().map(bytes).collect::<Option<_>>()?,
        Some(_) => return None,
    };
    let Some(payload) = payload else {
        let message = Some("payload is required".to_owned());
        return Some(Got::Reply(PAYLOAD_ENCODING, message, context));
    };
    properties.sort();
    Some(Got::Publish(Publish {
        payload: decode_vec(payload.as_bytes())
            .map_err(|error| format!("Invalid Base64 message-payload error={error}")),
        context,
        key,
        properties,
        clusters: (!clusters.is_empty()).then_some(clusters),
        event_time_ms: None,
        deliver: match (at, after) {
            (_, 1..) => Deliver::AfterMs(after),
            (1.., _) => Deliver::AtMs(at),
            _ => Deliver::Now,
        },
        sealed: None,
    }))
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    Some(value.as_str()?.as_bytes().to_vec())
}

/// The judge forgets the order of names.
fn in_order(mut got: Got) -> Got {
    if let Got::Publish(publish) = &mut got {
        publish.properties.sort();
    }
    got
}

/// What is written is JSON that says what was to be written.
fn deliveries(mut script: Script<'_>) {
    let key = (script.byte() & 1 == 1).then(|| script.some());
    let id = script.some();
    let Some(message_id) = MessageId::new(id) else {
        return;
    };
    let times = [(); 3].map(|()| script.number());
    let payload = (script.byte() & 3 != 0).then(|| script.some());
    let encoded = script.rest();
    let delivery = Delivery {
        message_id,
        payload,
        properties: Properties {
            encoded,
            next: next_pair,
        },
        publish_time_ms: times[0],
        event_time_ms: (times[1] % 3 != 0).then_some(times[1].cast_signed()),
        arrived: Default::default(),
        redelivery_count: 7,
        encryption: None,
        key,
    };
    let mut text = BEFORE.to_vec();
    let mut zone = TimeFormat::new(jiff::tz::TimeZone::UTC);
    Dialect::PulsarJson.write_event(&Event::Delivery(&delivery), &mut text, &mut zone);
    let told: Value = serde_json::from_slice(behind(&text)).expect("JSON");
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let decoded = |name: &str| decode_vec(told[name].as_str().expect("a text").as_bytes());
    assert_eq!(decoded("messageId").as_deref(), Ok(id));
    if let Some(payload) = payload {
        assert_eq!(decoded("payload").as_deref(), Ok(payload));
    } else {
        assert_eq!(told["nullValue"], true);
    }
    assert_eq!(
        told.get("key").and_then(Value::as_str).map(str::to_owned),
        key.map(lossy)
    );
    for (name, value) in delivery.properties {
        // Of a name that repeats, the last value counts; so it does where replacements make names alike.
        let again = delivery
            .properties
            .filter(|(other, _)| lossy(other) == lossy(name))
            .count();
        if again == 1 {
            assert_eq!(told["properties"][lossy(name)], lossy(value));
        }
    }
    let mut string = Vec::new();
    write_string(&mut string, encoded);
    let read: String = serde_json::from_slice(&string).expect("a string");
    assert_eq!(read, lossy(encoded));
}

fn next_pair<'a>(encoded: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (&[name, value], rest) = encoded.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(name) % 70)?;
    let (value, rest) = rest.split_at_checked(usize::from(value) % 70)?;
    *encoded = rest;
    Some((name, value))
}

/// What Jackson was asked about, and messages as clients write them.
pub fn seeds() -> Vec<Vec<u8>> {
    let vectors = include_str!("../../tests/data/messages-jackson.txt").lines();
    let vectors = vectors.filter_map(|line| {
        let (kind, text) = line.split_once(' ')?;
        let (text, _) = text.split_once('\t')?;
        let kind = match kind {
            "C" => 2,
            "P" => 0,
            _ => return None,
        };
        Some([&[kind, 1], text.as_bytes()].concat())
    });
    let publish =
        r#"{"payload":"SGVsbG8=","properties":{"a":"1", "b":"2"},"context":"7","key":"k"}"#;
    let sealed = r#"{"payload":"SGVsbG8=","encryptionParam":"AAAA","compressionType":"LZ4","uncompressedMessageSize":9}"#;
    let others = [
        (0, publish),
        (4, publish),
        (4, sealed),
        (
            0,
            r#"{"payload":"","replicationClusters":["a","b"],"deliverAt":5,"deliverAfterMs":0}"#,
        ),
        (
            0,
            r#"{"payload":"AA==","eventTime":"2020-01-01T00:00:00Z","sequenceId":1} x"#,
        ),
        (
            0,
            r#"{"properties":{"a":"1","c":"3"},"payload":"AA==","properties":{"b":"2"},"payload":"AQ=="}"#,
        ),
        (2, r#"{"messageId":"CAMQADAA"}"#),
        (2, r#"{"type":"permit","permitMessages":3}"#),
        (
            2,
            r#"{"type":"negativeAcknowledge","messageId":"CAMQADAA"}"#,
        ),
        (2, r#"{"type":"unsubscribe"}"#),
        (3, r#"{"type":"isEndOfTopic"}"#),
        (
            0x80,
            "\u{1}\u{3}key\u{3}abc12345678123456781234567812345678\u{2}\u{5}Hello\u{1}\u{2}a\"b",
        ),
    ];
    let others = others.map(|(kind, text)| [&[kind, 1], text.as_bytes()].concat());
    vectors.step_by(5).chain(others).collect()
}
