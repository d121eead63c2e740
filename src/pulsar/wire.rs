//! Frames of Pulsar's binary protocol: sizes, checksum, and where the parts lie.
//!
//! ```text
//!  u32 total │ u32 size │ command │ 0e02 │ u32 size │ about the entry │ 0e01 │ u32 crc32c │ u32 size │ metadata │ payload
//!            └ every frame ───────┘└ optional ──────────────────────┘└ optional ─────────┘└ frames with a message ──────┘
//! ```
//!
//! Decoding gives views over the receive buffer, with every size checked against what is there: a
//! frame that lies about its size is refused, and with it the connection, because nobody can tell
//! where the next one would begin. What the parts mean is not known here, except for the number
//! that names the command.

use std::fmt;

use crate::codec::{
    crc32c::crc32c,
    protobuf::{Field, ProtobufError, Reader},
};

/// The largest message a broker takes unless it says otherwise.
pub const MESSAGE_BYTES_MAX_DEFAULT: usize = 5 << 20;
/// What a frame may hold beside its message: Java's `MESSAGE_SIZE_FRAME_PADDING`.
pub const FRAME_PADDING_BYTES: usize = 10 << 10;
/// The first field of a frame.
pub const TOTAL_LEN: usize = 4;

/// A CRC32C follows.
pub const MAGIC_CHECKSUM: [u8; 2] = [0x0e, 0x01];
/// What the broker says about the entry follows.
pub const MAGIC_BROKER_METADATA: [u8; 2] = [0x0e, 0x02];

/// Why a frame, and so its connection, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Larger than agreed.
    TooLarge {
        /// As the frame says.
        bytes: usize,
        /// As agreed.
        max: usize,
    },
    /// The command would end behind the frame.
    CommandBeyondFrame,
    /// The command is no protobuf message.
    Command(ProtobufError),
    /// The command lacks what names it, or its body.
    NoCommand,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, max } => {
                write!(
                    f,
                    "the broker sent a frame of {bytes} bytes, more than {max}"
                )
            }
            Self::CommandBeyondFrame => f.write_str("the broker sent a command beyond its frame"),
            Self::Command(error) => write!(f, "the broker sent a broken command: {error}"),
            Self::NoCommand => f.write_str("the broker sent a frame without a command"),
        }
    }
}

impl std::error::Error for FrameError {}

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The command's number, `BaseCommand.type`.
    pub kind: i32,
    /// The command's own message.
    pub body: &'a [u8],
    /// What follows the command.
    pub rest: &'a [u8],
}

/// How long the frame at the beginning of `bytes` is, its first field included; `None` while that
/// field has not arrived.
///
/// # Errors
/// The frame is larger than `max`, or too small to hold a command.
pub fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some((total, _)) = take_u32(bytes) else {
        return Ok(None);
    };
    if total > max {
        return Err(FrameError::TooLarge { bytes: total, max });
    }
    if total < 4 {
        return Err(FrameError::CommandBeyondFrame);
    }
    Ok(Some(TOTAL_LEN + total))
}

impl<'a> Frame<'a> {
    /// Takes a whole frame apart.
    ///
    /// # Errors
    /// A size in it lies, or its command can't be read.
    pub fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let frame = frame.get(TOTAL_LEN..).ok_or(FrameError::NoCommand)?;
        let (len, frame) = take_u32(frame).ok_or(FrameError::CommandBeyondFrame)?;
        let (command, rest) = frame
            .split_at_checked(len)
            .ok_or(FrameError::CommandBeyondFrame)?;
        let (kind, body) = match open_hot_command(command) {
            Some(opened) => opened,
            None => open_command(command)?,
        };
        Ok(Self { kind, body, rest })
    }
}

/// As [`open_command`], for what comes with every message: the type, then the sub-command, each
/// with a tag and a size of one byte, and nothing else.
fn open_hot_command(command: &[u8]) -> Option<(i32, &[u8])> {
    let [0x08, kind @ 1..0x10, tag, len @ ..0x80, body @ ..] = command else {
        return None;
    };
    (*tag == (kind << 3 | 2) && body.len() == usize::from(*len)).then_some((i32::from(*kind), body))
}

/// Finds the type of a `BaseCommand` and the sub-command of that number.
fn open_command(command: &[u8]) -> Result<(i32, &[u8]), FrameError> {
    const TYPE: u32 = 1;
    let mut fields = Reader::new(command);
    let (mut kind, mut body) = (None, None);
    while let Some((number, field)) = fields.next().map_err(FrameError::Command)? {
        match (number, field) {
            (TYPE, Field::Varint(value)) => kind = Some(value),
            // A later one of the right number wins, as in every protobuf parser.
            (_, Field::Bytes(bytes)) if body.is_none() || Some(u64::from(number)) == kind => {
                body = Some((number, bytes));
            }
            _ => {}
        }
    }
    let kind = kind
        .and_then(|kind| i32::try_from(kind).ok())
        .ok_or(FrameError::NoCommand)?;
    match body {
        Some((number, body)) if i64::from(number) == i64::from(kind) => Ok((kind, body)),
        _ => Err(FrameError::NoCommand),
    }
}

