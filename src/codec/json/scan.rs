//! Finding the bytes that matter inside a string.

/// The first `"`, `\` or control character, or the length of `bytes`: where a string ends, is escaped, or must be escaped.
///
/// Short strings, and the block that holds the hit, go in words of eight; long stretches go in blocks through a loop that the compiler
/// turns into vector instructions.
#[inline]
pub(super) fn find_special(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut words = 0;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let hits = special_in_word(u64::from_le_bytes(*word));
        if hits != 0 {
            return bytes.len() - rest.len() + hits.trailing_zeros() as usize / 8;
        }
        rest = after;
        words += 1;
        if words == WORDS_FIRST {
            rest = skip_plain_blocks(rest);
        }
    }
    let plain = rest.iter().take_while(|&&byte| !is_special(byte)).count();
    bytes.len() - rest.len() + plain
}

/// Words looked at before blocks are tried: names and short values end in them.
const WORDS_FIRST: usize = 4;

/// Bytes looked at together in long strings.
const BLOCK: usize = 64;

/// Leaves out the leading blocks that hold nothing special.
#[inline(never)]
fn skip_plain_blocks(bytes: &[u8]) -> &[u8] {
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

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Marks special bytes by their highest bit. A borrow may mark more bytes above a true mark, never below one: the lowest mark is right.
fn special_in_word(word: u64) -> u64 {
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
        for len in [1, 7, 8, 9, 63, 64, 71, 72, 73, 136, 137, 200] {
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

    proptest! {
        #[test]
        fn equals_the_scalar_twin(bytes in prop::collection::vec(prop_oneof![20 => Just(b'a'), 1 => any::<u8>()], 0..400)) {
            for start in 0..bytes.len() {
                prop_assert_eq!(find_special(&bytes[start..]), by_bytes(&bytes[start..]));
            }
        }
    }
}
