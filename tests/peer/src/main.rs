//! The crate `pulsar` as a command, for the end-to-end tests.
//!
//! ```text
//! pulsar-peer publish URL TOPIC COMPRESSION BATCH       messages as lines of JSON in, receipts out
//! pulsar-peer consume URL TOPIC SUBSCRIPTION COUNT ACKS messages out as lines of JSON; the first ACKS are acknowledged
//! ```
//!
//! `BATCH` is how many messages make one entry; 0 is no batches. Every wait has an end.

use std::{env, error::Error, future::Future, io, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, future::join_all};
use pulsar::{
    Consumer, ConsumerOptions, ProducerOptions, Pulsar, SubType, TokioExecutor,
    compression::Compression,
    consumer::{InitialPosition, Message},
    producer,
};
use serde_json::{Map, Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match words[..] {
        ["publish", url, topic, compression, batch] => {
            runtime.block_on(publish(url, topic, compression, batch.parse()?))
        }
        ["consume", url, topic, subscription, count, acks] => runtime.block_on(consume(
            url,
            topic,
            subscription,
            count.parse()?,
            acks.parse()?,
        )),
        _ => Err("see the head of main.rs".into()),
    }
}

async fn publish(url: &str, topic: &str, compression: &str, batch: u32) -> Result<(), Failure> {
    let client = in_time(Pulsar::builder(url, TokioExecutor).build()).await??;
    let options = ProducerOptions {
        compression: Some(compression_of(compression)?),
        batch_size: (batch > 0).then_some(batch),
        ..ProducerOptions::default()
    };
    let builder = client.producer().with_topic(topic).with_options(options);
    let mut producer = in_time(builder.build()).await??;
    let mut waiting = Vec::new();
    for line in io::stdin().lines() {
        let message = read(&serde_json::from_str(&line?)?)?;
        waiting.push(in_time(producer.send_non_blocking(message)).await??);
    }
    for receipt in in_time(join_all(waiting)).await? {
        let id = receipt?.message_id.ok_or("a receipt without an id")?;
        println!("{}", json!({"ledger": id.ledger_id, "entry": id.entry_id}));
    }
    in_time(producer.close()).await??;
    Ok(())
}

async fn consume(
    url: &str,
    topic: &str,
    subscription: &str,
    count: usize,
    acks: usize,
) -> Result<(), Failure> {
    let client = in_time(Pulsar::builder(url, TokioExecutor).build()).await??;
    let builder = client
        .consumer()
        .with_topic(topic)
        .with_subscription(subscription)
        .with_subscription_type(SubType::Exclusive)
        .with_options(ConsumerOptions::default().with_initial_position(InitialPosition::Earliest));
    let mut consumer: Consumer<Vec<u8>, _> = in_time(builder.build()).await??;
    for number in 0..count {
        let message = in_time(consumer.next()).await?.ok_or("the end")??;
        if number < acks {
            in_time(consumer.ack(&message)).await??;
        }
        println!("{}", write(&message));
    }
    in_time(consumer.close()).await??;
    Ok(())
}

async fn in_time<T>(wait: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::time::timeout(PATIENCE, wait).await?)
}

fn compression_of(name: &str) -> Result<Compression, Failure> {
    Ok(match name {
        "NONE" => Compression::None,
        "LZ4" => Compression::Lz4(Default::default()),
        "ZLIB" => Compression::Zlib(Default::default()),
        "ZSTD" => Compression::Zstd(Default::default()),
        _ => return Err(format!("{name} is not done as in other clients").into()),
    })
}

/// A message of the test.
fn read(written: &Value) -> Result<producer::Message, Failure> {
    let bytes = |name: &str| match &written[name] {
        Value::String(text) => Ok::<_, Failure>(Some(BASE64_STANDARD.decode(text)?)),
        _ => Ok(None),
    };
    let properties = written["properties"].as_object().into_iter().flatten();
    Ok(producer::Message {
        payload: bytes("payload")?.ok_or("a message without payload")?,
        properties: properties
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        partition_key: written["key"].as_str().map(str::to_owned),
        ordering_key: bytes("orderingKey")?,
        event_time: written["eventTime"].as_u64(),
        ..producer::Message::default()
    })
}

/// A message for the test. A field that the message lacks is null.
fn write(message: &Message<Vec<u8>>) -> Value {
    let metadata = message.metadata();
    let properties: Map<String, Value> = metadata
        .properties
        .iter()
        .map(|pair| (pair.key.clone(), Value::from(pair.value.as_str())))
        .collect();
    let id = message.message_id();
    json!({
        "payload": BASE64_STANDARD.encode(&message.payload.data),
        "key": metadata.partition_key,
        "properties": properties,
        "eventTime": metadata.event_time,
        "publishTime": metadata.publish_time,
        "producerName": metadata.producer_name,
        "sequenceId": metadata.sequence_id,
        "ledger": id.ledger_id,
        "entry": id.entry_id,
        "batchIndex": id.batch_index,
    })
}
