//! Trust in pipelines: short tokens in exchange for what they can prove (RFC 8693).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Whose tokens are trusted, and for what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CiTrust {
    /// Its identifier.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Who signs the tokens, exactly as in their claim `iss`.
    pub issuer: String,
    /// Whom the tokens are for: one of their claim `aud`.
    pub audience: String,
    /// What else their claims must be: names and values, in which `*` stands for any characters.
    pub conditions: Value,
    /// What is granted: `read`, `read_write` or `full_access`.
    pub permission: String,
    /// For how long: 60 to 3600 seconds.
    pub lifetime_seconds: u64,
    /// Whether anything is granted.
    pub is_enabled: bool,
    /// When it was created. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
}

/// Trusts an issuer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateCiTrust {
    /// What it is called: 1 to 128 characters, unique in the organization.
    pub name: String,
    /// Who signs the tokens, such as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// Whom the tokens must be for. Choose something of your own, such as the address of this server.
    pub audience: String,
    /// What else must be true, such as `{"repository": "acme/app", "ref": "refs/heads/main"}`.
    pub conditions: Value,
    /// What is granted: `read`, `read_write` or `full_access`.
    pub permission: String,
    /// For how long; 900 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u64>,
    /// Whether anything is granted; `true` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

/// Changes a trust; what is left out stays. Another issuer is another trust.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeCiTrust {
    /// Whom the tokens must be for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What else must be true; all of it, anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Value>,
    /// What is granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// For how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u64>,
    /// Whether anything is granted. Switching it off ends what was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

/// A token that was granted, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlatformToken {
    /// Its identifier.
    pub id: String,
    /// The trust by which it was granted.
    pub trust: String,
    /// What that is called.
    pub trust_name: String,
    /// How much it opens.
    pub permission: String,
    /// The secret, masked but for its last four characters.
    pub token: String,
    /// The first eight hexadecimal digits of the secret's SHA-256.
    pub fingerprint: String,
    /// For whom it was granted, as far as the issuer said.
    pub claims: Value,
    /// When it was granted. RFC 3339, UTC.
    pub created_at: String,
    /// When it ends by itself.
    pub expires_at: String,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// When it was last used; lags by a few seconds.
    pub last_used_at: Option<String>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// How often it was used.
    pub use_count: i64,
}

/// Asks for a token (RFC 8693, section 2.1), as a form.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ExchangeToken {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    pub grant_type: String,
    /// The token of the pipeline.
    pub subject_token: String,
    /// `urn:ietf:params:oauth:token-type:id_token` or `urn:ietf:params:oauth:token-type:jwt`.
    pub subject_token_type: String,
    /// The organization, by its name; or `resource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The organization, by its address: `https://HOST/api/v1/unstract/ORG`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Less than what is granted, if that is enough: `read`, `read_write` or `full_access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `urn:ietf:params:oauth:token-type:access_token`, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_token_type: Option<String>,
}

impl fmt::Debug for ExchangeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExchangeToken(…)")
    }
}

/// A token (RFC 8693, section 2.2.1).
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ExchangedToken {
    /// The token: send it as `Authorization: Bearer TOKEN`.
    pub access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    pub issued_token_type: String,
    /// `Bearer`.
    pub token_type: String,
    /// For how many seconds it works.
    pub expires_in: u64,
    /// How much it opens.
    pub scope: String,
}

impl fmt::Debug for ExchangedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExchangedToken(…)")
    }
}

/// Why no token was granted (RFC 6749, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenRefused {
    /// `invalid_request`, `invalid_grant`, `unsupported_grant_type`, `invalid_target` or
    /// `invalid_scope`.
    pub error: String,
    /// What to do about it, for a person.
    pub error_description: String,
    /// Always `token_refused`.
    pub code: String,
    /// The name of the request, for support.
    pub request_id: String,
}
