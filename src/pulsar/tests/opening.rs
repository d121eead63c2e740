//! From a session's wish to a producer or consumer at its broker.

use super::*;
use crate::session::{OpenErrorKind, consumer::Undecryptable, reader};

#[test]
fn connects_as_the_java_service_does() {
    in_pieces(|mut world| {
        let session = world.session();
        world
            .pulsar
            .open(world.now, session, &Spec::Producer(spec()));
        world.settle();
        let (key, address) = world.connecting.remove(0);
        assert_eq!(address, "127.0.0.1:6650".parse().unwrap());
        world.pulsar.handle_connected(world.now, key);
        let connect: super::super::proto::CommandConnect =
            world.sent_one(key, Kind::Connect).decode();
        assert!(!connect.client_version.contains(' '));
        assert_eq!(connect.protocol_version, Some(21));
        assert_eq!(
            connect.original_principal.as_deref(),
            Some("__websocket_dummy_original_principle")
        );
        assert!(world.sent(key).is_empty(), "nothing before CONNECTED");
        world.connected(key);
        world.sent_one(key, Kind::PartitionedMetadata);
    });
}

#[test]
fn opens_when_the_broker_has_made_the_producer() {
    in_pieces(|mut world| {
        let session = world.session();
        world
            .pulsar
            .open(world.now, session, &Spec::Producer(spec()));
        let key = world.connect();
        world.locate(key);
        assert_eq!(world.told(), []);
        let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
        assert_eq!(asked.epoch, Some(0));
        assert_eq!(asked.user_provided_producer_name, Some(false));
        let waits = CommandProducerSuccess {
            producer_ready: Some(false),
            ..success(asked.request_id)
        };
        world.answer(key, Kind::ProducerSuccess, &waits);
        world.pass(Duration::from_secs(20));
        world.pass(Duration::from_secs(9));
        world.sent(key);
        assert_eq!(world.told(), [], "it waits in line at the broker");
        world.created(key, asked.request_id);
        assert_eq!(world.told(), [Told::Opened]);
    });
}

#[test]
fn follows_redirects_to_another_broker() {
    in_pieces(|mut world| {
        let session = world.session();
        world
            .pulsar
            .open(world.now, session, &Spec::Producer(spec()));
        let one = world.connect();
        let asked: CommandPartitionedTopicMetadata =
            world.sent_one(one, Kind::PartitionedMetadata).decode();
        world.answer(
            one,
            Kind::PartitionedMetadataResponse,
            &partitions(asked.request_id, 0),
        );
        let asked: CommandLookupTopic = world.sent_one(one, Kind::Lookup).decode();
        assert_eq!(asked.authoritative, Some(false));
        let redirect = CommandLookupTopicResponse {
            response: Some(CommandLookupTopicResponse::REDIRECT),
            ..located(asked.request_id, "pulsar://10.0.0.2:6651")
        };
        world.answer(one, Kind::LookupResponse, &redirect);
        assert_eq!(world.connecting[0].1, "10.0.0.2:6651".parse().unwrap());
        let two = world.connect();
        let asked: CommandLookupTopic = world.sent_one(two, Kind::Lookup).decode();
        assert_eq!(asked.authoritative, Some(true), "carried on");
        world.answer(
            two,
            Kind::LookupResponse,
            &located(asked.request_id, "pulsar://10.0.0.2:6651"),
        );
        world.create(two);
        assert_eq!(world.told(), [Told::Opened]);
        assert!(world.sent(one).is_empty());
    });
}

#[test]
fn redirects_without_end_are_not_followed() {
    let mut world = World::new(usize::MAX);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    let key = world.connect();
    let asked: CommandPartitionedTopicMetadata =
        world.sent_one(key, Kind::PartitionedMetadata).decode();
    world.answer(
        key,
        Kind::PartitionedMetadataResponse,
        &partitions(asked.request_id, 0),
    );
    for hop in 0..=20 {
        assert_eq!(world.told(), [], "hop {hop}");
        let asked: CommandLookupTopic = world.sent_one(key, Kind::Lookup).decode();
        let redirect = CommandLookupTopicResponse {
            response: Some(CommandLookupTopicResponse::REDIRECT),
            ..located(asked.request_id, "pulsar://127.0.0.1:6650")
        };
        world.answer(key, Kind::LookupResponse, &redirect);
    }
    let told = world.told();
    assert!(
        matches!(&told[..], [Told::OpenFailed(error)] if error.message.ends_with("Too many redirects: 20")),
        "{told:?}"
    );
}

