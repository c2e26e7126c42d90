//! Secret keys: made once, shown once, stored only as a keyed digest.

use std::{fmt, str::FromStr};

use rand::{CryptoRng, RngExt as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroize as _;

pub use crate::pepper::{Pepper, PepperId};

/// What a key opens. The word is used in messages, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// A whole organization: one of its two platform keys.
    Platform,
    /// A whole organization, as far as its tier goes: a platform API key.
    PlatformApi,
    /// One deployment.
    Deployment,
    /// Several or all deployments of an organization.
    OrgDeployment,
    /// A whole organization, as far as its tier goes, within the hour: a platform token.
    PlatformToken,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Platform,
        Self::PlatformApi,
        Self::Deployment,
        Self::OrgDeployment,
        Self::PlatformToken,
    ];

    /// Written in front of a prefixed secret. Never change a released one: it would kill its keys.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Platform => "kdp_",
            Self::PlatformApi => "kda_",
            Self::Deployment => "kdd_",
            Self::OrgDeployment => "kdo_",
            Self::PlatformToken => "kdt_",
        }
    }

    /// The type word of this kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::PlatformApi => "platform_api",
            Self::Deployment => "deployment",
            Self::OrgDeployment => "org_deployment",
            Self::PlatformToken => "platform_token",
        }
    }
}

/// The text names no kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of key")]
pub struct UnknownKind;

impl FromStr for KeyKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

/// How new secrets are written. Every form is verified, whichever is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretForm {
    /// A random UUID, as the clients of the wire expect: 122 random bits.
    #[default]
    Uuid,
    /// `kdp_` or another prefix, 30 random characters (178 bits) and a checksum of 6.
    Prefixed,
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 30;
const CHECKSUM_CHARS: usize = 6;
const PREFIX_LEN: usize = 4;
const PREFIXED_LEN: usize = PREFIX_LEN + RANDOM_CHARS + CHECKSUM_CHARS;
const MAX_LEN: usize = PREFIXED_LEN;

/// A secret key in clear text.
///
/// It cannot be printed, cloned, compared or serialized by accident:
///
/// ```compile_fail,E0277
/// # let key = keydock_core::secret::SecretKey::parse("0198c3f2a7c87b0e8f1d2c3b4a596877").unwrap();
/// println!("{key}");
/// ```
/// ```compile_fail,E0599
/// # let key = keydock_core::secret::SecretKey::parse("0198c3f2a7c87b0e8f1d2c3b4a596877").unwrap();
/// let copy = key.clone();
/// ```
/// ```compile_fail,E0277
/// # let key = keydock_core::secret::SecretKey::parse("0198c3f2a7c87b0e8f1d2c3b4a596877").unwrap();
/// serde_json::to_string(&key);
/// ```
///
/// The only way to its text is [`SecretKey::reveal`], which consumes it and is easy to search for.
pub struct SecretKey {
    /// The canonical text; held inline so that verifying allocates nothing.
    text: [u8; MAX_LEN],
    len: u8,
}

/// The text is not a secret of ours, whoever it may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not in the form of a keydock key")]
pub struct Malformed;

impl SecretKey {
    /// How long a prefixed secret is.
    pub const PREFIXED_LEN: usize = PREFIXED_LEN;

    /// Generates a secret from the given random numbers, which must come from the system's source.
    pub fn generate(kind: KeyKind, form: SecretForm, rng: &mut impl CryptoRng) -> Self {
        match form {
            SecretForm::Uuid => {
                let uuid = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
                Self::from_uuid(uuid)
            }
            SecretForm::Prefixed => Self::generate_prefixed(kind, rng),
        }
    }

    fn generate_prefixed(kind: KeyKind, rng: &mut impl CryptoRng) -> Self {
        let mut text = [0; MAX_LEN];
        text[..PREFIX_LEN].copy_from_slice(kind.prefix().as_bytes());
        for character in &mut text[PREFIX_LEN..PREFIX_LEN + RANDOM_CHARS] {
            *character = ALPHABET[rng.random_range(0..ALPHABET.len())];
        }
        let checksum = checksum(&text[..PREFIX_LEN + RANDOM_CHARS]);
        text[PREFIX_LEN + RANDOM_CHARS..].copy_from_slice(&checksum);
        Self { text, len: u8::try_from(PREFIXED_LEN).unwrap_or(u8::MAX) }
    }

