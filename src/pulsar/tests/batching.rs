//! Publishes that are put together, compressed, or refused because too many wait.

use proptest::prelude::*;

use super::*;
use crate::session::producer::Batching;

const MS: Duration = Duration::from_millis(1);
const KIB: usize = 1 << 10;

fn batching() -> Batching {
    Batching {
        messages_max: Some(1000),
        delay: MS,
        pending_max: None,
    }
}

fn of(batching: Batching) -> producer::Spec {
    producer::Spec {
        batching: Some(batching),
        ..spec()
    }
}

fn up_to(messages: u32) -> producer::Spec {
    of(Batching {
        messages_max: Some(messages),
        ..batching()
    })
}

/// What a consumer finds in an entry: key, properties, event time and content of each message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Read {
    key: Option<String>,
    properties: Vec<(String, String)>,
    event_time: Option<i64>,
    payload: Vec<u8>,
}

/// Gives what was sent to a consumer of ours.
fn read(sent: &[Sent]) -> Vec<Vec<Read>> {
    let mut world = World::new(usize::MAX);
    let (_, key, consumer) = world.consumer();
    let entries = sent.iter().filter(|sent| sent.kind == Kind::Send);
    let read = entries.enumerate().map(|(entry, sent)| {
        let mut body = Vec::new();
        put_uint(&mut body, 1, consumer);
        let mut id = Vec::new();
        put_uint(&mut id, 1, 3);
        put_uint(&mut id, 2, entry as u64);
        put_bytes(&mut body, 2, &id);
        let frame = raw_frame(Kind::Message, &body, &sent.rest);
        let mut input = Input::new(&frame);
        let (now, scratch) = (world.now, &mut world.scratch);
        let event = world.pulsar.next_event(now, key, &mut input, scratch);
        let Some(Event::Entry(mut entry)) = event else {
            panic!("{event:?}");
        };
        let mut read = Vec::new();
        while let Some(delivery) = world.pulsar.next_delivery(now, &mut entry) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            read.push(Read {
                key: delivery.key.map(text),
                properties: delivery
                    .properties
                    .map(|(name, value)| (text(name), text(value)))
                    .collect(),
                event_time: delivery.event_time_ms,
                payload: delivery.payload.unwrap().to_vec(),
            });
        }
        read
    });
    read.collect()
}

/// The contents of the messages of each entry, and each entry's first number.
fn entries(sent: &[Sent]) -> Vec<(i64, Vec<String>)> {
    let text = |read: Read| String::from_utf8(read.payload).unwrap();
    let read = read(sent).into_iter();
    let read = read.map(|entry| entry.into_iter().map(text).collect());
    let numbers = sent.iter().filter(|sent| sent.kind == Kind::Send);
    numbers.map(|sent| sent.send().1).zip(read).collect()
}

fn entry(number: i64, messages: &[&str]) -> (i64, Vec<String>) {
    (number, messages.iter().map(ToString::to_string).collect())
}

/// What the receipt of a batch tells.
fn batch_stored(sequence: i64, messages: u64) -> Vec<Told> {
    let id = |index| {
        let mut id = Vec::new();
        put_uint(&mut id, 1, 3);
        put_uint(&mut id, 2, sequence.cast_unsigned() + 100);
        put_uint(&mut id, 4, index);
        put_uint(&mut id, 6, 0);
        Told::Receipt(id)
    };
    (0..messages).map(id).collect()
}

fn backend(error: PublishError) -> String {
    match error {
        PublishError::Backend(text) => text,
        PublishError::Encoding(text) => panic!("{text}"),
    }
}

