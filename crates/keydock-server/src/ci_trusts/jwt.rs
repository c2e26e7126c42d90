//! Signatures of tokens: RS256 and ES256 with keys of at least 2048 bits or of P-256, and nothing
//! else. There is no code here that could take another algorithm, or none.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Validation,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    decode, decode_header,
    errors::{ErrorKind, Result as JwtResult},
    jwk::{AlgorithmParameters, Jwk},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value};
use signature::Verifier;

/// The claims of a token.
pub(super) type Claims = Map<String, Value>;

/// The longest token that is read.
const LONGEST: usize = 16 * 1024;

/// What a token says of itself, before anybody knows whether it is true.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    token: &'a str,
    algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) issuer: String,
}

impl<'a> Unverified<'a> {
    /// Reads a token that might be taken.
    pub(super) fn read(token: &'a str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let header = decode_header(token).ok()?;
        // Something that must be understood, and nothing of the sort is understood here.
        if header.crit.is_some() {
            return None;
        }
        let algorithm = header.alg;
        if !matches!(algorithm, Algorithm::RS256 | Algorithm::ES256) {
            return None;
        }
        let claims: Claims = jsonwebtoken::dangerous::insecure_decode(token).ok()?.claims;
        let issuer = claims.get("iss")?.as_str()?.to_owned();
        Some(Self { token, algorithm, kid: header.kid, issuer })
    }

    /// Whether a key may have signed it, as far as the key says.
    pub(super) fn fits(&self, key: &Jwk) -> bool {
        let named = self.kid.is_none() || key.common.key_id == self.kid;
        let algorithm = key.common.key_algorithm.map(|algorithm| algorithm.to_string());
        let signs = key
            .common
            .public_key_use
            .as_ref()
            .is_none_or(|purpose| *purpose == jsonwebtoken::jwk::PublicKeyUse::Signature);
        named && signs && algorithm.is_none_or(|name| name == format!("{:?}", self.algorithm))
    }

    /// Its claims, if this key signed them.
    pub(super) fn verify(&self, key: &Jwk) -> Option<Claims> {
        // Fails only if it was installed before.
        let _installed = PROVIDER.install_default();
        let key = public_key(key)?;
        let mut validation = Validation::new(self.algorithm);
        // Times are judged by the clock of the database, the rest by the trust.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        decode::<Claims>(self.token, &key, &validation).ok().map(|decoded| decoded.claims)
    }

    /// What identifies the token: its own number, or else all that was signed. Not the signature,
    /// which somebody could write in another way.
    pub(super) fn identity(&self, claims: &Claims) -> String {
        match claims.get("jti").and_then(Value::as_str) {
            Some(jti) => format!("{}\0{jti}", self.issuer),
            None => self.token.rsplit_once('.').map_or(self.token, |(signed, _)| signed).to_owned(),
        }
    }
}

/// The key as [`verifier`] wants it.
fn public_key(key: &Jwk) -> Option<DecodingKey> {
    match &key.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let part = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
            let parts = [integer(&part(&rsa.n)?), integer(&part(&rsa.e)?)].concat();
            Some(DecodingKey::from_rsa_der(&tagged(0x30, &parts)))
        }
        AlgorithmParameters::EllipticCurve(_) => DecodingKey::from_jwk(key).ok(),
        _ => None,
    }
}

/// A positive number in DER.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let mut number = bytes[first..].to_vec();
    if number.first().is_none_or(|byte| *byte >= 0x80) {
        number.insert(0, 0);
    }
    tagged(0x02, &number)
}

/// Something with a tag and a length in DER.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let len = &len[len.iter().position(|byte| *byte != 0).unwrap_or(len.len() - 1)..];
    let mut text = vec![tag];
    if content.len() >= 0x80 {
        text.push(0x80 | u8::try_from(len.len()).unwrap_or(u8::MAX));
    }
    text.extend_from_slice(len);
    text.extend_from_slice(content);
    text
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library wants it so")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    let (means, family): (&'static dyn VerificationAlgorithm, _) = match algorithm {
        Algorithm::RS256 => (&RSA_PKCS1_2048_8192_SHA256, AlgorithmFamily::Rsa),
        Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED, AlgorithmFamily::Ec),
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    if key.family() != family {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let key = key.try_get_as_bytes()?.to_vec();
    Ok(Box::new(Signed { algorithm: *algorithm, key: UnparsedPublicKey::new(means, key) }))
}

struct Signed {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl Verifier<Vec<u8>> for Signed {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        self.key.verify(message, signed).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Signed {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
