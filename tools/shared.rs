//! What the null broker and the load client must agree on, so that each can check the other.

/// The payload of `bytes` that is published, and delivered: not repetitive, and the same each time.
pub(crate) fn payload(bytes: usize) -> Vec<u8> {
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

/// One message id's part of a sum that does not depend on the order of the ids.
pub(crate) fn id_hash(ledger: u64, entry: u64) -> u64 {
    let mixed = (ledger.rotate_left(32) ^ entry).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}
