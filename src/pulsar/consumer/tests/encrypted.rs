//! Entries that can't be decrypted here.

use super::*;

fn with(undecryptable: Undecryptable) -> Spec {
    Spec {
        undecryptable,
        receiver_queue_size: 2,
        ..spec(SubscriptionType::Shared)
    }
}

fn encrypted() -> Metadata {
    Metadata {
        encryption_keys: vec![EncryptionKeys {
            key: "k".into(),
            value: b"value".to_vec(),
            metadata: vec![proto::KeyValue {
                key: "m".into(),
                value: "1".into(),
            }],
        }],
        encryption_param: Some(b"param".to_vec()),
        compression: Some(1),
        uncompressed_size: Some(100),
        ..metadata()
    }
}

#[test]
fn they_are_delivered_as_they_are() {
    let mut bench = Bench::fresh(&with(Undecryptable::Deliver));
    let [got] = &bench.receive(&at(1).with(&encrypted(), b"no lz4"))[..] else {
        panic!("one message");
    };
    assert_eq!(got.id, id(1));
    assert_eq!(got.payload.as_deref(), Some(&b"no lz4"[..]));
    assert_eq!(
        got.encryption.as_deref(),
        Some(r#"k=value m:1, Some("param") None Lz4 100 None"#)
    );
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    assert!(bench.ack(&id(1)));

    let bare = Metadata {
        encryption_param: None,
        encryption_algo: Some("a".into()),
        ..encrypted()
    };
    let got = bench.receive(&at(2).with(&bare, b"x"));
    assert_eq!(
        got[0].encryption.as_deref(),
        Some(r#"k=value m:1, None Some("a") Lz4 100 None"#),
        "a missing parameter harms nobody"
    );
}

/// The broker took a permit for each message of the batch.
#[test]
fn a_batch_is_one_message() {
    let batch = Metadata {
        num_messages_in_batch: Some(10),
        ..encrypted()
    };
    let mut bench = Bench::fresh(&with(Undecryptable::Deliver));
    bench.room = 0;
    assert_eq!(bench.receive(&at(1).with(&batch, b"sealed")), []);
    assert_eq!(bench.sent(), [Sent::Flow(9)]);
    let [got] = &bench.take(5)[..] else {
        panic!("one message");
    };
    assert_eq!(
        (&got.id, got.payload.as_deref()),
        (&id(1), Some(&b"sealed"[..]))
    );
    let told = got.encryption.as_deref().unwrap();
    assert!(told.ends_with("Lz4 100 Some(10)"), "{told}");
    assert_eq!(bench.sent(), [Sent::Flow(1)]);
    assert_eq!(
        bench.receive(&at(1).with(&batch, b"sealed")),
        [],
        "it is with the client"
    );
    assert_eq!(bench.sent(), [Sent::Flow(10)]);
    assert!(bench.ack(&id(1)));
    bench.pass(100 * MS);
    assert_eq!(bench.sent(), [Sent::Ack(vec![(1, vec![])])]);
}

#[test]
fn they_are_acknowledged_unseen() {
    let mut bench = Bench::fresh(&with(Undecryptable::Discard));
    assert_eq!(bench.receive(&at(1).with(&encrypted(), b"x")), []);
    assert_eq!(bench.sent(), [Sent::Corrupt(1, 4), Sent::Flow(1)]);
}

/// `ConsumerImpl.decryptPayloadIfNeeded` hands them to the tracker of unacknowledged messages.
#[test]
fn left_ones_are_asked_for_when_patience_ends() {
    for subscription_type in [SubscriptionType::Shared, SubscriptionType::Exclusive] {
        let mut bench = Bench::fresh(&Spec {
            ack_timeout: Some(1000 * MS),
            subscription_type,
            ..with(Undecryptable::Leave)
        });
        for entry in [1, 2] {
            assert_eq!(bench.receive(&at(entry).with(&encrypted(), b"x")), []);
            assert_eq!(bench.sent(), [Sent::Flow(1)]);
        }
        bench.pass(1999 * MS);
        assert_eq!(bench.sent(), []);
        assert_eq!(bench.pass(MS), 0);
        let asked = bench.sent();
        if subscription_type == SubscriptionType::Shared {
            assert_eq!(asked, [Sent::Redeliver(vec![1, 2])]);
        } else {
            assert!(matches!(asked[..], [Sent::RedeliverAll(_)]), "{asked:?}");
        }
        bench.pass(5000 * MS);
        assert_eq!(bench.sent(), []);
    }
}

#[test]
fn readers_are_told_nothing_of_it() {
    let reader = crate::session::reader::Spec {
        topic: "persistent://public/default/t".into(),
        name: None,
        receiver_queue_size: 10,
        start: crate::session::reader::Start::Earliest,
        undecryptable: Undecryptable::Deliver,
    };
    let mut bench = Bench::fresh(ConsumerSpec::try_from(&reader).unwrap());
    let got = bench.receive(&at(1).with(&encrypted(), b"x"));
    assert_eq!(got[0].payload.as_deref(), Some(&b"x"[..]));
    assert_eq!(got[0].encryption, None);
}

/// A dead letter keeps what it takes to decrypt it, and looks like before to who can't.
#[test]
fn they_die_as_they_are() {
    let batch = Metadata {
        num_messages_in_batch: Some(10),
        ..encrypted()
    };
    let mut bench = Bench::fresh(&Spec {
        dead_letters: Some(crate::session::consumer::DeadLetters {
            redeliveries_max: 1,
            topic: String::new(),
        }),
        receiver_queue_size: 26,
        ..with(Undecryptable::Deliver)
    });
    for (entry, stored) in [(1, &encrypted()), (2, &batch), (3, &metadata())] {
        let dead = Envelope {
            redelivery_count: Some(2),
            ..at(entry)
        };
        assert_eq!(bench.receive(&dead.with(stored, b"sealed")), []);
        let letter = bench.consumer.take_letter().unwrap();
        let mut letters = 0;
        let each = letter.try_each(|message| {
            letters += 1;
            assert_eq!(message.delivery.payload, Some(&b"sealed"[..]));
            if entry == 3 {
                assert!(message.sealing.is_empty());
                return Ok(());
            }
            let kept = Metadata {
                producer_name: String::new(),
                publish_time: 0,
                ..stored.clone()
            };
            assert_eq!(Metadata::decode(&message.sealing[..]), Ok(kept));
            Ok::<(), ()>(())
        });
        assert_eq!((each, letters), (Ok(()), 1));
    }
    assert_eq!(bench.sent(), [], "1 and 10 and 1 permits are back");
    let dead = Envelope {
        redelivery_count: Some(2),
        ..at(4)
    };
    bench.receive(&dead.plain(b"x"));
    assert_eq!(bench.sent(), [Sent::Flow(13)]);
}
