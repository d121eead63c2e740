//! One frame of RFC 6455: its header read and written, opcodes, close codes.
//!
//! Pure data. Which frames may follow which, who must mask and how long a message may be is
//! [`WebSocket`](super::WebSocket)'s business; this file knows only how a frame lies on the wire, for both
//! directions, so that tests and load generators can speak the client's side with it.

/// The longest header: two bytes, a 64-bit length, a masking key.
pub const HEADER_BYTES_MAX: usize = 14;

/// The longest payload of a control frame (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// The longest close reason: a control payload less the two bytes of the code.
pub const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// The frame ends its message.
const FIN: u8 = 0x80;

/// The first reserved bit.
const COMPRESSED: u8 = 0x40;

/// The status codes of close frames that the service itself sends (RFC 6455 section 7.4.1 and IANA's registry).
pub mod close_code {
    /// The purpose of the session is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The service goes down, or the session was idle for too long.
    pub const GOING_AWAY: u16 = 1001;
    /// The client broke RFC 6455.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A text message, or a close reason, was not UTF-8.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// A message was longer than the limit.
    pub const MESSAGE_TOO_BIG: u16 = 1009;
    /// The service met a condition that keeps it from going on.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// The service is out of room; the client may try again.
    pub const TRY_AGAIN_LATER: u16 = 1013;

    /// Whether a peer may put `code` into a close frame: the assigned codes, and the range left to libraries
    /// and applications. 1004, 1005, 1006 and 1015 are assigned, but never travel.
    pub fn may_travel(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// What a frame is for (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further fragment of the message begun before.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// The farewell.
    Close,
    /// A question to be answered by a pong with the same data.
    Ping,
    /// The answer to a ping, or an unasked heartbeat.
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Whether frames of this kind may stand between the fragments of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// This frame ends its message.
    pub fin: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// This frame begins a message that is compressed: the first reserved bit, as RFC 7692 uses it.
    pub compressed: bool,
    /// The key that the payload is masked with; clients must have one, servers must not.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow.
    pub payload_bytes: u64,
}

/// Why a header can be none, whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// A reserved bit is set that nothing agreed gives a meaning to.
    ReservedBits,
    /// The opcode has no meaning.
    UnknownOpcode,
    /// A control frame without the final bit.
    FragmentedControl,
    /// A control frame of more than 125 bytes.
    LongControl,
    /// A 64-bit length with its top bit set.
    LengthTooLarge,
}

impl HeaderError {
    /// The sentence that goes into the close frame.
    pub fn text(self) -> &'static str {
        match self {
            Self::ReservedBits => "Reserved bits are set that no extension was negotiated for",
            Self::UnknownOpcode => "Unknown opcode",
            Self::FragmentedControl => "Control frames must not be fragmented",
            Self::LongControl => "Control frames carry at most 125 bytes",
            Self::LengthTooLarge => "The payload length has its top bit set",
        }
    }
}