#[test]
fn a_proxy_stays_in_between() {
    let mut world = World::new(usize::MAX);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    let key = world.connect();
    let asked: CommandPartitionedTopicMetadata =
        world.sent_one(key, Kind::PartitionedMetadata).decode();
    world.answer(
        key,
        Kind::PartitionedMetadataResponse,
        &partitions(asked.request_id, 0),
    );
    let asked: CommandLookupTopic = world.sent_one(key, Kind::Lookup).decode();
    let answer = CommandLookupTopicResponse {
        proxy_through_service_url: Some(true),
        ..located(asked.request_id, "pulsar://broker.internal:6650")
    };
    world.answer(key, Kind::LookupResponse, &answer);
    let (through, address) = world.connecting.remove(0);
    assert_eq!(address, "127.0.0.1:6650".parse().unwrap());
    world.pulsar.handle_connected(world.now, through);
    let connect: super::super::proto::CommandConnect =
        world.sent_one(through, Kind::Connect).decode();
    assert_eq!(
        connect.proxy_to_broker_url.as_deref(),
        Some("broker.internal:6650")
    );
    world.connected(through);
    world.create(through);
    assert_eq!(world.told(), [Told::Opened]);
}

#[test]
fn lookups_of_one_topic_are_shared() {
    let mut world = World::new(usize::MAX);
    for _ in 0..3 {
        let session = world.session();
        world
            .pulsar
            .open(world.now, session, &Spec::Producer(spec()));
    }
    let key = world.connect();
    world.locate(key);
    let asked: Vec<CommandProducer> = world.sent(key).iter().map(Sent::decode).collect();
    assert_eq!(asked.len(), 3);
    for asked in asked {
        world.created(key, asked.request_id);
    }
    assert_eq!(world.told(), [Told::Opened, Told::Opened, Told::Opened]);
}

#[test]
fn lookups_are_limited_in_number() {
    let settings = Settings {
        lookups_max: 2,
        ..Settings::default()
    };
    let mut world = World::with(settings, usize::MAX);
    for topic in 0..5 {
        let session = world.session();
        let spec = producer::Spec {
            topic: format!("{TOPIC}-{topic}"),
            ..spec()
        };
        world.pulsar.open(world.now, session, &Spec::Producer(spec));
    }
    let key = world.connect();
    let mut done = 0;
    for _ in 0..20 {
        let sent = world.sent(key);
        let lookups = sent
            .iter()
            .filter(|sent| sent.kind != Kind::Producer)
            .count();
        assert!(lookups <= 2);
        for sent in sent {
            match sent.kind {
                Kind::PartitionedMetadata => {
                    let asked: CommandPartitionedTopicMetadata = sent.decode();
                    let answer = partitions(asked.request_id, 0);
                    world.answer(key, Kind::PartitionedMetadataResponse, &answer);
                }
                Kind::Lookup => {
                    let asked: CommandLookupTopic = sent.decode();
                    let answer = located(asked.request_id, "pulsar://127.0.0.1:6650");
                    world.answer(key, Kind::LookupResponse, &answer);
                }
                _ => {
                    let asked: CommandProducer = sent.decode();
                    world.created(key, asked.request_id);
                    done += 1;
                }
            }
        }
    }
    assert_eq!(done, 5);
    assert_eq!(world.told().len(), 5);
}

