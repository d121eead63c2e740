//! CONNECT, lookups, PRODUCER, SUBSCRIBE, the ends of both, and refusals.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use prost::Message as _;
use pulsar::message::{
    BaseCommand,
    proto::{
        CommandCloseConsumer, CommandCloseProducer, CommandPing, ServerError,
        base_command::Type,
        command_subscribe::{InitialPosition, SubType},
    },
};

use super::world::{Answer, Step, World, entry_id, of};

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Asked about the topic: how many partitions, and which broker.
fn assert_looked_up(world: &mut World, topic: &str) {
    let asked = world.heard_one(|command| command.partition_metadata.clone());
    assert_eq!(asked.topic, topic);
    let asked = world.heard_one(|command| command.lookup_topic.clone());
    assert_eq!((&*asked.topic, asked.authoritative), (topic, Some(false)));
}

proptest! {
    #[test]
    fn a_producer(topic in "t[a-zA-Z0-9._=]{0,20}", name in proptest::option::of("[a-z]\\PC{0,12}[a-z]")) {
        let query = name.as_ref().map(|name| format!("?producerName={}", escaped(name)));
        let mut world = World::new();
        let client = world.open(&format!(
            "/ws/v2/producer/persistent/public/default/{topic}{}", query.unwrap_or_default()));
        let topic = format!("persistent://public/default/{topic}");
        let connect = world.heard_one(|command| command.connect.clone());
        prop_assert!(!connect.client_version.is_empty());
        prop_assert!(connect.protocol_version() >= 19);
        assert_looked_up(&mut world, &topic);
        let made = world.heard_one(|command| command.producer.clone());
        prop_assert_eq!(&made.topic, &topic);
        prop_assert_eq!(made.user_provided_producer_name(), name.is_some());
        prop_assert_eq!(made.epoch(), 0);
        prop_assert_eq!(made.producer_name, name.clone());

        // The broker sends it away; it comes again under its name.
        world.tell([Answer(BaseCommand {
            close_producer: Some(CommandCloseProducer { producer_id: made.producer_id, request_id: 0 }),
            ..of(Type::CloseProducer)
        }).into()]);
        world.pass(Duration::from_secs(5));
        let again = world.heard_one(|command| command.producer.clone());
        prop_assert_eq!(again.producer_id, made.producer_id);
        prop_assert_eq!(again.epoch(), 1);
        prop_assert!(again.producer_name.is_some());

        world.close(client);
        world.pass(Duration::from_secs(1));
        let closed = world.heard_one(|command| command.close_producer);
        prop_assert_eq!(closed.producer_id, made.producer_id);
    }

    #[test]
    fn a_consumer(
        topic in "t[a-zA-Z0-9._=]{0,20}",
        subscription in "[a-z][a-zA-Z0-9 ._=ü-]{0,20}[a-z]",
        kind in 0..4_usize,
        queue in 1..=1000_u32,
        priority in 0..10_i32,
    ) {
        let kinds = [
            ("Exclusive", SubType::Exclusive), ("Shared", SubType::Shared),
            ("Failover", SubType::Failover), ("Key_Shared", SubType::KeyShared),
        ];
        let (kind, expected) = kinds[kind];
        let mut world = World::new();
        world.open(&format!(
            "/ws/v2/consumer/persistent/public/default/{topic}/{}?subscriptionType={kind}\
             &receiverQueueSize={queue}&priorityLevel={priority}&consumerName=me", escaped(&subscription)));
        let topic = format!("persistent://public/default/{topic}");
        assert_looked_up(&mut world, &topic);
        let made = world.heard_one(|command| command.subscribe.clone());
        prop_assert_eq!(&made.topic, &topic);
        prop_assert_eq!(&made.subscription, &subscription);
        prop_assert_eq!(made.sub_type(), expected);
        prop_assert_eq!(made.consumer_name(), "me");
        prop_assert_eq!(made.priority_level(), priority);
        prop_assert_eq!(made.initial_position(), InitialPosition::Latest);
        prop_assert!(made.durable());
        prop_assert!(made.start_message_id.is_none());
        let flow = world.heard_one(|command| command.flow);
        prop_assert_eq!((flow.consumer_id, flow.message_permits), (made.consumer_id, queue));

        // The broker sends it away; it comes again.
        world.tell([Answer(BaseCommand {
            close_consumer: Some(CommandCloseConsumer { consumer_id: made.consumer_id, request_id: 0 }),
            ..of(Type::CloseConsumer)
        }).into()]);
        world.pass(Duration::from_secs(5));
        let again = world.heard_one(|command| command.subscribe.clone());
        prop_assert_eq!(&again.subscription, &made.subscription);
        let flow = world.heard_one(|command| command.flow);
        prop_assert_eq!((flow.consumer_id, flow.message_permits), (again.consumer_id, queue));
    }

    #[test]
    fn a_reader(at in (0..1_u64 << 62, 0..1_u64 << 62)) {
        let id = entry_id(at);
        let mut world = World::new();
        world.open(&format!(
            "/ws/v2/reader/persistent/public/default/t?messageId={}",
            escaped(&BASE64_URL_SAFE.encode(id.encode_to_vec()))));
        let made = world.heard_one(|command| command.subscribe.clone());
        prop_assert!(!made.durable());
        let start = made.start_message_id.expect("a place to start");
        prop_assert_eq!((start.ledger_id, start.entry_id), at);
    }
}

#[test]
fn every_refusal_of_a_broker_is_understood() {
    const STEPS: [Step; 3] = [Step::Partitions, Step::Lookup, Step::Create];
    let errors: Vec<_> = (0..)
        .map_while(|code| ServerError::try_from(code).ok())
        .collect();
    assert!(errors.len() > 20, "the crate knows them all");
    for (&error, step) in errors.iter().flat_map(|e| STEPS.map(|step| (e, step))) {
        let expected = match (error, step) {
            (ServerError::ConsumerBusy | ServerError::ProducerBusy, Step::Create) => Some(409),
            (ServerError::TopicNotFound, _) => Some(404),
            (ServerError::AuthorizationError, _) => Some(403),
            _ => None,
        };
        for endpoint in ["producer", "consumer"] {
            let subscription = if endpoint == "consumer" { "/s" } else { "" };
            let mut world = World::new();
            world.refusal = Some((step, error));
            let client = world.ask(&format!(
                "/ws/v2/{endpoint}/persistent/public/default/t{subscription}"
            ));
            world.pass(Duration::from_secs(60));
            let status = world.status(client).expect("an answer");
            let said = format!("{step:?} {error:?} {endpoint}: {status}");
            assert!((400..600).contains(&status), "{said}");
            assert!(expected.is_none_or(|expected| status == expected), "{said}");
        }
    }
}

#[test]
fn both_ask_whether_the_other_is_there() {
    let mut world = World::new();
    world.open("/ws/v2/producer/persistent/public/default/t");
    world.pass(Duration::from_secs(120));
    let pings = world.heard(|command| command.ping);
    assert!(!pings.is_empty());
    assert!(
        world.heard(|command| command.connect.clone()).len() == 1,
        "the pongs were understood"
    );
    world.tell([Answer(BaseCommand {
        ping: Some(CommandPing {}),
        ..of(Type::Ping)
    })
    .into()]);
    world.heard_one(|command| command.pong);
}
