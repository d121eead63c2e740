//! Texts of the API as a client writes and reads them: base64 and message ids.

use prost::Message;

use super::{
    topic::{Place, Topic},
    wire::MessageIdData,
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for index in 0..4 {
            let six = (bits >> (18 - 6 * index) & 63) as usize;
            text.push(if index <= three.len() {
                char::from(ALPHABET[six])
            } else {
                '='
            });
        }
    }
    text
}

pub(crate) fn unbase64(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0, "padded: {text}");
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits = four.iter().filter(|digit| **digit != b'=').count();
        let bits = four.iter().fold(0_u32, |bits, digit| {
            let six = ALPHABET.iter().position(|letter| letter == digit);
            let six = six
                .or_else(|| (*digit == b'=').then_some(0))
                .expect("a base64 digit");
            bits << 6 | u32::try_from(six).expect("six bits")
        });
        bytes.extend_from_slice(&bits.to_be_bytes()[1..digits]);
    }
    bytes
}

/// The id of a place as a consumer sees it.
pub(crate) fn consumer_id(topic: &Topic, place: Place) -> String {
    let entry = &topic.entries[place.entry];
    let number = |value: usize| Some(i32::try_from(value).expect("small"));
    let id = MessageIdData {
        ledger_id: entry.id.0,
        entry_id: entry.id.1,
        batch_index: if entry.batched {
            number(place.member)
        } else {
            None
        },
        batch_size: if entry.batched {
            number(entry.messages.len())
        } else {
            Some(0)
        },
        ..MessageIdData::default()
    };
    base64(&id.encode_to_vec())
}

/// The place that an id names.
pub(crate) fn place(topics: &[Topic], topic: usize, id: &str) -> Place {
    let data = MessageIdData::decode(&*unbase64(id)).expect("a message id");
    let entry = topics[topic]
        .find(&data)
        .expect("the id of a stored message");
    let member = usize::try_from(data.batch_index.unwrap_or(0)).expect("no negative index");
    Place {
        topic,
        entry,
        member,
    }
}

#[test]
fn base64_both_ways() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
        assert_eq!(unbase64(text), bytes.as_bytes());
    }
}
