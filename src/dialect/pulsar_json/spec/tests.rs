use super::*;
use crate::http::route;

fn ask(kind: &str, query: &str) -> Result<Spec, Refusal> {
    let tail = if kind == "consumer" {
        "t/my%20sub"
    } else {
        "t"
    };
    let target = format!("/ws/v2/{kind}/persistent/public/default/{tail}?{query}");
    spec(&route::endpoint(&route::mount(&target).unwrap()).unwrap())
}

fn refused(kind: &str, query: &str) -> (u16, String) {
    let refusal = ask(kind, query).expect_err(query);
    (refusal.status, refusal.message)
}

fn consumer_of(query: &str) -> consumer::Spec {
    match ask("consumer", query) {
        Ok(Spec::Consumer(spec)) => spec,
        other => panic!("{query}: {other:?}"),
    }
}

fn reader_of(query: &str) -> reader::Spec {
    match ask("reader", query) {
        Ok(Spec::Reader(spec)) => spec,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn defaults_are_javas() {
    let producer = producer::Spec {
        topic: "persistent://public/default/t".to_owned(),
        name: None,
        initial_sequence_id: None,
        send_timeout: Some(Duration::from_secs(30)),
        partitioning: Partitioning::default(),
        batching: None,
        compression: Compression::None,
        encryption: None,
    };
    assert_eq!(
        ask("producer", "token=x&unknown=1"),
        Ok(Spec::Producer(producer))
    );
    let consumer = consumer::Spec {
        topic: "persistent://public/default/t".to_owned(),
        several: None,
        subscription: "my sub".to_owned(),
        subscription_type: SubscriptionType::Exclusive,
        durable: true,
        initial_position: InitialPosition::Latest,
        receiver_queue_size: 1000,
        pull: false,
        name: None,
        priority_level: 0,
        ack_timeout: None,
        negative_ack_delay: Duration::from_secs(60),
        dead_letters: None,
        undecryptable: Undecryptable::Leave,
    };
    assert_eq!(consumer_of(""), consumer);
    let reader = reader::Spec {
        topic: "persistent://public/default/t".to_owned(),
        name: None,
        receiver_queue_size: 1000,
        start: Start::Latest,
        undecryptable: Undecryptable::Leave,
    };
    assert_eq!(reader_of(""), reader);
}

fn routing_of(query: &str) -> Result<Routing, Refusal> {
    ask("producer", query).map(|spec| match spec {
        Spec::Producer(spec) => spec.partitioning.routing,
        other => panic!("{query}: {other:?}"),
    })
}

#[test]
fn turns_in_time_fit_the_delay_of_batches() {
    let robin = "messageRoutingMode=RoundRobinPartition";
    for (query, expected) in [
        ("", Routing::RoundRobin),
        ("batchingEnabled=false", Routing::RoundRobin),
        ("batchingEnabled=true", Routing::RoundRobinInTime { ms: 10 }),
        (
            "batchingEnabled=true&batchingMaxPublishDelay=25",
            Routing::RoundRobinInTime { ms: 250 },
        ),
        (
            "batchingEnabled=true&batchingMaxPublishDelay=2147483647",
            Routing::RoundRobinInTime { ms: u32::MAX },
        ),
    ] {
        assert_eq!(routing_of(&format!("{robin}&{query}")), Ok(expected));
    }
    let single = "messageRoutingMode=SinglePartition&batchingEnabled=true";
    assert_eq!(routing_of(single), Ok(Routing::Single));
}

#[test]
fn parameters_are_taken() {
    let query = "producerName=p&initialSequenceId=-1&sendTimeoutMillis=0&compressionType=NONE\
        &hashingScheme=Murmur3_32Hash&messageRoutingMode=CustomPartition&batchingEnabled=1\
        &maxPendingMessages=x&batchingMaxMessages=&batchingMaxPublishDelay=-1";
    let producer = producer::Spec {
        topic: "persistent://public/default/t".to_owned(),
        name: Some("p".to_owned()),
        initial_sequence_id: Some(-1),
        send_timeout: None,
        partitioning: Partitioning {
            routing: Routing::Single,
            hashing: Hashing::Murmur3,
        },
        batching: None,
        compression: Compression::None,
        encryption: None,
    };
    assert_eq!(ask("producer", query), Ok(Spec::Producer(producer)));
    assert_eq!(routing_of(""), Ok(Routing::Single));
    assert_eq!(
        routing_of("messageRoutingMode=RoundRobinPartition"),
        Ok(Routing::RoundRobin)
    );

    let batching = |query: &str| match ask("producer", &format!("batchingEnabled=True{query}")) {
        Ok(Spec::Producer(spec)) => spec.batching.unwrap(),
        other => panic!("{query}: {other:?}"),
    };
    let default = Batching {
        messages_max: Some(1000),
        delay: Duration::from_millis(1),
        pending_max: None,
    };
    assert_eq!(batching(""), default);
    let given = Batching {
        messages_max: Some(7),
        delay: Duration::from_millis(20),
        pending_max: Some(5),
    };
    let query = "&batchingMaxMessages=7&batchingMaxPublishDelay=20&maxPendingMessages=5";
    assert_eq!(batching(query), given);
    for none in ["0", "-1"] {
        let query = format!("&batchingMaxMessages={none}&maxPendingMessages=0");
        let unlimited = Batching {
            messages_max: None,
            ..default
        };
        assert_eq!(batching(&query), unlimited);
    }
    let names = ["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"];
    let compressions =
        names.map(
            |name| match ask("producer", &format!("compressionType={name}")) {
                Ok(Spec::Producer(spec)) => spec.compression,
                other => panic!("{name}: {other:?}"),
            },
        );
    let expected = [
        Compression::None,
        Compression::Lz4,
        Compression::Zlib,
        Compression::Zstd,
        Compression::Snappy,
    ];
    assert_eq!(compressions, expected);

    let spec = consumer_of(
        "ackTimeoutMillis=1000&subscriptionType=Key_Shared&subscriptionMode=NonDurable\
        &subscriptionInitialPosition=Earliest&receiverQueueSize=0&consumerName=c\
        &priorityLevel=7&negativeAckRedeliveryDelay=0&pullMode=1&cryptoFailureAction=x",
    );
    assert_eq!(spec.ack_timeout, Some(Duration::from_secs(1)));
    assert_eq!(spec.subscription_type, SubscriptionType::KeyShared);
    assert!(!spec.durable);
    assert_eq!(spec.initial_position, InitialPosition::Earliest);
    assert_eq!(spec.receiver_queue_size, 0);
    assert_eq!(spec.name.as_deref(), Some("c"));
    assert_eq!(spec.priority_level, 7);
    assert_eq!(spec.negative_ack_delay, Duration::ZERO);
    assert!(!spec.pull);
    assert!(consumer_of("pullMode=TRUE").pull);
    assert_eq!(
        consumer_of("receiverQueueSize=5000").receiver_queue_size,
        1000
    );
    assert_eq!(
        consumer_of("receiverQueueSize=7&receiverQueueSize=x").receiver_queue_size,
        7
    );
}

#[test]
fn wrong_parameters_are_named_in_javas_words() {
    let cases = [
        ("producer", "producerName=", "producerName cannot be blank"),
        (
            "producer",
            "initialSequenceId=x&sendTimeoutMillis=y",
            "For input string: \"x\"",
        ),
        (
            "producer",
            "hashingScheme=x",
            "No enum constant org.apache.pulsar.client.api.HashingScheme.x",
        ),
        (
            "producer",
            "sendTimeoutMillis=-1",
            "sendTimeout needs to be >= 0",
        ),
        (
            "producer",
            "messageRoutingMode=x",
            "Invalid messageRoutingMode x",
        ),
        (
            "producer",
            "compressionType=lz4",
            "Invalid compressionType lz4",
        ),
        ("producer", "compressionType=", "Invalid compressionType "),
        (
            "producer",
            "batchingEnabled=true&batchingMaxMessages=x",
            "For input string: \"x\"",
        ),
        (
            "producer",
            "batchingEnabled=True&maxPendingMessages=-1",
            "maxPendingMessages needs to be >= 0",
        ),
        (
            "producer",
            "batchingEnabled=true&batchingMaxPublishDelay=0",
            "configured value for batch delay must be at least 1ms",
        ),
        (
            "consumer",
            "ackTimeoutMillis=999",
            "Ack timeout should be greater than 1000 ms",
        ),
        (
            "consumer",
            "ackTimeoutMillis=-1",
            "Ack timeout should be greater than 1000 ms",
        ),
        (
            "consumer",
            "subscriptionType=shared",
            "Invalid subscriptionType shared",
        ),
        ("consumer", "subscriptionMode=", "Invalid subscriptionMode "),
        (
            "consumer",
            "subscriptionInitialPosition=earliest",
            "Invalid subscriptionInitialPosition earliest",
        ),
        (
            "consumer",
            "receiverQueueSize=-1",
            "receiverQueueSize needs to be >= 0",
        ),
        (
            "consumer",
            "receiverQueueSize=2147483648",
            "For input string: \"2147483648\"",
        ),
        (
            "consumer",
            "consumerName=%20",
            "consumerName cannot be blank",
        ),
        (
            "consumer",
            "priorityLevel=-1",
            "priorityLevel needs to be >= 0",
        ),
        (
            "consumer",
            "negativeAckRedeliveryDelay=-1",
            "redeliveryDelay needs to be >= 0",
        ),
        (
            "consumer",
            "maxRedeliverCount=0",
            "MaxRedeliverCount must be > 0.",
        ),
        ("consumer", "maxRedeliverCount=x", "For input string: \"x\""),
        (
            "consumer",
            "deadLetterTopic=d",
            "MaxRedeliverCount must be > 0.",
        ),
    ];
    for (kind, query, text) in cases {
        let expected = (400, format!("Invalid query params: {text}"));
        assert_eq!(refused(kind, query), expected, "{query}");
    }
}

#[test]
fn readers_start_where_they_like() {
    let id = vec![8, 3, 16, 0, 48, 0];
    for (query, start) in [
        ("messageId=earliest", Start::Earliest),
        ("messageId=latest", Start::Latest),
        ("messageId=", Start::Latest),
        ("messageId=%20", Start::Latest),
        ("messageId=CAMQADAA", Start::After(id)),
        ("messageId=-_%2B%2F", Start::After(vec![0xfb, 0xff, 0xbf])),
    ] {
        assert_eq!(reader_of(query).start, start, "{query}");
    }
    assert_eq!(reader_of("readerName=").name.as_deref(), Some(""));
}

#[test]
fn readers_fail_with_500_only() {
    let expected = |text: &str| (500, text.to_owned());
    assert_eq!(
        refused("reader", "receiverQueueSize=x&messageId=!"),
        expected("java.lang.NumberFormatException: For input string: \"x\"")
    );
    assert_eq!(
        refused("reader", "receiverQueueSize=-1&messageId=Ear!iest"),
        expected("Failed to create reader: Illegal base64 character 21")
    );
    assert_eq!(
        refused("reader", "receiverQueueSize=-1"),
        expected("Failed to create reader: receiverQueueSize needs to be >= 0")
    );
}

#[test]
fn failures_of_opening_have_their_statuses() {
    use EndpointKind::{Consumer, Producer, Reader};
    for (kind, error, status) in [
        (Producer, OpenErrorKind::Authentication, 401),
        (Producer, OpenErrorKind::Authorization, 403),
        (Consumer, OpenErrorKind::NotFound, 404),
        (Consumer, OpenErrorKind::Busy, 409),
        (Consumer, OpenErrorKind::TooManyRequests, 429),
        (Producer, OpenErrorKind::Unavailable, 503),
        (Producer, OpenErrorKind::Timeout, 504),
        (Producer, OpenErrorKind::Other, 500),
        (Reader, OpenErrorKind::NotFound, 500),
        (Reader, OpenErrorKind::Authorization, 500),
    ] {
        let message = "why".to_owned();
        let refusal = open_failed(
            kind,
            &OpenError {
                kind: error,
                message,
            },
        );
        assert_eq!(refusal.status, status, "{kind:?} {error:?}");
        let text = match (status, kind) {
            (400, _) => "why",
            (_, Reader) => "Failed to create reader: why",
            _ => "Failed to create producer/consumer: why",
        };
        assert_eq!(refusal.message, text);
    }
}

#[test]
fn a_blank_subscription_is_found_behind_the_parameters() {
    let refused = |query: &str| {
        let target = format!("/ws/v2/consumer/persistent/public/default/t/%20{query}");
        spec(&route::endpoint(&route::mount(&target).unwrap()).unwrap())
            .unwrap_err()
            .message
    };
    assert_eq!(
        refused(""),
        "Invalid query params: subscriptionName cannot be blank"
    );
    assert_eq!(
        refused("?priorityLevel=-1"),
        "Invalid query params: priorityLevel needs to be >= 0"
    );
}
