//! Protocol Buffers wire format, as far as hot paths need it: fields written by appending, messages read by pulling.
//!
//! There is no schema here. A caller that writes calls the helper of each field in order and can ask for its length beforehand, so that a
//! size prefix is written once; a caller that reads matches on field numbers and lets unknown ones pass. Sub-messages are
//! [`Field::Bytes`], read by a [`Reader`] of their own. Signed numbers travel as their 64-bit two's complement, as `int32` and `int64`
//! do; `zigzag` types and the deprecated groups do not occur in the messages we speak.

use std::fmt;

use bytes::BufMut;

/// Bytes of the longest varint: 64 bits in sevens.
pub const MAX_VARINT_LEN: usize = 10;

/// The low three bits of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WireType {
    /// A number of variable length.
    Varint = 0,
    /// Eight bytes, little endian.
    Fixed64 = 1,
    /// A length and that many bytes.
    Bytes = 2,
    /// Four bytes, little endian.
    Fixed32 = 5,
}

/// How many bytes `value` takes as a varint.
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    // Seven bits a byte; zero takes one as well. 9/64 is a little less than 1/7 and right for all of 1 to 64 bits.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// Appends `value` as a varint.
pub fn put_varint<B: BufMut>(dst: &mut B, mut value: u64) {
    while value >= 0x80 {
        dst.put_u8(low_byte(value) | 0x80);
        value >>= 7;
    }
    dst.put_u8(low_byte(value));
}

/// How many bytes the tag of `field` takes.
#[must_use]
pub const fn tag_len(field: u32) -> usize {
    varint_len((field as u64) << 3)
}

/// Appends the tag of `field`.
pub fn put_tag<B: BufMut>(dst: &mut B, field: u32, wire_type: WireType) {
    put_varint(dst, u64::from(field) << 3 | wire_type as u64);
}

/// How many bytes [`put_uint`] takes.
#[must_use]
pub const fn uint_len(field: u32, value: u64) -> usize {
    tag_len(field) + varint_len(value)
}

/// Appends a numeric field: `uint64`, `int64` and `int32` (sign-extended), `bool` and enumerations alike.
pub fn put_uint<B: BufMut>(dst: &mut B, field: u32, value: u64) {
    put_tag(dst, field, WireType::Varint);
    put_varint(dst, value);
}

/// How many bytes [`put_bytes`] takes for a value of `len` bytes; also a sub-message with its header.
#[must_use]
pub const fn bytes_len(field: u32, len: usize) -> usize {
    tag_len(field) + varint_len(len as u64) + len
}

/// A numeric field with a tag of one byte, in the low bytes of a word: what comes with every message is put together
/// from such, because a field that is appended byte by byte costs several times as much.
#[derive(Clone, Copy, Debug)]
pub struct ShortUint {
    word: u64,
    len: usize,
}

impl ShortUint {
    /// `None` if it takes more than a word, as negative numbers do.
    #[must_use]
    #[inline]
    pub const fn new(field: u8, value: u64) -> Option<Self> {
        if field >= 16 || value >> 49 != 0 {
            return None;
        }
        let len = varint_len(value);
        // All bytes but the last one say that another one follows.
        let go_on = HIGH & ((1 << (8 * (len - 1))) - 1);
        let tag = (field as u64) << 3 | WireType::Varint as u64;
        Some(Self {
            word: (split_sevens(value) | go_on) << 8 | tag,
            len: 1 + len,
        })
    }

    /// How many bytes it takes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a field is never empty")]
    pub const fn len(self) -> usize {
        self.len
    }
}

/// A piece of a message on the stack, of at most `N` bytes.
#[derive(Debug)]
pub struct Piece<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Piece<N> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// Appends the first `len` of `bytes`. All of them are written, so there must be room for them: else nothing is
    /// appended.
    #[inline(always)]
    pub fn put<const K: usize>(&mut self, bytes: [u8; K], len: usize) {
        let place = self.bytes.get_mut(self.len..);
        if let Some(place) = place.and_then(<[u8]>::first_chunk_mut::<K>) {
            *place = bytes;
            self.len += len.min(K);
        } else {
            debug_assert!(false, "no room");
        }
    }

    /// Appends a field, with the same need for room.
    #[inline(always)]
    pub fn put_uint(&mut self, field: ShortUint) {
        self.put(field.word.to_le_bytes(), field.len);
    }

    /// Appends bytes, if there is room for them.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        let place = self.bytes.get_mut(self.len..);
        if let Some(place) = place.and_then(|place| place.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        } else {
            debug_assert!(false, "no room");
        }
    }

    /// What was appended.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<const N: usize> Default for Piece<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends a `string` or `bytes` field.
