//! Frames captured from the Java client and a Java broker, against ours.

use super::*;
use crate::pulsar::{
    batch::{Batch, Destination},
    command::{Seal, Send, SendReceipt, put_encryption_key},
    outbox::{Outbox, Segments},
    payload,
    proto::{CommandConnect, CommandPartitionedTopicMetadata},
};
use crate::session::{Payload, PayloadError, Sealed};

/// The frames of a captured conversation.
fn frames(text: &str, side: &str, command: &str) -> Vec<Vec<u8>> {
    text.lines()
        .filter_map(|line| line.strip_prefix(side)?.trim().strip_prefix(command))
        .filter_map(|rest| rest.strip_prefix(' '))
        .map(|hex| {
            let digits: Vec<_> = hex.trim().bytes().collect();
            digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        })
        .collect()
}

fn golden(name: &str) -> String {
    let path = format!(
        "{}/tests/data/golden/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

fn one(name: &str, side: &str, command: &str) -> Vec<u8> {
    let mut frames = frames(&golden(name), side, command);
    assert!(!frames.is_empty(), "{name} has a {command}");
    frames.remove(0)
}

/// Fields of a message, in order.
fn fields(bytes: &[u8]) -> Vec<(u32, Field<'_>)> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn varint(bytes: &[u8], number: u32) -> u64 {
    fields(bytes)
        .into_iter()
        .find_map(|field| match field {
            (n, Field::Varint(value)) if n == number => Some(value),
            _ => None,
        })
        .unwrap()
}

/// Our frame for a captured SEND: the same message at the same place, written again.
fn written_again(captured: &[u8], publish: &Publish<'_>, deliver_at_ms: Option<i64>) -> BytesMut {
    let frame = Frame::parse(captured).unwrap();
    let metadata = Stored::parse(frame.rest).unwrap().metadata;
    let Some((1, Field::Bytes(name))) = fields(metadata).into_iter().next() else {
        panic!("the name comes first");
    };
    let send = Send {
        producer_id: varint(frame.body, 1),
        producer_name: std::str::from_utf8(name).unwrap(),
        sequence_id: varint(frame.body, 2),
        publish_time_ms: varint(metadata, 3),
        deliver_at_ms,
        compression: Compression::None,
        seal: None,
        publish,
    };
    let mut out = BytesMut::new();
    send.put(send.measure(publish.payload.len), &mut out)
        .unwrap();
    out
}

fn content_of(captured: &[u8]) -> String {
    let stored = Stored::parse(Frame::parse(captured).unwrap().rest).unwrap();
    String::from_utf8(stored.payload.to_vec()).unwrap()
}

#[test]
fn sends_are_the_java_clients_to_the_byte() {
    let mut checked = 0;
    let files = [
        "send-plain",
        "send-named",
        "send-empty",
        "send-key",
        "send-key-empty",
        "send-properties",
        "send-clusters",
        "send-clusters-none",
        "send-event-time",
        "send-event-time-negative",
        "send-deliver-at",
        "send-everything",
        "send-pipelined",
    ];
    for name in files {
        for captured in frames(&golden(name), "client", "SEND") {
            let content = content_of(&captured);
            let stored = Frame::parse(&captured).unwrap().rest;
            let metadata = Stored::parse(stored).unwrap().metadata;
            let given = Given::read(metadata);
            let publish = given.publish(&content);
            let ours = written_again(&captured, &publish, given.deliver_at);
            assert_eq!(ours, captured, "{name}");
            checked += 1;
        }
    }
    assert!(checked >= files.len());
}

/// What the user of the Java client gave, as its metadata tells.
#[derive(Default)]
struct Given {
    key: Option<String>,
    properties: (Vec<u8>, Vec<u32>),
    clusters: (Vec<u8>, Vec<u32>),
    event_time: Option<i64>,
    deliver_at: Option<i64>,
}

impl Given {
    fn publish<'a>(&'a self, content: &'a str) -> Publish<'a> {
        Publish {
            key: self.key.as_deref(),
            properties: Strings {
                text: &self.properties.0,
                ends: &self.properties.1,
            },
            replication_clusters: (!self.clusters.1.is_empty()).then_some(Strings {
                text: &self.clusters.0,
                ends: &self.clusters.1,
            }),
            event_time_ms: self.event_time,
            ..publish(content)
        }
    }

    fn read(metadata: &[u8]) -> Self {
        fn push(strings: &mut (Vec<u8>, Vec<u32>), string: &[u8]) {
            strings.0.extend(string);
            strings.1.push(u32::try_from(strings.0.len()).unwrap());
        }
        let mut given = Self::default();
        for field in fields(metadata) {
            match field {
                (4, Field::Bytes(pair)) => {
                    for (_, part) in fields(pair) {
                        let Field::Bytes(part) = part else {
                            panic!("{part:?}");
                        };
                        push(&mut given.properties, part);
                    }
                }
                (6, Field::Bytes(key)) => given.key = Some(String::from_utf8(key.into()).unwrap()),
                (7, Field::Bytes(cluster)) => push(&mut given.clusters, cluster),
                (12, Field::Varint(time)) => given.event_time = Some(time.cast_signed()),
                (19, Field::Varint(time)) => given.deliver_at = Some(time.cast_signed()),
                _ => {}
            }
        }
        given
    }
}

/// A message of a captured batch, and its content.
fn singles(batch: &[u8], clusters: &(Vec<u8>, Vec<u32>)) -> Vec<(Given, Vec<u8>)> {
    let mut rest = batch;
    let mut singles = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk() {
        let (single, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
        let size = usize::try_from(varint(single, 3)).unwrap();
        let (payload, tail) = tail.split_at(size);
        rest = tail;
        // What both kinds of metadata have goes by other numbers in the other.
        let mut metadata = Vec::new();
        for field in fields(single) {
            match field {
                (1, Field::Bytes(pair)) => put_bytes(&mut metadata, 4, pair),
                (2, Field::Bytes(key)) => put_bytes(&mut metadata, 6, key),
                (5, Field::Varint(time)) => put_uint(&mut metadata, 12, time),
                (3 | 6 | 8, Field::Varint(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        let mut given = Given::read(&metadata);
        given.clusters.clone_from(clusters);
        singles.push((given, payload.to_vec()));
    }
    singles
}

/// A captured entry made again from what its messages hold: command, metadata, and the payload
/// uncompressed.
fn batch_written_again(captured: &[u8], compression: Compression) -> [[Vec<u8>; 3]; 2] {
    let parts = |frame: &[u8]| {
        let frame = Frame::parse(frame).unwrap();
        let stored = Stored::parse(frame.rest).unwrap();
        let size = fields(stored.metadata).into_iter().find(|(n, _)| *n == 9);
        let mut scratch = payload::Scratch::new();
        let payload = match size {
            Some((_, Field::Varint(size))) => scratch
                .decompress(compression, stored.payload, u32::try_from(size).unwrap())
                .unwrap(),
            _ => stored.payload,
        };
        [frame.body, stored.metadata, payload].map(<[u8]>::to_vec)
    };
    let theirs = parts(captured);
    let [body, metadata, content] = &theirs;
    let given = Given::read(metadata);
    let is_batch = fields(metadata).iter().any(|(number, _)| *number == 11);
    let all = if is_batch {
        singles(content, &given.clusters)
    } else {
        vec![(given, content.clone())]
    };
    let Some((1, Field::Bytes(name))) = fields(metadata).into_iter().next() else {
        panic!("the name comes first");
    };
    let (mut outbox, mut segments) = (Outbox::default(), Segments::default());
    let mut batch = Batch::new(producer::Batching {
        messages_max: None,
        delay: Duration::from_secs(1),
        pending_max: None,
    });
    for (sequence_id, (given, content)) in (varint(body, 2)..).zip(&all) {
        let content = String::from_utf8(content.clone()).unwrap();
        let publish = given.publish(&content);
        let send = Send {
            seal: None,
            producer_id: varint(body, 1),
            producer_name: std::str::from_utf8(name).unwrap(),
            sequence_id,
            publish_time_ms: varint(metadata, 3),
            deliver_at_ms: None,
            compression,
            publish: &publish,
        };
        batch.add(Instant(1), &send, &mut segments).unwrap();
    }
    let closed = batch.close(Destination {
        seal: None,
        producer_id: varint(body, 1),
        compression,
        message_bytes_max: 5 << 20,
        outbox: &mut outbox,
        segments: &mut segments,
        compressor: &mut payload::Compressor::default(),
    });
    assert!(closed.is_some());
    let ours = outbox.take(&mut segments).unwrap();
    [parts(&ours), theirs]
}

#[test]
fn batches_are_the_java_clients_to_the_byte() {
    for (name, compression) in [
        ("none", Compression::None),
        ("lz4", Compression::Lz4),
        ("zlib", Compression::Zlib),
        ("zstd", Compression::Zstd),
        ("snappy", Compression::Snappy),
    ] {
        for kind in ["", "of-one-", "bare-"] {
            let name = format!("send-batch-{kind}{name}");
            let captured = one(&name, "client", "SEND");
            let [ours, theirs] = batch_written_again(&captured, compression);
            assert_eq!(ours, theirs, "{name}");
        }
        let captured = one(&format!("compressed-{name}"), "client", "SEND");
        let [ours, theirs] = batch_written_again(&captured, compression);
        assert_eq!(ours, theirs, "compressed alone, {name}");
    }
}

#[test]
fn receipts_of_a_java_broker_are_read() {
    for captured in frames(&golden("send-pipelined"), "broker", "SEND_RECEIPT") {
        let frame = Frame::parse(&captured).unwrap();
        assert_eq!(frame.kind, Kind::SendReceipt as i32);
        let receipt = SendReceipt::decode(frame.body).unwrap();
        assert_eq!(receipt.sequence_id, varint(frame.body, 2));
        assert!(receipt.stored.is_some());
    }
}

#[test]
fn connect_is_the_java_services_but_for_the_name() {
    let captured = one("producer-open", "client", "CONNECT");
    let theirs: CommandConnect =
        CommandConnect::decode(Frame::parse(&captured).unwrap().body).unwrap();
    assert_eq!(
        frame(Kind::Connect, &theirs),
        captured,
        "no field is missing"
    );
    let mut world = World::new(usize::MAX);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    world.settle();
    let (key, _) = world.connecting.remove(0);
    world.pulsar.handle_connected(world.now, key);
    let mut ours: CommandConnect = world.sent_one(key, Kind::Connect).decode();
    ours.client_version.clone_from(&theirs.client_version);
    assert_eq!(ours, theirs);
}

/// A conversation of the Java client with a Java broker, with ours in the client's place.
fn opens_as_captured(name: &str, user_name: Option<&str>) {
    let text = golden(name);
    let last = |side: &str, command: &str| frames(&text, side, command).pop().unwrap();
    let topic = CommandPartitionedTopicMetadata::decode(
        Frame::parse(&last("client", "PARTITIONED_METADATA"))
            .unwrap()
            .body,
    )
    .unwrap()
    .topic;
    let mut world = World::new(1);
    let session = world.session();
    let spec = producer::Spec {
        topic,
        name: user_name.map(Into::into),
        ..spec()
    };
    let link = world.pulsar.open(world.now, session, &Spec::Producer(spec));
    world.settle();
    let (key, _) = world.connecting.remove(0);
    world.pulsar.handle_connected(world.now, key);
    world.sent_one(key, Kind::Connect);
    world.receive(key, &one("producer-open", "broker", "CONNECTED"));
    for (asked, answered) in [
        (Kind::PartitionedMetadata, "PARTITIONED_METADATA"),
        (Kind::Lookup, "LOOKUP"),
        (Kind::Producer, "PRODUCER"),
    ] {
        let ours = world.sent_one(key, asked);
        let theirs = last("client", answered);
        let theirs = Frame::parse(&theirs).unwrap();
        // The numbers are each side's own.
        let id_field = if asked == Kind::Producer { 3 } else { 2 };
        let numbers = |number: u32| number == id_field || (asked == Kind::Producer && number == 2);
        let named = |bytes| -> Vec<_> {
            fields(bytes)
                .into_iter()
                .filter(|(number, _)| !numbers(*number))
                .map(|field| format!("{field:?}"))
                .collect()
        };
        assert_eq!(named(&ours.body), named(theirs.body), "{answered}");
        let answer = match asked {
            Kind::Producer => last("broker", "PRODUCER_SUCCESS"),
            _ => last("broker", &format!("{answered}_RESPONSE")),
        };
        world.receive(key, &renumbered(&answer, varint(&ours.body, id_field)));
    }
    assert_eq!(world.told(), [Told::Opened]);
    world.publish(link, "x").unwrap();
    assert_eq!(world.sends(key), [(0, "x".into())]);
}

/// A broker's answer, to our request.
fn renumbered(answer: &[u8], request_id: u64) -> Vec<u8> {
    let frame = Frame::parse(answer).unwrap();
    let kind = Kind::try_from(frame.kind).unwrap();
    let number = match kind {
        Kind::LookupResponse => 4,
        Kind::PartitionedMetadataResponse => 2,
        _ => 1,
    };
    let mut body = Vec::new();
    for field in fields(frame.body) {
        match field {
            (n, Field::Varint(_)) if n == number => put_uint(&mut body, n, request_id),
            (n, Field::Varint(value)) => put_uint(&mut body, n, value),
            (n, Field::Bytes(bytes)) => put_bytes(&mut body, n, bytes),
            other => panic!("{other:?}"),
        }
    }
    raw_frame(kind, &body, b"")
}

#[test]
fn producers_open_as_the_java_clients() {
    opens_as_captured("producer-open", None);
    opens_as_captured("producer-open-named", Some("golden"));
}

#[test]
fn a_missing_namespace_is_not_found() {
    let answer = one("topic-not-found", "broker", "PARTITIONED_METADATA_RESPONSE");
    let mut world = World::new(1);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    let key = world.connect();
    let asked: CommandPartitionedTopicMetadata =
        world.sent_one(key, Kind::PartitionedMetadata).decode();
    world.receive(key, &renumbered(&answer, asked.request_id));
    let told = world.told();
    let [Told::OpenFailed(error)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(error.kind, crate::session::OpenErrorKind::NotFound);
    assert_eq!(
        error.message,
        format!(
            r#"{{"errorMsg":"Namespace not found","reqId":{}}}"#,
            asked.request_id
        )
    );
}

#[test]
fn entries_of_a_java_broker_are_whole() {
    let mut checked = 0;
    for name in ["entry-metadata", "batch-none", "receive-flow"] {
        for captured in frames(&golden(name), "broker", "MESSAGE") {
            let frame = Frame::parse(&captured).unwrap();
            assert!(Stored::parse(frame.rest).is_some(), "{name}");
            checked += 1;
        }
    }
    assert!(checked > 2);
}

/// The metadata of what the Java client encrypted, around the same sealed payload.
#[test]
fn encrypted_sends_are_the_java_clients_to_the_byte() {
    fn append(encoded: &[u8], out: &mut BytesMut) -> Result<(), PayloadError> {
        out.extend_from_slice(encoded);
        Ok(())
    }
    for (name, compression) in [("none", Compression::None), ("lz4", Compression::Lz4)] {
        let captured = one(&format!("encrypted-{name}"), "client", "SEND");
        let frame = Frame::parse(&captured).unwrap();
        let stored = Stored::parse(frame.rest).unwrap();
        let bytes = |number: u32| {
            let mut fields = fields(stored.metadata).into_iter();
            fields.find_map(|field| match field {
                (n, Field::Bytes(bytes)) if n == number => Some(bytes),
                _ => None,
            })
        };
        let mut keys = Vec::new();
        let key = crate::pulsar::consumer::next_encryption_key(&mut &*stored.metadata).unwrap();
        put_encryption_key(key.name, key.value, &[], &mut keys);
        let publish = Publish {
            payload: Payload {
                encoded: stored.payload,
                len: stored.payload.len(),
                decode: append,
            },
            key: Some("k"),
            properties: Strings {
                text: b"ab",
                ends: &[1, 2],
            },
            event_time_ms: Some(7),
            sealed: Some(Sealed {
                param: &[],
                compressed: Some((compression, 140)),
            }),
            ..publish("")
        };
        let send = Send {
            producer_id: varint(frame.body, 1),
            producer_name: std::str::from_utf8(bytes(1).unwrap()).unwrap(),
            sequence_id: varint(frame.body, 2),
            publish_time_ms: varint(stored.metadata, 3),
            deliver_at_ms: None,
            compression,
            seal: Some(Seal {
                keys: &keys,
                param: bytes(15).unwrap(),
                cipher: None,
            }),
            publish: &publish,
        };
        let mut out = BytesMut::new();
        send.put(send.measure(publish.payload.len), &mut out)
            .unwrap();
        assert_eq!(out, captured, "{name}");
    }
}
