//! Base64 read.
//!
//! The decoder of JDK 17 takes padding or leaves it, ignores the unused bits of the last character, and refuses everything else:
//! white space, the url-safe alphabet, padding that is misplaced or too long. Clients of the Java service see the messages of its
//! exceptions, so [`DecodeError`] says the same sentences; `tests/data/base64-jdk17.txt` holds the decoder's own answers.
//!
//! Padding is taken off first. The rest goes through `avx512` where the processor has it; else its whole groups of four go through `avx2`
//! or, without that, `base64-simd`, and what is left behind them is decoded here.
//! What this fast way declines is decoded again by `decode_scalar`, the plain form of the algorithm, which finds the error's place.
//!
//! Java decodes a `String`, turning it into Latin-1 first: `é` is one wrong character there, and two bytes of the UTF-8 text given here.
//! Errors speak of characters as Java does.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::{fmt, mem::MaybeUninit};

use base64_simd::{AsOut, STANDARD_NO_PAD};
use bytes::BytesMut;

use super::ALPHABET;
#[cfg(target_arch = "x86_64")]
use crate::codec::vectors::has_avx512;

/// Why a text is not base64; displays the message of the exception that `java.util.Base64.Decoder` throws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A text of a single character.
    TooShort,
    /// A character outside the alphabet, in Latin-1; Java prints it as a signed byte, `é` as `-17`.
    IllegalCharacter(i8),
    /// Padding where none belongs, or one `=` where two belong.
    WrongEnding,
    /// Something follows the padding; counted in characters.
    IncorrectEnding(usize),
    /// A group of one character, which holds six bits and no byte.
    DanglingBits,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort => {
                f.write_str("Input byte[] should at least have 2 bytes for base64 bytes")
            }
            Self::IllegalCharacter(byte) => {
                let sign = if byte < 0 { "-" } else { "" };
                write!(
                    f,
                    "Illegal base64 character {sign}{:x}",
                    byte.unsigned_abs()
                )
            }
            Self::WrongEnding => f.write_str("Input byte array has wrong 4-byte ending unit"),
            Self::IncorrectEnding(at) => {
                write!(f, "Input byte array has incorrect ending byte at {at}")
            }
            Self::DanglingBits => f.write_str("Last unit does not have enough valid bits"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// How many bytes `src` decodes to, if it is valid: read off its length and the `=` at its end.
#[must_use]
pub fn decoded_len(src: &[u8]) -> usize {
    bytes_of(match src {
        [text @ .., b'=', b'='] | [text @ .., b'='] | text => text,
    })
}

/// Decodes `src` behind what `dst` holds, straight into its spare capacity; on error `dst` is left as it was.
pub fn decode_append(src: &[u8], dst: &mut BytesMut) -> Result<(), DecodeError> {
    let text = without_padding(src);
    let len = bytes_of(text);
    dst.reserve(len);
    if let Some(room) = dst.spare_capacity_mut().get_mut(..len)
        && decode_text(text, room)
    {
        let filled = dst.len() + len;
        #[allow(
            unsafe_code,
            reason = "zeroing the room first would be a second pass over every payload"
        )]
        // SAFETY: the capacity was reserved above, and the decoder wrote all `len` bytes behind the old length.
        unsafe {
            dst.set_len(filled);
        }
        return Ok(());
    }
    dst.extend_from_slice(&decode_explaining(src)?);
    Ok(())
}

/// Decodes a text without padding; tells whether all of `room` was filled, which is as long as the text becomes.
fn decode_text(text: &[u8], room: &mut [MaybeUninit<u8>]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        #[allow(unsafe_code, reason = "a call of what the processor may lack")]
        // SAFETY: the processor has what is asked for.
        return unsafe { avx512::decode(text, room) };
    }
    decode_by_groups(text, room)
}

/// [`decode_text`] where there are no wider vectors.
fn decode_by_groups(text: &[u8], room: &mut [MaybeUninit<u8>]) -> bool {
    let (groups, last) = text.split_at(text.len() / 4 * 4);
    room.split_at_mut_checked(groups.len() / 4 * 3)
        .is_some_and(|(place, last_place)| {
            decode_groups(groups, place) && decode_last(last, last_place)
        })
}

/// Decodes whole groups of four; tells whether all of `room` was filled.
fn decode_groups(src: &[u8], room: &mut [MaybeUninit<u8>]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[allow(unsafe_code, reason = "a call of what the processor may lack")]
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::decode(src, room) };
    }
    let bytes = room.len();
    STANDARD_NO_PAD
        .decode(src, room.as_out())
        .is_ok_and(|decoded| decoded.len() == bytes)
}

