//! Publishes, their receipts and their failures, on one connection.

use super::*;
use crate::pulsar::proto::CommandCloseProducer;

#[test]
fn receipts_come_in_order_with_the_message_id_of_the_java_service() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a", "b", "c"]);
        assert!(world.pulsar.in_flight_bytes(link) > 3);
        let effects: Vec<_> = std::iter::from_fn(|| world.pulsar.poll_effect()).collect();
        assert_eq!(effects, [Effect::Write(key)], "said once");
        let bytes = world.pulsar.take_outbox(key).unwrap();
        world.written.entry(key).or_default().put(bytes);
        assert!(world.pulsar.take_outbox(key).is_none(), "one write a turn");
        let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(n, s)| (n, s.to_owned()));
        assert_eq!(world.sends(key), expected);
        world.receipt(key, link, 0);
        world.receipt(key, link, 1);
        assert_eq!(world.told(), [stored(0), stored(1)]);
        world.receipt(key, link, 1);
        assert_eq!(world.told(), [], "a receipt that came already");
        world.receipt(key, link, 2);
        assert_eq!(world.told(), [stored(2)]);
        assert_eq!(world.pulsar.in_flight_bytes(link), 0);
        assert_eq!(world.pulsar.segments.len(), 0, "nothing is kept");
    });
}

#[test]
fn many_receipts_in_one_piece() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        let mut receipts = Vec::new();
        for sequence in 0..50 {
            world.publish(link, "x").unwrap();
            receipts.extend(receipt(link.0, sequence));
        }
        world.settle();
        world.receive(key, &receipts);
        assert_eq!(world.told(), (0..50).map(stored).collect::<Vec<_>>());
    });
}

#[test]
fn sequence_ids_go_on_from_what_is_known() {
    let sequence = |spec: producer::Spec, last: i64| {
        let mut world = World::new(usize::MAX);
        let session = world.session();
        let link = world.pulsar.open(world.now, session, &Spec::Producer(spec));
        let key = world.connect();
        world.locate(key);
        let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
        let success = CommandProducerSuccess {
            last_sequence_id: Some(last),
            ..success(asked.request_id)
        };
        world.answer(key, Kind::ProducerSuccess, &success);
        world.publish(link, "x").unwrap();
        world.sends(key)[0].0
    };
    let initial = |id| producer::Spec {
        initial_sequence_id: Some(id),
        ..spec()
    };
    assert_eq!(sequence(spec(), -1), 0);
    assert_eq!(sequence(spec(), 41), 42, "what the broker knows");
    assert_eq!(sequence(initial(10), 41), 11, "what the user says");
    assert_eq!(sequence(initial(-5), -1), -4);
    assert_eq!(sequence(initial(-1), 41), 0, "also when it gives zero");
}

#[test]
fn what_can_not_be_sent_is_refused_at_once() {
    let mut world = World::new(usize::MAX);
    let (link, key) = world.producer();
    let error = world.publish(link, "broken").unwrap_err();
    assert_eq!(error, PublishError::Encoding("bad base64".into()));
    let large = "x".repeat((5 << 20) + 1);
    let error = world.publish(link, &large).unwrap_err();
    let text = format!(
        "org.apache.pulsar.client.api.PulsarClientException$InvalidMessageException: \
         The producer made-up of the topic {TOPIC} sends a  message with 5242881 bytes that exceeds 5242880 bytes"
    );
    assert_eq!(error, PublishError::Backend(text));
    let error = world.publish(link, &large[..5 << 20]).unwrap_err();
    let PublishError::Backend(text) = error else {
        panic!("{error:?}");
    };
    assert!(text.contains("sends a message with 52429"), "{text}");
    assert_eq!(world.pulsar.in_flight_bytes(link), 0);
    assert!(world.sends(key).is_empty());
    world.publish(link, "fine").unwrap();
    assert_eq!(world.sends(key), [(0, "fine".into())]);
    world.publish(link, &large[..(5 << 20) - 100]).unwrap();
    assert_eq!(world.sends(key).len(), 1);
}

#[test]
fn all_fail_when_the_oldest_has_waited_too_long() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish(link, "a").unwrap();
        world.pass(Duration::from_millis(10_000));
        world.publish(link, "b").unwrap();
        world.pass(Duration::from_millis(19_999));
        assert_eq!(world.told(), []);
        world.pass(Duration::from_millis(1));
        let text = |created: &str| {
            Told::Failed(format!(
                "org.apache.pulsar.client.api.PulsarClientException$TimeoutException: The producer \
                 made-up can not send message to the topic {TOPIC} within given timeout : createdAt \
                 {created} seconds ago, firstSentAt {created} seconds ago, lastSentAt {created} seconds ago, retryCount 1"
            ))
        };
        assert_eq!(world.told(), [text("30.0"), text("20.0")]);
        world.receipt(key, link, 0);
        assert_eq!(world.told(), [], "too late");
        world.publish(link, "c").unwrap();
        world.receipt(key, link, 1);
        assert_eq!(world.told(), []);
        world.receipt(key, link, 2);
        assert_eq!(world.told(), [stored(2)]);
        assert_eq!(world.pulsar.segments.len(), 0);
    });
}

