//! Hashes of routing keys, as all Pulsar clients compute them: another hash would put a key's
//! messages into another partition.

/// `String.hashCode` of Java, over UTF-16 units, without its sign.
pub(super) fn java_string(key: &str) -> u32 {
    let hash = key.encode_utf16().fold(0u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    });
    unsigned(hash)
}

/// `MurmurHash3_x86_32` with seed 0, over UTF-8, without its sign.
pub(super) fn murmur3_32(key: &str) -> u32 {
    let mut blocks = key.as_bytes().chunks_exact(4);
    let mut hash = 0;
    for block in &mut blocks {
        let block = block
            .iter()
            .rev()
            .fold(0, |all, &byte| all << 8 | u32::from(byte));
        hash = (hash ^ scrambled(block)).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let rest = blocks.remainder().iter().rev();
    let rest = rest.fold(0, |all, &byte| all << 8 | u32::from(byte));
    hash ^= scrambled(rest);
    #[expect(clippy::cast_possible_truncation, reason = "as it is defined")]
    let len = key.len() as u32;
    hash ^= len;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    unsigned(hash ^ (hash >> 16))
}

/// Zero stays zero, so an empty rest changes nothing.
const fn scrambled(block: u32) -> u32 {
    let block = block.wrapping_mul(0xcc9e_2d51).rotate_left(15);
    block.wrapping_mul(0x1b87_3593)
}

/// Clients keep hashes in signed integers, and want no negative ones.
const fn unsigned(hash: u32) -> u32 {
    hash & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `JavaStringHash` and `Murmur3Hash32` of the Java client compute.
    #[test]
    fn as_the_java_client() {
        let table = [
            ("", 0, 0),
            ("a", 97, 1_009_084_850),
            ("ab", 3105, 465_557_343),
            ("abc", 96354, 870_159_354),
            ("abcd", 2_987_074, 1_139_631_978),
            ("abcde", 92_599_395, 1_755_028_214),
            ("key-1", 101_943_363, 414_258_592),
            ("\u{43a}\u{43b}\u{44e}\u{447}", 33_309_882, 442_048_578),
            ("\u{1f600}", 1_772_899, 1_051_995_898),
            ("a\u{1f600}b", 57_849_694, 977_559_804),
            ("\u{e9}", 233, 269_551_495),
            ("\u{ffff}", 65535, 1_061_879_644),
            ("polygenelubricants", 0, 1_101_602_400),
            (
                "The quick brown fox jumps over the lazy dog",
                1_538_055_507,
                776_992_547,
            ),
            ("\0", 0, 1_364_076_727),
            ("\u{80}\u{7ff}\u{800}", 188_513, 407_799_868),
        ];
        for (key, java, murmur) in table {
            assert_eq!(java_string(key), java, "{key:?}");
            assert_eq!(murmur3_32(key), murmur, "{key:?}");
        }
    }
}