#[test]
fn a_host_name_is_resolved_and_its_addresses_tried() {
    let settings = Settings {
        brokers: vec![("broker".into(), 6650)],
        ..Settings::default()
    };
    let mut world = World::with(settings, usize::MAX);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    let others = world.others();
    let [
        Effect::Resolve {
            request,
            host,
            port: 6650,
        },
    ] = &others[..]
    else {
        panic!("{others:?}");
    };
    assert_eq!(host, "broker");
    let addresses = ["10.0.0.1:6650", "[::1]:6650"].map(|a| a.parse().unwrap());
    world
        .pulsar
        .handle_resolved(world.now, *request, Ok(addresses.to_vec()));
    world.settle();
    let (first, address) = world.connecting.remove(0);
    assert_eq!(address, addresses[0]);
    world
        .pulsar
        .handle_disconnected(world.now, first, "refused");
    world.settle();
    assert_eq!(world.connecting[0].1, addresses[1]);
    world.pulsar.handle_connected(world.now, first);
    assert!(
        world.sent(first).is_empty(),
        "the old attempt means nothing"
    );
    let key = world.connect();
    world.sent_one(key, Kind::PartitionedMetadata);
}

#[test]
fn service_hosts_are_tried_in_turn() {
    let settings = Settings {
        brokers: vec![("10.0.0.1".into(), 1), ("10.0.0.2".into(), 2)],
        ..Settings::default()
    };
    let mut world = World::with(settings, usize::MAX);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    world.settle();
    let (first, address) = world.connecting.remove(0);
    assert_eq!(address, "10.0.0.1:1".parse().unwrap());
    world.pass(Duration::from_secs(10));
    assert_eq!(world.others(), [Effect::Disconnect(first)], "too slow");
    assert_eq!(world.connecting[0].1, "10.0.0.2:2".parse().unwrap());
    let key = world.connect();
    world.locate(key);
    // The service host answered for a broker at another address.
    let at_broker = world.connect();
    world.create(at_broker);
    assert_eq!(world.told(), [Told::Opened]);
}

