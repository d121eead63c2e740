//! The vector kernels: base64 in both directions, the checksum of what brokers store, masking. Each way that this
//! processor has against a plain loop and against the crate `base64-simd`.

use base64_simd::STANDARD_NO_PAD;
use bytes::BytesMut;
use pulsar_ws_fast::codec::{
    base64::{
        decode_append, decode_vec, decoded_by_every_way, decoded_len, encode_append,
        encoded_by_every_way, encoded_len,
    },
    crc32c::crc32c,
    mask::{mask, mask_append, rotate},
};

use crate::script::{BEFORE, Chance, Script, behind};

/// The first byte says what the others are.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let kind = script.byte();
    match kind % 4 {
        0 => decode(script.rest()),
        1 => {
            // Base64 with a few characters changed: most texts that are read are right but for little.
            let (at, with) = (script.short(), script.byte());
            let mut text = base64_simd::STANDARD
                .encode_to_string(script.rest())
                .into_bytes();
            decode(&text);
            let at = usize::from(at) % text.len().max(1);
            if let Some(byte) = text.get_mut(at) {
                *byte = with;
            }
            decode(&text);
        }
        2 => encode(script.rest()),
        _ => {
            let key = [(); 4].map(|()| script.byte());
            let cut = script.short();
            checksum(script.rest(), cut);
            masking(data, key, cut);
        }
    }
}

fn decode(text: &[u8]) {
    let judged = plainly_decoded(text);
    assert_eq!(decode_vec(text).ok(), judged);
    for (name, way) in decoded_by_every_way(text) {
        assert_eq!(way, judged, "{name}");
    }
    let mut appended = BytesMut::from(BEFORE);
    let result = decode_append(text, &mut appended);
    assert_eq!(result.is_ok(), judged.is_some());
    assert_eq!(behind(&appended), judged.as_deref().unwrap_or_default());
    if let Some(judged) = judged {
        assert_eq!(decoded_len(text), judged.len());
    }
    // Whole groups mean the same to a judge that wants unused bits to be zero.
    let groups = &text[..text.len() / 4 * 4];
    if let Ok(simd) = STANDARD_NO_PAD.decode_to_vec(groups) {
        assert_eq!(decode_vec(groups).ok(), Some(simd));
    }
}

/// A character at a time; padding may be there or not, and bits that are not used mean nothing.
fn plainly_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let bare = match text {
        [bare @ .., b'=', b'='] | [bare @ .., b'='] if text.len().is_multiple_of(4) => bare,
        bare => bare,
    };
    if bare.len() % 4 == 1 {
        return None;
    }
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for byte in bare {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

fn encode(bytes: &[u8]) {
    let judged = base64_simd::STANDARD.encode_to_string(bytes);
    assert_eq!(encoded_len(bytes.len()), judged.len());
    for (name, text) in encoded_by_every_way(bytes) {
        assert_eq!(text, judged.as_bytes(), "{name}");
    }
    let mut appended = BEFORE.to_vec();
    encode_append(bytes, &mut appended);
    assert_eq!(behind(&appended), judged.as_bytes());
    assert_eq!(decode_vec(judged.as_bytes()).as_deref(), Ok(bytes));
}

fn checksum(bytes: &[u8], cut: u16) {
    // Long enough, from any start, that stretches are joined.
    let long = bytes.repeat(1 + usize::from(cut) % 300);
    for bytes in [bytes, &long, long.get(1..).unwrap_or_default()] {
        assert_eq!(crc32c(bytes), plain_crc32c(bytes));
    }
}

/// By the book, a bit at a time.
fn plain_crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ (0x82f6_3b78 * (crc & 1))
        })
    })
}

fn masking(bytes: &[u8], key: [u8; 4], cut: u16) {
    let judged: Vec<u8> = bytes
        .iter()
        .zip(key.iter().cycle())
        .map(|(a, b)| a ^ b)
        .collect();
    let mut masked = bytes.to_vec();
    assert_eq!(mask(&mut masked, key), judged.is_ascii());
    assert_eq!(masked, judged);
    let (head, tail) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let mut appended = Vec::new();
    mask_append(&mut appended, head, key);
    mask_append(&mut appended, tail, rotate(key, head.len()));
    assert_eq!(appended, judged);
}

/// Lengths around those at which a kernel changes its step.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut chance = Chance(1);
    let mut seeds = Vec::new();
    for len in [0, 1, 2, 3, 31, 33, 48, 64, 97, 191, 300] {
        let bytes: Vec<u8> = (0..len).map(|_| chance.number() as u8).collect();
        let text = base64_simd::STANDARD.encode_to_string(&bytes);
        seeds.push([b"\0", text.as_bytes()].concat());
        seeds.push([b"\0", text.trim_end_matches('=').as_bytes()].concat());
        for kind in 1..4 {
            seeds.push([&[kind, 7, 0, 7], &bytes[..]].concat());
        }
    }
    seeds
}