    fn from_uuid(uuid: Uuid) -> Self {
        let mut text = [0; MAX_LEN];
        let len = uuid.hyphenated().encode_lower(&mut text).len();
        Self { text, len: u8::try_from(len).unwrap_or(u8::MAX) }
    }

    /// Reads a presented secret of either form.
    ///
    /// A UUID may be written without hyphens or in upper case; braces and `urn:uuid:` are refused.
    /// A prefixed secret with a wrong checksum is refused here, before anything is looked up.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        match text.len() {
            32 | 36 => Uuid::try_parse(text).map(Self::from_uuid).map_err(|_| Malformed),
            PREFIXED_LEN => Self::parse_prefixed(text.as_bytes()),
            _ => Err(Malformed),
        }
    }

    fn parse_prefixed(bytes: &[u8]) -> Result<Self, Malformed> {
        let (body, sum) = bytes.split_at(PREFIX_LEN + RANDOM_CHARS);
        let known = KeyKind::ALL.iter().any(|kind| body.starts_with(kind.prefix().as_bytes()));
        if !known || sum != checksum(body) {
            return Err(Malformed);
        }
        let mut text = [0; MAX_LEN];
        text.copy_from_slice(bytes);
        Ok(Self { text, len: u8::try_from(PREFIXED_LEN).unwrap_or(u8::MAX) })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    /// The last four characters, which are stored in clear so that people can tell keys apart.
    pub fn last_four(&self) -> String {
        let bytes = self.as_bytes();
        String::from_utf8_lossy(&bytes[bytes.len() - 4..]).into_owned()
    }

    /// The first eight hexadecimal digits of its SHA-256, for comparing with a key one holds.
    pub fn fingerprint(&self) -> String {
        hex::encode(&Sha256::digest(self.as_bytes())[..4])
    }

    /// Its SHA-256 as others may have kept it: of the text that the server writes, and, of a UUID, of
    /// the same without hyphens.
    pub fn sha256(&self) -> impl Iterator<Item = [u8; 32]> {
        let text = self.as_bytes();
        let plain = (text.len() == 36).then(|| {
            let mut hash = Sha256::new();
            text.split(|byte| *byte == b'-').for_each(|part| hash.update(part));
            hash.finalize().into()
        });
        std::iter::once(Sha256::digest(text).into()).chain(plain)
    }

    /// Gives up the clear text, for the one response that shows it.
    pub fn reveal(self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Six characters that catch typing errors; no protection against anything else.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut rest = crc32fast::hash(body) as usize;
    let mut text = [b'0'; CHECKSUM_CHARS];
    for character in text.iter_mut().rev() {
        *character = ALPHABET[rest % ALPHABET.len()];
        rest /= ALPHABET.len();
    }
    text
}

/// HMAC-SHA-256 of a [`SecretKey`] under the server's [`Pepper`]; compared in constant time.
///
/// A secret has at least 122 random bits, so it needs no slow hash.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// Reads a stored digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The stored form: 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl FromStr for KeyDigest {
    type Err = hex::FromHexError;

    /// Reads the stored form.
    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
impl Eq for KeyDigest {}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;
    use zeroize::Zeroizing;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn pepper(byte: u8) -> Pepper {
        Pepper::new(&Zeroizing::new([byte; Pepper::LEN]))
    }

    #[test]
    fn debug_shows_nothing() {
        let key = SecretKey::generate(KeyKind::Platform, SecretForm::Uuid, &mut rng());
        assert_eq!(
            format!("{key:?} {:?} {:?}", pepper(1).digest(&key), pepper(1)),
            "SecretKey(…) KeyDigest(…) Pepper(…)"
        );
    }

    #[test]
    fn every_form_is_read_back() {
        for form in [SecretForm::Uuid, SecretForm::Prefixed] {
            let key = SecretKey::generate(KeyKind::Deployment, form, &mut rng());
            let digest = pepper(1).digest(&key);
            let presented = SecretKey::parse(&key.reveal()).expect("it is one of ours");
            assert_eq!(pepper(1).digest(&presented), digest);
            assert_ne!(pepper(2).digest(&presented), digest);
        }
    }

    #[test]
    fn a_uuid_may_be_written_in_any_case_and_without_hyphens() {
        let canonical = SecretKey::parse("0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877").unwrap();
        for text in ["0198C3F2-A7C8-4B0E-8F1D-2C3B4A596877", "0198c3f2a7c84b0e8f1d2c3b4a596877"] {
            let same = SecretKey::parse(text).unwrap();
            assert_eq!(pepper(1).digest(&same), pepper(1).digest(&canonical));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["", "x", "{0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877}", "kdx_0123"] {
            assert!(SecretKey::parse(text).is_err(), "{text}");
        }
    }

    /// How far counts are from being even: χ², less what it is on average, in its standard deviations.
    fn unevenness(counts: &[u32]) -> f64 {
        let degrees = f64::from(u32::try_from(counts.len()).unwrap() - 1);
        let even = f64::from(counts.iter().sum::<u32>()) / (degrees + 1.0);
        let square: f64 = counts.iter().map(|n| (f64::from(*n) - even).powi(2) / even).sum();
        (square - degrees) / (2.0 * degrees).sqrt()
    }

    /// Proves KEY-01: every place of a secret is even in all its characters, no two secrets are the
    /// same, and there are as many as 122 or 178 random bits make.
    #[test]
    fn secrets_are_even_and_never_the_same() {
        const MADE: usize = 40_000;
        let bits = f64::from(u32::try_from(ALPHABET.len()).unwrap()).log2();
        assert!(bits * f64::from(u32::try_from(RANDOM_CHARS).unwrap()) >= 178.0);
        let mut rng = rng();
        for (form, characters, places) in [
            (SecretForm::Prefixed, ALPHABET.as_slice(), PREFIX_LEN..PREFIX_LEN + RANDOM_CHARS),
            (SecretForm::Uuid, b"0123456789abcdef".as_slice(), 0..36),
        ] {
            let made: std::collections::HashSet<String> = (0..MADE)
                .map(|_| SecretKey::generate(KeyKind::Platform, form, &mut rng).reveal())
                .collect();
            assert_eq!(made.len(), MADE, "no two are the same");
            for place in places {
                // What is not random in a UUID: hyphens, its version, and two bits of its variant.
                let possible = match (form, place) {
                    (SecretForm::Uuid, 8 | 13 | 18 | 23) => b"-".as_slice(),
                    (SecretForm::Uuid, 14) => b"4",
                    (SecretForm::Uuid, 19) => b"89ab",
                    _ => characters,
                };
                let mut counts = vec![0; possible.len()];
                for secret in &made {
                    let at = possible.iter().position(|one| *one == secret.as_bytes()[place]);
                    counts[at.expect("a character of the alphabet")] += 1;
                }
                let uneven = if counts.len() > 1 { unevenness(&counts) } else { 0.0 };
                assert!(uneven.abs() < 4.5, "{form:?} at {place}: {uneven}");
            }
        }
        // The measure finds what a remainder of a byte would do.
        let mut biased = vec![0; ALPHABET.len()];
        for _ in 0..MADE {
            biased[usize::from(rng.random::<u8>()) % ALPHABET.len()] += 1;
        }
        assert!(unevenness(&biased) > 4.5);
    }

    /// Proves KEY-02: no substitution and no swap of neighbours passes the checksum.
    #[test]
    fn a_damaged_prefixed_secret_is_refused_without_a_lookup() {
        let good =
            SecretKey::generate(KeyKind::Platform, SecretForm::Prefixed, &mut rng()).reveal();
        let mut tried = 0;
        for at in 0..good.len() {
            for replacement in ALPHABET {
                let mut bad = good.clone().into_bytes();
                if bad[at] != *replacement {
                    bad[at] = *replacement;
                    let bad = String::from_utf8(bad).unwrap();
                    assert!(SecretKey::parse(&bad).is_err(), "{bad}");
                    tried += 1;
                }
            }
            let mut swapped = good.clone().into_bytes();
            if at > 0 && swapped[at] != swapped[at - 1] {
                swapped.swap(at, at - 1);
                assert!(SecretKey::parse(&String::from_utf8(swapped).unwrap()).is_err());
            }
        }
        assert!(tried > 2_000);
    }

    #[test]
    fn the_visible_parts_identify_and_do_not_reveal() {
        let key = SecretKey::parse("0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877").unwrap();
        assert_eq!(key.last_four(), "6877");
        assert_eq!(key.fingerprint().len(), 8);
    }
}