pub fn put_bytes<B: BufMut>(dst: &mut B, field: u32, value: &[u8]) {
    put_bytes_header(dst, field, value.len());
    dst.put_slice(value);
}

/// Appends the tag and length of a field whose `len` bytes the caller writes next: a sub-message.
pub fn put_bytes_header<B: BufMut>(dst: &mut B, field: u32, len: usize) {
    put_tag(dst, field, WireType::Bytes);
    put_varint(dst, len as u64);
}

/// The low eight bits; the varint loop sets or clears the highest of them.
fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// The value of a field, as far as the wire tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A number, a boolean or an enumeration.
    Varint(u64),
    /// `fixed64`, `sfixed64` or the bits of a `double`.
    Fixed64(u64),
    /// A string, bytes or a sub-message.
    Bytes(&'a [u8]),
    /// `fixed32`, `sfixed32` or the bits of a `float`.
    Fixed32(u32),
}

/// What is wrong with a message on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtobufError {
    /// The message ends inside a field.
    Truncated,
    /// A varint of more than 64 bits.
    OverlongVarint,
    /// Field number 0, or one above 2^29 - 1.
    BadFieldNumber,
    /// A group, or one of the two types that do not exist.
    UnsupportedWireType(u8),
}

impl fmt::Display for ProtobufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("protobuf message ends inside a field"),
            Self::OverlongVarint => f.write_str("protobuf varint is longer than 64 bits"),
            Self::BadFieldNumber => f.write_str("protobuf field number out of range"),
            Self::UnsupportedWireType(wire_type) => {
                write!(f, "protobuf wire type {wire_type} is not supported")
            }
        }
    }
}

impl std::error::Error for ProtobufError {}

/// Pulls fields from a message in the order they stand in.
///
/// After an error the reader stays where the broken field began, and every further call gives the same error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// What was not read yet; begins between two fields.
    rest: &'a [u8],
    /// Of the whole message.
    len: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `message`, which must end where the message ends.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            len: message.len(),
        }
    }

    /// How many bytes of the message the fields given out so far took, tags included.
    #[must_use]
    pub fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    /// The next field with its number, or `None` at the end of the message.
    #[expect(
        clippy::should_implement_trait,
        reason = "a fallible pull: `?` on each call reads better than an iterator of results"
    )]
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, ProtobufError> {
        let mut rest = self.rest;
        if rest.is_empty() {
            return Ok(None);
        }
        let tag = take_varint(&mut rest)?;
        let Ok(number @ 1..=0x1fff_ffff) = u32::try_from(tag >> 3) else {
            return Err(ProtobufError::BadFieldNumber);
        };
        let field = match low_byte(tag) & 7 {
            0 => Field::Varint(take_varint(&mut rest)?),
            1 => Field::Fixed64(u64::from_le_bytes(take_array(&mut rest)?)),
            2 => {
                let len = usize::try_from(take_varint(&mut rest)?)
                    .map_err(|_| ProtobufError::Truncated)?;
                let (bytes, after) = rest.split_at_checked(len).ok_or(ProtobufError::Truncated)?;
                rest = after;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(u32::from_le_bytes(take_array(&mut rest)?)),
            other => return Err(ProtobufError::UnsupportedWireType(other)),
        };
        self.rest = rest;
        Ok(Some((number, field)))
    }
}

/// Takes the number of `field`, one below 16, if that is what comes next. For messages that are nearly always written
/// in the same way: who gets `None` reads them with a [`Reader`].
#[inline(always)]
pub fn take_uint(rest: &mut &[u8], field: u8) -> Option<u64> {
    let (tag, mut after) = rest.split_first()?;
    let value = (*tag == field << 3).then(|| take_varint(&mut after).ok())??;
    *rest = after;
    Some(value)
}

/// As [`take_uint`], for a string or a sub-message of less than 128 bytes.
#[inline(always)]
pub fn take_short_bytes<'a>(rest: &mut &'a [u8], field: u8) -> Option<&'a [u8]> {
    let [tag, len @ ..0x80, after @ ..] = *rest else {
        return None;
    };
    let (bytes, after) = after.split_at_checked(usize::from(*len))?;
    (*tag == field << 3 | WireType::Bytes as u8).then(|| {
        *rest = after;
        bytes
    })
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ProtobufError> {
    let (array, after) = rest
        .split_first_chunk::<N>()
        .ok_or(ProtobufError::Truncated)?;
    *rest = after;
    Ok(*array)
}

