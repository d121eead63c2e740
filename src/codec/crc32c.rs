//! CRC-32C (Castagnoli), the checksum of what a broker stores.
//!
//! The processor's instruction waits three cycles for its own result and can begin one each cycle, so three stretches of a message
//! are worked on side by side and joined at the end: a multiplication without carries moves a checksum over as many bytes as follow.
//! The crate does so for whole blocks, and goes word by word through what is left of a message of a kilobyte.

/// The checksum of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
    {
        #[allow(unsafe_code, reason = "a call of what the processor may lack")]
        // SAFETY: the processor has both.
        return unsafe { by_three(bytes) };
    }
    crc32c::crc32c(bytes)
}

/// Words in a stretch: 1 KiB, so that three of them are what is joined at a time in a long message.
const STRETCH_MAX: usize = 128;
/// Below this it does not pay to join stretches.
const STRETCH_MIN: usize = 4;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn by_three(bytes: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    let (mut words, rest) = bytes.as_chunks::<8>();
    let mut crc = u64::from(u32::MAX);
    while words.len() >= 3 * STRETCH_MIN {
        let len = (words.len() / 3).min(STRETCH_MAX);
        let (first, after) = words.split_at(len);
        let (second, after) = after.split_at(len);
        let (third, after) = after.split_at(len);
        let (mut b, mut c) = (0, 0);
        for ((first, second), third) in first.iter().zip(second).zip(third) {
            crc = _mm_crc32_u64(crc, u64::from_le_bytes(*first));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*second));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*third));
        }
        crc = c ^ moved(crc, 2 * len) ^ moved(b, len);
        words = after;
    }
    for word in words {
        crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
    }
    let [a, b, c, d, ..] = crc.to_le_bytes();
    let crc = rest
        .iter()
        .fold(u32::from_le_bytes([a, b, c, d]), |crc, &byte| {
            _mm_crc32_u8(crc, byte)
        });
    !crc
}

/// What a checksum becomes by so many words of zeros.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn moved(crc: u64, words: usize) -> u64 {
    use std::arch::x86_64::{
        _mm_clmulepi64_si128, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
    };

    let by = MOVES.get(words).copied().unwrap_or_default();
    let product = _mm_clmulepi64_si128::<0>(
        _mm_cvtsi64_si128(crc.cast_signed()),
        _mm_cvtsi64_si128(i64::from(by)),
    );
    _mm_crc32_u64(0, _mm_cvtsi128_si64(product).cast_unsigned())
}

/// The polynomial without its highest term, lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// By the number of words: x to the power of so many bits, less the 33 by which a product of two such numbers and its reduction by
/// the checksum's instruction are off, modulo the polynomial.
const MOVES: [u32; 2 * STRETCH_MAX + 1] = {
    let mut moves = [0; 2 * STRETCH_MAX + 1];
    let mut power = 1 << 31;
    let mut bits = 0;
    let mut words = 1;
    while words < moves.len() {
        while bits < 64 * words - 33 {
            power = power >> 1 ^ if power & 1 == 1 { POLYNOMIAL } else { 0 };
            bits += 1;
        }
        moves[words] = power;
        words += 1;
    }
    moves
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_length_has_the_checksum_that_the_judge_gives_it() {
        let bytes: Vec<u8> = (0..=u8::MAX)
            .cycle()
            .skip(3)
            .step_by(59)
            .take(8000)
            .collect();
        for len in (0..700).chain([1023, 1024, 1060, 3071, 3072, 3079, 3080, 6143, 6500, 8000]) {
            for start in 0..9.min(len) {
                let bytes = &bytes[start..len];
                assert_eq!(crc32c(bytes), crc32c::crc32c(bytes), "{start}..{len}");
            }
        }
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn any_bytes_have_the_checksum_that_the_judge_gives_them(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(crc32c(&bytes), crc32c::crc32c(&bytes));
        }
    }
}