/// Decodes the characters behind the last whole group: none, two or three. Tells whether all of `room` was filled.
fn decode_last(group: &[u8], room: &mut [MaybeUninit<u8>]) -> bool {
    let (values, bytes) = match *group {
        [] => ([0; 3], 0),
        [a, b] => ([sextet(a), sextet(b), 0], 1),
        [a, b, c] => ([sextet(a), sextet(b), sextet(c)], 2),
        _ => return false,
    };
    let [a, b, c] = values.map(u32::from);
    let [_, first, second, _] = (a << 18 | b << 12 | c << 6).to_be_bytes();
    for (place, byte) in room.iter_mut().zip([first, second]) {
        place.write(byte);
    }
    room.len() == bytes && (a | b | c) & u32::from(NONE) == 0
}

/// Decodes `src` into a vector of its own.
pub fn decode_vec(src: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut decoded = BytesMut::new();
    decode_append(src, &mut decoded)?;
    Ok(decoded.into())
}

/// The text before its padding, if that is as it should be; any other `=` is no character of the alphabet.
fn without_padding(src: &[u8]) -> &[u8] {
    match src {
        [text @ .., b'=', b'='] | [text @ .., b'='] if src.len().is_multiple_of(4) => text,
        text => text,
    }
}

/// How many bytes a text without padding becomes.
const fn bytes_of(text: &[u8]) -> usize {
    text.len() / 4 * 3 + text.len() % 4 * 3 / 4
}

/// What is no character of the alphabet. No value has its bit.
const NONE: u8 = 0x80;

/// The value of each character of the alphabet.
static SEXTETS: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value.to_le_bytes()[0];
        value += 1;
    }
    values
};

fn sextet(byte: u8) -> u8 {
    SEXTETS[usize::from(byte)]
}

/// The slow way, over the characters that Java would see.
#[cold]
fn decode_explaining(src: &[u8]) -> Result<Vec<u8>, DecodeError> {
    // `String.getBytes(ISO_8859_1)` writes `?` for every character that Latin-1 lacks.
    let latin1: Vec<u8> = String::from_utf8_lossy(src)
        .chars()
        .map(|c| u8::try_from(c).unwrap_or(b'?'))
        .collect();
    decode_scalar(&latin1)
}

/// `Decoder.decode0` of JDK 17, one character at a time: the twin of the fast way, and the one that knows what is wrong.
fn decode_scalar(src: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if src.len() == 1 {
        return Err(DecodeError::TooShort);
    }
    let mut decoded = Vec::with_capacity(src.len() / 4 * 3 + 3);
    let mut bits: u32 = 0;
    let mut held = 0; // characters of the open group, 0 to 3
    let mut at = 0;
    while let Some(&byte) = src.get(at) {
        at += 1;
        match sextet(byte) {
            value @ ..NONE => bits = bits << 6 | u32::from(value),
            _ if byte == b'=' => {
                let second_missing = held == 2 && src.get(at) != Some(&b'=');
                if held == 0 || second_missing {
                    return Err(DecodeError::WrongEnding);
                }
                at += usize::from(held == 2);
                break;
            }
            _ => return Err(DecodeError::IllegalCharacter(byte.cast_signed())),
        }
        held += 1;
        if held == 4 {
            let [_, a, b, c] = bits.to_be_bytes();
            decoded.extend_from_slice(&[a, b, c]);
            (bits, held) = (0, 0);
        }
    }
    let [_, a, b, _] = (bits << (6 * (4 - held))).to_be_bytes();
    match held {
        0 => {}
        2 => decoded.push(a),
        3 => decoded.extend_from_slice(&[a, b]),
        _ => return Err(DecodeError::DanglingBits),
    }
    if at < src.len() {
        return Err(DecodeError::IncorrectEnding(at));
    }
    Ok(decoded)
}