#[test]
fn a_batch_is_closed_by_the_number_of_its_messages() {
    in_pieces(|mut world| {
        let (link, key) = world.producer_of(&up_to(3));
        world.publish_all(link, &["a", "b"]);
        assert!(world.sent(key).is_empty());
        world.publish_all(link, &["c", "d", "e", "f", "g"]);
        let sent = world.sent(key);
        let expected = [entry(0, &["a", "b", "c"]), entry(3, &["d", "e", "f"])];
        assert_eq!(entries(&sent), expected, "none waits for a receipt");
        world.batch_receipt(key, link, 0, 2);
        assert_eq!(world.told(), batch_stored(0, 3));
        world.batch_receipt(key, link, 0, 2);
        assert_eq!(world.told(), [], "a receipt that came already");
        world.batch_receipt(key, link, 3, 5);
        assert_eq!(world.told(), batch_stored(3, 3));
        world.pass(MS);
        assert_eq!(entries(&world.sent(key)), [entry(6, &["g"])]);
        world.receipt(key, link, 6);
        assert_eq!(world.told(), [stored(6)], "a batch of one is none");
        assert_eq!(world.pulsar.publishes_bytes(), 0);
        assert_eq!(world.pulsar.segments.len(), 0);
    });
}

#[test]
fn a_batch_is_closed_by_its_delay() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&of(Batching {
        delay: 20 * MS,
        ..batching()
    }));
    world.publish(link, "a").unwrap();
    world.pass(10 * MS);
    world.publish(link, "b").unwrap();
    world.pass(10 * MS - Duration::from_nanos(1));
    assert!(world.sent(key).is_empty());
    world.pass(Duration::from_nanos(1));
    assert_eq!(entries(&world.sent(key)), [entry(0, &["a", "b"])]);

    // Another one has begun when the time set for this one is over.
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&up_to(2));
    world.publish(link, "a").unwrap();
    world.now.mono = world.now.mono + MS / 2;
    world.publish_all(link, &["b", "c"]);
    assert_eq!(entries(&world.sent(key)), [entry(0, &["a", "b"])]);
    world.pass(MS / 2);
    assert!(world.sent(key).is_empty());
    world.pass(MS / 2);
    assert_eq!(entries(&world.sent(key)), [entry(2, &["c"])]);
}

#[test]
fn a_batch_is_closed_by_its_bytes() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&of(batching()));
    let half = "h".repeat(64 * KIB);
    world.publish_all(link, &[&half, &half]);
    assert_eq!(
        entries(&world.sent(key)),
        [entry(0, &[&half, &half])],
        "just as much as it may be"
    );
    world.publish_all(link, &[&half, &half[1..], "ab", "c"]);
    assert_eq!(
        entries(&world.sent(key)),
        [entry(2, &[&half, &half[1..]])],
        "one that has no room begins the next"
    );
    world.pass(MS);
    assert_eq!(entries(&world.sent(key)), [entry(4, &["ab", "c"])]);
    let large = "l".repeat(128 * KIB);
    world.publish_all(link, &["before", &large, "after"]);
    world.pass(MS);
    assert_eq!(
        entries(&world.sent(key)),
        [
            entry(6, &["before"]),
            entry(7, &[&large]),
            entry(8, &["after"])
        ]
    );
}

#[test]
fn what_is_said_about_messages_counts_against_the_brokers_limit() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&of(batching()));
    let value = "v".repeat(1 << 20);
    let text = format!("n{value}");
    let ends = [1, u32::try_from(text.len()).unwrap()];
    for _ in 0..7 {
        let publish = Publish {
            properties: Strings {
                text: text.as_bytes(),
                ends: &ends,
            },
            ..publish("x")
        };
        world.pulsar.publish(world.now, link, &publish).unwrap();
    }
    world.pass(MS);
    let sent = world.sent(key);
    assert!(sent.iter().all(|sent| sent.rest.len() <= 5 << 20));
    let sizes: Vec<_> = entries(&sent).iter().map(|(_, all)| all.len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
}