impl Header {
    /// Reads the header at the start of `bytes`: the header and its own length, or `None` while it is incomplete.
    ///
    /// A fault is found with the byte that makes it one, so the verdict never depends on how the bytes were cut. A
    /// length in a longer form than it needs is none: Jetty takes it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeaderError> {
        Self::decode_with(bytes, false)
    }

    /// As [`decode`](Self::decode); where `deflate` was agreed, the first frame of a data message may say that the
    /// message is compressed.
    pub fn decode_with(bytes: &[u8], deflate: bool) -> Result<Option<(Self, usize)>, HeaderError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let compressed = deflate && first & COMPRESSED != 0;
        let reserved = if compressed { 0x30 } else { 0x70 };
        if first & reserved != 0 {
            return Err(HeaderError::ReservedBits);
        }
        let opcode = Opcode::from_bits(first & 0x0F).ok_or(HeaderError::UnknownOpcode)?;
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(HeaderError::ReservedBits);
        }
        let fin = first & 0x80 != 0;
        if opcode.is_control() && !fin {
            return Err(HeaderError::FragmentedControl);
        }
        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let class = second & 0x7F;
        if opcode.is_control() && usize::from(class) > CONTROL_BYTES_MAX {
            return Err(HeaderError::LongControl);
        }
        let rest = &bytes[2..];
        let (payload_bytes, rest) = match class {
            126 => {
                let Some((length, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let Some((length, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let length = u64::from_be_bytes(*length);
                if length >> 63 != 0 {
                    return Err(HeaderError::LengthTooLarge);
                }
                (length, rest)
            }
            length => (u64::from(length), rest),
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(*key), rest)
        };
        let header = Self {
            fin,
            opcode,
            compressed,
            mask,
            payload_bytes,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Appends the header in its shortest form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let length = self.write(&mut bytes);
        out.extend_from_slice(&bytes[..length]);
    }

    /// Writes the header to the front of `bytes` and says how long it is.
    fn write(&self, bytes: &mut [u8; HEADER_BYTES_MAX]) -> usize {
        bytes[0] = u8::from(self.fin) << 7 | self.opcode.bits();
        if self.compressed {
            bytes[0] |= COMPRESSED;
        }
        let (class, mut end) = if let Ok(length) = u16::try_from(self.payload_bytes) {
            match u8::try_from(length) {
                Ok(short) if short < 126 => (short, 2),
                _ => {
                    bytes[2..4].copy_from_slice(&length.to_be_bytes());
                    (126, 4)
                }
            }
        } else {
            bytes[2..10].copy_from_slice(&self.payload_bytes.to_be_bytes());
            (127, 10)
        };
        bytes[1] = u8::from(self.mask.is_some()) << 7 | class;
        if let Some(key) = self.mask {
            bytes[end..end + 4].copy_from_slice(&key);
            end += 4;
        }
        end
    }

    /// The header of a whole message as a server sends it.
    fn unmasked(opcode: Opcode, payload_bytes: usize) -> Self {
        Self {
            fin: true,
            opcode,
            compressed: false,
            mask: None,
            payload_bytes: payload_bytes as u64,
        }
    }
}

/// Where an outgoing frame was begun; [`finish`] turns it into a frame.
#[derive(Debug)]
#[must_use = "a frame without finish() has no valid header"]
pub struct FrameMark {
    opcode: Opcode,
    start: usize,
    header_bytes: usize,
}

impl FrameMark {
    /// The payload so far.
    pub(super) fn payload<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        out.get(self.start + self.header_bytes..)
            .unwrap_or_default()
    }
}

/// Begins a text frame at the end of `out`: room for the header that `expected_bytes` of payload need. The caller
/// appends the payload, then calls [`finish`].
pub fn begin_text(out: &mut Vec<u8>, expected_bytes: usize) -> FrameMark {
    begin(out, Opcode::Text, expected_bytes)
}

/// Writes the header of the frame begun at `mark`, whose payload is all that `out` has got since. The payload moves,
/// by at most eight bytes, only where its length needs another header than the expected one.
pub fn finish(out: &mut Vec<u8>, mark: FrameMark) {
    let payload_at = mark.start + mark.header_bytes;
    let payload_bytes = out.len() - payload_at;
    if let Ok(length @ 0..126) = u8::try_from(payload_bytes)
        && let [first, second, ..] = &mut out[mark.start..payload_at]
        && mark.header_bytes == 2
    {
        (*first, *second) = (FIN | mark.opcode.bits(), length);
        return;
    }
    if let Ok(length @ 126..) = u16::try_from(payload_bytes)
        && let Ok(header) = <&mut [u8; 4]>::try_from(&mut out[mark.start..payload_at])
    {
        let [high, low] = length.to_be_bytes();
        *header = [FIN | mark.opcode.bits(), 126, high, low];
        return;
    }
    let mut header = [0; HEADER_BYTES_MAX];
    let length = Header::unmasked(mark.opcode, payload_bytes).write(&mut header);
    if length != mark.header_bytes {
        out.resize(out.len().max(mark.start + length + payload_bytes), 0);
        out.copy_within(payload_at..payload_at + payload_bytes, mark.start + length);
        out.truncate(mark.start + length + payload_bytes);
    }
    out[mark.start..mark.start + length].copy_from_slice(&header[..length]);
}

/// As [`finish`], with a compressed form of the payload in its place.
pub(super) fn finish_compressed(out: &mut Vec<u8>, mark: &FrameMark, compressed: &[u8]) {
    out.truncate(mark.start);
    let header = Header {
        compressed: true,
        ..Header::unmasked(mark.opcode, compressed.len())
    };
    header.encode(out);
    out.extend_from_slice(compressed);
}

/// Appends a ping. Data beyond the 125 bytes of a control frame is left out.
pub fn write_ping(out: &mut Vec<u8>, data: &[u8]) {
    write_control(out, Opcode::Ping, data);
}

/// Appends a pong. Data beyond the 125 bytes of a control frame is left out.
pub fn write_pong(out: &mut Vec<u8>, data: &[u8]) {
    write_control(out, Opcode::Pong, data);
}

/// Appends a close frame. The reason is cut to 123 bytes at the end of a character.
pub fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason[..end];
    Header::unmasked(Opcode::Close, 2 + reason.len()).encode(out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a control frame with `data`, cut to what such a frame may carry.
pub(super) fn write_control(out: &mut Vec<u8>, opcode: Opcode, data: &[u8]) {
    let data = &data[..data.len().min(CONTROL_BYTES_MAX)];
    Header::unmasked(opcode, data.len()).encode(out);
    out.extend_from_slice(data);
}

fn begin(out: &mut Vec<u8>, opcode: Opcode, expected_bytes: usize) -> FrameMark {
    let start = out.len();
    // Overwritten by the header in the end: what counts is how long it is.
    match expected_bytes {
        0..126 => out.extend_from_slice(&[0; 2]),
        126..=0xFFFF => out.extend_from_slice(&[0; 4]),
        _ => out.extend_from_slice(&[0; 10]),
    }
    FrameMark {
        opcode,
        start,
        header_bytes: out.len() - start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_header() -> impl Strategy<Value = Header> {
        let length = prop_oneof![
            0..=126_u64,
            0..=u64::from(u16::MAX) + 2,
            0..=(u64::MAX >> 1)
        ];
        let bits = (any::<bool>(), any::<bool>());
        (bits, 0..6_u8, any::<Option<[u8; 4]>>(), length).prop_map(
            |((fin, compressed), kind, mask, length)| {
                let opcode = Opcode::from_bits(if kind < 3 { kind } else { kind + 5 }).unwrap();
                let control = opcode.is_control();
                Header {
                    fin: fin || control,
                    opcode,
                    compressed: compressed && (kind == 1 || kind == 2),
                    mask,
                    payload_bytes: if control { length % 126 } else { length },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(header in any_header(), tail in any::<[u8; 3]>()) {
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            let length = bytes.len();
            for end in 0..length {
                prop_assert_eq!(Header::decode_with(&bytes[..end], true), Ok(None));
            }
            bytes.extend_from_slice(&tail);
            let decoded = Ok(Some((header, length)));
            prop_assert_eq!(Header::decode_with(&bytes, true), decoded);
            if header.compressed {
                let refused = Err(HeaderError::ReservedBits);
                prop_assert_eq!(Header::decode(&bytes), refused);
            } else {
                prop_assert_eq!(Header::decode(&bytes), decoded);
            }
        }

        #[test]
        fn a_frame_is_the_same_whatever_length_was_expected(
            before in proptest::collection::vec(any::<u8>(), 0..4),
            expected in prop_oneof![Just(0_usize), Just(125), Just(126), Just(65535), Just(65536)],
            length in prop_oneof![0..300_usize, 65530..65540_usize],
        ) {
            let payload: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
            let mut out = before.clone();
            let mark = begin_text(&mut out, expected);
            out.extend_from_slice(&payload);
            finish(&mut out, mark);
            let mut plain = before;
            Header::unmasked(Opcode::Text, length).encode(&mut plain);
            plain.extend_from_slice(&payload);
            prop_assert!(out == plain);
        }
    }

    #[test]
    fn headers_lie_on_the_wire_as_the_rfc_draws_them() {
        let mut out = Vec::new();
        let mark = begin_text(&mut out, 5);
        out.extend_from_slice(b"Hello");
        finish(&mut out, mark);
        assert_eq!(out, b"\x81\x05Hello");

        let mut out = Vec::new();
        write_ping(&mut out, b"Hello");
        assert_eq!(out, b"\x89\x05Hello");

        let (header, length) = Header::decode(b"\x81\x85\x37\xfa\x21\x3d\x7f")
            .unwrap()
            .unwrap();
        assert_eq!(length, 6);
        assert_eq!(header.mask, Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(header.payload_bytes, 5);

        let (header, _) = Header::decode(b"\x82\x7e\x01\x00").unwrap().unwrap();
        assert_eq!(header.payload_bytes, 256);
        let (header, _) = Header::decode(b"\x82\x7f\0\0\0\0\0\x01\0\0")
            .unwrap()
            .unwrap();
        assert_eq!(header.payload_bytes, 65536);
    }

    #[test]
    fn faults_are_found_with_their_byte() {
        let cases: [(&[u8], HeaderError); 8] = [
            (b"\xC1", HeaderError::ReservedBits),
            (b"\xA1", HeaderError::ReservedBits),
            (b"\x91", HeaderError::ReservedBits),
            (b"\x83", HeaderError::UnknownOpcode),
            (b"\x8B", HeaderError::UnknownOpcode),
            (b"\x09", HeaderError::FragmentedControl),
            (b"\x89\xFE", HeaderError::LongControl),
            (b"\x81\xFF\x80\0\0\0\0\0\0\0", HeaderError::LengthTooLarge),
        ];
        for (bytes, error) in cases {
            assert_eq!(Header::decode(bytes), Err(error), "{bytes:02x?}");
            let before = &bytes[..bytes.len() - 1];
            assert_eq!(Header::decode(before), Ok(None), "{before:02x?}");
        }
    }

    #[test]
    fn only_the_first_frame_of_a_data_message_may_be_marked_as_compressed() {
        for first in 0..=255_u8 {
            let decoded = Header::decode_with(&[first, 0x80], true);
            let refused = decoded == Err(HeaderError::ReservedBits);
            let (reserved, opcode) = (first & 0x70, first & 0x0F);
            let allowed = reserved == 0 || (reserved == 0x40 && (opcode == 1 || opcode == 2));
            if Opcode::from_bits(opcode).is_some() {
                assert_eq!(refused, !allowed, "{first:02x}");
            } else {
                assert!(decoded.is_err(), "{first:02x}");
            }
        }
    }

    #[test]
    fn lengths_may_be_longer_than_need_be() {
        for (bytes, length) in [
            (&b"\x81\x7E\x00\x7D"[..], 0x7D),
            (b"\x81\x7F\0\0\0\0\0\0\xFF\xFF", 0xFFFF),
            (b"\x82\x7F\0\0\0\0\0\0\0\0", 0),
        ] {
            let (header, _) = Header::decode(bytes).unwrap().unwrap();
            assert_eq!(header.payload_bytes, length, "{bytes:02x?}");
        }
    }

    #[test]
    fn close_reasons_end_with_a_whole_character() {
        let mut out = Vec::new();
        write_close(&mut out, 1000, &"ä".repeat(100));
        assert_eq!(&out[..4], [0x88, 124, 0x03, 0xE8]);
        assert_eq!(out.len(), 4 + 122);
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }

    #[test]
    fn only_assigned_and_private_close_codes_travel() {
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4000, 4999] {
            assert!(close_code::may_travel(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert!(!close_code::may_travel(code), "{code}");
        }
    }
}