/// What each fast way that this processor has makes of a text; `None` where it declines.
#[cfg(any(test, feature = "fuzzing"))]
#[must_use]
pub fn decoded_by_every_way(src: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    type Way = fn(&[u8], &mut [MaybeUninit<u8>]) -> bool;
    let mut ways: Vec<(&'static str, Way)> = vec![("by groups", decode_by_groups)];
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        #[allow(unsafe_code, reason = "a call of what the processor may lack")]
        // SAFETY: the processor has what is asked for.
        ways.push(("avx512", |text, room| unsafe { avx512::decode(text, room) }));
    }
    let text = without_padding(src);
    let decoded = ways.into_iter().map(|(name, decode)| {
        let mut room = vec![MaybeUninit::new(0xee); bytes_of(text)];
        let is_done = decode(text, &mut room);
        #[allow(unsafe_code, reason = "reads what was written")]
        // SAFETY: all of it was written when it was made.
        let bytes = room.iter().map(|byte| unsafe { byte.assume_init() });
        (name, is_done.then(|| bytes.collect()))
    });
    decoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::base64::{encode_append, encoded_len};
    use proptest::prelude::*;

    /// Lines of `tests/data/base64-jdk17.txt`: the input, and what JDK 17 answered.
    fn vectors() -> impl Iterator<Item = (Vec<u8>, Result<Vec<u8>, &'static str>)> {
        let lines = include_str!("../../../tests/data/base64-jdk17.txt").lines();
        lines.filter_map(|line| {
            let (input, answer) = line.strip_prefix("in ")?.split_once(' ')?;
            let (kind, rest) = answer.split_once(' ')?;
            let expected = if kind == "ok" {
                Ok(unhex(rest))
            } else {
                Err(rest)
            };
            Some((unhex(input), expected))
        })
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits = text.trim_start_matches('-');
        (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn answers_as_jdk_17_does() {
        let mut seen = 0;
        for (input, expected) in vectors() {
            let shown = String::from_utf8_lossy(&input).into_owned();
            let expected = expected.map_err(ToOwned::to_owned);
            assert_eq!(
                decode_vec(&input).map_err(|e| e.to_string()),
                expected,
                "{shown:?}"
            );
            assert_eq!(
                decode_explaining(&input).map_err(|e| e.to_string()),
                expected,
                "scalar, {shown:?}"
            );
            let mut appended = BytesMut::from(&b"before"[..]);
            let result = decode_append(&input, &mut appended).map_err(|e| e.to_string());
            let left = appended
                .strip_prefix(b"before")
                .map(<[u8]>::to_vec)
                .unwrap();
            match expected {
                Ok(bytes) => {
                    assert_eq!((result, &left), (Ok(()), &bytes), "{shown:?}");
                    assert_eq!(decoded_len(&input), bytes.len(), "{shown:?}");
                }
                Err(message) => assert_eq!((result, left), (Err(message), vec![]), "{shown:?}"),
            }
            seen += 1;
        }
        assert!(seen > 700, "only {seen} vectors");
    }

    #[test]
    fn judges_every_byte_at_every_place_as_the_scalar_twin() {
        for len in [4, 31, 32, 36, 68] {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut text = vec![b'w'; len];
                    text[at] = byte;
                    let twin = decode_explaining(&text);
                    let mut appended = BytesMut::new();
                    let result = decode_append(&text, &mut appended).map(|()| appended.to_vec());
                    assert_eq!(result, twin, "{byte:#x} at {at} of {len}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_way_equals_the_scalar_twin(
            text in prop_oneof!["[A-Za-z0-9+/]{0,300}", "[A-Za-z0-9+/]{0,130}[=_ é]?[A-Za-z0-9+/]{0,130}"]
        ) {
            let twin = decode_explaining(text.as_bytes()).ok();
            for (name, way) in decoded_by_every_way(text.as_bytes()) {
                prop_assert_eq!(&way, &twin, "{}", name);
            }
        }

        #[test]
        fn decodes_what_it_encodes(bytes: Vec<u8>, padded: bool) {
            let mut text = b"x".to_vec();
            encode_append(&bytes, &mut text);
            prop_assert_eq!(text.len() - 1, encoded_len(bytes.len()));
            let text = if padded { &text[1..] } else { text[1..].trim_ascii_end().split(|&b| b == b'=').next().unwrap() };
            prop_assert_eq!(decoded_len(text), bytes.len());
            let mut appended = BytesMut::new();
            prop_assert_eq!(decode_append(text, &mut appended), Ok(()));
            prop_assert_eq!(&appended[..], &bytes[..]);
            prop_assert_eq!(decode_vec(text), Ok(bytes));
        }

        #[test]
        fn equals_the_scalar_twin(text in "[A-Za-z0-9+/]{0,90}[A-Za-z0-9+/=_ é€]{0,4}[A-Za-z0-9+/]{0,40}=?=?=?") {
            let twin = decode_explaining(text.as_bytes());
            prop_assert_eq!(&decode_vec(text.as_bytes()), &twin);
            let mut appended = BytesMut::new();
            let result = decode_append(text.as_bytes(), &mut appended);
            prop_assert_eq!(result.map(|()| appended.to_vec()), twin);
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            prop_assert_eq!(decode_vec(&bytes), decode_explaining(&bytes));
        }
    }
}