#[test]
fn what_can_not_be_in_a_batch_keeps_its_place() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&of(batching()));
    let later = Publish {
        deliver: Deliver::AfterMs(1),
        ..publish("later")
    };
    let clusters = |ends| Publish {
        replication_clusters: Some(Strings {
            text: b"eastwest",
            ends,
        }),
        ..publish("c")
    };
    for publish in [
        &publish("a"),
        &publish("b"),
        &later,
        &publish("d"),
        &clusters(&[4]),
        &clusters(&[4]),
        &clusters(&[4, 8]),
        &clusters(&[]),
        &publish("e"),
    ] {
        world.pulsar.publish(world.now, link, publish).unwrap();
    }
    world.pass(MS);
    let expected = [
        entry(0, &["a", "b"]),
        entry(2, &["later"]),
        entry(3, &["d"]),
        entry(4, &["c", "c"]),
        entry(6, &["c"]),
        entry(7, &["c", "e"]),
    ];
    assert_eq!(entries(&world.sent(key)), expected);
}

#[test]
fn one_message_at_most_is_no_batch() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&up_to(1));
    world.publish_all(link, &["a", "b"]);
    assert_eq!(world.sends(key), [(0, "a".into()), (1, "b".into())]);
    let large = "x".repeat((5 << 20) + 1);
    let text = "org.apache.pulsar.client.api.PulsarClientException$InvalidMessageException: \
                Message size is bigger than 5242880 bytes";
    assert_eq!(backend(world.publish(link, &large).unwrap_err()), text);
    world.publish(link, "c").unwrap();
    assert_eq!(world.sends(key), [(2, "c".into())]);
}

#[test]
fn a_broken_message_is_not_in_the_batch() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&of(batching()));
    for _ in 0..2 {
        world.publish(link, "broken").unwrap_err();
        assert_eq!(world.pulsar.publishes_bytes(), 0);
    }
    world.publish(link, "a").unwrap();
    world.publish(link, "broken").unwrap_err();
    world.publish(link, "b").unwrap();
    world.pass(MS);
    assert_eq!(entries(&world.sent(key)), [entry(0, &["a", "b"])]);
    // It was too large for the batch, which went before it.
    world.publish(link, "c").unwrap();
    let large = "x".repeat((5 << 20) + 1);
    world.publish(link, &large).unwrap_err();
    assert_eq!(entries(&world.sent(key)), [entry(2, &["c"])]);
}

#[test]
fn no_more_than_so_many_wait() {
    in_pieces(|mut world| {
        let (link, key) = world.producer_of(&of(Batching {
            messages_max: Some(2),
            pending_max: Some(3),
            ..batching()
        }));
        world.publish_all(link, &["a", "b", "c"]);
        let text = "org.apache.pulsar.client.api.PulsarClientException$ProducerQueueIsFullError: \
                    Producer send queue is full";
        assert_eq!(backend(world.publish(link, "d").unwrap_err()), text);
        let error = world.publish(link, "broken").unwrap_err();
        assert_eq!(error, PublishError::Encoding("bad base64".into()));
        world.pass(MS);
        assert!(world.publish(link, "d").is_err(), "sent is not done");
        world.batch_receipt(key, link, 0, 1);
        assert_eq!(world.told(), batch_stored(0, 2));
        world.publish_all(link, &["d", "e"]);
        assert!(world.publish(link, "f").is_err());
        world.pass(Duration::from_secs(31));
        assert_eq!(world.told().len(), 3, "they fail");
        world.publish_all(link, &["f", "g", "h"]);
        assert!(world.publish(link, "i").is_err());
    });
}

#[test]
fn without_memory_nothing_is_accepted() {
    for spec in [spec(), of(batching())] {
        let mut world = World::new(usize::MAX);
        let (link, _) = world.producer_of(&spec);
        world.publish(link, "a").unwrap();
        world.pulsar.set_memory_full(true);
        let text = "org.apache.pulsar.client.api.PulsarClientException$MemoryBufferIsFullError: \
                    Client memory buffer is full";
        assert_eq!(backend(world.publish(link, "b").unwrap_err()), text);
        world.pulsar.set_memory_full(false);
        world.publish(link, "c").unwrap();
    }
}

