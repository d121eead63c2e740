//! Base64 encoded 24 bytes at a time with AVX2, after Muła and Lemire, "Faster Base64 Encoding and Decoding Using
//! AVX2 Instructions" (2018).
//!
//! Nothing is encoded one by one but the last bytes that make no group of three: the last step begins so early that it ends
//! with the last group. Its twin is `encode_scalar`.
#![allow(unsafe_code, reason = "loads and stores by pointer")]

use std::{
    arch::{
        asm,
        x86_64::{
            __m256i, _mm256_add_epi8, _mm256_and_si256, _mm256_cmpgt_epi8, _mm256_loadu_si256,
            _mm256_or_si256, _mm256_permutevar8x32_epi32, _mm256_set1_epi8, _mm256_set1_epi32,
            _mm256_setr_epi32, _mm256_shuffle_epi8, _mm256_storeu_si256, _mm256_sub_epi8,
            _mm256_subs_epu8,
        },
    },
    mem::MaybeUninit,
};

use super::last_group;
use crate::codec::vectors::twice;

/// Bytes of a step.
const STEP_BYTES: usize = 24;
/// Characters that they become.
const STEP: usize = STEP_BYTES / 3 * 4;
/// Bytes that are loaded for a step.
const LOADED: usize = 32;

/// Writes all of `room`, which is as long as `src` becomes.
#[target_feature(enable = "avx2")]
pub(super) fn encode(src: &[u8], room: &mut [MaybeUninit<u8>]) {
    let whole = src.len() / 3 * 3;
    let (bytes, rest) = src.split_at(whole);
    assert!(
        whole > LOADED && room.len() == super::encoded_len(src.len()),
        "who calls made sure of it"
    );
    // The first step loads what lies behind its bytes, all others what lies before theirs: nothing beyond either end.
    let first = _mm256_setr_epi32(0, 1, 2, 3, 3, 4, 5, 6);
    let behind = _mm256_setr_epi32(2, 3, 4, 5, 5, 6, 7, 7);
    let (from, to) = (bytes.as_ptr(), room.as_mut_ptr().cast::<u8>());
    let before = LOADED - STEP_BYTES;
    // SAFETY: `bytes` are more than are loaded, and the room is longer than them.
    unsafe { encode_step(from, first, to) };
    let steps = whole / STEP_BYTES;
    let pairs = (steps - 1) / 2;
    // SAFETY: step `n` loads from 8 bytes before `n * 24`, which there are for all but the first one, to the 24 bytes
    // behind it, which there are for all below `steps`. As many steps of 32 characters fit into the room.
    unsafe {
        let (mut from, mut to) = (from.add(STEP_BYTES - before), to.add(STEP));
        for _ in 0..pairs {
            encode_step(from, behind, to);
            encode_step(from.add(STEP_BYTES), behind, to.add(STEP));
            (from, to) = (from.add(2 * STEP_BYTES), to.add(2 * STEP));
        }
    }
    let ends = [
        steps.is_multiple_of(2).then_some(steps * STEP_BYTES),
        (!whole.is_multiple_of(STEP_BYTES)).then_some(whole),
    ];
    for end in ends.into_iter().flatten() {
        // SAFETY: `end` is more than is loaded before it: an even number of steps is two at least. It stands behind whole groups
        // of three, and its place in the room behind as many of four.
        unsafe { encode_step(from.add(end - LOADED), behind, to.add(end / 3 * 4 - STEP)) };
    }
    if let (Some(group), Some(place)) = (last_group(rest), room.last_chunk_mut::<4>()) {
        *place = group.map(MaybeUninit::new);
    }
}

/// Loads 32 bytes from `from`, and writes 32 characters to `to`.
///
/// # Safety
/// Both are there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn encode_step(from: *const u8, places: __m256i, to: *mut u8) {
    // SAFETY: the caller has 32 bytes there.
    let loaded = unsafe { _mm256_loadu_si256(from.cast()) };
    // Twelve bytes in each half, and of each three: second, first, third, second.
    let halves = _mm256_permutevar8x32_epi32(loaded, places);
    let groups = _mm256_shuffle_epi8(
        halves,
        twice([1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10]),
    );
    let first_and_third = multiply_high(
        _mm256_and_si256(groups, _mm256_set1_epi32(0x0fc0_fc00)),
        _mm256_set1_epi32(0x0400_0040),
    );
    let second_and_fourth = multiply_low(
        _mm256_and_si256(groups, _mm256_set1_epi32(0x003f_03f0)),
        _mm256_set1_epi32(0x0100_0010),
    );
    let sixes = _mm256_or_si256(first_and_third, second_and_fourth);
    // What to add to each, by its class: 0 for A to Z, 1 for a to z, 2 to 11 for digits, 12 and 13 for the signs.
    let above_z = _mm256_cmpgt_epi8(sixes, _mm256_set1_epi8(25));
    let class = _mm256_sub_epi8(_mm256_subs_epu8(sixes, _mm256_set1_epi8(51)), above_z);
    let shift = _mm256_shuffle_epi8(
        twice([
            65, 71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 0, 0,
        ]),
        class,
    );
    // SAFETY: the caller has room for 32.
    unsafe { _mm256_storeu_si256(to.cast(), _mm256_add_epi8(sixes, shift)) };
}

/// The high halves of 16 by 16 bits: shifts each to the right by an amount of its own. Of the intrinsic, which says less, the
/// compiler makes seven instructions.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply_high(a: __m256i, b: __m256i) -> __m256i {
    let product;
    // SAFETY: it works on registers alone.
    unsafe {
        asm!("vpmulhuw {}, {}, {}", lateout(ymm_reg) product, in(ymm_reg) a, in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    product
}

/// The low halves: shifts to the left. Of this intrinsic it would make three.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply_low(a: __m256i, b: __m256i) -> __m256i {
    let product;
    // SAFETY: it works on registers alone.
    unsafe {
        asm!("vpmullw {}, {}, {}", lateout(ymm_reg) product, in(ymm_reg) a, in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    product
}
