//! Standard-alphabet base64 (RFC 4648, section 4) as `java.util.Base64` reads and writes it.

mod decode;
mod encode;

pub use self::{
    decode::{DecodeError, decode_append, decode_vec, decoded_len},
    encode::{encode_append, encoded_len},
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(any(test, feature = "fuzzing"))]
pub use self::{decode::decoded_by_every_way, encode::encoded_by_every_way};