#[test]
fn all_messages_of_batches_time_out() {
    in_pieces(|mut world| {
        let (link, key) = world.producer_of(&of(Batching {
            messages_max: Some(2),
            delay: Duration::from_secs(60),
            ..batching()
        }));
        world.publish_all(link, &["a", "b", "c"]);
        world.pass(Duration::from_secs(30));
        let text = format!(
            "org.apache.pulsar.client.api.PulsarClientException$TimeoutException: The producer \
             made-up can not send message to the topic {TOPIC} within given timeout"
        );
        let sent = format!(
            "{text} : createdAt 30.0 seconds ago, firstSentAt 30.0 seconds ago, lastSentAt 30.0 seconds ago, retryCount 1"
        );
        let expected = [&sent, &sent, &text].map(|text| Told::Failed(text.clone()));
        assert_eq!(world.told(), expected);
        world.sent(key);
        // One that is alone in the batch is as old as if the batch had been sent in time.
        world.publish(link, "d").unwrap();
        world.lose(key);
        world.pass(Duration::from_secs(89));
        assert_eq!(world.told(), []);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.told(), [Told::Failed(text)]);
        assert_eq!(world.pulsar.publishes_bytes(), 0);
    });
}

#[test]
fn while_there_is_no_broker_the_batch_grows() {
    in_pieces(|mut world| {
        let (link, key) = world.producer_of(&up_to(3));
        world.publish_all(link, &["a", "b", "c", "d"]);
        assert_eq!(world.sent(key).len(), 1);
        world.lose(key);
        world.pass(Duration::from_millis(10));
        world.publish_all(link, &["e", "f", "g"]);
        world.pass(Duration::from_millis(10));
        world.publish(link, "h").unwrap();
        let key = world.pass_until_connecting();
        world.pulsar.handle_connected(world.now, key);
        world.sent_one(key, Kind::Connect);
        world.connected(key);
        world.locate_broker(key);
        world.create(key);
        let sent = world.sent(key);
        let expected = [
            entry(0, &["a", "b", "c"]),
            entry(3, &["d", "e", "f"]),
            entry(6, &["g", "h"]),
        ];
        assert_eq!(entries(&sent), expected, "and goes when there is one");
        world.batch_receipt(key, link, 0, 2);
        world.batch_receipt(key, link, 3, 5);
        world.batch_receipt(key, link, 6, 7);
        let batches = [(0, 3), (3, 3), (6, 2)].into_iter();
        let told: Vec<_> = batches
            .flat_map(|(first, messages)| batch_stored(first, messages))
            .collect();
        assert_eq!(world.told(), told);
        assert_eq!(world.pulsar.publishes_bytes(), 0);
        world.publish(link, "i").unwrap();
        world.pass(MS);
        assert_eq!(entries(&world.sent(key)), [entry(8, &["i"])]);
    });
}

#[test]
fn all_messages_of_a_batch_are_refused_together() {
    in_pieces(|mut world| {
        let (link, key) = world.producer_of(&up_to(2));
        world.publish_all(link, &["a", "b", "c", "d", "e"]);
        world.settle();
        // The broker names the last of a batch's numbers.
        world.receive(key, &send_error(link.0, 0, ServerError::NotAllowedError));
        assert_eq!(world.told(), []);
        world.receive(key, &send_error(link.0, 1, ServerError::NotAllowedError));
        let refused = || {
            let text = "org.apache.pulsar.client.api.PulsarClientException$NotAllowedException: no";
            Told::Failed(text.into())
        };
        assert_eq!(world.told(), [refused(), refused()]);
        world.sent(key);
        world.receive(key, &send_error(link.0, 3, ServerError::ChecksumError));
        let expected = [entry(2, &["c", "d"]), entry(4, &["e"])];
        assert_eq!(entries(&world.sent(key)), expected);
        world.publish(link, "f").unwrap();
        let error = send_error(link.0, 3, ServerError::TopicTerminatedError);
        world.receive(key, &error);
        let told = world.told();
        assert_eq!(told.len(), 4, "what was not yet sent, too");
        let is_end =
            |told: &Told| matches!(told, Told::Failed(text) if text.contains("terminated"));
        assert!(told.iter().all(is_end), "{told:?}");
        assert_eq!(world.pulsar.publishes_bytes(), 0);
    });
}

