use std::fmt::Write;

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::{
    pulsar::{
        payload::{Compression, Space},
        wire::{Frame, Stored},
    },
    session::Key,
};

const PUBLIC: &str = include_str!("../../../tests/data/crypto/rsa-public.pem");
const PRIVATE: &str = include_str!("../../../tests/data/crypto/rsa-pkcs8.pem");
const PRIVATE_PKCS1: &str = include_str!("../../../tests/data/crypto/rsa-pkcs1.pem");

const NOW: Instant = Instant(1_000_000_000);

fn keys() -> EncryptionKeys {
    let public = [("key", PUBLIC), ("other", PUBLIC), ("last", PUBLIC)];
    EncryptionKeys::from_pem(&public, &[("key", PRIVATE), ("old", PRIVATE_PKCS1)]).unwrap()
}

fn sealer(names: &[&str]) -> Sealer {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    Sealer::new(&names, &keys()).unwrap()
}

/// Takes a field 13 (name, value) off metadata, for our own eyes.
fn next_key<'a>(encoded: &mut &'a [u8]) -> Option<Key<'a>> {
    crate::pulsar::consumer::next_encryption_key(encoded)
}

fn keys_of(metadata: &[u8]) -> Keys<'_> {
    Keys {
        encoded: metadata,
        next: next_key,
    }
}

/// Opens a payload, decrypting data keys as they are wanted; tells how many besides.
fn open_counting(
    opener: &mut Opener,
    now: Instant,
    stored: Keys<'_>,
    param: Option<&[u8]>,
    sealed: &[u8],
) -> (Option<Vec<u8>>, usize) {
    for decrypted in 0..100 {
        match opener.open(now, stored, param, sealed) {
            Opening::Content(content) => return (Some(content.to_vec()), decrypted),
            Opening::Sealed => return (None, decrypted),
            Opening::Wants(key) => {
                let data_key = keys().decrypt(&key.name, &key.value);
                opener.learn(now, &key, data_key);
            }
        }
    }
    panic!("wants keys for ever");
}

fn open(
    opener: &mut Opener,
    now: Instant,
    stored: Keys<'_>,
    param: Option<&[u8]>,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    open_counting(opener, now, stored, param, sealed).0
}

/// What was stored for a payload, and the payload encrypted.
fn seal(sealer: &mut Sealer, now: Instant, payload: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    sealer.prepare(now).unwrap();
    let seal = sealer.next().unwrap();
    let mut out = BytesMut::from(&b"before"[..]);
    out.extend_from_slice(payload);
    seal.encrypt(&mut out, 6);
    assert_eq!(out.len(), 6 + payload.len() + seal.tag_len());
    (seal.keys.to_vec(), seal.param.to_vec(), out[6..].to_vec())
}

#[test]
fn whoever_has_the_key_reads_it() {
    let mut sealer = sealer(&["other", "key", "last", "key"]);
    let mut opener = Opener::new(keys());
    let mut params = Vec::new();
    for payload in [&b""[..], b"secret", &[7; 5000]] {
        let (encrypted, param, sealed) = seal(&mut sealer, NOW, payload);
        let names: Vec<_> = keys_of(&encrypted).map(|key| key.name.to_vec()).collect();
        assert_eq!(names, [&b"key"[..], b"last", b"other"], "sorted, each once");
        let open = open_counting(&mut opener, NOW, keys_of(&encrypted), Some(&param), &sealed);
        let is_first = params.is_empty();
        assert_eq!(open, (Some(payload.to_vec()), usize::from(is_first)));
        params.push(param);
    }
    params.dedup();
    assert_eq!(params.len(), 3, "no nonce twice");
}

/// A data key is known by its bytes and by the name of the key that decrypts it.
#[test]
fn only_the_same_data_key_is_known() {
    let (encrypted, param, sealed) = seal(&mut sealer(&["key"]), NOW, b"secret");
    let mut opener = Opener::new(keys());
    let mut decrypted = |encrypted: &[u8]| {
        open_counting(&mut opener, NOW, keys_of(encrypted), Some(&param), &sealed)
    };
    let content = Some(b"secret".to_vec());
    assert_eq!(decrypted(&encrypted), (content.clone(), 1));
    assert_eq!(decrypted(&encrypted), (content.clone(), 0));
    let value = keys_of(&encrypted).next().unwrap().value.to_vec();
    let one = |name: &[u8], value: &[u8]| {
        let mut encoded = Vec::new();
        put_encryption_key(name, value, &[], &mut encoded);
        encoded
    };
    // Both names stand for one private key.
    let old = one(b"old", &value);
    assert_eq!(decrypted(&old), (content.clone(), 1), "another name");
    let mut wrong = value;
    wrong[100] ^= 1;
    let wrong = one(b"key", &wrong);
    assert_eq!(decrypted(&wrong), (None, 1), "other bytes");
    assert_eq!(decrypted(&wrong), (None, 0), "known as wrong");
    // What is known is tried first, wherever it stands.
    let both = [&one(b"key", &[7; 256])[..], &encrypted].concat();
    assert_eq!(decrypted(&both), (content, 0));
}

