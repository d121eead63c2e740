//! What a message needs whoever handles it: unmasking, JSON, base64, frames, checksums.

use std::hint::black_box;

use bytes::BytesMut;
use pulsar_ws_fast::{
    codec::{base64, mask},
    dialect::{Dialect, Scratch, TimeFormat},
    http::route::EndpointKind,
    pulsar::{
        command::{Send, SendReceipt},
        payload::Compression,
        wire::{Frame, frame_len},
    },
    session::{Command, Event, producer},
    ws::{Incoming, Inflater, Input, Limits, WebSocket},
};

use crate::{
    Cases, samples,
    world::{
        input,
        proto::{BaseCommand, MessageIdData, SendReceipt as Receipt},
        wire::put_frame,
    },
};

const MESSAGES: usize = 64;
const SIZES: [(&str, usize); 2] = [("100 B", 100), ("1 KiB", 1024)];

pub(crate) fn run(cases: &Cases) {
    for (name, size) in SIZES {
        bytes(cases, name, size);
        publish(cases, name, size);
        send(cases, name, size);
        delivery(cases, name, size);
    }
    let with_more = input::publish(100, input::PROPERTIES_AND_KEY, 1234);
    read_publish(
        cases,
        "dialect: read a publish of 100 B with properties and key",
        &with_more,
    );
    receipts(cases);
    for (name, level) in [("level 1", 1), ("level 6", 6)] {
        inflate(cases, name, level);
    }
}

fn bytes(cases: &Cases, name: &str, size: usize) {
    let content = vec![b'p'; size];
    let mut text = Vec::new();
    base64::encode_append(&content, &mut text);
    cases.run(
        &format!("codec: unmask {name}"),
        MESSAGES,
        || content.clone(),
        |content, counter| {
            counter.count(|| {
                for _ in 0..MESSAGES {
                    mask::mask(black_box(content), [1, 2, 3, 4]);
                }
            });
        },
    );
    cases.run(
        &format!("codec: base64 of {name}, encoded"),
        MESSAGES,
        || Vec::with_capacity(2 * size),
        |out, counter| {
            counter.count(|| {
                for _ in 0..MESSAGES {
                    out.clear();
                    base64::encode_append(black_box(&content), out);
                }
            });
            assert_eq!(*out, text);
        },
    );
    cases.run(
        &format!("codec: base64 of {name}, decoded"),
        MESSAGES,
        || BytesMut::with_capacity(2 * size),
        |out, counter| {
            counter.count(|| {
                for _ in 0..MESSAGES {
                    out.clear();
                    base64::decode_append(black_box(&text), out).expect("base64");
                }
            });
            assert_eq!(out[..], content[..]);
        },
    );
}

fn publish(cases: &Cases, name: &str, size: usize) {
    let frames = input::publishes(MESSAGES, size, "");
    cases.run(
        &format!("ws: read a publish of {name}"),
        MESSAGES,
        || (WebSocket::new(Limits::default()), Inflater::new()),
        |(ws, inflater), counter| {
            let mut bytes = frames.clone();
            let mut texts = 0;
            counter.count(|| {
                let (mut input, mut out) = (Input::new(&mut bytes), Vec::new());
                while let Ok(Some(incoming)) = ws.next_message(&mut input, &mut out, inflater) {
                    texts += usize::from(matches!(incoming, Incoming::Text(_)));
                }
            });
            assert_eq!(texts, MESSAGES);
        },
    );
    let text = input::publish(size, "", 1234);
    read_publish(cases, &format!("dialect: read a publish of {name}"), &text);
}

/// Of random bytes, as most clients send them at level 6, and those that spare themselves work at level 1.
fn inflate(cases: &Cases, name: &str, level: u32) {
    let mut state = 1_u64;
    let payload: Vec<u8> = (0..1024)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect();
    let mut text = b"{\"payload\":\"".to_vec();
    base64::encode_append(&payload, &mut text);
    text.extend_from_slice(b"\",\"context\":\"1234\"}");
    let frames = samples::compressed_frames(&text, level, MESSAGES);
    cases.run(
        &format!("ws: inflate a publish of 1 KiB, compressed at {name}"),
        MESSAGES,
        || {
            let ws = WebSocket::new(Limits::default()).with_deflate(15);
            (ws, Inflater::new())
        },
        |(ws, inflater), counter| {
            let mut bytes = frames.clone();
            let mut text_bytes = 0;
            counter.count(|| {
                let (mut input, mut out) = (Input::new(&mut bytes), Vec::new());
                while let Ok(Some(incoming)) = ws.next_message(&mut input, &mut out, inflater) {
                    if let Incoming::Text(text) = incoming {
                        text_bytes += text.len();
                    }
                }
            });
            assert_eq!(text_bytes, MESSAGES * text.len());
        },
    );
}