#[test]
fn a_batch_that_is_not_stored_whole_ends_the_connection() {
    in_pieces(|mut world| {
        let (link, key) = world.producer_of(&up_to(3));
        world.publish_all(link, &["a", "b", "c"]);
        world.settle();
        world.batch_receipt(key, link, 0, 1);
        assert_eq!(world.told(), []);
        assert_eq!(world.others(), [Effect::Disconnect(key)]);
    });
}

#[test]
fn an_open_batch_leaves_before_the_session_does() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer_of(&of(batching()));
    world.publish(link, "a").unwrap();
    world.pulsar.flush(world.now, link);
    assert_eq!(entries(&world.sent(key)), [entry(0, &["a"])]);
    world.pulsar.flush(world.now, link);
    assert!(world.sent(key).is_empty());
    world.publish_all(link, &["b", "c"]);
    world.pulsar.close(world.now, link);
    let sent = world.sent(key);
    let kinds: Vec<_> = sent.iter().map(|sent| sent.kind).collect();
    assert_eq!(kinds, [Kind::Send, Kind::CloseProducer]);
    assert_eq!(entries(&sent), [entry(1, &["b", "c"])]);
    assert_eq!(world.pulsar.publishes_bytes(), 0);
}

#[test]
fn compressed_messages_may_be_larger_than_the_broker_takes() {
    let large = "x".repeat(6 << 20);
    for batching in [None, Some(batching())] {
        let mut world = World::new(usize::MAX);
        let (link, key) = world.producer_of(&producer::Spec {
            batching,
            compression: Compression::Zstd,
            ..spec()
        });
        world.publish(link, &large).unwrap();
        let sent = world.sent(key);
        assert!(sent[0].rest.len() < 10 << 10);
        assert_eq!(entries(&sent), [entry(0, &[&large])]);
    }
}

#[test]
fn what_is_too_large_when_compressed_is_told_so() {
    let mut noise = 1u32;
    let noise: String = std::iter::from_fn(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(char::from(b'0' + u8::try_from(noise >> 26).unwrap()))
    })
    .take((5 << 20) + 1000)
    .collect();
    for (batching, expected) in [
        (
            None,
            "The producer made-up of the topic persistent://public/default/t sends a Compressed message with ",
        ),
        (
            Some(batching()),
            "Message size is bigger than 5242880 bytes",
        ),
    ] {
        let mut world = World::new(usize::MAX);
        let (link, key) = world.producer_of(&producer::Spec {
            batching,
            compression: Compression::Lz4,
            ..spec()
        });
        let text = backend(world.publish(link, &noise).unwrap_err());
        assert!(text.contains(expected), "{text}");
        let error = world.publish(link, "broken").unwrap_err();
        assert_eq!(error, PublishError::Encoding("bad base64".into()));
        world.publish(link, "fine").unwrap();
        world.pass(MS);
        assert_eq!(entries(&world.sent(key)), [entry(0, &["fine"])]);
    }
}

#[derive(Clone, Debug)]
struct Message {
    read: Read,
    clusters: u8,
    deliver: bool,
}

fn message() -> impl Strategy<Value = Message> {
    let payload = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..200),
        2 => (any::<u8>(), 0usize..40_000).prop_map(|(byte, len)| vec![byte; len]),
        1 => (any::<u8>(), 120_000usize..140_000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    let properties = proptest::collection::btree_map("[a-z]{0,5}", ".{0,9}", 0..3);
    let key = proptest::option::of(".{0,9}");
    // The value 0 stands for none.
    let time = proptest::option::of(1i64..);
    (payload, properties, key, time, 0u8..10, 0u8..20).prop_map(
        |(payload, properties, key, event_time, clusters, deliver)| Message {
            read: Read {
                key,
                properties: properties.into_iter().collect(),
                event_time,
                payload,
            },
            clusters: clusters.saturating_sub(7),
            deliver: deliver == 0,
        },
    )
}