/// Tags, sizes and most numbers are one byte or two.
#[inline]
fn take_varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    match *rest {
        [byte @ ..0x80, after @ ..] => {
            *rest = after;
            Ok(u64::from(*byte))
        }
        [low, high @ ..0x80, after @ ..] => {
            *rest = after;
            Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
        }
        _ => {
            let (value, len) = long_varint(rest)?;
            *rest = rest.get(len..).unwrap_or_default();
            Ok(value)
        }
    }
}

/// A varint and its length, eight bytes at once where there are as many.
#[inline(never)]
fn long_varint(bytes: &[u8]) -> Result<(u64, usize), ProtobufError> {
    if let Some((word, after)) = bytes.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let ends = !word & HIGH;
        if ends != 0 {
            let len = ends.trailing_zeros() as usize / 8 + 1;
            return Ok((join_sevens(word & (ends ^ (ends - 1))), len));
        }
        // The tenth byte holds the 64th bit alone.
        return match *after {
            [ninth @ ..0x80, ..] => Ok((join_sevens(word) | u64::from(ninth) << 56, 9)),
            [ninth, tenth @ ..2, ..] => {
                let high = u64::from(ninth & 0x7f) << 56 | u64::from(tenth) << 63;
                Ok((join_sevens(word) | high, 10))
            }
            [_, _, ..] => Err(ProtobufError::OverlongVarint),
            _ => Err(ProtobufError::Truncated),
        };
    }
    let mut value = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, i + 1));
        }
    }
    Err(ProtobufError::Truncated)
}

/// The highest bit of each byte of a word.
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

/// Seven bits in each byte, of a value of 56: what [`join_sevens`] joins.
const fn split_sevens(value: u64) -> u64 {
    let fours = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let pairs = fours & 0x0000_3fff_0000_3fff | (fours & 0x0fff_c000_0fff_c000) << 2;
    pairs & 0x007f_007f_007f_007f | (pairs & 0x3f80_3f80_3f80_3f80) << 1
}