/// However many keys an entry has, it has an answer soon.
#[test]
fn so_many_keys_of_an_entry_are_tried() {
    let mut encoded = Vec::new();
    for number in 0..2 * u8::try_from(TRIED_MAX).unwrap() {
        put_encryption_key(b"key", &[number; 256], &[], &mut encoded);
        put_encryption_key(b"nobody", &[number; 256], &[], &mut encoded);
        put_encryption_key(b"key", &[number; 255], &[], &mut encoded);
    }
    let (_, param, sealed) = seal(&mut sealer(&["key"]), NOW, b"secret");
    let mut opener = Opener::new(keys());
    let open = open_counting(&mut opener, NOW, keys_of(&encoded), Some(&param), &sealed);
    assert_eq!(open, (None, TRIED_MAX as usize));
    opener.waits_for_none = true;
    let open = opener.open(NOW, keys_of(&encoded), Some(&param), &sealed);
    assert_eq!(open, Opening::Sealed);
}

#[test]
fn who_waits_for_none_gets_what_is_known() {
    let (encrypted, param, sealed) = seal(&mut sealer(&["key"]), NOW, b"secret");
    let mut opener = Opener::new(keys());
    opener.waits_for_none = true;
    let opening = opener.open(NOW, keys_of(&encrypted), Some(&param), &sealed);
    assert_eq!(opening, Opening::Sealed);
    opener.waits_for_none = false;
    assert!(open(&mut opener, NOW, keys_of(&encrypted), Some(&param), &sealed).is_some());
    opener.waits_for_none = true;
    let opening = opener.open(NOW, keys_of(&encrypted), Some(&param), &sealed);
    assert_eq!(opening, Opening::Content(b"secret"));
}

#[test]
fn what_is_broken_stays_closed() {
    let (encrypted, param, sealed) = seal(&mut sealer(&["key"]), NOW, b"secret");
    let mut opener = Opener::new(keys());
    let mut opens = |param: Option<&[u8]>, keys: &[u8], sealed: &[u8]| {
        open(&mut opener, NOW, keys_of(keys), param, sealed).is_some()
    };
    assert!(opens(Some(&param), &encrypted, &sealed));
    assert!(!opens(None, &encrypted, &sealed));
    assert!(!opens(Some(&param[1..]), &encrypted, &sealed));
    assert!(!opens(Some(&param), b"", &sealed));
    assert!(!opens(Some(&param), &encrypted, &sealed[..15]));
    for at in 0..sealed.len() {
        let mut broken = sealed.clone();
        broken[at] ^= 1;
        assert!(!opens(Some(&param), &encrypted, &broken));
    }
    let mut other = encrypted.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(!opens(Some(&param), &other, &sealed));
    // Whoever has no key gets nothing, and does nothing for it.
    let mut stranger = Opener::default();
    let opening = stranger.open(NOW, keys_of(&encrypted), Some(&param), &sealed);
    assert_eq!(opening, Opening::Sealed);
}

#[test]
fn a_data_key_is_used_for_four_hours() {
    let mut sealer = sealer(&["key"]);
    let mut key_at = |now| seal(&mut sealer, now, b"x").0;
    let first = key_at(NOW);
    let almost = NOW + DATA_KEY_LIFE.saturating_sub(Duration::from_nanos(1));
    assert_eq!(key_at(almost), first);
    assert_ne!(key_at(NOW + DATA_KEY_LIFE), first);
}

