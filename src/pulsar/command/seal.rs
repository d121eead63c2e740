//! What is stored with a message that is encrypted.

use bytes::{BufMut, BytesMut};

use super::metadata::{self, pair_len};
use crate::{
    codec::protobuf::{bytes_len, put_bytes, put_bytes_header},
    pulsar::crypto::{Cipher, TAG_LEN},
};

/// The metadata of a payload that is encrypted.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// The payload's key, once for each who may read it: fields `encryption_keys`, encoded.
    pub keys: &'a [u8],
    /// What the key is used with.
    pub param: &'a [u8],
    /// `None`: the payload comes encrypted.
    pub cipher: Option<Cipher<'a>>,
}

impl Seal<'_> {
    /// Bytes of what [`Seal::put`] appends.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len() + bytes_len(metadata::ENCRYPTION_PARAM, self.param.len())
    }

    /// Bytes behind the payload.
    #[must_use]
    pub const fn tag_len(&self) -> usize {
        match self.cipher {
            Some(_) => TAG_LEN,
            None => 0,
        }
    }

    /// Encrypts the payload that `out` holds from `start` on, if it is to be.
    pub fn encrypt(&self, out: &mut BytesMut, start: usize) {
        if let (Some(cipher), Some(payload)) = (&self.cipher, out.get_mut(start..)) {
            let tag = cipher.encrypt(payload);
            out.put_slice(&tag);
        }
    }

    /// Whether it appends nothing, which it never does.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends it to metadata, before the field 17.
    pub fn put<B: BufMut>(&self, out: &mut B) {
        out.put_slice(self.keys);
        put_bytes(out, metadata::ENCRYPTION_PARAM, self.param);
    }
}

/// Appends a field `encryption_keys`.
pub fn put_encryption_key<B: BufMut>(
    name: &[u8],
    value: &[u8],
    pairs: &[(String, String)],
    out: &mut B,
) {
    let len_of = |(name, value): &(String, String)| pair_len(name.as_bytes(), value.as_bytes());
    let pairs_len: usize = pairs.iter().map(|pair| bytes_len(3, len_of(pair))).sum();
    let len = bytes_len(1, name.len()) + bytes_len(2, value.len()) + pairs_len;
    put_bytes_header(out, metadata::ENCRYPTION_KEYS, len);
    put_bytes(out, 1, name);
    put_bytes(out, 2, value);
    for pair in pairs {
        put_bytes_header(out, 3, len_of(pair));
        put_bytes(out, 1, pair.0.as_bytes());
        put_bytes(out, 2, pair.1.as_bytes());
    }
}
