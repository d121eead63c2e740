//! What vectors are used with, whatever for.

use std::arch::x86_64::{__m256i, __mmask64, _mm256_setr_epi8};

/// Whether the processor has the instructions of the widest way, in either direction.
#[inline]
pub(super) fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512vbmi")
        && std::arch::is_x86_feature_detected!("avx512bw")
}

/// A table for both halves of a shuffle.
#[inline]
#[target_feature(enable = "avx2")]
#[rustfmt::skip]
pub(super) fn twice(table: [i8; 16]) -> __m256i {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = table;
    _mm256_setr_epi8(
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
    )
}

/// A mask of the first `len` of 64 bytes.
#[inline]
pub(super) const fn first(len: usize) -> __mmask64 {
    match len {
        0..64 => (1 << len) - 1,
        _ => __mmask64::MAX,
    }
}