#[test]
fn so_many_data_keys_are_remembered() {
    let mut opener = Opener::new(keys());
    // Wrong ones are remembered as such.
    let mut try_key = |number: u64, now| {
        let mut value = vec![0; 256];
        value[248..].copy_from_slice(&number.to_be_bytes());
        let mut encoded = Vec::new();
        put_encryption_key(b"key", &value, &[], &mut encoded);
        let open = open(
            &mut opener,
            now,
            keys_of(&encoded),
            Some(&[0; 12]),
            &[0; 16],
        );
        assert_eq!(open, None);
        opener.opened.len()
    };
    for number in 0..3 {
        assert_eq!(try_key(number, NOW), usize::try_from(number).unwrap() + 1);
    }
    assert_eq!(
        try_key(
            1,
            NOW + DATA_KEY_LIFE.saturating_sub(Duration::from_secs(1))
        ),
        3
    );
    assert_eq!(
        try_key(9, NOW + DATA_KEY_LIFE),
        2,
        "those nobody needed are gone"
    );
    for number in 10..10 + OPENED_MAX as u64 {
        opener.opened.insert(
            number.to_be_bytes().to_vec(),
            Opened {
                key: None,
                used: Instant(2 * NOW.0 + number),
            },
        );
    }
    let later = Instant(3 * NOW.0);
    opener.opened.retain(|_, opened| opened.used < later);
    let before = opener.opened.len();
    opener.make_room(later);
    assert_eq!((before, opener.opened.len()), (OPENED_MAX, OPENED_MAX - 1));
    assert!(
        !opener.opened.contains_key(&10u64.to_be_bytes()[..]),
        "the oldest is gone"
    );
}

#[test]
fn names_without_key_are_told() {
    let names = ["key".to_owned(), "nobody".to_owned()];
    let error = Sealer::new(&names, &keys()).unwrap_err();
    assert_eq!(
        error,
        "Failed to load public key nobody. It is not configured"
    );
}

#[test]
fn nothing_secret_is_shown() {
    let mut sealer = sealer(&["key"]);
    seal(&mut sealer, NOW, b"x");
    let mut shown = String::new();
    write!(shown, "{sealer:?} {:?} {:?}", Opener::new(keys()), keys()).unwrap();
    assert_eq!(
        shown,
        r#"Sealer { recipients: ["key"], .. } Opener { opened: 0, .. } EncryptionKeys { public: ["key", "last", "other"], private: ["key", "old"] }"#
    );
}

fn captured(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/data/golden/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let hex = text
        .lines()
        .find_map(|line| line.strip_prefix("client SEND "))
        .unwrap();
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

/// What the Java client encrypted for our key.
#[test]
fn we_open_what_java_sealed() {
    let content = "secret ".repeat(20);
    let mut opener = Opener::new(keys());
    let mut space = Space::default();
    for (name, compression) in [("none", Compression::None), ("lz4", Compression::Lz4)] {
        let frame = captured(&format!("encrypted-{name}"));
        let stored = Stored::parse(Frame::parse(&frame).unwrap().rest).unwrap();
        let metadata = crate::pulsar::consumer::encryption_of(stored.metadata).unwrap();
        let (param, size) = (metadata.param, metadata.uncompressed_bytes);
        let sealed = stored.payload;
        let opened = open(&mut opener, NOW, keys_of(stored.metadata), param, sealed).unwrap();
        let content_here = space.decompress(compression, &opened, size).unwrap();
        assert_eq!(content_here, content.as_bytes());

        let frame = captured(&format!("encrypted-batch-{name}"));
        let stored = Stored::parse(Frame::parse(&frame).unwrap().rest).unwrap();
        let metadata = crate::pulsar::consumer::encryption_of(stored.metadata).unwrap();
        assert_eq!(metadata.batch_size, Some(2));
        let (param, size) = (metadata.param, metadata.uncompressed_bytes);
        let sealed = stored.payload;
        let opened = open(&mut opener, NOW, keys_of(stored.metadata), param, sealed).unwrap();
        let batch = space.decompress(compression, &opened, size).unwrap();
        assert!(batch.ends_with("two ".repeat(20).as_bytes()));
    }
    assert_eq!(
        opener.opened.len(),
        4,
        "each producer has a data key of its own"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_answered(keys: Vec<u8>, param: Vec<u8>, sealed: Vec<u8>) {
        let mut opener = Opener::new(EncryptionKeys::default());
        let opening = opener.open(NOW, keys_of(&keys), Some(&param), &sealed);
        prop_assert_eq!(opening, Opening::Sealed);
    }
}

#[test]
fn what_is_said_of_a_key_is_kept() {
    let pairs = [("m".to_owned(), "1".to_owned())];
    let mut encoded = Vec::new();
    put_encryption_key(b"k", b"v", &pairs, &mut encoded);
    let key = keys_of(&encoded).next().unwrap();
    assert_eq!((key.name, key.value), (&b"k"[..], &b"v"[..]));
    let read: Vec<_> = key.metadata.collect();
    assert_eq!(read, [(&b"m"[..], &b"1"[..])]);
}
