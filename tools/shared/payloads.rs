//! The payloads that are published and delivered: each is the beginning of one stream of bytes, not
//! repetitive and the same each time.

use crate::shared::sizes::Sizes;

/// Payloads of some sizes.
pub(crate) struct Payloads {
    sizes: Sizes,
    longest: Vec<u8>,
}

impl Payloads {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self {
            longest: stream(sizes.most()),
            sizes,
        }
    }

    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The payload of `bytes`, if they are not more than the largest size.
    pub(crate) fn of(&self, bytes: usize) -> &[u8] {
        self.longest.get(..bytes).unwrap_or(&self.longest)
    }
}

fn stream(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut payload = Vec::with_capacity(bytes);
    while payload.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        payload.push(state.to_be_bytes()[0]);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_is_the_beginning_of_the_longest() {
        let payloads = Payloads::new(Sizes::Uniform(3, 1000));
        let longest = payloads.of(1000);
        assert_eq!(longest.len(), 1000);
        for bytes in [0, 3, 999] {
            assert_eq!(payloads.of(bytes), &longest[..bytes]);
        }
        let mut kinds = longest.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        assert!(kinds.len() > 200, "repetitive: {}", kinds.len());
    }
}
