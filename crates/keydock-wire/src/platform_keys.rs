//! The two platform keys of an organization (CONTRACT 2.2).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A platform key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlatformKey {
    /// Its identifier, which stays the same when the secret is refreshed.
    pub id: String,
    /// `Key #1` or `Key #2`, unless it was given another name.
    pub key_name: String,
    /// The secret, masked but for its last four characters.
    pub key: String,
    /// Whether it works. At most one of the two does.
    pub is_active: bool,
    /// The slot that it occupies, 1 or 2.
    pub slot: u8,
    /// How many secrets this key has had.
    pub version: i64,
    /// When it was generated. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
    /// When it was last used; lags by a few seconds.
    pub last_used_at: Option<String>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// By what program: its `User-Agent`.
    pub last_used_agent: Option<String>,
    /// How often it was used.
    pub use_count: i64,
    /// Until when the secret before the last refresh still works.
    pub previous_secret_until: Option<String>,
    /// Who generated it.
    pub created_by_email: Option<String>,
    /// The first eight hexadecimal digits of the secret's SHA-256.
    pub fingerprint: String,
    /// Why the server switched it off: `dormant`, because nobody used it. Activating it begins anew.
    pub disabled_reason: Option<String>,
    /// When it was warned that nobody uses it, unless somebody has used it since.
    pub dormancy_warned_at: Option<String>,
}

/// Generates a key in a free slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GeneratePlatformKey {
    /// 1 to 64 characters, unique in the organization; the first free of `Key #1` and `Key #2` if
    /// left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// Whether it works at once, in place of the other one; `false` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}

/// A key that was just generated. The only time that its secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GeneratedPlatformKey {
    /// Its identifier.
    pub id: String,
    /// The secret.
    pub key: String,
    /// Its name.
    pub key_name: String,
    /// Whether it works.
    pub is_active: bool,
    /// When it was generated.
    pub created_at: String,
    /// Always null.
    pub organization: Option<i64>,
    /// Always null.
    pub created_by: Option<i64>,
    /// Always null.
    pub modified_by: Option<i64>,
}

/// Replaces the secret of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshPlatformKey {
    /// The key.
    pub id: String,
    /// Accepted and ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// For how many seconds the old secret still works: 0 (the default) to 2,592,000 (30 days).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<i64>,
    /// From when that counts: `now` (the default), or `first_use` of the new secret; then the old one
    /// works for 30 days at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_from: Option<String>,
}

/// A key whose secret was just replaced. The only time that the new one is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshedPlatformKey {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub key_name: String,
    /// The new secret.
    pub key: String,
    /// Until when the old secret still works.
    pub previous_secret_until: Option<String>,
}

/// Switches a key on or off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TogglePlatformKey {
    /// `ACTIVATE` or `DEACTIVATE`.
    pub action: String,
}

/// Says that it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// What was done.
    pub message: String,
}

/// A secret to be compared with a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyPlatformKey {
    /// The secret.
    pub key: String,
}

impl std::fmt::Debug for VerifyPlatformKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyPlatformKey(…)")
    }
}

/// Whether a secret is that of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlatformKeyMatch {
    /// Whether it is the key's current secret.
    #[serde(rename = "match")]
    pub matches: bool,
}

/// The identity of a key (CONTRACT 3.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI<'a> {
    /// The organization's name in URLs.
    pub organization_id: Cow<'a, str>,
    /// Its name on pages.
    pub organization_name: Cow<'a, str>,
    /// `read`, `read_write` or `full_access`.
    pub permission: Cow<'a, str>,
    /// What people call the key.
    pub key_name: Cow<'a, str>,
}

impl std::fmt::Debug for GeneratedPlatformKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GeneratedPlatformKey({})", self.id)
    }
}

impl std::fmt::Debug for RefreshedPlatformKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RefreshedPlatformKey({})", self.id)
    }
}
