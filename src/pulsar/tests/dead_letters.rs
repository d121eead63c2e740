//! The producer of a consumer's dead letters: opened, used, given up and closed with nobody told.

use super::{
    consuming::{id, message_again},
    *,
};
use crate::{
    pulsar::proto::{CommandCloseConsumer, CommandCloseProducer},
    session::consumer::DeadLetters,
};

const DEAD: &str = "persistent://public/default/dead";

/// A consumer whose messages are dead when they come a third time.
fn dying(world: &mut World) -> (Link, ConnectionKey, u64) {
    let spec = consumer::Spec {
        name: Some("me".into()),
        dead_letters: Some(DeadLetters {
            redeliveries_max: 1,
            topic: DEAD.into(),
        }),
        negative_ack_delay: Duration::from_millis(100),
        ..consumer_spec()
    };
    world.consumer_of(&spec)
}

impl World {
    /// Answers what finds the dead letter topic; the PRODUCER that follows.
    fn locate_dead(&mut self, key: ConnectionKey) -> CommandProducer {
        let asked: CommandPartitionedTopicMetadata =
            self.sent_one(key, Kind::PartitionedMetadata).decode();
        assert_eq!(asked.topic, DEAD);
        let answer = partitions(asked.request_id, 0);
        self.answer(key, Kind::PartitionedMetadataResponse, &answer);
        self.locate_broker(key);
        let asked: CommandProducer = self.sent_one(key, Kind::Producer).decode();
        assert_eq!(asked.topic, DEAD);
        asked
    }
}

#[test]
fn letters_are_published_in_the_consumers_name_and_then_acknowledged() {
    in_pieces(|mut world| {
        let (link, key, consumer) = dying(&mut world);
        world.receive(key, &message_again(consumer, 0, b"one", 2));
        let asked = world.locate_dead(key);
        let name = asked.producer_name.clone().unwrap();
        let (head, tail) = name.split_at(name.len() - "12345-DLQ".len());
        assert_eq!(head, format!("{TOPIC}-s-me-"));
        assert!(tail.ends_with("-DLQ"));
        assert_eq!(asked.user_provided_producer_name, Some(true));
        world.receive(key, &message_again(consumer, 1, b"two", 2));
        assert_eq!(world.sent(key).len(), 0, "not open");
        world.created(key, asked.request_id);
        assert_eq!(
            world.sends(key),
            [(0, "one".to_owned()), (1, "two".to_owned())]
        );
        assert_eq!(world.told(), [], "nobody is told");
        world.pass(Duration::from_millis(100));
        assert_eq!(world.sent(key).len(), 0, "not stored");
        world.receive(key, &receipt(asked.producer_id, 0));
        world.pass(Duration::from_millis(100));
        world.sent_one(key, Kind::Ack);
        world.pulsar.close(world.now, link);
        let kinds: Vec<_> = world.sent(key).iter().map(|sent| sent.kind).collect();
        assert_eq!(kinds, [Kind::CloseProducer, Kind::CloseConsumer]);
        assert_eq!(world.told(), []);
    });
}

#[test]
fn what_failed_for_the_last_time_is_published_from_its_copy() {
    in_pieces(|mut world| {
        let (link, key, consumer) = dying(&mut world);
        world.receive(key, &message_again(consumer, 0, b"one", 1));
        assert_eq!(world.told(), [Told::Payload(b"one".to_vec())]);
        let nacked = world.pulsar.negative_acknowledge(world.now, link, &id(0));
        assert_eq!(nacked, Ok(true));
        world.pass(Duration::from_millis(100));
        let asked = world.locate_dead(key);
        world.created(key, asked.request_id);
        assert_eq!(world.sends(key), [(0, "one".to_owned())]);
    });
}

#[test]
fn without_a_producer_the_broker_keeps_the_messages() {
    in_pieces(|mut world| {
        let (_, key, consumer) = dying(&mut world);
        for _ in 0..2 {
            world.receive(key, &message_again(consumer, 0, b"one", 2));
            let asked = world.locate_dead(key);
            world.error(key, asked.request_id, ServerError::TopicTerminatedError);
            assert_eq!(world.told(), [], "nobody is told");
            assert_eq!(world.sent(key).len(), 0, "it rests");
            world.pass(Duration::from_millis(200));
            world.sent_one(key, Kind::RedeliverUnacknowledgedMessages);
        }
        assert_eq!(world.pulsar.links(), 1);
    });
}

#[test]
fn after_a_failure_a_new_producer_is_made() {
    in_pieces(|mut world| {
        let (_, key, consumer) = dying(&mut world);
        world.receive(key, &message_again(consumer, 0, b"one", 2));
        let asked = world.locate_dead(key);
        world.created(key, asked.request_id);
        assert_eq!(world.sends(key).len(), 1);
        let error = ServerError::NotAllowedError;
        world.receive(key, &send_error(asked.producer_id, 0, error));
        let close: CommandCloseProducer = world.sent_one(key, Kind::CloseProducer).decode();
        let success = CommandSuccess {
            request_id: close.request_id,
        };
        world.answer(key, Kind::Success, &success);
        world.pass(Duration::from_millis(100));
        world.sent_one(key, Kind::RedeliverUnacknowledgedMessages);
        world.receive(key, &message_again(consumer, 0, b"one", 3));
        let again = world.locate_dead(key);
        assert_ne!(again.producer_name, asked.producer_name);
        assert_eq!(world.told(), []);
    });
}

