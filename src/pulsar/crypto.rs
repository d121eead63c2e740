//! End-to-end encryption by the service: payloads with AES-256-GCM, their keys with RSA-OAEP, as Java's
//! `MessageCryptoBc` and the C++ client do.
//!
//! A producer makes itself a data key and stores it with each entry, once for each public key it
//! encrypts for; whoever has one of the private keys gets at it. A data key is used for four hours.
//! No nonce is used twice with one: it is a counter. Where a payload is compressed, it is encrypted
//! after that, a batch as a whole.
//!
//! Keys are the one thing here that is not repeatable from a seed: they come from the operating
//! system. A private RSA operation takes about as long as thousands of messages, and a sender can
//! force one for each message: it is wanted here and done elsewhere (see `data_keys`), once for a data
//! key. Its outcome is remembered, good or bad, for all consumers of the shard.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
    rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey},
};

use super::{
    command::{Seal, put_encryption_key},
    error::exception,
};
use crate::{
    config::{DataKey, EncryptionKeys},
    session::{Key, Keys},
    timer::Instant,
};

/// Bytes that encryption adds behind a payload.
pub(super) const TAG_LEN: usize = 16;
const DATA_KEY_LEN: usize = 32;
/// `MessageCryptoBc`: how long a data key is used, and remembered after it was last needed.
const DATA_KEY_LIFE: Duration = Duration::from_secs(4 * 60 * 60);
/// Data keys that are remembered; then the one that was not needed for longest goes.
const OPENED_MAX: usize = 1024;
/// Keys of one entry that are tried. Usually there is one for each of its readers.
pub(super) const TRIED_MAX: u32 = 16;

/// What a producer encrypts with.
pub(super) struct Sealer {
    /// Sorted, each once, as Java's set of names is.
    recipients: Vec<(String, Arc<OaepPublicEncryptingKey>)>,
    /// `None` until the first message.
    data_key: Option<OwnKey>,
}

struct OwnKey {
    key: LessSafeKey,
    /// For each recipient, as fields of metadata.
    encrypted: Vec<u8>,
    made: Instant,
    /// Of the current message; the last eight bytes count up.
    nonce: [u8; NONCE_LEN],
}

impl Sealer {
    /// One that encrypts for all of `names`; the text is why it can't be, in Java's words where Java
    /// has any.
    ///
    /// # Errors
    /// There is no key of such a name.
    pub(super) fn new(names: &[String], keys: &EncryptionKeys) -> Result<Self, String> {
        let mut recipients = Vec::with_capacity(names.len());
        for name in names {
            let key = keys
                .public(name)
                .ok_or_else(|| format!("Failed to load public key {name}. It is not configured"))?;
            recipients.push((name.clone(), key.clone()));
        }
        recipients.sort_by(|(a, _), (b, _)| a.cmp(b));
        recipients.dedup_by(|(a, _), (b, _)| a == b);
        Ok(Self {
            recipients,
            data_key: None,
        })
    }

    /// To be called before each message: sees to it that there is a data key. Where it is old and no
    /// new one can be made, it stays, as in Java.
    ///
    /// # Errors
    /// There is none, and none could be made; the text is an exception's.
    pub(super) fn prepare(&mut self, now: Instant) -> Result<(), String> {
        let made = self.data_key.as_ref().map(|key| key.made);
        if made.is_none_or(|made| now.since(made) >= DATA_KEY_LIFE) {
            match OwnKey::make(now, &self.recipients) {
                None if made.is_none() => {
                    return Err(exception("$CryptoException", "Failed to encrypt data key"));
                }
                None => {}
                new => self.data_key = new,
            }
        }
        Ok(())
    }

    /// What the next entry's payload is encrypted with, and what is stored for it. `None` before
    /// [`Sealer::prepare`].
    pub(super) fn next(&mut self) -> Option<Seal<'_>> {
        let key = self.data_key.as_mut()?;
        key.count();
        Some(Seal {
            keys: &key.encrypted,
            param: &key.nonce,
            cipher: Some(Cipher {
                key: &key.key,
                nonce: key.nonce,
            }),
        })
    }

    /// An upper bound of what encryption adds to an entry.
    pub(super) fn added_len(&self) -> usize {
        const FIELDS: usize = 64;
        let of_key = |(name, key): &(String, Arc<OaepPublicEncryptingKey>)| {
            FIELDS + name.len() + key.ciphertext_size()
        };
        FIELDS + TAG_LEN + self.recipients.iter().map(of_key).sum::<usize>()
    }
}

impl OwnKey {
    /// `None` if the operating system has no randomness, or a key is too small to hold it.
    fn make(now: Instant, recipients: &[(String, Arc<OaepPublicEncryptingKey>)]) -> Option<Self> {
        let mut bytes = [0; DATA_KEY_LEN];
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut bytes).ok()?;
        rand::fill(&mut nonce[..NONCE_LEN - 8]).ok()?;
        let mut encrypted = Vec::new();
        for (name, key) in recipients {
            let mut value = vec![0; key.ciphertext_size()];
            let value = key
                .encrypt(&OAEP_SHA1_MGF1SHA1, &bytes, &mut value, None)
                .ok()?;
            put_encryption_key(name.as_bytes(), value, &[], &mut encrypted);
        }
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?),
            encrypted,
            made: now,
            nonce,
        })
    }

    fn count(&mut self) {
        if let Some(counter) = self.nonce.last_chunk_mut::<8>() {
            *counter = (u64::from_be_bytes(*counter) + 1).to_be_bytes();
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.recipients.iter().map(|(name, _)| name).collect();
        f.debug_struct("Sealer")
            .field("recipients", &names)
            .finish_non_exhaustive()
    }
}

