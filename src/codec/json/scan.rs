//! Finding the bytes that matter inside a string.

/// The first `"`, `\` or control character, or the length of `bytes`: where a string ends, is escaped, or must be escaped.
///
/// Short strings, and the place of the hit, go sixteen bytes at a time; long stretches go in blocks through a loop that the
/// compiler turns into vector instructions.
#[inline]
pub(super) fn find_special(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut steps = 0;
    while let Some((sixteen, after)) = rest.split_first_chunk::<16>() {
        let hits = special_in_sixteen(sixteen);
        if hits != 0 {
            return bytes.len() - rest.len() + hits.trailing_zeros() as usize;
        }
        rest = after;
        steps += 1;
        if steps == STEPS_FIRST {
            rest = skip_plain_blocks(rest);
        }
    }
    if let Some((word, after)) = rest.split_first_chunk::<8>() {
        let hits = special_in_word(u64::from_le_bytes(*word));
        if hits != 0 {
            return bytes.len() - rest.len() + hits.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let plain = rest.iter().take_while(|&&byte| !is_special(byte)).count();
    bytes.len() - rest.len() + plain
}

/// Whether there are nothing but ASCII characters that stand for themselves in a string. For short texts: eight bytes at a time.
#[inline]
pub(super) fn is_plain_ascii(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        if !is_plain_word(u64::from_le_bytes(*word)) {
            return false;
        }
        rest = after;
    }
    // What is left is looked at from its end, together with some of what was.
    let word = if let Some(last) = bytes.last_chunk::<8>() {
        u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
    } else {
        let mut word = [b' '; 8];
        for (place, byte) in word.iter_mut().zip(bytes) {
            *place = *byte;
        }
        u64::from_le_bytes(word)
    };
    is_plain_word(word)
}

const fn is_plain_word(word: u64) -> bool {
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    (special_in_word(word) | word) & HIGH == 0
}

/// Steps made before blocks are tried: names and short values end in them.
const STEPS_FIRST: usize = 2;

/// Bytes looked at together in long strings.
const BLOCK: usize = 64;

/// Leaves out the leading blocks that hold nothing special.
#[inline(never)]
fn skip_plain_blocks(bytes: &[u8]) -> &[u8] {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[allow(
            unsafe_code,
            reason = "the same code, compiled for what most processors have"
        )]
        // SAFETY: the processor has AVX2.
        return unsafe { skip_plain_blocks_avx2(bytes) };
    }
    skip_plain_blocks_with_any(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn skip_plain_blocks_avx2(bytes: &[u8]) -> &[u8] {
    skip_plain_blocks_with_any(bytes)
}

#[inline(always)]
fn skip_plain_blocks_with_any(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
        if block
            .iter()
            .fold(false, |hit, &byte| hit | is_special(byte))
        {
            break;
        }
        rest = after;
    }
    rest
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A bit for each special byte, the first one's lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
fn special_in_sixteen(bytes: &[u8; 16]) -> u32 {
    #[allow(unsafe_code, reason = "a call of what the processor may lack")]
    // SAFETY: SSE2 is part of every x86-64.
    unsafe {
        special_in_sixteen_sse2(bytes)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn special_in_sixteen_sse2(bytes: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };
    #[allow(unsafe_code, reason = "a load by pointer")]
    // SAFETY: sixteen bytes are read, and there are as many.
    let text = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let quote = _mm_cmpeq_epi8(text, _mm_set1_epi8(b'"'.cast_signed()));
    let backslash = _mm_cmpeq_epi8(text, _mm_set1_epi8(b'\\'.cast_signed()));
    let control = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1f)), text);
    let special = _mm_or_si128(_mm_or_si128(quote, backslash), control);
    _mm_movemask_epi8(special).cast_unsigned()
}

#[cfg(not(target_arch = "x86_64"))]
fn special_in_sixteen(bytes: &[u8; 16]) -> u32 {
    (0..).zip(bytes).fold(0, |hits, (place, &byte)| {
        hits | u32::from(is_special(byte)) << place
    })
}

/// Marks special bytes by their highest bit. A borrow may mark more bytes above a true mark, never below one: the lowest mark is right.
const fn special_in_word(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ QUOTES).wrapping_sub(ONES);
    let backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
    (control | quote | backslash) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_bytes(bytes: &[u8]) -> usize {
        bytes
            .iter()
            .position(|&b| is_special(b))
            .unwrap_or(bytes.len())
    }

    #[test]
    fn finds_every_byte_at_every_place() {
        for len in [
            1, 7, 8, 9, 15, 16, 23, 31, 63, 64, 71, 72, 73, 136, 137, 200,
        ] {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut bytes = vec![0xc3; len];
                    bytes[at] = byte;
                    assert_eq!(
                        find_special(&bytes),
                        by_bytes(&bytes),
                        "{byte:#x} at {at} of {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn plain_ascii_is_told_from_all_else() {
        for len in 0..40 {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut bytes = vec![b'a'; len];
                    bytes[at] = byte;
                    let is_plain = byte.is_ascii() && !is_special(byte);
                    assert_eq!(
                        is_plain_ascii(&bytes),
                        is_plain,
                        "{byte:#x} at {at} of {len}"
                    );
                }
            }
            assert!(is_plain_ascii(&vec![b' '; len]));
        }
    }

    proptest! {
        #[test]
        fn equals_the_scalar_twin(bytes in prop::collection::vec(prop_oneof![20 => Just(b'a'), 1 => any::<u8>()], 0..400)) {
            for start in 0..bytes.len() {
                prop_assert_eq!(find_special(&bytes[start..]), by_bytes(&bytes[start..]));
            }
        }
    }
}
