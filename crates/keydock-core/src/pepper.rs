//! The server's key for digests: the pepper.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::{KeyDigest, SecretKey};

/// The server's key for digests of secrets. It lives outside the database.
#[derive(Clone)]
pub struct Pepper {
    keyed: Hmac<Sha256>,
    check: [u8; 32],
}

/// What a pepper is called: anybody may know it, and nobody learns the pepper from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PepperId([u8; PepperId::LEN]);

/// The text is not what a pepper is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a pepper, which has 12 hexadecimal digits")]
pub struct InvalidPepperId;

impl Pepper {
    /// How many bytes a pepper has.
    pub const LEN: usize = 32;

    /// A pepper from its bytes.
    pub fn new(bytes: &Zeroizing<[u8; Self::LEN]>) -> Self {
        let keyed = Hmac::new_from_slice(bytes.as_slice()).expect("HMAC takes a key of any length");
        let mut pepper = Self { keyed, check: [0; 32] };
        pepper.check = pepper.digest_of("check", b"keydock");
        pepper
    }

    /// What it is called.
    pub fn id(&self) -> PepperId {
        PepperId::of(&self.check)
    }

    /// What a database keeps to know it again.
    pub fn check(&self) -> String {
        hex::encode(self.check)
    }

    /// The form of `secret` that is stored and looked up.
    pub fn digest(&self, secret: &SecretKey) -> KeyDigest {
        KeyDigest::from_bytes(self.mac(secret.as_bytes()))
    }

    /// The form that is stored of a secret of which only the SHA-256 is known, until it is presented.
    pub fn digest_of_sha256(&self, sha256: &[u8; 32]) -> KeyDigest {
        KeyDigest::from_bytes(self.digest_of("SHA-256 of a secret", sha256))
    }

    /// A digest of something else that must not be stored in clear, such as a session cookie.
    ///
    /// `purpose` keeps digests of different things apart.
    pub fn digest_of(&self, purpose: &str, secret: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(secret);
        mac.finalize().into_bytes().into()
    }

    fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

impl PepperId {
    const LEN: usize = 6;

    fn of(check: &[u8; 32]) -> Self {
        let mut id = [0; Self::LEN];
        id.copy_from_slice(&check[..Self::LEN]);
        Self(id)
    }
}

impl fmt::Display for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PepperId({self})")
    }
}

impl FromStr for PepperId {
    type Err = InvalidPepperId;

    fn from_str(text: &str) -> Result<Self, InvalidPepperId> {
        let mut id = [0; Self::LEN];
        hex::decode_to_slice(text, &mut id).map_err(|_| InvalidPepperId)?;
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(byte: u8) -> Pepper {
        Pepper::new(&Zeroizing::new([byte; Pepper::LEN]))
    }

    #[test]
    fn an_id_names_a_pepper_and_begins_what_the_database_keeps() {
        let id = pepper(1).id();
        assert_ne!(id, pepper(2).id());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(pepper(1).check().starts_with(&id.to_string()));
        assert!("0123".parse::<PepperId>().is_err());
    }

    #[test]
    fn a_secret_is_found_by_its_sha256_with_hyphens_and_without() {
        use sha2::Digest as _;
        let text = "0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877";
        let secret = SecretKey::parse(text).unwrap();
        let kept = [text.to_owned(), text.replace('-', "")].map(|text| Sha256::digest(text).into());
        assert!(secret.sha256().eq(kept));
        let (pepper, other) = (pepper(1), pepper(2));
        assert_eq!(pepper.digest_of_sha256(&kept[0]), pepper.digest_of_sha256(&kept[0]));
        assert_ne!(pepper.digest_of_sha256(&kept[0]), pepper.digest(&secret));
        assert_ne!(pepper.digest_of_sha256(&kept[0]), other.digest_of_sha256(&kept[0]));
    }
}