/// A message as it stands behind its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// `MessageMetadata`.
    pub metadata: &'a [u8],
    /// As stored: maybe compressed, maybe a batch.
    pub payload: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Checks the checksum, where there is one, and finds the parts. `None`: the message is
    /// corrupted.
    #[must_use]
    pub fn parse(rest: &'a [u8]) -> Option<Self> {
        let mut rest = rest;
        if let Some(tail) = rest.strip_prefix(&MAGIC_BROKER_METADATA) {
            let (len, tail) = take_u32(tail)?;
            rest = tail.get(len..)?;
        }
        if let Some(tail) = rest.strip_prefix(&MAGIC_CHECKSUM) {
            let (checksum, tail) = tail.split_first_chunk()?;
            if crc32c(tail) != u32::from_be_bytes(*checksum) {
                return None;
            }
            rest = tail;
        }
        let (len, rest) = take_u32(rest)?;
        let (metadata, payload) = rest.split_at_checked(len)?;
        Some(Self { metadata, payload })
    }
}

/// A big-endian size, and what follows.
fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_be_bytes(*size)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::protobuf::put_bytes;

    fn frame(command: &[u8], rest: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(
            u32::try_from(4 + command.len() + rest.len())
                .unwrap()
                .to_be_bytes(),
        );
        frame.extend(u32::try_from(command.len()).unwrap().to_be_bytes());
        frame.extend([command, rest].concat());
        frame
    }

    fn stored(metadata: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(metadata.len()).unwrap().to_be_bytes());
        bytes.extend([metadata, payload].concat());
        bytes
    }

    fn checked(stored: &[u8]) -> Vec<u8> {
        let checksum = crc32c::crc32c(stored).to_be_bytes();
        [&MAGIC_CHECKSUM[..], &checksum, stored].concat()
    }

    #[test]
    fn a_ping_is_taken_apart() {
        let ping = frame(b"\x08\x12\x92\x01\x00", b"");
        assert_eq!(frame_len(&ping, 100), Ok(Some(ping.len())));
        let expected = Frame {
            kind: 18,
            body: b"",
            rest: b"",
        };
        assert_eq!(Frame::parse(&ping), Ok(expected));
        for cut in 0..4 {
            assert_eq!(frame_len(&ping[..cut], 100), Ok(None));
        }
    }

    #[test]
    fn the_type_may_stand_behind_the_command() {
        let ping = frame(b"\x92\x01\x00\x08\x12", b"rest");
        let parsed = Frame::parse(&ping).unwrap();
        assert_eq!((parsed.kind, parsed.rest), (18, &b"rest"[..]));
    }

    #[test]
    fn lies_about_sizes_are_refused() {
        let ping = frame(b"\x08\x12\x92\x01\x00", b"");
        assert_eq!(
            frame_len(&ping, 8),
            Err(FrameError::TooLarge { bytes: 9, max: 8 })
        );
        assert_eq!(
            frame_len(&[0, 0, 0, 3, 0], 8),
            Err(FrameError::CommandBeyondFrame)
        );
        let mut lie = ping;
        lie[7] += 1;
        assert_eq!(Frame::parse(&lie), Err(FrameError::CommandBeyondFrame));
        lie[7] -= 2;
        assert!(matches!(Frame::parse(&lie), Err(FrameError::Command(_))));
        for broken in [&b"\x08\x12"[..], b"\x92\x01\x00", b"\x08\x13\x92\x01\x00"] {
            assert_eq!(
                Frame::parse(&frame(broken, b"")),
                Err(FrameError::NoCommand)
            );
        }
    }

    #[test]
    fn messages_with_and_without_their_extras() {
        let plain = stored(b"meta", b"payload");
        let expected = Some(Stored {
            metadata: b"meta",
            payload: b"payload",
        });
        assert_eq!(Stored::parse(&plain), expected);
        assert_eq!(Stored::parse(&checked(&plain)), expected);
        let about = b"\x0e\x02\x00\x00\x00\x05about";
        assert_eq!(
            Stored::parse(&[about, &checked(&plain)[..]].concat()),
            expected
        );
        assert_eq!(Stored::parse(&[about, &plain[..]].concat()), expected);
    }

    #[test]
    fn corrupted_messages_are_seen() {
        let plain = stored(b"meta", b"payload");
        let whole = checked(&plain);
        for at in 2..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(Stored::parse(&bytes), None, "byte {at}");
        }
        for cut in 0..whole.len() {
            assert_eq!(Stored::parse(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Stored::parse(b"\x0e\x02\xff\xff\xff\xff"), None);
        assert_eq!(Stored::parse(b"\0\0\0\x05meta"), None);
    }

    proptest! {
        #[test]
        fn the_short_way_finds_what_the_long_way_finds(
            kind in 0u8..20, body in proptest::collection::vec(any::<u8>(), 0..140), extra in 0usize..2
        ) {
            let mut command = vec![8, kind];
            put_bytes(&mut command, u32::from(kind.max(1)), &body);
            command.extend(vec![0; extra]);
            if let Some(opened) = open_hot_command(&command) {
                prop_assert_eq!(open_command(&command), Ok(opened));
            } else {
                prop_assert!(kind == 0 || kind > 15 || body.len() > 127 || extra > 0);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Frame::parse(&bytes);
            let _ = Stored::parse(&bytes);
            let _ = frame_len(&bytes, 100);
        }
    }
}
