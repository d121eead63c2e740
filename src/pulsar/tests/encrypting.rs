//! Producers whose messages are encrypted, by the client or here.

use super::*;
use crate::{
    config::EncryptionKeys,
    pulsar::consumer::encryption_of,
    session::{
        OpenErrorKind, Sealed,
        producer::{Batching, Encryption, EncryptionKey},
    },
};

const PUBLIC: &str = include_str!("../../../tests/data/crypto/rsa-public.pem");
const PRIVATE: &str = include_str!("../../../tests/data/crypto/rsa-pkcs1.pem");

fn here(names: &[&str]) -> producer::Spec {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    producer::Spec {
        encryption: Some(Encryption::Here(names)),
        ..spec()
    }
}

fn with_keys() -> World {
    let keys = EncryptionKeys::from_pem(&[("key", PUBLIC)], &[("key", PRIVATE)]).unwrap();
    let mut world = World::with(
        Settings {
            encryption_keys: keys.clone(),
            ..Settings::default()
        },
        usize::MAX,
    );
    world.scratch = Scratch::new(keys);
    world
}

/// How a session that can't be opened is refused.
fn refused(mut world: World, spec: producer::Spec) -> (OpenErrorKind, String) {
    let session = world.session();
    world.pulsar.open(world.now, session, &Spec::Producer(spec));
    match world.pulsar.poll_event(world.now) {
        Some(Event::OpenFailed { error, .. }) => (error.kind, error.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_are_looked_for_before_anything_is_asked() {
    let without = "Can't add encryption key without configuring cryptoKeyReaderFactoryClassName";
    for names in [&["key"][..], &[""]] {
        let expected = (OpenErrorKind::Other, without.to_owned());
        assert_eq!(refused(World::new(usize::MAX), here(names)), expected);
    }
    let blank = "Encryption key cannot be blank".to_owned();
    let expected = (OpenErrorKind::Invalid, blank);
    assert_eq!(refused(with_keys(), here(&["key", " "])), expected);
    let (kind, text) = refused(with_keys(), here(&["key", "nobody"]));
    assert_eq!(kind, OpenErrorKind::Other);
    assert_eq!(
        class(&text),
        "org.apache.pulsar.client.api.PulsarClientException$CryptoException"
    );
    assert!(
        text.ends_with("Failed to load public key nobody. It is not configured"),
        "{text}"
    );
}

#[test]
fn a_clients_keys_go_with_each_message() {
    let mut world = World::new(usize::MAX);
    let key = EncryptionKey {
        name: "k".to_owned(),
        value: b"v".to_vec(),
        metadata: vec![("m".to_owned(), "1".to_owned())],
    };
    let (link, at) = world.producer_of(&producer::Spec {
        encryption: Some(Encryption::ByClient(vec![key.clone(), key])),
        ..spec()
    });
    for (compressed, expected) in [
        (None, (Compression::None, 6)),
        (Some((Compression::Zstd, 70)), (Compression::Zstd, 70)),
        // Java takes a size that is none for one that was not given.
        (Some((Compression::Lz4, 0)), (Compression::Lz4, 6)),
        (Some((Compression::Lz4, -1)), (Compression::Lz4, 6)),
    ] {
        let publish = Publish {
            sealed: Some(Sealed {
                param: b"param",
                compressed,
            }),
            ..publish("sealed")
        };
        world.pulsar.publish(world.now, link, &publish).unwrap();
        world.settle();
        let sent = world.sent(at);
        let [sent] = &sent[..] else {
            panic!("{sent:?}");
        };
        let stored = Stored::parse(&sent.rest).unwrap();
        assert_eq!(stored.payload, b"sealed");
        let told = encryption_of(stored.metadata).unwrap();
        assert_eq!((told.compression, told.uncompressed_bytes), expected);
        assert_eq!(told.param, Some(&b"param"[..]));
        let keys: Vec<_> = told.keys.map(|key| (key.name, key.value)).collect();
        assert_eq!(keys, [(&b"k"[..], &b"v"[..]); 2]);
    }
}

/// Encryption adds to an entry; still none is larger than the broker takes.
#[test]
fn batches_leave_room_for_it() {
    const MAX: usize = 5000;
    let mut world = with_keys();
    let batching = Batching {
        messages_max: None,
        delay: Duration::from_millis(1),
        pending_max: None,
    };
    let spec = Spec::Producer(producer::Spec {
        batching: Some(batching),
        ..here(&["key"])
    });
    let session = world.session();
    let link = world.pulsar.open(world.now, session, &spec);
    world.settle();
    let (at, _) = world.connecting.remove(0);
    world.pulsar.handle_connected(world.now, at);
    world.sent_one(at, Kind::Connect);
    let connected = CommandConnected {
        server_version: "scripted".into(),
        protocol_version: Some(21),
        max_message_size: Some(i32::try_from(MAX).unwrap()),
        ..CommandConnected::default()
    };
    world.answer(at, Kind::Connected, &connected);
    world.locate(at);
    assert_eq!(world.create(at).encrypted, Some(true));
    assert_eq!(world.told(), [Told::Opened]);
    let texts: Vec<_> = (0..200).map(|len| "x".repeat(len * 7 % 997)).collect();
    for text in &texts {
        world.publish(link, text).unwrap();
    }
    world.pass(Duration::from_millis(2));
    let sent = world.sent(at);
    assert!(sent.len() > 10);
    let mut messages = 0;
    for sent in &sent {
        let stored = Stored::parse(&sent.rest).unwrap();
        assert!(stored.metadata.len() + stored.payload.len() <= MAX);
        assert!(!stored.payload.windows(7).any(|bytes| bytes == b"xxxxxxx"));
        messages += encryption_of(stored.metadata)
            .unwrap()
            .batch_size
            .unwrap_or(1);
    }
    assert_eq!(messages as usize, texts.len());
}
