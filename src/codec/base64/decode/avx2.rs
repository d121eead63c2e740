//! Base64 decoded 32 characters at a time with AVX2, after Muła and Lemire, "Faster Base64 Encoding and Decoding Using
//! AVX2 Instructions" (2018).
//!
//! It decodes and judges in one pass, and keeps one verdict for the whole text, where `base64-simd` takes two passes
//! and a slow way for the last characters. Its twin is `decode_scalar`.
#![allow(unsafe_code, reason = "loads and stores by pointer")]

use std::{
    arch::x86_64::{
        __m256i, _mm_storel_epi64, _mm_storeu_si128, _mm256_add_epi8, _mm256_and_si256,
        _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_extracti128_si256, _mm256_loadu_si256,
        _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_or_si256, _mm256_permutevar8x32_epi32,
        _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi32,
        _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi32, _mm256_testz_si256,
    },
    mem::MaybeUninit,
};

use crate::codec::vectors::twice;

/// Characters of a step.
const STEP: usize = 32;
/// Bytes that they become.
const STEP_BYTES: usize = STEP / 4 * 3;

/// Decodes `src`, whole groups of four, to `dst`. Tells whether it could: then all of `dst` is written.
#[target_feature(enable = "avx2")]
pub(super) fn decode(src: &[u8], dst: &mut [MaybeUninit<u8>]) -> bool {
    if !src.len().is_multiple_of(4) || dst.len() != src.len() / 4 * 3 {
        return false;
    }
    let (steps, rest) = src.as_chunks::<STEP>();
    let (places, _) = dst.as_chunks_mut::<STEP_BYTES>();
    let mut wrong = _mm256_setzero_si256();
    for (characters, place) in steps.iter().zip(places) {
        wrong = _mm256_or_si256(wrong, decode_step(characters, place));
    }
    if !rest.is_empty() {
        let step = match (src.last_chunk(), dst.last_chunk_mut()) {
            // Some of it is done once more.
            (Some(characters), Some(place)) => decode_step(characters, place),
            _ => decode_short(rest, dst),
        };
        wrong = _mm256_or_si256(wrong, step);
    }
    _mm256_testz_si256(wrong, wrong) == 1
}

/// Less than a step, that is.
#[target_feature(enable = "avx2")]
fn decode_short(src: &[u8], dst: &mut [MaybeUninit<u8>]) -> __m256i {
    let mut characters = [b'A'; STEP];
    let mut bytes = [MaybeUninit::new(0); STEP_BYTES];
    for (place, character) in characters.iter_mut().zip(src) {
        *place = *character;
    }
    let wrong = decode_step(&characters, &mut bytes);
    for (place, byte) in dst.iter_mut().zip(bytes) {
        *place = byte;
    }
    wrong
}

/// Writes all bytes of `place`; what it answers is zero if all characters are of the alphabet.
#[inline]
#[target_feature(enable = "avx2")]
fn decode_step(characters: &[u8; STEP], place: &mut [MaybeUninit<u8>; STEP_BYTES]) -> __m256i {
    // SAFETY: 32 bytes are read, and there are as many.
    let text = unsafe { _mm256_loadu_si256(characters.as_ptr().cast()) };
    // Of a shuffle's index, the low four bits and the highest one count: what the mask lets through besides does not.
    let slash = _mm256_set1_epi8(b'/'.cast_signed());
    let high = _mm256_and_si256(_mm256_srli_epi32::<4>(text), slash);
    let low = _mm256_and_si256(text, slash);
    // Each class of high nibbles has a bit, which is set for the low nibbles that make no character of the alphabet.
    let wrong = _mm256_and_si256(
        _mm256_shuffle_epi8(
            twice([
                0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
                0x10, 0x10,
            ]),
            high,
        ),
        _mm256_shuffle_epi8(
            twice([
                0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b,
                0x1b, 0x1a,
            ]),
            low,
        ),
    );
    // What to add to a character, by its high nibble; the slash has a place of its own.
    let shift = _mm256_shuffle_epi8(
        twice([0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0]),
        _mm256_add_epi8(_mm256_cmpeq_epi8(text, slash), high),
    );
    let sixes = _mm256_add_epi8(text, shift);
    let twelves = _mm256_maddubs_epi16(sixes, _mm256_set1_epi16(0x0140));
    let twenty_fours = _mm256_madd_epi16(twelves, _mm256_set1_epi32(0x0001_1000));
    let in_halves = _mm256_shuffle_epi8(
        twenty_fours,
        twice([2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1]),
    );
    let bytes = _mm256_permutevar8x32_epi32(in_halves, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    let place = place.as_mut_ptr();
    // SAFETY: 16 and 8 bytes are written one behind the other, and there is room for 24.
    unsafe {
        _mm_storeu_si128(place.cast(), _mm256_castsi256_si128(bytes));
        _mm_storel_epi64(place.add(16).cast(), _mm256_extracti128_si256::<1>(bytes));
    }
    wrong
}
