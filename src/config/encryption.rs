//! The keys that the service encrypts and decrypts with: RSA, from files, read once at start.
//!
//! Java takes them from a class of the user's; here a list names their files. What is in them is
//! shown nowhere: an error names the key and its file, no more.

use std::{collections::BTreeMap, fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_128_GCM, AES_256_GCM, LessSafeKey, UnboundKey},
    rsa::{
        OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    },
};
use rustls_pki_types::pem::{PemObject, SectionKind};

use super::settings::Settings;

/// The setting with keys to encrypt for.
const PUBLIC: &str = "webSocketEncryptionPublicKeys";
/// The setting with keys to decrypt with.
const PRIVATE: &str = "webSocketEncryptionPrivateKeys";

/// Keys by their names. All shards share them and change nothing.
#[derive(Clone, Default)]
pub struct EncryptionKeys {
    public: BTreeMap<String, Arc<OaepPublicEncryptingKey>>,
    private: BTreeMap<String, Arc<OaepPrivateDecryptingKey>>,
}

impl EncryptionKeys {
    /// Reads the files that the settings name; on errors one sentence for each.
    pub(super) fn read(settings: &Settings) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let keys = Self {
            public: each(settings, PUBLIC, public_key, &mut errors),
            private: each(settings, PRIVATE, private_key, &mut errors),
        };
        if errors.is_empty() {
            Ok(keys)
        } else {
            Err(errors)
        }
    }

    /// Keys from PEM, as the files hold it.
    ///
    /// # Errors
    /// Some text is no key, or none of RSA.
    pub fn from_pem(public: &[(&str, &str)], private: &[(&str, &str)]) -> Result<Self, String> {
        let named = |name: &str| name.to_owned();
        Ok(Self {
            public: public
                .iter()
                .map(|(name, pem)| Ok((named(name), Arc::new(public_key(pem.as_bytes())?))))
                .collect::<Result<_, String>>()?,
            private: private
                .iter()
                .map(|(name, pem)| Ok((named(name), Arc::new(private_key(pem.as_bytes())?))))
                .collect::<Result<_, String>>()?,
        })
    }

    /// Whether there is any key to encrypt for.
    #[must_use]
    pub fn can_encrypt(&self) -> bool {
        !self.public.is_empty()
    }

    /// The key to encrypt for.
    #[must_use]
    pub fn public(&self, name: &str) -> Option<&Arc<OaepPublicEncryptingKey>> {
        self.public.get(name)
    }

    /// Whether there is any key to decrypt with.
    #[must_use]
    pub fn can_decrypt(&self) -> bool {
        !self.private.is_empty()
    }

    /// How many bytes a data key has that was encrypted for the key of this name; `None` without one.
    #[must_use]
    pub fn encrypted_len(&self, name: &str) -> Option<usize> {
        Some(self.private.get(name)?.key_size_bytes())
    }

    /// A data key that was encrypted for the key of this name; `None` if it was not. This takes a
    /// private RSA operation, about as long as thousands of messages.
    ///
    /// Java takes a key of any size that AES has, which older clients made smaller.
    #[must_use]
    pub fn decrypt(&self, name: &str, encrypted: &[u8]) -> Option<DataKey> {
        let private = self.private.get(name)?;
        if encrypted.len() != private.key_size_bytes() {
            return None;
        }
        let mut bytes = vec![0; private.min_output_size()];
        let bytes = private
            .decrypt(&OAEP_SHA1_MGF1SHA1, encrypted, &mut bytes, None)
            .ok()?;
        let algorithm = match bytes.len() {
            32 => &AES_256_GCM,
            16 => &AES_128_GCM,
            _ => return None,
        };
        let key = UnboundKey::new(algorithm, bytes).ok()?;
        Some(DataKey(LessSafeKey::new(key)))
    }
}

/// What messages are encrypted with.
pub struct DataKey(LessSafeKey);

impl DataKey {
    /// The same, to be used.
    #[must_use]
    pub const fn cipher(&self) -> &LessSafeKey {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKeys")
            .field("public", &self.public.keys())
            .field("private", &self.private.keys())
            .finish()
    }
}

/// The same names count as the same keys.
impl PartialEq for EncryptionKeys {
    fn eq(&self, other: &Self) -> bool {
        self.public.keys().eq(other.public.keys()) && self.private.keys().eq(other.private.keys())
    }
}