fn read_publish(cases: &Cases, name: &str, text: &str) {
    cases.run(name, MESSAGES, Scratch::new, |scratch, counter| {
        counter.count(|| {
            for _ in 0..MESSAGES {
                let text = black_box(text.as_bytes());
                let kind = EndpointKind::Producer;
                let command = Dialect::PulsarJson.read_command(kind, false, text, scratch);
                let Ok(Command::Producer(producer::Command::Publish(publish))) = command else {
                    panic!("a publish");
                };
                black_box(publish);
            }
        });
    });
}

fn send(cases: &Cases, name: &str, size: usize) {
    let payload = vec![b'p'; size];
    let publish = samples::publish(&payload);
    cases.run(
        &format!("pulsar: write a SEND of {name}"),
        MESSAGES,
        || BytesMut::with_capacity(2 * (size + 200)),
        |out, counter| {
            counter.count(|| {
                for sequence_id in 0..MESSAGES as u64 {
                    out.clear();
                    let send = Send {
                        producer_id: 1 << 32,
                        producer_name: "standalone-0-1",
                        sequence_id,
                        publish_time_ms: 1_790_000_000_000,
                        deliver_at_ms: None,
                        compression: Compression::None,
                        seal: None,
                        publish: black_box(&publish),
                    };
                    let len = send.measure(publish.payload.len);
                    assert!(send.put(len, out).is_ok());
                }
            });
        },
    );
}

fn receipts(cases: &Cases) {
    let mut frames = Vec::new();
    for sequence_id in 0..MESSAGES as u64 {
        let receipt = Receipt {
            producer_id: 1 << 32,
            sequence_id,
            message_id: Some(MessageIdData {
                ledger_id: 1234,
                entry_id: sequence_id,
                ..MessageIdData::default()
            }),
            highest_sequence_id: Some(u64::MAX),
        };
        let command = BaseCommand {
            send_receipt: Some(receipt),
            ..BaseCommand::default()
        };
        put_frame(&mut frames, command, None);
    }
    cases.run(
        "pulsar: read a SEND_RECEIPT",
        MESSAGES,
        || (),
        |(), counter| {
            let mut sum = 0;
            counter.count(|| {
                let mut rest = black_box(&frames[..]);
                while let Ok(Some(len)) = frame_len(rest, 1 << 20) {
                    let (frame, after) = rest.split_at(len);
                    rest = after;
                    if let Ok(Ok(receipt)) =
                        Frame::parse(frame).map(|frame| SendReceipt::decode(frame.body))
                    {
                        sum += receipt.sequence_id;
                    }
                }
            });
            assert_eq!(sum, (0..MESSAGES as u64).sum::<u64>());
        },
    );
    let message_id = samples::message_id();
    let receipt = Event::Receipt {
        context: Some("1234"),
        message_id: &message_id,
    };
    write_event(cases, "dialect: write a receipt", &receipt);
}

fn delivery(cases: &Cases, name: &str, size: usize) {
    let payload = vec![b'p'; size];
    let delivery = samples::delivery(&payload);
    let event = Event::Delivery(&delivery);
    write_event(
        cases,
        &format!("dialect: write a delivery of {name}"),
        &event,
    );
}

fn write_event(cases: &Cases, name: &str, event: &Event<'_>) {
    cases.run(
        name,
        MESSAGES,
        || {
            let out: Vec<u8> = Vec::with_capacity(4096);
            (out, TimeFormat::new(jiff::tz::TimeZone::UTC))
        },
        |(out, times), counter| {
            counter.count(|| {
                for _ in 0..MESSAGES {
                    out.clear();
                    Dialect::PulsarJson.write_event(black_box(event), out, times);
                }
            });
        },
    );
}
