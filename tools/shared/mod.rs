//! What tools share: above all what the null broker and the load client must agree on, so that each can check the other.

pub(crate) mod about;
pub(crate) mod payloads;
pub(crate) mod random;
pub(crate) mod sizes;

/// One message id's part of a sum that does not depend on the order of the ids.
pub(crate) fn id_hash(ledger: u64, entry: u64) -> u64 {
    let mixed = (ledger.rotate_left(32) ^ entry).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}