impl Eq for EncryptionKeys {}

/// The keys of one setting, `name=/path,name=/path`.
fn each<K>(
    settings: &Settings,
    setting: &str,
    parse: fn(&[u8]) -> Result<K, String>,
    errors: &mut Vec<String>,
) -> BTreeMap<String, Arc<K>> {
    let mut keys = BTreeMap::new();
    let items = settings.text(setting).unwrap_or_default().split(',');
    for item in items.map(str::trim).filter(|item| !item.is_empty()) {
        let parts = item.split_once('=');
        let parts = parts.map(|(name, path)| (name.trim(), path.trim()));
        let Some((name, path)) = parts.filter(|(name, path)| !name.is_empty() && !path.is_empty())
        else {
            errors.push(settings.bad_value(setting, "expected name=/path,name=/path"));
            continue;
        };
        let key = std::fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|pem| parse(&pem));
        match key {
            Ok(key) if !keys.contains_key(name) => {
                keys.insert(name.to_owned(), Arc::new(key));
            }
            Ok(_) => errors.push(settings.error(setting, &format!("key {name} is named twice"))),
            Err(error) => errors.push(settings.error(
                setting,
                &format!("key {name} can't be read from {path}: {error}"),
            )),
        }
    }
    keys
}

fn public_key(pem: &[u8]) -> Result<OaepPublicEncryptingKey, String> {
    let (kind, der) = section(pem)?;
    match kind {
        SectionKind::PublicKey => PublicEncryptingKey::from_der(&der)
            .map_err(|_| not_rsa(&der))
            .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(|_| not_rsa(&der))),
        SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
            Err("it is a private key; expected a public one (BEGIN PUBLIC KEY)".to_owned())
        }
        _ => Err("expected a public key in PEM (BEGIN PUBLIC KEY)".to_owned()),
    }
}

fn private_key(pem: &[u8]) -> Result<OaepPrivateDecryptingKey, String> {
    let (kind, der) = section(pem)?;
    let pkcs8 = match kind {
        SectionKind::PrivateKey => der,
        SectionKind::RsaPrivateKey => in_pkcs8(&der),
        SectionKind::EcPrivateKey => return Err(EC.to_owned()),
        _ => {
            return Err(
                "expected a private key in PEM (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)"
                    .to_owned(),
            );
        }
    };
    PrivateDecryptingKey::from_pkcs8(&pkcs8)
        .map_err(|_| not_rsa(&pkcs8))
        .and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(|_| not_rsa(&pkcs8)))
}

const EC: &str = "keys of elliptic curves (ECIES) are not supported; use RSA";

/// The first section that is a key; Java's keys of elliptic curves come behind their parameters.
fn section(pem: &[u8]) -> Result<(SectionKind, Vec<u8>), String> {
    <(SectionKind, Vec<u8>)>::from_pem_slice(pem).map_err(|_| "it holds no key in PEM".to_owned())
}

/// Why a key is refused: the identifier of elliptic curve keys stands in those.
fn not_rsa(der: &[u8]) -> String {
    const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    if der
        .windows(EC_PUBLIC_KEY.len())
        .any(|at| at == EC_PUBLIC_KEY)
    {
        EC.to_owned()
    } else {
        "it is no RSA key of 2048 to 8192 bits".to_owned()
    }
}

/// PKCS#8 around PKCS#1: version, algorithm, and the key as an octet string.
fn in_pkcs8(pkcs1: &[u8]) -> Vec<u8> {
    const VERSION_AND_RSA: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
        0x01, 0x05, 0x00,
    ];
    let key = [&header(0x04, pkcs1.len())[..], pkcs1].concat();
    let len = VERSION_AND_RSA.len() + key.len();
    [&header(0x30, len)[..], VERSION_AND_RSA, &key].concat()
}

/// Tag and length in DER.
fn header(tag: u8, len: usize) -> Vec<u8> {
    let bytes = len.to_be_bytes();
    let used = bytes.iter().skip_while(|&&byte| byte == 0);
    let used: Vec<u8> = used.copied().collect();
    match (len, u8::try_from(len)) {
        (0..=127, Ok(short)) => vec![tag, short],
        _ => [
            &[tag, 0x80 | u8::try_from(used.len()).unwrap_or(8)][..],
            &used,
        ]
        .concat(),
    }
}
