//! Payloads as base64, and the head by which an end-to-end delivery tells where it comes from.

use pulsar_ws_fast::codec::base64;

use crate::shared::payloads::Payloads;

/// Bytes of a head; a multiple of three, so that base64 of head and rest can be joined.
pub(crate) const HEAD_BYTES: usize = 24;
const HEAD_CHARS: usize = HEAD_BYTES / 3 * 4;

/// What an end-to-end payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Tells this run's messages from those of earlier ones.
    pub(crate) run: u32,
    pub(crate) publisher: u32,
    pub(crate) number: u64,
    /// When the publish was due.
    pub(crate) due: u64,
}

impl Head {
    fn bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.run.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.publisher.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_be_bytes());
        bytes[16..].copy_from_slice(&self.due.to_be_bytes());
        bytes
    }

    /// The head of a payload that is base64.
    pub(crate) fn of(encoded: &[u8]) -> Option<Self> {
        let mut bytes = [0; HEAD_BYTES];
        let encoded = encoded.get(..HEAD_CHARS)?;
        decode_into(encoded, &mut bytes)?;
        let word = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let first = word(0)?;
        Some(Self {
            run: u32::try_from(first >> 32).ok()?,
            publisher: u32::try_from(first & u64::from(u32::MAX)).ok()?,
            number: word(8)?,
            due: word(16)?,
        })
    }
}

/// Decodes without allocating; the number of bytes, which must have room.
pub(crate) fn decode_into(encoded: &[u8], bytes: &mut [u8]) -> Option<usize> {
    let (mut word, mut bits, mut len) = (0_u32, 0, 0);
    for char in encoded {
        let value = match char {
            b'A'..=b'Z' => char - b'A',
            b'a'..=b'z' => char - b'a' + 26,
            b'0'..=b'9' => char - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => return None,
        };
        word = (word << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(len)? = (word >> bits).to_le_bytes()[0];
            len += 1;
        }
    }
    Some(len)
}

/// Payloads beside their base64.
pub(crate) struct Texts {
    pub(crate) payloads: Payloads,
    longest: Vec<u8>,
}

impl Texts {
    pub(crate) fn new(payloads: Payloads) -> Self {
        let mut longest = Vec::new();
        base64::encode_append(payloads.of(payloads.sizes().most()), &mut longest);
        Self { payloads, longest }
    }

    /// Appends the base64 of the payload of `bytes`, with `head` in place of its beginning.
    pub(crate) fn append(&self, bytes: usize, head: Option<Head>, out: &mut Vec<u8>) {
        let start = out.len();
        let whole = bytes / 3;
        out.extend_from_slice(self.longest.get(..whole * 4).unwrap_or(&self.longest));
        if !bytes.is_multiple_of(3) {
            base64::encode_append(&self.payloads.of(bytes)[whole * 3..], out);
        }
        if let Some(head) = head
            && let Some(place) = out.get_mut(start..start + HEAD_CHARS)
        {
            let mut encoded = Vec::with_capacity(HEAD_CHARS);
            base64::encode_append(&head.bytes(), &mut encoded);
            place.copy_from_slice(&encoded);
        }
    }

    /// Whether a payload that is base64 is one of these, its head apart if it has one.
    pub(crate) fn contain(&self, encoded: &[u8], headed: bool) -> bool {
        if encoded == self.longest {
            return true;
        }
        let skipped = if headed { HEAD_CHARS } else { 0 };
        let padding = encoded
            .iter()
            .rev()
            .take_while(|char| **char == b'=')
            .count();
        let Some(bytes) = (encoded.len() / 4 * 3).checked_sub(padding) else {
            return false;
        };
        let whole = bytes / 3 * 4;
        if !encoded.len().is_multiple_of(4)
            || !self.payloads.sizes().contain(bytes)
            || encoded.get(skipped..whole) != self.longest.get(skipped..whole)
        {
            return false;
        }
        let mut tail = [0; 3];
        decode_into(&encoded[whole..], &mut tail)
            .is_some_and(|len| tail.get(..len) == self.payloads.of(bytes).get(whole / 4 * 3..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::sizes::Sizes;

    const HEAD: Head = Head {
        run: 0xdead_beef,
        publisher: 7,
        number: 1 << 40,
        due: 123_456_789_012,
    };

    fn texts(sizes: &str) -> Texts {
        Texts::new(Payloads::new(sizes.parse::<Sizes>().expect("sizes")))
    }

    #[test]
    fn every_size_is_the_base64_of_its_payload() {
        let texts = texts("0-100");
        for bytes in 0..=100 {
            let mut encoded = Vec::new();
            texts.append(bytes, None, &mut encoded);
            let decoded = base64::decode_vec(&encoded).expect("base64");
            assert_eq!(decoded, texts.payloads.of(bytes));
            assert!(texts.contain(&encoded, false), "{bytes}");
            let mut small = [0; 100];
            assert_eq!(decode_into(&encoded, &mut small), Some(bytes));
            assert_eq!(small[..bytes], decoded);
        }
    }

    #[test]
    fn what_differs_anywhere_is_not_contained() {
        let texts = texts("40-50");
        for bytes in 40..=50 {
            let mut encoded = Vec::new();
            texts.append(bytes, None, &mut encoded);
            for at in 0..encoded.len() {
                let mut other = encoded.clone();
                other[at] = if other[at] == b'A' { b'w' } else { b'A' };
                assert!(!texts.contain(&other, false), "{bytes} {at}");
            }
        }
        let mut short = Vec::new();
        texts.append(39, None, &mut short);
        assert!(!texts.contain(&short, false));
        assert!(!texts.contain(b"", false));
        assert!(!texts.contain(b"===", false));
    }

    #[test]
    fn a_head_comes_back_from_a_payload_of_any_size() {
        let texts = texts("24-60");
        for bytes in 24..=60 {
            let mut encoded = Vec::new();
            texts.append(bytes, Some(HEAD), &mut encoded);
            assert_eq!(
                base64::decode_vec(&encoded).map(|payload| payload.len()),
                Ok(bytes)
            );
            assert_eq!(Head::of(&encoded), Some(HEAD));
            assert!(texts.contain(&encoded, true), "{bytes}");
            assert!(!texts.contain(&encoded, false), "{bytes}");
        }
        assert_eq!(Head::of(b"AAAA"), None);
    }
}