#[test]
fn nobody_there_is_told_when_the_time_is_over() {
    let mut world = World::new(usize::MAX);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    let begin = world.now.mono;
    let mut told = Vec::new();
    for _ in 0..100 {
        if !told.is_empty() {
            break;
        }
        let key = world.pass_until_connecting();
        world.pulsar.handle_disconnected(world.now, key, "refused");
        told = world.told();
    }
    let [Told::OpenFailed(error)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(error.kind, OpenErrorKind::Other);
    assert_eq!(
        error.message,
        "org.apache.pulsar.client.api.PulsarClientException: Could not connect to broker: refused"
    );
    let waited = world.now.mono.since(begin);
    assert!(
        waited > Duration::from_secs(10) && waited <= Duration::from_secs(30),
        "{waited:?}"
    );
    assert_eq!(world.pulsar.links(), 0);
}

#[test]
fn a_broker_that_is_not_ready_is_asked_again() {
    in_pieces(|mut world| {
        let session = world.session();
        world
            .pulsar
            .open(world.now, session, &Spec::Producer(spec()));
        let key = world.connect();
        let asked: CommandPartitionedTopicMetadata =
            world.sent_one(key, Kind::PartitionedMetadata).decode();
        let answer = CommandPartitionedTopicMetadataResponse {
            request_id: asked.request_id,
            response: Some(CommandPartitionedTopicMetadataResponse::FAILED),
            error: Some(ServerError::ServiceNotReady.into()),
            message: Some("starting".into()),
            ..CommandPartitionedTopicMetadataResponse::default()
        };
        world.answer(key, Kind::PartitionedMetadataResponse, &answer);
        assert_eq!(world.told(), []);
        assert!(world.sent(key).is_empty(), "not at once");
        world.pass(Duration::from_millis(100));
        world.locate(key);
        let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
        world.error(key, asked.request_id, ServerError::ServiceNotReady);
        world.pass(Duration::from_millis(100));
        world.locate_broker(key);
        assert_eq!(world.create(key).epoch, Some(1));
        assert_eq!(world.told(), [Told::Opened]);
    });
}

#[test]
fn refusals_end_the_opening() {
    for (error, kind) in [
        (ServerError::ProducerBusy, OpenErrorKind::Busy),
        (
            ServerError::AuthorizationError,
            OpenErrorKind::Authorization,
        ),
        (
            ServerError::TopicTerminatedError,
            OpenErrorKind::Unavailable,
        ),
        (
            ServerError::ProducerBlockedQuotaExceededError,
            OpenErrorKind::Unavailable,
        ),
    ] {
        let mut world = World::new(1);
        let session = world.session();
        world
            .pulsar
            .open(world.now, session, &Spec::Producer(spec()));
        let key = world.connect();
        world.locate(key);
        let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
        world.error(key, asked.request_id, error);
        let message = format!(r#"{{"errorMsg":"no","reqId":{}}}"#, asked.request_id);
        let error = OpenError { kind, message };
        assert_eq!(world.told(), [Told::OpenFailed(error)]);
        assert_eq!(world.pulsar.links(), 0);
    }
}

#[test]
fn a_broker_that_wants_credentials_is_told_to_the_client() {
    let mut world = World::new(1);
    let session = world.session();
    world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    world.settle();
    let (key, _) = world.connecting.remove(0);
    world.pulsar.handle_connected(world.now, key);
    world.sent_one(key, Kind::Connect);
    world.error(key, 0, ServerError::AuthenticationError);
    let error = OpenError {
        kind: OpenErrorKind::Authentication,
        message: "no".into(),
    };
    assert_eq!(world.told(), [Told::OpenFailed(error)]);
    assert_eq!(world.others(), [Effect::Disconnect(key)]);
}

#[test]
fn a_producer_that_is_not_answered_is_closed_at_the_broker() {
    let mut world = World::new(usize::MAX);
    let session = world.session();
    let link = world
        .pulsar
        .open(world.now, session, &Spec::Producer(spec()));
    let key = world.connect();
    world.locate(key);
    let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
    assert_eq!(world.pulsar.waiting_for(link), "creating the producer");
    world.pass(Duration::from_secs(30));
    let told = world.told();
    let [Told::OpenFailed(error)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(error.kind, OpenErrorKind::Timeout);
    assert_eq!(
        error.message,
        format!(
            "request timeout {{'durationMs': '30000', 'reqId':'{}'}}",
            asked.request_id
        )
    );
    let kinds: Vec<_> = world.sent(key).iter().map(|sent| sent.kind).collect();
    assert!(kinds.contains(&Kind::CloseProducer), "{kinds:?}");
}

#[test]
fn a_reader_with_a_broken_position_is_refused() {
    let mut world = World::new(usize::MAX);
    let session = world.session();
    let spec = reader::Spec {
        topic: TOPIC.into(),
        name: None,
        receiver_queue_size: 1,
        start: reader::Start::After(b"nonsense".to_vec()),
        undecryptable: Undecryptable::Leave,
    };
    let link = world.pulsar.open(world.now, session, &Spec::Reader(spec));
    assert!(matches!(&world.told()[..], [Told::OpenFailed(_)]));
    world.pulsar.close(world.now, link);
    assert_eq!(world.pulsar.links(), 0);
}

#[test]
fn a_session_that_ends_while_opening_leaves_nothing_behind() {
    in_pieces(|mut world| {
        let session = world.session();
        let spec = Spec::Producer(spec());
        let link = world.pulsar.open(world.now, session, &spec);
        let key = world.connect();
        world.pulsar.close(world.now, link);
        assert_eq!(world.pulsar.links(), 0);
        world.locate(key);
        assert!(world.sent(key).is_empty());

        let link = world.pulsar.open(world.now, session, &spec);
        world.locate(key);
        let asked: CommandProducer = world.sent_one(key, Kind::Producer).decode();
        world.pulsar.close(world.now, link);
        let close: super::super::proto::CommandCloseProducer =
            world.sent_one(key, Kind::CloseProducer).decode();
        assert_eq!(close.producer_id, asked.producer_id);
        assert_eq!(world.pulsar.links(), 1);
        world.created(key, asked.request_id);
        let success = CommandSuccess {
            request_id: close.request_id,
        };
        world.answer(key, Kind::Success, &success);
        assert_eq!(world.pulsar.links(), 0);
        assert_eq!(world.told(), []);
    });
}