/// The low seven bits of each byte, the first byte's lowest.
const fn join_sevens(word: u64) -> u64 {
    let sevens = word & 0x7f7f_7f7f_7f7f_7f7f;
    let pairs = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;

    fn read_all(message: &[u8]) -> Result<Vec<(u32, Field<'_>)>, ProtobufError> {
        let mut reader = Reader::new(message);
        let mut fields = vec![];
        while let Some(field) = reader.next()? {
            fields.push(field);
        }
        assert_eq!(reader.position(), message.len());
        Ok(fields)
    }

    #[test]
    fn writes_the_examples_of_the_encoding_guide() {
        let mut out = BytesMut::new();
        put_uint(&mut out, 1, 150);
        put_bytes(&mut out, 2, b"testing");
        assert_eq!(&out[..], b"\x08\x96\x01\x12\x07testing");
        let mut id = Vec::new();
        put_uint(&mut id, 1, 27);
        put_uint(&mut id, 2, 0);
        put_uint(&mut id, 3, 2);
        put_uint(&mut id, 6, 0);
        assert_eq!(
            id,
            [0x08, 0x1b, 0x10, 0x00, 0x18, 0x02, 0x30, 0x00],
            "a Pulsar message id"
        );
    }

    #[test]
    fn reads_every_wire_type() {
        let message = b"\x08\x96\x01\x11\x01\0\0\0\0\0\0\x80\x1a\x02hi\x25\x02\0\0\0";
        let expected = vec![
            (1, Field::Varint(150)),
            (2, Field::Fixed64(0x8000_0000_0000_0001)),
            (3, Field::Bytes(b"hi")),
            (4, Field::Fixed32(2)),
        ];
        assert_eq!(read_all(message), Ok(expected));
        for cut in 1..message.len() {
            let mut reader = Reader::new(&message[..cut]);
            let mut last = reader.next();
            while let Ok(Some(_)) = last {
                last = reader.next();
            }
            let between_fields = [3, 12, 16].contains(&cut);
            assert_eq!(
                last,
                if between_fields {
                    Ok(None)
                } else {
                    Err(ProtobufError::Truncated)
                },
                "cut at {cut}"
            );
            assert_eq!(reader.next(), last, "a second call answers the same");
            assert!([0, 3, 12, 16].contains(&reader.position()));
        }
    }

    #[test]
    fn refuses_what_is_no_field() {
        assert_eq!(read_all(b"\x00\x01"), Err(ProtobufError::BadFieldNumber));
        assert_eq!(
            read_all(b"\x0b\x0c"),
            Err(ProtobufError::UnsupportedWireType(3))
        );
        assert_eq!(
            read_all(b"\x0f"),
            Err(ProtobufError::UnsupportedWireType(7))
        );
        assert_eq!(
            read_all(b"\xf8\xff\xff\xff\x0f\x00"),
            Ok(vec![(0x1fff_ffff, Field::Varint(0))])
        );
        assert_eq!(
            read_all(b"\x80\x80\x80\x80\x10\x00"),
            Err(ProtobufError::BadFieldNumber)
        );
        assert_eq!(
            read_all(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"),
            Err(ProtobufError::Truncated)
        );
        let max = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(read_all(max), Ok(vec![(1, Field::Varint(u64::MAX))]));
        assert_eq!(
            read_all(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
            Err(ProtobufError::OverlongVarint)
        );
        assert_eq!(
            read_all(&[&[8][..], &[0x80; 10]].concat()),
            Err(ProtobufError::OverlongVarint)
        );
        assert_eq!(
            read_all(&[&[8][..], &[0x80; 9]].concat()),
            Err(ProtobufError::Truncated)
        );
        assert_eq!(
            read_all(b"\x08\x80\x00"),
            Ok(vec![(1, Field::Varint(0))]),
            "padding is allowed"
        );
    }

    #[test]
    fn lengths_at_each_boundary() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> bits] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(varint_len(value), out.len(), "{value}");
                assert_eq!(take_varint(&mut &out[..]), Ok(value));
            }
        }
    }

    #[test]
    fn short_fields_are_what_others_are() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> bits] {
                let mut expected = b"text".to_vec();
                put_uint(&mut expected, 15, value);
                let mut piece = Piece::<20>::new();
                piece.put_slice(b"text");
                match ShortUint::new(15, value) {
                    Some(field) => {
                        assert_eq!(field.len(), uint_len(15, value));
                        piece.put_uint(field);
                        assert_eq!(piece.as_slice(), expected, "{value}");
                    }
                    None => assert!(value >= 1 << 49, "{value}"),
                }
            }
        }
        assert!(ShortUint::new(16, 1).is_none());
    }

    #[test]
    fn pieces_keep_what_is_counted() {
        let mut piece = Piece::<6>::new();
        piece.put(*b"abcd", 2);
        piece.put(*b"efgh", 4);
        assert_eq!(piece.as_slice(), b"abefgh");
    }

    /// The format's description, one byte at a time.
    fn varint_by_bytes(bytes: &[u8]) -> Result<(u64, usize), ProtobufError> {
        let mut value = 0;
        for (i, &byte) in bytes.iter().take(MAX_VARINT_LEN).enumerate() {
            if i == MAX_VARINT_LEN - 1 && byte > 1 {
                return Err(ProtobufError::OverlongVarint);
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Ok((value, i + 1));
            }
        }
        Err(ProtobufError::Truncated)
    }

    proptest! {
        #[test]
        fn varints_equal_the_scalar_twin(
            head in prop::collection::vec(0x80u8..=0xff, 0..12), tail in prop::collection::vec(any::<u8>(), 0..12)
        ) {
            let bytes = [head, tail].concat();
            let mut rest = &bytes[..];
            let value = take_varint(&mut rest);
            let expected = varint_by_bytes(&bytes);
            prop_assert_eq!(value.map(|value| (value, bytes.len() - rest.len())), expected);
        }

        #[test]
        fn reads_what_it_writes(fields: Vec<(u32, Option<u64>, Vec<u8>)>) {
            let mut out = BytesMut::new();
            let mut expected = vec![];
            for (number, value, bytes) in &fields {
                let number = number % 0x1fff_ffff + 1;
                let before = out.len();
                if let Some(value) = value {
                    put_uint(&mut out, number, *value);
                    prop_assert_eq!(out.len() - before, uint_len(number, *value));
                    expected.push((number, Field::Varint(*value)));
                } else {
                    put_bytes(&mut out, number, bytes);
                    prop_assert_eq!(out.len() - before, bytes_len(number, bytes.len()));
                    expected.push((number, Field::Bytes(bytes)));
                }
            }
            prop_assert_eq!(read_all(&out), Ok(expected));
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = read_all(&bytes);
        }
    }
}
