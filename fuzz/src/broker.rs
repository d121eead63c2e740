//! What a broker sends, before any session is asked: frames, receipts, deliveries, entries, compressed payloads. Ours
//! are short ways and views over the bytes; the judge is prost, and for payloads each codec's own crate.

use std::io::Read;

use prost::Message;
use pulsar_ws_fast::{
    codec::protobuf::ProtobufError,
    pulsar::{
        command::{SendError, SendReceipt, is_intact},
        consumer::MessageCommand,
        payload::{Compression, Compressor, DecompressError, Scratch, UNCOMPRESSED_BYTES_MAX},
        wire::{Frame, Stored, frame_len},
    },
};

use crate::{
    proto::{BaseCommand, Deliver, MessageIdData},
    script::{Script, flip, repeated},
    wire::{self, Body, Style},
};

/// The first byte says what the others are.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.byte() % 6 {
        0 => frames(script.rest()),
        1 => receipt(script.rest()),
        2 => delivery(script.rest()),
        3 => entry(script),
        4 => compressed(script),
        _ => decompressed(script),
    }
}

fn frames(bytes: &[u8]) {
    const MAX: usize = 5 << 20;
    let whole = frame_len(bytes, MAX);
    for cut in 0..bytes.len().min(12) {
        match (frame_len(&bytes[..cut], MAX), &whole) {
            (Ok(None), _) => assert!(cut < 4),
            (early, whole) => assert_eq!(early, *whole),
        }
    }
    let Ok(Some(len)) = whole else { return };
    assert!(len <= 4 + MAX);
    let Some(frame) = bytes.get(..len) else {
        return;
    };
    let command = frame.get(4..8).and_then(|size| {
        let size = u32::from_be_bytes(size.try_into().ok()?) as usize;
        frame.get(8..)?.get(..size)
    });
    let judged = command.map(BaseCommand::decode);
    match Frame::parse(frame) {
        Ok(parsed) => {
            assert!(parsed.body.len() + parsed.rest.len() <= frame.len());
            if let Some(Ok(judged)) = judged {
                assert_eq!(parsed.kind, judged.r#type);
            }
            let _ = Stored::parse(parsed.rest);
            assert_eq!(is_intact(frame), Stored::parse(parsed.rest).is_some());
        }
        // Whatever holds the one sub-command of its type is read.
        Err(_) => {
            if let Some(Ok(judged)) = judged {
                written_again(judged);
            }
        }
    }
}

/// A command as a broker would write it, if it has one sub-command.
fn written_again(mut command: BaseCommand) {
    command.r#type = 0;
    if command.encode_to_vec().len() <= 2 {
        return;
    }
    let mut frame = Vec::new();
    wire::put_frame(&mut frame, command, None);
    let parsed = Frame::parse(&frame).map(|parsed| parsed.rest.len());
    // Of two sub-commands, the type is that of the first one.
    assert_eq!(parsed.ok(), Some(0));
}

fn receipt(body: &[u8]) {
    let ours = SendReceipt::decode(body);
    let judged = wire::SendReceipt::decode(body);
    if let (Err(error), Ok(_)) = (ours, &judged) {
        // prost takes groups, which Pulsar has none of.
        assert!(
            matches!(error, ProtobufError::UnsupportedWireType(3 | 4)),
            "{error}"
        );
    }
    if let Ok(judged) = judged {
        let again = SendReceipt::decode(&judged.encode_to_vec());
        let expected = SendReceipt {
            producer_id: judged.producer_id,
            sequence_id: judged.sequence_id,
            highest_sequence_id: judged.highest_sequence_id.unwrap_or_default(),
            stored: judged.message_id.map(|id| (id.ledger_id, id.entry_id)),
        };
        assert_eq!(again, Ok(expected));
        if let Ok(ours) = ours {
            assert_eq!(ours.producer_id, expected.producer_id);
            assert_eq!(ours.sequence_id, expected.sequence_id);
            assert_eq!(ours.highest_sequence_id, expected.highest_sequence_id);
        }
    }
    if let (Ok(ours), Ok(judged)) = (SendError::decode(body), wire::SendError::decode(body)) {
        assert_eq!(ours.producer_id, judged.producer_id);
        assert_eq!(ours.sequence_id, judged.sequence_id);
        assert_eq!(ours.message, judged.message.as_bytes());
    }
}

fn delivery(body: &[u8]) {
    let ours = MessageCommand::decode(body);
    let Ok(judged) = Deliver::decode(body) else {
        return;
    };
    let encoded = judged.encode_to_vec();
    let again = MessageCommand::decode(&encoded).expect("what brokers write");
    assert_eq!(again.consumer_id, judged.consumer_id);
    assert_eq!(again.entry.ledger, judged.message_id.ledger_id);
    assert_eq!(again.entry.entry, judged.message_id.entry_id);
    assert_eq!(
        again.redelivery_count,
        judged.redelivery_count.unwrap_or_default()
    );
    assert_eq!(again.consumer_epoch, judged.consumer_epoch);
    if let Some(ours) = ours {
        assert_eq!(ours.consumer_id, again.consumer_id);
        assert_eq!(ours.redelivery_count, again.redelivery_count);
        assert_eq!(ours.consumer_epoch, again.consumer_epoch);
    }
}

/// An entry comes out as it went in, and with any bit of it changed it does not come out at all.
fn entry(mut script: Script<'_>) {
    let style = script.pick(&[Style::Checked, Style::Unchecked, Style::Annotated]);
    let at = usize::from(script.short());
    let bit = script.byte();
    let body = Body {
        style,
        metadata: script.some().to_vec(),
        payload: script.rest().to_vec(),
    };
    let mut bytes = Vec::new();
    let command = BaseCommand {
        deliver: Some(Deliver {
            message_id: MessageIdData::default(),
            ..Deliver::default()
        }),
        ..BaseCommand::default()
    };
    wire::put_frame(&mut bytes, command, Some(&body));
    let frame = Frame::parse(&bytes).expect("a frame");
    let stored = Stored::parse(frame.rest);
    if style == Style::Unchecked && body.metadata.len() >> 16 != 0 {
        return;
    }
    let stored = stored.expect("an entry");
    assert_eq!(stored.metadata, body.metadata);
    assert_eq!(stored.payload, body.payload);
    if style != Style::Unchecked {
        let mut changed = frame.rest.to_vec();
        let from = if style == Style::Annotated { 11 } else { 2 };
        let at = from + at % (changed.len() - from);
        changed[at] ^= 1 << (bit % 8);
        assert_eq!(Stored::parse(&changed), None, "a bit of byte {at}");
    }
}

fn codec(script: &mut Script<'_>) -> Compression {
    script.pick(&[
        Compression::Lz4,
        Compression::Zlib,
        Compression::Zstd,
        Compression::Snappy,
    ])
}

/// What others compressed is what we decompress, and the other way about.
fn compressed(mut script: Script<'_>) {
    let codec = codec(&mut script);
    let wrong_by = script.byte();
    let changes = [(); 2].map(|()| (script.short(), script.byte()));
    let content = repeated(&mut script);
    let mut bytes = compressed_by_others(codec, &content);
    let size = u32::try_from(content.len()).expect("short");
    let mut scratch = Scratch::new();
    assert_eq!(scratch.decompress(codec, &bytes, size), Ok(&content[..]));
    if wrong_by != 0 {
        let result = scratch.decompress(codec, &bytes, size + u32::from(wrong_by));
        assert_eq!(result, Err(DecompressError::Corrupt), "a size too large");
    }
    let mut compressor = Compressor::default();
    if let Some(ours) = compressor.compress(codec, &content) {
        assert_eq!(
            decompressed_by_others(codec, ours, content.len()).as_deref(),
            Some(&content[..])
        );
    }
    for (at, change) in changes {
        flip(&mut bytes, at, change);
    }
    judge(codec, &bytes, size, &mut scratch);
}

fn decompressed(mut script: Script<'_>) {
    let codec = codec(&mut script);
    let size = u32::from(script.short()) << (script.byte() % 6);
    let far = u32::try_from(UNCOMPRESSED_BYTES_MAX).expect("32 bits") + 1 + size;
    let bytes = script.rest();
    let mut scratch = Scratch::new();
    assert_eq!(
        scratch.decompress(codec, bytes, far),
        Err(DecompressError::TooLarge)
    );
    judge(codec, bytes, size, &mut scratch);
    assert_eq!(
        scratch.decompress(Compression::None, bytes, size),
        Ok(bytes)
    );
}

fn judge(codec: Compression, bytes: &[u8], size: u32, scratch: &mut Scratch) {
    let size_bytes = size as usize;
    match scratch.decompress(codec, bytes, size) {
        Ok(content) => {
            assert_eq!(content.len(), size_bytes);
            // zlib's end is not asked for, as in Java.
            if codec != Compression::Zlib {
                let judged = decompressed_by_others(codec, bytes, size_bytes);
                assert!(judged.as_deref() == Some(content));
            }
        }
        Err(error) => {
            assert_eq!(error, DecompressError::Corrupt);
            let judged = decompressed_by_others(codec, bytes, size_bytes);
            assert!(judged.is_none_or(|judged| judged.len() != size_bytes));
        }
    }
}

fn compressed_by_others(codec: Compression, content: &[u8]) -> Vec<u8> {
    match codec {
        Compression::None => content.to_vec(),
        Compression::Lz4 => lz4_flex::block::compress(content),
        Compression::Zlib => {
            let mut bytes = Vec::new();
            flate2::read::ZlibEncoder::new(content, flate2::Compression::default())
                .read_to_end(&mut bytes)
                .expect("compresses");
            bytes
        }
        Compression::Zstd => zstd::bulk::compress(content, 1).expect("compresses"),
        Compression::Snappy => snap::raw::Encoder::new()
            .compress_vec(content)
            .expect("compresses"),
    }
}

fn decompressed_by_others(codec: Compression, bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    match codec {
        Compression::None => Some(bytes.to_vec()),
        Compression::Lz4 => lz4_flex::block::decompress(bytes, size).ok(),
        Compression::Zlib => {
            let mut content = Vec::new();
            let mut reader = flate2::read::ZlibDecoder::new(bytes).take(size as u64 + 1);
            reader.read_to_end(&mut content).ok().map(|_| content)
        }
        Compression::Zstd => zstd::bulk::decompress(bytes, size).ok(),
        Compression::Snappy => {
            let len = snap::raw::decompress_len(bytes).ok()?;
            (len == size).then(|| snap::raw::Decoder::new().decompress_vec(bytes).ok())?
        }
    }
}

/// Commands as brokers write them, one entry of each style, a payload of each codec.
pub fn seeds() -> Vec<Vec<u8>> {
    let id = MessageIdData {
        ledger_id: 1234,
        entry_id: 5,
        partition: Some(-1),
        ..MessageIdData::default()
    };
    let receipt = wire::SendReceipt {
        producer_id: 3,
        sequence_id: 9,
        message_id: Some(id.clone()),
        highest_sequence_id: Some(u64::MAX),
    };
    let alone = wire::SendReceipt {
        message_id: Some(MessageIdData {
            partition: None,
            ..id.clone()
        }),
        highest_sequence_id: None,
        ..receipt.clone()
    };
    let deliver = Deliver {
        consumer_id: 3,
        message_id: id,
        redelivery_count: Some(1),
        ack_set: vec![5, -1],
        consumer_epoch: Some(2),
    };
    let error = wire::SendError {
        producer_id: 3,
        sequence_id: 9,
        error: 2,
        message: "no".into(),
    };
    let mut seeds = vec![
        [&[1], &receipt.encode_to_vec()[..]].concat(),
        [&[1], &alone.encode_to_vec()[..]].concat(),
        [&[1], &error.encode_to_vec()[..]].concat(),
        [&[2], &deliver.encode_to_vec()[..]].concat(),
    ];
    for command in [
        BaseCommand {
            send_receipt: Some(receipt),
            ..BaseCommand::default()
        },
        BaseCommand {
            deliver: Some(deliver),
            ..BaseCommand::default()
        },
        BaseCommand {
            send_error: Some(error),
            ..BaseCommand::default()
        },
    ] {
        let mut frame = vec![0];
        wire::put_frame(&mut frame, command, None);
        seeds.push(frame);
    }
    for kind in 0..3 {
        seeds.push([&[3, kind, 9, 0, 3, 4], &b"\x0a\x01p\x10payload"[..]].concat());
    }
    for codec in 0..4_u8 {
        seeds.push(
            [
                &[4, codec, 1, 3, 0, 5, 9, 0, 0, 3, 40],
                &b"Hello, Hello, Hello, 123 Hello, Hello, 4"[..],
            ]
            .concat(),
        );
        let kind = Compression::from_wire(u64::from(codec + 1)).expect("a codec");
        let content = b"Hello, Hello, Hello, Hello!";
        let bytes = compressed_by_others(kind, content);
        seeds.push([&[5, codec, 27, 0, 0], &bytes[..]].concat());
    }
    seeds
}
