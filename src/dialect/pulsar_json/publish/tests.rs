use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::{dialect::pulsar_json::read_command, http::route::EndpointKind};

/// A publish in words, its payload decoded as the backend would.
fn shown(publish: &Publish<'_>) -> String {
    let mut payload = BytesMut::from(&b"before"[..]);
    let decoded = match (publish.payload.decode)(publish.payload.encoded, &mut payload) {
        Ok(()) => {
            assert_eq!(payload.len(), 6 + publish.payload.len);
            format!("{:?}", String::from_utf8_lossy(&payload[6..]))
        }
        Err(error) => {
            assert_eq!(payload.len(), 6);
            error.0
        }
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let properties: Vec<_> = publish
        .properties
        .pairs()
        .map(|(name, value)| format!("{}={}", text(name), text(value)))
        .collect();
    let clusters = publish
        .replication_clusters
        .map(|clusters| clusters.iter().map(text).collect::<Vec<_>>());
    format!(
        "{decoded} {:?} {:?} {properties:?} {clusters:?} {:?} {:?}",
        publish.context, publish.key, publish.event_time_ms, publish.deliver
    )
}

fn answer(text: &str) -> String {
    let mut scratch = Scratch::new();
    answered(read(false, text.as_bytes(), &mut scratch))
}

fn answered(outcome: Result<Command<'_>, Rejection<'_>>) -> String {
    match outcome {
        Ok(Command::Producer(producer::Command::Publish(publish))) => shown(&publish),
        Ok(other) => format!("no publish, but {other:?}"),
        Err(Rejection::Reply {
            code,
            message,
            context,
        }) => format!("{code} {message} {context:?}"),
        Err(Rejection::Close { code, reason }) => format!("close {code} {reason}"),
    }
}

/// The answer to a client that encrypts: what goes with the content, or what is wrong.
fn sealed(fields: &str) -> String {
    let mut scratch = Scratch::new();
    let text = format!(r#"{{"payload":"YQ==","context":"c",{fields}}}"#);
    match read(true, text.as_bytes(), &mut scratch) {
        Ok(Command::Producer(producer::Command::Publish(publish))) => {
            format!("{:?}", publish.sealed.unwrap())
        }
        rejected => answered(rejected),
    }
}

#[test]
fn what_goes_with_encrypted_content() {
    let taken =
        |compressed: &str| format!("Sealed {{ param: [0, 1, 2], compressed: {compressed} }}");
    for (fields, compressed) in [
        (r#""encryptionParam":"AAEC""#, "None"),
        (
            r#""encryptionParam":"AAE\u0043","compressionType":"NONE""#,
            "None",
        ),
        (
            r#""encryptionParam":"AAEC","compressionType":"LZ4","uncompressedMessageSize":"7""#,
            "Some((Lz4, 7))",
        ),
        (
            r#""encryptionParam":"AAEC","compressionType":4,"uncompressedMessageSize":-1.5"#,
            "Some((Snappy, -1))",
        ),
        (
            r#""encryptionParam":"AAEC","compressionType":"NONE","uncompressedMessageSize":0"#,
            "Some((None, 0))",
        ),
        // Unknown types are none at all.
        (
            r#""encryptionParam":"AAEC","compressionType":"lz4","uncompressedMessageSize":null"#,
            "None",
        ),
    ] {
        assert_eq!(sealed(fields), taken(compressed), "{fields}");
    }
    let half = "7 the params compressionType and uncompressedMessageSize should both empty or both non-empty Some(\"c\")";
    for (fields, answer) in [
        (r#""key":"k""#, "7 encryptionParam is required Some(\"c\")"),
        (
            r#""encryptionParam":" ""#,
            "7 encryptionParam is required Some(\"c\")",
        ),
        (
            r#""encryptionParam":"!!""#,
            "7 Invalid Base64 encryptionParam error=Illegal base64 character 21 Some(\"c\")",
        ),
        (r#""encryptionParam":"AAEC","compressionType":"LZ4""#, half),
        (
            r#""encryptionParam":"AAEC","uncompressedMessageSize":1"#,
            half,
        ),
        // What is wrong with the payload goes first.
        (
            r#""payload":"!","encryptionParam":"!""#,
            "7 Invalid Base64 message-payload error=Input byte[] should at least have 2 bytes for base64 bytes Some(\"c\")",
        ),
    ] {
        assert_eq!(sealed(fields), answer, "{fields}");
    }
    // To all others it means nothing, as long as it has the right type.
    let ignored =
        r#"{"payload":"","encryptionParam":"!","compressionType":"x","uncompressedMessageSize":1}"#;
    assert_eq!(answer(ignored), "\"\" None None [] None None Now");
}

#[test]
fn all_fields_are_read() {
    assert_eq!(
        answer(
            r#"{"payload":"SGVsbG8=","properties":{"a":"1","b":"2"},"context":"c","key":"k",
            "replicationClusters":["x","y"],"eventTime":"2021-01-02T01:04:05.6789Z","deliverAt":5}"#
        ),
        r#""Hello" Some("c") Some("k") ["a=1", "b=2"] Some(["x", "y"]) Some(1609549445678) AtMs(5)"#
    );
    assert_eq!(
        answer(
            r#"{"payload":"","context":5,"key":"","replicationClusters":[],"deliverAt":5,"deliverAfterMs":"6"}x"#
        ),
        r#""" Some("5") Some("") [] None None AfterMs(6)"#
    );
    let late = r#"{"payload":"YQ","deliverAt":-1,"deliverAfterMs":-5,"eventTime":null}"#;
    assert_eq!(answer(late), r#""a" None None [] None None Now"#);
}

#[test]
fn escapes_are_undone_wherever_they_stand() {
    assert_eq!(
        answer(
            r#"{"p\u0061yload":"\/\u002f8=","context":"\"\n","key":"\ud83d\ude00","properties":{"\u0061":"\t"},"replicationClusters":["\u0062"],"eventTime":"1970-01-01T00:00:00\u005a"}"#
        ),
        "\"\u{fffd}\u{fffd}\" Some(\"\\\"\\n\") Some(\"😀\") [\"a=\\t\"] Some([\"b\"]) Some(0) Now"
    );
    assert_eq!(
        answer(r#"{"payload":1234,"context":"\ud800"}"#),
        format!(
            "{:?} Some(\"?\") None [] None None Now",
            String::from_utf8_lossy(&[0xd7, 0x6d, 0xf8])
        )
    );
}

#[test]
fn of_a_name_that_repeats_the_first_place_and_the_last_value_count() {
    let few = r#"{"payload":"","properties":{"a":"1","b":"2","\u0061":"3"}}"#;
    assert_eq!(answer(few), r#""" None None ["a=3", "b=2"] None None Now"#);
    let null_undone = r#"{"payload":"","properties":{"a":null,"b":"2","a":"1"}}"#;
    assert_eq!(
        answer(null_undone),
        r#""" None None ["a=1", "b=2"] None None Now"#
    );
    let again = r#"{"payload":"","properties":{"a":null},"properties":{"b":"2"}}"#;
    assert_eq!(answer(again), r#""" None None ["b=2"] None None Now"#);
    let mut many = String::from(r#"{"payload":"","properties":{"#);
    for n in 0..40 {
        let _ = write!(many, r#""n{}":"{n}","#, n % 30);
    }
    many.push_str(r#""last":"x"}}"#);
    let mut expected: Vec<_> = (0..30)
        .map(|n| format!("n{n}={}", if n < 10 { n + 30 } else { n }))
        .collect();
    expected.push("last=x".to_owned());
    assert_eq!(
        answer(&many),
        format!(r#""" None None {expected:?} None None Now"#)
    );
}

#[test]
fn what_is_no_json_is_answered_without_context() {
    assert_eq!(
        answer("{\"context\":\"1\",\n  \"payload\":{}}"),
        "3 Expected a string, found an object at line 2, column 13 None"
    );
    for text in [
        "",
        "garbage",
        "[]",
        r#"{"context":"1""#,
        "\u{feff}{}",
        r#"{"context":"1","sequenceId":"x"}"#,
    ] {
        let answer = answer(text);
        assert!(
            answer.starts_with("3 ") && answer.ends_with(" None"),
            "{answer}"
        );
        assert!(answer.contains(" at line 1, column "), "{answer}");
    }
}

#[test]
fn errors_come_in_javas_order() {
    let required = "7 payload is required";
    assert_eq!(answer("null"), format!("{required} None"));
    assert_eq!(
        answer(r#"{"context":"1"}"#),
        format!("{required} Some(\"1\")")
    );
    assert_eq!(
        answer(r#"{"payload":null,"eventTime":"x","properties":{"a":null},"context":"1"}"#),
        format!("{required} Some(\"1\")")
    );
    // A broken payload alone is the backend's to find …
    assert_eq!(
        answer(r#"{"payload":"YQ_="}"#),
        "Invalid Base64 message-payload error=Illegal base64 character 5f None None [] None None Now"
    );
    // … but it goes before anything else that is wrong.
    assert_eq!(
        answer(r#"{"payload":"YQ_=","eventTime":"x","properties":{"a":null},"context":"1"}"#),
        "7 Invalid Base64 message-payload error=Illegal base64 character 5f Some(\"1\")"
    );
    assert_eq!(
        answer(
            r#"{"payload":"","eventTime":"x","properties":{"a":null},"replicationClusters":[null]}"#
        ),
        "close 1011 Need Non-Null value for key: a"
    );
    assert_eq!(
        answer(r#"{"payload":"","eventTime":"x","replicationClusters":["a",null]}"#),
        "close 1011 replicationClusters must not contain null"
    );
    assert_eq!(
        answer(r#"{"payload":"","eventTime":"2021-01-02T01:04:05","context":"1"}"#),
        "7 Text '2021-01-02T01:04:05' could not be parsed at index 19 Some(\"1\")"
    );
    assert_eq!(
        answer(r#"{"payload":"","eventTime":"+999999999-01-01T00:00:00Z"}"#),
        "close 1011 long overflow"
    );
}

/// What Jackson makes of the same texts; see the head of the file.
#[test]
fn reads_fields_as_jackson_does() {
    let vectors = include_str!("../../../../tests/data/messages-jackson.txt");
    let mut checked = 0;
    for line in vectors.lines() {
        let Some((text, expected)) = line.strip_prefix("P ").and_then(|l| l.split_once('\t'))
        else {
            continue;
        };
        // No list and an empty one are the same here; a property that stays null is an error.
        let mut expected = expected
            .replace("clusters=null", "clusters=[]")
            .replace("properties=null", "properties={}");
        if expected.contains(":null,") {
            let start = expected.find("properties=").unwrap();
            let refused = handler_threw("Need Non-Null value for key: a");
            expected.replace_range(start.., &format!("properties={{{refused:?}}}"));
        }
        assert_eq!(fields_in_words(text), expected, "{text}");
        checked += 1;
    }
    assert!(checked > 90);
}

fn fields_in_words(text: &str) -> String {
    let (mut properties, mut clusters) = (StringList::default(), StringList::default());
    let mut fields = Fields::default();
    match fields.read(text.as_bytes(), &mut properties, &mut clusters) {
        Ok(true) => {}
        Ok(false) => return "null".to_owned(),
        Err(_) => return "refused".to_owned(),
    }
    let quoted = |bytes: &[u8]| {
        bytes.iter().fold("\"".to_owned(), |mut text, &byte| {
            match byte {
                b' '..=b'~' if byte != b'"' && byte != b'\\' => text.push(char::from(byte)),
                _ => text.push_str(&format!("%{byte:02x}")),
            }
            text
        }) + "\""
    };
    let shown = |text: Option<Text<'_>>| {
        text.map_or_else(
            || "null".to_owned(),
            |text| quoted(text.to_cow().as_bytes()),
        )
    };
    let list = |strings: &StringList, position: usize| {
        if strings.is_null(position) {
            "null".to_owned()
        } else {
            quoted(strings.get(position))
        }
    };
    let mut words = format!(
        "payload={} context={} key={} eventTime={} at={} after={} clusters=[",
        shown(fields.payload),
        shown(fields.context),
        shown(fields.key),
        shown(fields.event_time),
        fields.deliver_at_ms,
        fields.deliver_after_ms
    );
    for position in 0..clusters.len() {
        words += &format!("{},", list(&clusters, position));
    }
    words += "] properties={";
    match merge_properties(&mut properties, &mut Vec::new()) {
        Ok(()) => {
            for (position, mark) in (0..properties.len()).zip([':', ','].into_iter().cycle()) {
                words += &format!("{}{mark}", list(&properties, position));
            }
        }
        Err(rejection) => words += &format!("{rejection:?}"),
    }
    words + "}"
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn never_panics_on_what_is_nearly_right(text in r#"(\{|"(payload|context|key|properties|replicationClusters|eventTime|messageId|type|permitMessages)":|"[a-zA-Z0-9+/=\\_-]{0,8}"|null|,|\[|\]|\}|5|"\\u00e|é){0,20}"#) {
        read_all(text.as_bytes());
    }
}

fn read_all(bytes: &[u8]) {
    let mut scratch = Scratch::new();
    for kind in [
        EndpointKind::Producer,
        EndpointKind::Consumer,
        EndpointKind::Reader,
    ] {
        for is_sealed in [false, true] {
            let _ = read_command(kind, is_sealed, bytes, &mut scratch);
        }
    }
}