#[test]
fn a_producer_that_is_being_made_is_closed_too() {
    let mut world = World::new(usize::MAX);
    let (link, key, consumer) = dying(&mut world);
    world.receive(key, &message_again(consumer, 0, b"one", 2));
    let asked = world.locate_dead(key);
    world.pulsar.close(world.now, link);
    let sent = world.sent(key);
    let producer: CommandCloseProducer = sent[0].decode();
    assert_eq!(producer.producer_id, asked.producer_id);
    let close: CommandCloseConsumer = sent[1].decode();
    for request_id in [producer.request_id, close.request_id] {
        let success = CommandSuccess { request_id };
        world.answer(key, Kind::Success, &success);
    }
    assert_eq!(world.pulsar.links(), 0);
    assert_eq!(world.told(), []);
}

#[test]
fn a_large_letter_is_published_in_parts() {
    let mut world = World::new(usize::MAX);
    let (_, key, consumer) = dying(&mut world);
    // Not larger than a frame may be, but too large for a message with what is added to it.
    let content = vec![7; 5 << 20];
    world.receive(key, &message_again(consumer, 0, &content, 2));
    let asked = world.locate_dead(key);
    world.created(key, asked.request_id);
    let sends = world.sends(key);
    assert_eq!(sends.len(), 2);
    let all: String = sends.into_iter().map(|(_, part)| part).collect();
    assert!(all.as_bytes() == content);
    world.receive(key, &receipt(asked.producer_id, 0));
    world.pass(Duration::from_millis(200));
    assert_eq!(world.sent(key).len(), 0);
    world.receive(key, &receipt(asked.producer_id, 1));
    world.pass(Duration::from_millis(200));
    world.sent_one(key, Kind::Ack);
}

/// Its parts stay together in one partition, and it is stored when all of them are.
#[test]
fn a_large_letter_goes_to_one_partition() {
    let mut world = World::new(usize::MAX);
    let (_, key, consumer) = dying(&mut world);
    let content = vec![7; 5 << 20];
    world.receive(key, &message_again(consumer, 0, &content, 2));
    world.receive(key, &message_again(consumer, 1, b"small", 2));
    let asked: CommandPartitionedTopicMetadata =
        world.sent_one(key, Kind::PartitionedMetadata).decode();
    let answer = partitions(asked.request_id, 2);
    world.answer(key, Kind::PartitionedMetadataResponse, &answer);
    let mut made = Vec::new();
    for _ in 0..10 {
        for sent in world.sent(key) {
            if sent.kind == Kind::Lookup {
                let asked: CommandLookupTopic = sent.decode();
                let answer = located(asked.request_id, "pulsar://127.0.0.1:6650");
                world.answer(key, Kind::LookupResponse, &answer);
            } else if sent.kind == Kind::Producer {
                let asked: CommandProducer = sent.decode();
                made.push(asked.topic);
                world.created(key, asked.request_id);
            }
            if made.len() == 2 {
                break;
            }
        }
        if made.len() == 2 {
            break;
        }
    }
    made.sort();
    assert_eq!(made, [0, 1].map(|n| format!("{DEAD}-partition-{n}")));
    let sent = world.sent(key);
    let mut producers: Vec<_> = sent.iter().map(|sent| sent.send().0).collect();
    assert_eq!(producers.len(), 3);
    assert_eq!(producers[0], producers[1], "the parts");
    assert_ne!(producers[0], producers[2], "the next one's turn");
    let large = producers[0];
    world.receive(key, &receipt(producers.remove(2), 0));
    world.pass(Duration::from_millis(200));
    world.sent_one(key, Kind::Ack);
    world.receive(key, &receipt(large, 0));
    world.pass(Duration::from_millis(200));
    assert_eq!(world.sent(key).len(), 0, "half of it");
    world.receive(key, &receipt(large, 1));
    world.pass(Duration::from_millis(200));
    world.sent_one(key, Kind::Ack);
}

/// Who has the key can decrypt it where it is now.
#[test]
fn a_letter_that_is_encrypted_stays_so() {
    let mut world = World::new(usize::MAX);
    let spec = consumer::Spec {
        dead_letters: Some(DeadLetters {
            redeliveries_max: 1,
            topic: DEAD.into(),
        }),
        undecryptable: consumer::Undecryptable::Deliver,
        ..consumer_spec()
    };
    let (_, key, consumer) = world.consumer_of(&spec);
    let (mut sealing, mut names) = (Vec::new(), Vec::new());
    put_bytes(&mut names, 1, b"k");
    put_bytes(&mut names, 2, b"v");
    put_uint(&mut sealing, 8, 1);
    put_uint(&mut sealing, 9, 77);
    put_uint(&mut sealing, 11, 3);
    put_bytes(&mut sealing, 13, &names);
    put_bytes(&mut sealing, 15, b"param");
    let sealed = consuming::stored_with(consumer, (3, 0), (&sealing, b"sealed"), 2);
    world.receive(key, &sealed);
    let asked = world.locate_dead(key);
    world.created(key, asked.request_id);
    let sent = world.sent_one(key, Kind::Send);
    let stored = Stored::parse(&sent.rest).unwrap();
    assert_eq!(stored.payload, b"sealed");
    let told = crate::pulsar::consumer::encryption_of(stored.metadata).unwrap();
    assert_eq!(told.param, Some(&b"param"[..]));
    assert_eq!(told.batch_size, Some(3));
    let compressed = (told.compression, told.uncompressed_bytes);
    assert_eq!(compressed, (Compression::Lz4, 77));
    let keys: Vec<_> = told.keys.map(|key| (key.name, key.value)).collect();
    assert_eq!(keys, [(&b"k"[..], &b"v"[..])]);
}
