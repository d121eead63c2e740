//! SENDs byte by byte, and that they are as long as was said.

use proptest::prelude::*;

use super::*;
use crate::{
    pulsar::{
        payload::Compression,
        proto::CommandPing,
        wire::{Frame, Stored},
    },
    session::{Chunk, Deliver, Extra, Payload, PayloadError, Publish, Strings},
};

fn copy(encoded: &[u8], out: &mut BytesMut) -> Result<(), PayloadError> {
    if encoded == b"broken" {
        out.put_slice(b"half");
        out.truncate(out.len() - 4);
        return Err(PayloadError("broken".into()));
    }
    out.put_slice(encoded);
    Ok(())
}

fn publish(payload: &[u8]) -> Publish<'_> {
    Publish {
        payload: Payload {
            encoded: payload,
            len: payload.len(),
            decode: copy,
        },
        context: None,
        key: None,
        properties: Strings::default(),
        replication_clusters: None,
        event_time_ms: None,
        deliver: Deliver::Now,
        extra: None,
        sealed: None,
    }
}

fn send<'a>(publish: &'a Publish<'a>) -> Send<'a> {
    Send {
        producer_id: 1,
        producer_name: "standalone-0-1",
        sequence_id: 7,
        publish_time_ms: 1_700_000_000_000,
        deliver_at_ms: None,
        compression: Compression::None,
        seal: None,
        publish,
    }
}

fn measure(send: &Send<'_>) -> SendLen {
    send.measure(send.publish.payload.len)
}

fn put(send: &Send<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    send.put(measure(send), &mut out).unwrap();
    out
}

#[test]
fn a_plain_send_byte_by_byte() {
    let publish = publish(b"hello");
    let frame = put(&send(&publish));
    let metadata = b"\x0a\x0estandalone-0-1\x10\x07\x18\x80\xd0\x95\xff\xbc\x31\x48\x05";
    let mut covered = vec![0, 0, 0, 0x1b];
    covered.extend(metadata);
    covered.extend(b"hello");
    let command = b"\x08\x06\x32\x04\x08\x01\x10\x07";
    let mut expected = vec![0, 0, 0, 4 + 8 + 6 + 4 + 0x1b + 5, 0, 0, 0, 8];
    expected.extend(command);
    expected.extend(b"\x0e\x01");
    expected.extend(crc32c::crc32c(&covered).to_be_bytes());
    expected.extend(&covered);
    assert_eq!(&frame[..], &expected[..]);
    assert!(is_intact(&frame));
}

#[test]
fn every_field_in_the_order_of_the_java_client() {
    let properties = Strings {
        text: b"ab1",
        ends: &[1, 2, 3, 3],
    };
    let clusters = Strings {
        text: b"xyz",
        ends: &[1, 3],
    };
    let publish = Publish {
        key: Some("k"),
        properties,
        replication_clusters: Some(clusters),
        event_time_ms: Some(-1),
        ..publish(b"")
    };
    let send = Send {
        deliver_at_ms: Some(300),
        sequence_id: (-4i64).cast_unsigned(),
        producer_name: "p",
        ..send(&publish)
    };
    let frame = put(&send);
    let frame = Frame::parse(&frame).unwrap();
    let minus_four = b"\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(frame.body, [b"\x08\x01\x10", &minus_four[..]].concat());
    let expected = [
        b"\x0a\x01p\x10",
        &minus_four[..],
        b"\x18\x80\xd0\x95\xff\xbc\x31",
        b"\x22\x06\x0a\x01a\x12\x01b",
        b"\x22\x05\x0a\x011\x12\x00",
        b"\x32\x01k",
        b"\x3a\x01x\x3a\x02yz",
        b"\x48\x00",
        b"\x60\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x88\x01\x00",
        b"\x98\x01\xac\x02",
    ]
    .concat();
    assert_eq!(Stored::parse(frame.rest).unwrap().metadata, expected);
}

#[test]
fn what_only_stored_messages_have() {
    let chunk = Chunk {
        uuid: "u",
        index: 1,
        count: 2,
        bytes: 300,
    };
    let extra = Extra {
        key_is_base64: true,
        ordering_key: Some(b"o"),
        is_null: true,
        chunk: Some(chunk),
        sealing: b"\x7a\x01n",
    };
    let publish = Publish {
        key: Some("k"),
        extra: Some(&extra),
        ..publish(b"part")
    };
    let send = Send {
        producer_name: "p",
        ..send(&publish)
    };
    let frame = put(&send);
    let frame = Frame::parse(&frame).unwrap();
    assert_eq!(frame.body, b"\x08\x01\x10\x07\x38\x01");
    let expected = [
        &b"\x0a\x01p\x10\x07\x18\x80\xd0\x95\xff\xbc\x31"[..],
        b"\x32\x01k\x48\xac\x02\x88\x01\x01\x92\x01\x01o",
        b"\xc8\x01\x01\xd2\x01\x01u\xd8\x01\x02\xe0\x01\xac\x02\xe8\x01\x01",
        b"\x7a\x01n",
    ]
    .concat();
    assert_eq!(Stored::parse(frame.rest).unwrap().metadata, expected);
}

#[test]
fn a_broken_payload_leaves_nothing_behind() {
    let publish = publish(b"broken");
    let send = send(&publish);
    let mut out = BytesMut::from(&b"before"[..]);
    assert!(send.put(measure(&send), &mut out).is_err());
    assert_eq!(&out[..], b"before");
}

#[test]
fn a_rare_command_is_framed() {
    let mut out = BytesMut::new();
    put_command(&mut out, Kind::Ping, &CommandPing {});
    assert_eq!(&out[..], b"\0\0\0\x09\0\0\0\x05\x08\x12\x92\x01\x00");
}

proptest! {
    #[test]
    fn usual_beginnings_are_as_any(
        name in "[a-z]{0,70}", sequence: u64, producer_id: u64, time: u64, shifts in (0..64, 0..64, 0..64)
    ) {
        let publish = publish(b"payload");
        let send = Send {
            producer_name: &name,
            sequence_id: sequence >> shifts.0,
            producer_id: producer_id >> shifts.1,
            publish_time_ms: time >> shifts.2,
            ..send(&publish)
        };
        let len = measure(&send);
        if let Some(usual) = &len.usual {
            prop_assert_eq!(usual.head_len(), send.head().head_len());
            prop_assert_eq!(usual.identity_len(&name), send.identity_len());
        }
        let (mut usual, mut any) = (BytesMut::new(), BytesMut::new());
        send.put(len, &mut usual).unwrap();
        send.put(SendLen { usual: None, ..len }, &mut any).unwrap();
        prop_assert_eq!(usual, any);
    }

    #[test]
    fn what_is_measured_is_written(
        name in ".{0,20}", key: Option<String>, event: Option<i64>, deliver: Option<i64>,
        sequence: u64, producer_id: u64, payload in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        prop_assume!(payload != b"broken");
        let publish = Publish { key: key.as_deref(), event_time_ms: event, ..publish(&payload) };
        let send = Send {
            producer_name: &name, producer_id, sequence_id: sequence, deliver_at_ms: deliver,
            ..send(&publish)
        };
        let out = put(&send);
        prop_assert_eq!(out.len(), measure(&send).frame());
        let frame = Frame::parse(&out).unwrap();
        let stored = Stored::parse(frame.rest).unwrap();
        prop_assert_eq!(stored.payload, &payload[..]);
        prop_assert_eq!(stored.metadata.len() + payload.len(), measure(&send).message());
    }
}
