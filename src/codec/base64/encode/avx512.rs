//! Base64 encoded 48 bytes at a time with AVX-512 VBMI, which moves bytes anywhere and shifts each by its own amount.
//!
//! The last step loads and stores under a mask. Its twin is `encode_scalar`.
#![allow(unsafe_code, reason = "loads and stores by pointer")]

use std::{
    arch::x86_64::{
        __m512i, _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
        _mm512_multishift_epi64_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi64,
        _mm512_storeu_si512,
    },
    mem::MaybeUninit,
};

use super::{ALPHABET, encoded_len};
use crate::codec::vectors::first;

/// Bytes of a step.
const STEP_BYTES: usize = 48;
/// Characters that they become, and bytes that are loaded.
const STEP: usize = 64;

/// Writes all of `room`, which is as long as `src` becomes.
#[target_feature(enable = "avx512vbmi,avx512bw")]
pub(super) fn encode(src: &[u8], room: &mut [MaybeUninit<u8>]) {
    assert!(
        room.len() == encoded_len(src.len()),
        "who calls made sure of it"
    );
    // SAFETY: both are 64 bytes.
    let (places, alphabet) = unsafe {
        (
            _mm512_loadu_si512(PLACES.as_ptr().cast()),
            _mm512_loadu_si512(ALPHABET.as_ptr().cast()),
        )
    };
    let (mut from, mut to) = (src.as_ptr(), room.as_mut_ptr().cast::<u8>());
    let mut left = src.len();
    while left >= STEP {
        // SAFETY: as many bytes are left, and they become more characters than are stored.
        unsafe {
            let bytes = _mm512_loadu_si512(from.cast());
            _mm512_storeu_si512(to.cast(), characters(bytes, places, alphabet));
            (from, to) = (from.add(STEP_BYTES), to.add(STEP));
        }
        left -= STEP_BYTES;
    }
    while left > 0 {
        let here = left.min(STEP_BYTES);
        // SAFETY: under their masks, only what is left is loaded, and what it becomes is stored; so pointers stand at the ends
        // at most.
        unsafe {
            let bytes = _mm512_maskz_loadu_epi8(first(here), from.cast());
            let text = characters(bytes, places, alphabet);
            _mm512_mask_storeu_epi8(to.cast(), first(encoded_len(here)), text);
            (from, to) = (from.add(here), to.add(encoded_len(here)));
        }
        left -= here;
    }
    let padding = encoded_len(src.len()) - (src.len() * 4).div_ceil(3);
    for place in room.iter_mut().rev().take(padding) {
        place.write(b'=');
    }
}

/// The characters of the first 48 bytes.
#[inline]
#[target_feature(enable = "avx512vbmi,avx512bw")]
fn characters(bytes: __m512i, places: __m512i, alphabet: __m512i) -> __m512i {
    // Of each six bytes that stand twice in 64 bits, where the six bits of each character begin.
    let shifts = _mm512_set1_epi64(0x3036_242a_1016_040a);
    let groups = _mm512_permutexvar_epi8(places, bytes);
    // Of each byte, only the low six bits count as a place in the alphabet.
    _mm512_permutexvar_epi8(_mm512_multishift_epi64_epi8(shifts, groups), alphabet)
}

/// Of each three bytes: second, first, third, second.
const PLACES: [u8; STEP] = {
    let mut places = [0; STEP];
    let (mut group, mut byte) = (0, 0);
    while group < STEP / 4 {
        places[4 * group] = byte + 1;
        places[4 * group + 1] = byte;
        places[4 * group + 2] = byte + 2;
        places[4 * group + 3] = byte + 1;
        group += 1;
        byte += 3;
    }
    places
};
