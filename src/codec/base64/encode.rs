//! Base64 written: padded, by the widest instructions that the processor has.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::mem::MaybeUninit;

use super::ALPHABET;
#[cfg(target_arch = "x86_64")]
use crate::codec::vectors::has_avx512;

/// How many characters `n` bytes become, padding included.
#[must_use]
pub const fn encoded_len(n: usize) -> usize {
    n.div_ceil(3) * 4
}

/// Appends `src` to `dst` as padded base64.
pub fn encode_append(src: &[u8], dst: &mut Vec<u8>) {
    let len = encoded_len(src.len());
    dst.reserve(len);
    if let Some(room) = dst.spare_capacity_mut().get_mut(..len) {
        encode_all(src, room);
        let filled = dst.len() + len;
        #[allow(
            unsafe_code,
            reason = "zeroing the room first would be a second pass over every payload"
        )]
        // SAFETY: the capacity was reserved above, and all `len` characters behind the old length are written.
        unsafe {
            dst.set_len(filled);
        }
    }
}

/// Message ids and the like: too short for what AVX2 loads at once.
const SHORT_BYTES_MAX: usize = 32;

/// Writes all of `room`, which is as long as `src` becomes.
fn encode_all(src: &[u8], room: &mut [MaybeUninit<u8>]) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "calls of what the processor may lack")]
    {
        if has_avx512() {
            // SAFETY: the processor has what it needs.
            return unsafe { avx512::encode(src, room) };
        }
        if src.len() > SHORT_BYTES_MAX && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { avx2::encode(src, room) };
        }
    }
    encode_scalar(src, room);
}

/// The twin of the fast ways, for what is short and for a processor without them.
fn encode_scalar(src: &[u8], room: &mut [MaybeUninit<u8>]) {
    let (places, _) = room.as_chunks_mut::<4>();
    let (groups, rest) = src.as_chunks::<3>();
    let (whole, last) = places.split_at_mut(groups.len());
    for (place, group) in whole.iter_mut().zip(groups) {
        *place = characters(*group).map(MaybeUninit::new);
    }
    if let ([place], Some(group)) = (last, last_group(rest)) {
        *place = group.map(MaybeUninit::new);
    }
}

/// The padded characters of what is left behind whole groups of three; `None` if nothing is.
const fn last_group(rest: &[u8]) -> Option<[u8; 4]> {
    match *rest {
        [a] => {
            let [first, second, ..] = characters([a, 0, 0]);
            Some([first, second, b'=', b'='])
        }
        [a, b] => {
            let [first, second, third, _] = characters([a, b, 0]);
            Some([first, second, third, b'='])
        }
        _ => None,
    }
}

/// The four characters of three bytes.
const fn characters([a, b, c]: [u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [
        ALPHABET[(bits >> 18 & 63) as usize],
        ALPHABET[(bits >> 12 & 63) as usize],
        ALPHABET[(bits >> 6 & 63) as usize],
        ALPHABET[(bits & 63) as usize],
    ]
}

/// What each way that this processor has makes of `src`. One byte more than there may be written stands behind the room of each, and
/// is looked at.
#[cfg(any(test, feature = "fuzzing"))]
#[must_use]
pub fn encoded_by_every_way(src: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    type Way = fn(&[u8], &mut [MaybeUninit<u8>]);
    let mut ways: Vec<(&'static str, Way)> = vec![("scalar", encode_scalar)];
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "calls of what the processor may lack")]
    {
        if src.len() > SHORT_BYTES_MAX && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            ways.push(("avx2", |src, room| unsafe { avx2::encode(src, room) }));
        }
        if has_avx512() {
            // SAFETY: the processor has what it needs.
            ways.push(("avx512", |src, room| unsafe { avx512::encode(src, room) }));
        }
    }
    let encoded = ways.into_iter().map(|(name, encode)| {
        let len = encoded_len(src.len());
        let mut room = vec![MaybeUninit::new(0); len + 1];
        encode(src, &mut room[..len]);
        #[allow(unsafe_code, reason = "reads what was written over zeros")]
        // SAFETY: every byte was set to zero at least.
        let bytes = room.iter().map(|byte| unsafe { byte.assume_init() });
        let mut text: Vec<u8> = bytes.collect();
        assert_eq!(text.pop(), Some(0), "{name} wrote behind its room");
        (name, text)
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use base64_simd::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn check(src: &[u8]) {
        let expected = STANDARD.encode_to_string(src);
        let mut appended = b"before".to_vec();
        encode_append(src, &mut appended);
        assert_eq!(appended, [b"before", expected.as_bytes()].concat());
        for (name, text) in encoded_by_every_way(src) {
            assert_eq!(String::from_utf8(text), Ok(expected.clone()), "{name}");
        }
    }

    #[test]
    fn every_length_is_written_as_the_judge_writes_it() {
        let bytes: Vec<u8> = (0..=u8::MAX)
            .cycle()
            .skip(7)
            .step_by(37)
            .take(400)
            .collect();
        for len in 0..=bytes.len() {
            check(&bytes[..len]);
        }
    }

    #[test]
    fn every_three_bits_at_every_place() {
        for at in 0..100 {
            for byte in 0..=u8::MAX {
                let mut bytes = [0x5a; 100];
                bytes[at] = byte;
                check(&bytes);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_written_as_the_judge_writes_them(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
            check(&bytes);
        }
    }
}
