//! Signatures of what is sent out, as the specification of Standard Webhooks says.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    id::{Id, Webhook},
    secret::Pepper,
    time::Timestamp,
};

/// The secret that a receiver verifies signatures with.
///
/// It is not stored anywhere. It follows from the pepper, the endpoint and the number of the secret,
/// so that whoever has the database alone can sign nothing.
pub struct SigningSecret(Zeroizing<[u8; 32]>);

impl SigningSecret {
    /// The secret number `version` of an endpoint.
    pub fn derive(pepper: &Pepper, endpoint: Id<Webhook>, version: i64) -> Self {
        let of = format!("{endpoint}:{version}");
        Self(Zeroizing::new(pepper.digest_of("webhook signing secret", of.as_bytes())))
    }

    /// The signature of a message: `v1,` and the Base64 of its HMAC-SHA-256.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice())
            .expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{}.", seconds(at)).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// Gives up the clear text, for the one response that shows it.
    pub fn reveal(self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0.as_slice()))
    }
}

/// An instant as signatures have it: whole seconds since 1970.
pub fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        mac.update(format!("{id}.1614265330.{body}").as_bytes());
        let expected = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(STANDARD.encode(mac.finalize().into_bytes()), expected);
        let mut padded = Zeroizing::new([0; 32]);
        padded[..key.len()].copy_from_slice(&key);
        // HMAC pads keys with zeros, so this is the same key.
        let at = Timestamp::from_micros(1_614_265_330_999_999);
        assert_eq!(SigningSecret(padded).sign(id, at, body.as_bytes()), format!("v1,{expected}"));
    }

    #[test]
    fn every_endpoint_and_every_version_has_its_own_secret() {
        let pepper = |byte| Pepper::new(&Zeroizing::new([byte; Pepper::LEN]));
        let id = |text: &str| text.parse::<Id<Webhook>>().unwrap();
        let one = id("0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877");
        let two = id("0198c3f2-a7c8-7b0e-8f1d-2c3b4a596878");
        let mut secrets: Vec<String> = [(1, one, 1), (1, one, 2), (1, two, 1), (2, one, 1)]
            .map(|(byte, id, version)| SigningSecret::derive(&pepper(byte), id, version).reveal())
            .into();
        assert_eq!(secrets[0], SigningSecret::derive(&pepper(1), one, 1).reveal());
        assert!(secrets[0].starts_with("whsec_") && secrets[0].len() == 50);
        secrets.dedup();
        secrets.sort();
        secrets.dedup();
        assert_eq!(secrets.len(), 4);
        let secret = SigningSecret::derive(&pepper(1), one, 1);
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
    }
}