fn publish_message(world: &mut World, link: Link, message: &Message) {
    fn strings(all: impl Iterator<Item = String>) -> (Vec<u8>, Vec<u32>) {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for one in all {
            text.extend(one.bytes());
            ends.push(u32::try_from(text.len()).unwrap());
        }
        (text, ends)
    }
    fn copy(encoded: &[u8], out: &mut BytesMut) -> Result<(), PayloadError> {
        out.put_slice(encoded);
        Ok(())
    }
    let pairs = message.read.properties.iter().cloned();
    let (text, ends) = strings(pairs.flat_map(|(name, value)| [name, value]));
    let clusters = strings((0..message.clusters).map(|number| format!("cluster-{number}")));
    let publish = Publish {
        extra: None,
        payload: Payload {
            encoded: &message.read.payload,
            len: message.read.payload.len(),
            decode: copy,
        },
        context: None,
        key: message.read.key.as_deref(),
        properties: Strings {
            text: &text,
            ends: &ends,
        },
        replication_clusters: (message.clusters > 0).then_some(Strings {
            text: &clusters.0,
            ends: &clusters.1,
        }),
        event_time_ms: message.read.event_time,
        deliver: if message.deliver {
            Deliver::AtMs(5)
        } else {
            Deliver::Now
        },
        sealed: None,
    };
    world.pulsar.publish(world.now, link, &publish).unwrap();
}

/// The first and last number of a SEND's messages, and how many there are.
fn numbers(sent: &Sent) -> (i64, i64, u64) {
    let (mut first, mut count, mut highest) = (0, 1, None);
    let mut fields = Reader::new(&sent.body);
    while let Some((number, Field::Varint(value))) = fields.next().unwrap() {
        match number {
            2 => first = value.cast_signed(),
            3 => count = value,
            6 => highest = Some(value.cast_signed()),
            _ => {}
        }
    }
    (first, highest.unwrap_or(first), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_is_published_is_read_in_order(
        messages in proptest::collection::vec(message(), 1..40),
        messages_max in proptest::option::of(1u32..12),
        compression in prop::sample::select(&[
            Compression::None, Compression::None, Compression::Lz4, Compression::Zlib,
            Compression::Zstd, Compression::Snappy,
        ][..]),
        passes in proptest::collection::vec(0usize..40, 0..5),
        rounds in 1..3,
    ) {
        let mut world = World::new(usize::MAX);
        let (link, key) = world.producer_of(&producer::Spec {
            compression,
            ..of(Batching { messages_max, ..batching() })
        });
        let mut next = 0;
        for _ in 0..rounds {
            for (index, message) in messages.iter().enumerate() {
                publish_message(&mut world, link, message);
                if passes.contains(&index) {
                    world.pass(MS);
                }
            }
            world.pass(MS);
            let sent = world.sent(key);
            let read = read(&sent);
            let expected: Vec<_> = messages.iter().map(|message| message.read.clone()).collect();
            prop_assert_eq!(read.concat(), expected);
            for (sent, entry) in sent.iter().zip(&read) {
                let (first, highest, count) = numbers(sent);
                prop_assert_eq!((first, count), (next, entry.len() as u64));
                next += i64::try_from(entry.len()).unwrap();
                if count > 1 {
                    prop_assert_eq!(highest, next - 1);
                    let bytes: usize = entry.iter().map(|read| read.payload.len()).sum();
                    prop_assert!(bytes <= 128 * KIB);
                    prop_assert!(messages_max.is_none_or(|max| count <= u64::from(max)));
                    world.batch_receipt(key, link, first, highest);
                    prop_assert_eq!(world.told(), batch_stored(first, count));
                } else {
                    world.receipt(key, link, first);
                    prop_assert_eq!(world.told(), [stored(first)]);
                }
            }
            prop_assert_eq!(world.pulsar.publishes_bytes(), 0);
            prop_assert_eq!(world.pulsar.segments.len(), 0);
        }
    }
}
