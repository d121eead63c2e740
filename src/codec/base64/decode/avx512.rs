//! Base64 decoded 64 characters at a time with AVX-512 VBMI, after Muła and Lemire, "Base64 encoding and decoding at almost the
//! speed of a memory copy" (2019).
//!
//! Loads and stores take masks, so that what is left behind the whole steps is one step more, whatever its length. Its
//! twin is `decode_scalar`.
#![allow(unsafe_code, reason = "loads and stores by pointer")]

use std::{
    arch::x86_64::{
        __m512i, _mm512_loadu_epi8, _mm512_madd_epi16, _mm512_maddubs_epi16,
        _mm512_mask_loadu_epi8, _mm512_mask_storeu_epi8, _mm512_movepi8_mask,
        _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi32,
        _mm512_setzero_si512, _mm512_storeu_epi8, _mm512_ternarylogic_epi32,
    },
    mem::MaybeUninit,
};

use super::{SEXTETS, bytes_of};
use crate::codec::vectors::first;

/// Characters of a step.
const STEP: usize = 64;
/// Bytes that they become.
const STEP_BYTES: usize = STEP / 4 * 3;

/// Where in its 32 bits each of three bytes stands, for all groups of a step.
static PLACES: [u8; STEP] = {
    let mut places = [0; STEP];
    let mut at = 0;
    while at < STEP_BYTES {
        places[at] = (at / 3 * 4 + 2 - at % 3).to_le_bytes()[0];
        at += 1;
    }
    places
};

/// Decodes a text without padding to `dst`. Tells whether it could: then all of `dst` is written.
#[target_feature(enable = "avx512bw,avx512vbmi")]
pub(super) fn decode(text: &[u8], dst: &mut [MaybeUninit<u8>]) -> bool {
    if text.len() % 4 == 1 || dst.len() != bytes_of(text) {
        return false;
    }
    let (steps, rest) = text.as_chunks::<STEP>();
    let mut left = dst;
    let mut wrong = _mm512_setzero_si512();
    for step in steps {
        // SAFETY: 64 bytes are read, and there are as many.
        let characters = unsafe { _mm512_loadu_epi8(step.as_ptr().cast()) };
        let bytes = decode_step(characters, &mut wrong);
        if let Some(place) = left.first_chunk_mut::<STEP>() {
            // What is written too much, the next step writes again.
            // SAFETY: 64 bytes are written, and there is room for as many.
            unsafe { _mm512_storeu_epi8(place.as_mut_ptr().cast(), bytes) };
        } else {
            store(bytes, &mut left[..STEP_BYTES]);
        }
        left = &mut left[STEP_BYTES..];
    }
    if !rest.is_empty() {
        // SAFETY: of 64 bytes, those are read that are there.
        let characters = unsafe {
            _mm512_mask_loadu_epi8(
                _mm512_set1_epi8(b'A'.cast_signed()),
                first(rest.len()),
                rest.as_ptr().cast(),
            )
        };
        store(decode_step(characters, &mut wrong), left);
    }
    _mm512_movepi8_mask(wrong) == 0
}

/// The bytes that 64 characters become, in front; `wrong` keeps a highest bit for each that is none of the alphabet.
#[inline]
#[target_feature(enable = "avx512bw,avx512vbmi")]
fn decode_step(characters: __m512i, wrong: &mut __m512i) -> __m512i {
    // SAFETY: 64 bytes are read, and there are as many each time.
    let [low, high, places] = unsafe {
        [&SEXTETS[..64], &SEXTETS[64..128], &PLACES]
            .map(|table| _mm512_loadu_epi8(table.as_ptr().cast()))
    };
    // Of an index, the low seven bits count.
    let sixes = _mm512_permutex2var_epi8(low, characters, high);
    // Any of the three bits.
    *wrong = _mm512_ternarylogic_epi32::<0xfe>(*wrong, sixes, characters);
    let twelves = _mm512_maddubs_epi16(sixes, _mm512_set1_epi32(0x0140_0140));
    let twenty_fours = _mm512_madd_epi16(twelves, _mm512_set1_epi32(0x0001_1000));
    _mm512_permutexvar_epi8(places, twenty_fours)
}

/// Writes as many bytes as there is room for, at most 63.
#[inline]
#[target_feature(enable = "avx512bw")]
fn store(bytes: __m512i, place: &mut [MaybeUninit<u8>]) {
    // SAFETY: of 64 bytes, those are written for which there is room.
    unsafe { _mm512_mask_storeu_epi8(place.as_mut_ptr().cast(), first(place.len()), bytes) };
}