/// A data key with a nonce that nothing else is encrypted with.
#[derive(Clone, Copy)]
pub struct Cipher<'a> {
    key: &'a LessSafeKey,
    nonce: [u8; NONCE_LEN],
}

impl Cipher<'_> {
    /// Encrypts a payload where it lies; what comes back belongs behind it.
    pub fn encrypt(&self, payload: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), payload);
        match sealed.map(|tag| <[u8; TAG_LEN]>::try_from(tag.as_ref())) {
            Ok(Ok(tag)) => tag,
            // No entry is as long as 64 GiB, from where on it can't be done.
            _ => unreachable!("a payload of that size can be encrypted"),
        }
    }
}

impl fmt::Debug for Cipher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher").finish_non_exhaustive()
    }
}

/// A data key as it is stored with an entry: encrypted for the private key of this name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedKey {
    /// Of the private key.
    pub name: String,
    /// The data key, encrypted.
    pub value: Vec<u8>,
}

impl SealedKey {
    /// By what it is remembered. All values for one name are of one length.
    fn id(&self) -> Vec<u8> {
        [&self.value[..], self.name.as_bytes()].concat()
    }
}

/// What became of an encrypted payload.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening<'e> {
    /// Its content.
    Content(&'e [u8]),
    /// Nothing here decrypts it.
    Sealed,
    /// This data key may decrypt it, and has to be decrypted first.
    Wants(SealedKey),
}

/// What a shard's consumers decrypt with.
#[derive(Default)]
pub struct Opener {
    keys: EncryptionKeys,
    /// By the key's name and what it encrypted.
    opened: HashMap<Vec<u8>, Opened>,
    /// Both of the key that is looked for.
    wanted: Vec<u8>,
    /// The payload of the last entry.
    bytes: Vec<u8>,
    /// No data key is waited for: an entry that wants one counts as sealed.
    pub(super) waits_for_none: bool,
}

/// A data key that was decrypted; `None` if that failed.
struct Opened {
    key: Option<DataKey>,
    used: Instant,
}

impl Opener {
    /// One that knows no data key yet.
    pub fn new(keys: EncryptionKeys) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

    /// Decrypts a payload with the data keys that are known. Only if none of them does it, one that is
    /// not is wanted.
    pub fn open(
        &mut self,
        now: Instant,
        keys: Keys<'_>,
        param: Option<&[u8]>,
        sealed: &[u8],
    ) -> Opening<'_> {
        let Some((nonce, (sealed, tag))) = param
            .and_then(|param| <[u8; NONCE_LEN]>::try_from(param).ok())
            .zip(sealed.split_last_chunk::<TAG_LEN>())
        else {
            return Opening::Sealed;
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() > KEPT_BYTES_MAX && sealed.len() <= KEPT_BYTES_MAX {
            bytes = Vec::new();
        }
        bytes.resize(sealed.len(), 0);
        let (mut is_open, mut wanted, mut tried) = (false, None, 0);
        for key in keys {
            let Some(name) = self.name_of(&key) else {
                continue;
            };
            tried += 1;
            match self.data_key(now, &key) {
                None => {
                    wanted.get_or_insert((name, key.value));
                }
                Some(None) => {}
                Some(Some(data_key)) => {
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    is_open = data_key
                        .cipher()
                        .open_separate_gather(nonce, Aad::empty(), sealed, tag, &mut bytes)
                        .is_ok();
                }
            }
            if is_open || tried == TRIED_MAX {
                break;
            }
        }
        self.bytes = bytes;
        match wanted.filter(|_| !self.waits_for_none) {
            _ if is_open => Opening::Content(&self.bytes),
            None => Opening::Sealed,
            Some((name, value)) => Opening::Wants(SealedKey {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
        }
    }

    /// What came of decrypting a data key that was wanted; `None`: it can't be.
    pub fn learn(&mut self, now: Instant, sealed: &SealedKey, key: Option<DataKey>) {
        self.make_room(now);
        self.opened.insert(sealed.id(), Opened { key, used: now });
    }

    /// The name of our private key that a data key is encrypted for. One of another length can't be.
    fn name_of<'k>(&self, key: &Key<'k>) -> Option<&'k str> {
        let name = std::str::from_utf8(key.name).ok()?;
        (self.keys.encrypted_len(name)? == key.value.len()).then_some(name)
    }

    /// A data key that is known, if only as one that can't be decrypted.
    fn data_key(&mut self, now: Instant, key: &Key<'_>) -> Option<Option<&DataKey>> {
        self.wanted.clear();
        self.wanted.extend_from_slice(key.value);
        self.wanted.extend_from_slice(key.name);
        let opened = self.opened.get_mut(&self.wanted)?;
        opened.used = now;
        Some(opened.key.as_ref())
    }

    fn make_room(&mut self, now: Instant) {
        self.opened
            .retain(|_, opened| now.since(opened.used) < DATA_KEY_LIFE);
        if self.opened.len() >= OPENED_MAX
            && let Some(oldest) = self.opened.iter().min_by_key(|(_, opened)| opened.used)
        {
            let oldest = oldest.0.clone();
            self.opened.remove(&oldest);
        }
    }
}

/// Scratch space that is kept for the next entry.
const KEPT_BYTES_MAX: usize = 4 << 20;

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("opened", &self.opened.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