#[test]
fn without_a_send_timeout_nothing_fails() {
    let settings = Settings {
        keep_alive_interval: None,
        ..Settings::default()
    };
    let mut world = World::with(settings, usize::MAX);
    let spec = producer::Spec {
        send_timeout: None,
        ..spec()
    };
    let (link, key) = world.producer_of(&spec);
    world.publish(link, "a").unwrap();
    world.pass(Duration::from_secs(100_000));
    assert_eq!(world.told(), []);
    world.receipt(key, link, 0);
    assert_eq!(world.told(), [stored(0)]);
}

#[test]
fn a_receipt_that_skips_some_ends_the_connection() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a", "b"]);
        world.settle();
        world.receipt(key, link, 1);
        assert_eq!(world.told(), []);
        assert_eq!(world.others(), [Effect::Disconnect(key)]);
        let key = world.pass_until_connecting();
        world.pulsar.handle_connected(world.now, key);
        world.sent_one(key, Kind::Connect);
        world.connected(key);
        world.locate_broker(key);
        world.create(key);
        assert_eq!(world.sends(key), [(0, "a".into()), (1, "b".into())]);
    });
}

#[test]
fn a_message_broken_on_the_way_is_sent_again() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a", "b"]);
        assert_eq!(world.sends(key).len(), 2);
        world.publish(link, "c").unwrap();
        world.receive(key, &send_error(link.0, 0, ServerError::ChecksumError));
        let sends: Vec<_> = world.sends(key).into_iter().map(|(n, _)| n).collect();
        assert_eq!(sends, [2, 0, 1, 2]);
        world.receipt(key, link, 0);
        assert_eq!(world.told(), [stored(0)]);
    });
}

#[test]
fn one_message_may_be_refused() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a", "b"]);
        world.settle();
        world.receive(key, &send_error(link.0, 1, ServerError::NotAllowedError));
        assert_eq!(world.told(), [], "not the oldest");
        world.receive(key, &send_error(link.0, 0, ServerError::NotAllowedError));
        let text = "org.apache.pulsar.client.api.PulsarClientException$NotAllowedException: no";
        assert_eq!(world.told(), [Told::Failed(text.into())]);
        world.receipt(key, link, 1);
        assert_eq!(world.told(), [stored(1)]);
    });
}

#[test]
fn a_terminated_topic_refuses_for_ever() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a", "b"]);
        world.sends(key);
        world.receive(
            key,
            &send_error(link.0, 0, ServerError::TopicTerminatedError),
        );
        let text = format!(
            "org.apache.pulsar.client.api.PulsarClientException$TopicTerminatedException: \
             The topic {TOPIC} that the producer made-up produces to has been terminated"
        );
        let told = world.told();
        assert_eq!(told, [Told::Failed(text.clone()), Told::Failed(text)]);
        let text = "org.apache.pulsar.client.api.PulsarClientException$TopicTerminatedException: \
                    Topic was terminated";
        let error = world.publish(link, "c").unwrap_err();
        assert_eq!(error, PublishError::Backend(text.into()));
        world.lose(key);
        world.pass(Duration::from_secs(60));
        assert!(world.connecting.is_empty(), "it does not come back");
        world.pulsar.close(world.now, link);
        assert_eq!(world.pulsar.links(), 0);
    });
}

#[test]
fn other_errors_make_the_producer_anew() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a"]);
        world.sends(key);
        world.receive(key, &send_error(link.0, 0, ServerError::PersistenceError));
        assert_eq!(world.told(), []);
        world.publish(link, "b").unwrap();
        assert!(world.sends(key).is_empty());
        world.pass(Duration::from_millis(100));
        world.locate_broker(key);
        assert_eq!(world.create(key).epoch, Some(1));
        assert_eq!(world.sends(key), [(0, "a".into()), (1, "b".into())]);
    });
}

#[test]
fn a_session_that_ends_leaves_its_publishes_to_the_broker() {
    in_pieces(|mut world| {
        let (link, key) = world.producer();
        world.publish_all(link, &["a"]);
        world.pulsar.close(world.now, link);
        let sent = world.sent(key);
        let kinds: Vec<_> = sent.iter().map(|sent| sent.kind).collect();
        assert_eq!(kinds, [Kind::Send, Kind::CloseProducer], "still written");
        assert_eq!(world.pulsar.segments.len(), 0);
        assert!(world.publish(link, "b").is_err());
        world.receipt(key, link, 0);
        assert_eq!(world.told(), []);
        assert_eq!(world.pulsar.links(), 1);
        let close: CommandCloseProducer = sent[1].decode();
        let success = CommandSuccess {
            request_id: close.request_id,
        };
        world.answer(key, Kind::Success, &success);
        assert_eq!(world.pulsar.links(), 0);
        world.pulsar.close(world.now, link);
    });
}

#[test]
fn a_close_that_is_not_answered_is_forgotten() {
    let mut world = World::new(usize::MAX);
    let (one, _) = world.producer();
    world.pulsar.close(world.now, one);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.pulsar.links(), 0);
}
