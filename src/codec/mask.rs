//! The masking of RFC 6455, section 5.3: octet `i` is xored with octet `i mod 4` of the key.
//!
//! The same operation masks and unmasks. Words of eight bytes carry the key twice, a form that the compiler turns into vector
//! instructions by itself; no alignment is needed, so frames may start anywhere in a receive buffer. A frame that arrives in pieces is
//! unmasked piece by piece with the key turned by [`rotate`].

/// Bytes copied before they are unmasked: small enough that the second pass finds them in the first-level cache.
const BLOCK: usize = 4096;

/// Xors `buf` with `key` in place; `key[0]` meets the first byte. Tells whether what came out is ASCII, which costs next to
/// nothing on the way.
pub fn mask(buf: &mut [u8], key: [u8; 4]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if buf.len() >= LONG && std::arch::is_x86_feature_detected!("avx2") {
        #[allow(
            unsafe_code,
            reason = "the same code, compiled for what most processors have"
        )]
        // SAFETY: the processor has AVX2.
        return unsafe { mask_avx2(buf, key) };
    }
    mask_with_any(buf, key)
}

/// From this length on, wider vectors are worth asking whether they are there.
#[cfg(target_arch = "x86_64")]
const LONG: usize = 256;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn mask_avx2(buf: &mut [u8], key: [u8; 4]) -> bool {
    mask_with_any(buf, key)
}

#[inline(always)]
fn mask_with_any(buf: &mut [u8], key: [u8; 4]) -> bool {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = buf.as_chunks_mut::<8>();
    let mut seen = 0;
    for chunk in words {
        let bytes = u64::from_ne_bytes(*chunk) ^ word;
        seen |= bytes;
        *chunk = bytes.to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen & u64::from_ne_bytes([0x80; 8]) == 0
}

/// Appends `src`, xored with `key`, to `dst`.
pub fn mask_append(dst: &mut Vec<u8>, src: &[u8], key: [u8; 4]) {
    dst.reserve(src.len());
    // BLOCK is a multiple of four, so every block starts with the first byte of the key.
    for block in src.chunks(BLOCK) {
        let start = dst.len();
        dst.extend_from_slice(block);
        if let Some(copied) = dst.get_mut(start..) {
            mask(copied, key);
        }
    }
}

/// The key as the next byte sees it after `consumed` bytes of the frame's payload.
#[must_use]
pub fn rotate(key: [u8; 4], consumed: usize) -> [u8; 4] {
    let mut key = key;
    key.rotate_left(consumed % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The RFC's sentence, one byte at a time.
    fn mask_by_bytes(buf: &mut [u8], key: [u8; 4]) {
        for (i, byte) in buf.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
    }

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn unmasks_the_example_of_the_rfc() {
        // RFC 6455, section 5.7: a masked "Hello".
        let mut hello = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        mask(&mut hello, KEY);
        assert_eq!(&hello, b"Hello");
    }

    #[test]
    fn equals_the_scalar_twin_at_every_alignment_and_length() {
        let bytes: Vec<u8> = (0..=255u8).cycle().take(300).collect();
        for start in 0..17 {
            for len in 0..=(300 - start) {
                let mut expected = bytes.clone();
                mask_by_bytes(&mut expected[start..start + len], KEY);
                let mut masked = bytes.clone();
                mask(&mut masked[start..start + len], KEY);
                assert_eq!(masked, expected, "start {start}, length {len}");
                let mut appended = bytes[..start].to_vec();
                mask_append(&mut appended, &bytes[start..start + len], KEY);
                assert_eq!(appended, expected[..start + len]);
            }
        }
    }

    #[test]
    fn sees_every_byte_that_is_not_ascii() {
        for len in [0, 1, 7, 8, 100, 300] {
            let mut text = vec![b'a'; len];
            mask_by_bytes(&mut text, KEY);
            assert!(mask(&mut text, KEY), "length {len}");
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = 0x80;
                mask_by_bytes(&mut text, KEY);
                assert!(!mask(&mut text, KEY), "at {at} of {len}");
            }
        }
    }

    #[test]
    fn appends_across_blocks() {
        for len in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let src = vec![0x5a; len];
            let mut expected = src.clone();
            mask_by_bytes(&mut expected, KEY);
            let mut appended = Vec::new();
            mask_append(&mut appended, &src, KEY);
            assert_eq!(appended, expected);
        }
    }

    proptest! {
        #[test]
        fn pieces_with_a_turned_key_equal_the_whole(bytes: Vec<u8>, key: [u8; 4], cuts: Vec<usize>) {
            let mut whole = bytes.clone();
            mask(&mut whole, key);
            let mut pieces = bytes;
            let mut done = 0;
            for cut in cuts {
                let end = done + cut % (pieces.len() - done + 1);
                mask(&mut pieces[done..end], rotate(key, done));
                done = end;
            }
            mask(&mut pieces[done..], rotate(key, done));
            prop_assert_eq!(pieces, whole);
        }
    }
}
