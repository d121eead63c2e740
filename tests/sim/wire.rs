//! Frames of Pulsar's binary protocol, written apart from the crate's own: a judge that shared its
//! encoder with the accused would believe its mistakes.

use prost::Message;

pub(crate) use super::proto::*;

/// What stands behind a command.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) style: Style,
    pub(crate) metadata: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// What stands in front of the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Checked,
    /// As very old producers had it.
    Unchecked,
    /// The broker adds a note of its own: when it stored the entry.
    Annotated,
}

/// One frame as it came.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) command: BaseCommand,
    pub(crate) body: Option<Body>,
}

const MAGIC: [u8; 2] = [0x0e, 0x01];

/// Takes one whole frame off the front of `bytes`; panics on what a broker would hang up on.
pub(crate) fn take_frame(bytes: &mut Vec<u8>) -> Option<Frame> {
    let total = be32(bytes.get(..4)?);
    assert!((4..6 << 20).contains(&total), "frame of {total} bytes");
    let frame = bytes.get(4..4 + total)?;
    let command_len = be32(&frame[..4]);
    let command = BaseCommand::decode(&frame[4..4 + command_len]).expect("a command");
    let rest = &frame[4 + command_len..];
    let body = (!rest.is_empty()).then(|| {
        assert_eq!(rest[..2], MAGIC, "a body begins with the checksum's magic");
        let checked = &rest[6..];
        assert_eq!(be32(&rest[2..6]), crc32c(checked) as usize, "checksum");
        let metadata_len = be32(&checked[..4]);
        Body {
            style: Style::Checked,
            metadata: checked[4..4 + metadata_len].to_vec(),
            payload: checked[4 + metadata_len..].to_vec(),
        }
    });
    assert_eq!(body.is_some(), command.send.is_some(), "who has a body");
    bytes.drain(..4 + total);
    Some(Frame { command, body })
}

/// Appends one frame. The type is that of the one sub-command that is set.
pub(crate) fn put_frame(out: &mut Vec<u8>, mut command: BaseCommand, body: Option<&Body>) {
    command.r#type = 0;
    // The only set field's tag is the type's number: Pulsar keeps the two alike.
    let probe = command.encode_to_vec();
    let key = prost::encoding::decode_varint(&mut &probe[2..]).expect("one sub-command");
    command.r#type = i32::try_from(key >> 3).expect("a small tag");
    let command = command.encode_to_vec();
    let mut tail = Vec::new();
    if let Some(body) = body {
        let mut checked = len32(&body.metadata).to_vec();
        checked.extend_from_slice(&body.metadata);
        checked.extend_from_slice(&body.payload);
        if body.style == Style::Annotated {
            // Field 1, the broker's time.
            tail.extend_from_slice(&[0x0e, 0x02, 0, 0, 0, 3, 8, 0xac, 0x02]);
        }
        if body.style != Style::Unchecked {
            tail.extend_from_slice(&MAGIC);
            tail.extend_from_slice(&crc32c(&checked).to_be_bytes());
        }
        tail.extend_from_slice(&checked);
    }
    let total = u32::try_from(4 + command.len() + tail.len()).expect("a small frame");
    out.extend_from_slice(&total.to_be_bytes());
    out.extend_from_slice(&len32(&command));
    out.extend_from_slice(&command);
    out.extend_from_slice(&tail);
}

fn be32(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize
}

fn len32(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("short").to_be_bytes()
}

/// CRC-32C by the book, a byte at a time.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0_u32;
        while index < 256 {
            let mut crc = index;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
                bit += 1;
            }
            table[index as usize] = crc;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| {
        (crc >> 8) ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize]
    })
}

#[test]
fn crc_of_the_standard_check() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn frames_survive_their_own_codec() {
    let mut bytes = Vec::new();
    let command = BaseCommand {
        lookup: Some(Lookup {
            topic: "t".into(),
            request_id: 7,
            authoritative: Some(true),
        }),
        ..BaseCommand::default()
    };
    put_frame(&mut bytes, command.clone(), None);
    assert_eq!(bytes[8..10], [8, 23], "type LOOKUP");
    let frame = take_frame(&mut bytes).expect("a frame");
    assert_eq!(frame.command.lookup, command.lookup);
    assert!(bytes.is_empty() && frame.body.is_none());
}
