//! Platform API keys: keys of an organization with a tier (CONTRACT 3.3).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::keys::{KeyFacts, KeyLimits};

/// A platform API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlatformApiKey {
    /// Its identifier, which stays the same when the secret is rotated.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The secret, masked but for its last four characters.
    pub key: String,
    /// Whether it works.
    pub is_active: bool,
    /// When it was created. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
    /// `read`, `read_write` or `full_access`.
    pub permission: String,
    /// Who created it.
    pub created_by_email: String,
    /// How it is used, and what limits it.
    #[serde(flatten)]
    pub facts: KeyFacts,
}

/// Creates a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatePlatformApiKey {
    /// 1 to 128 characters, unique among such keys of the organization.
    pub name: String,
    /// What it is for: 1 to 512 characters.
    pub description: String,
    /// `read`, `read_write` (the default) or `full_access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Until when, from where and how often it works.
    #[serde(flatten)]
    pub limits: KeyLimits,
    /// Whether it is a canary: it opens nothing, takes no limits, and raises an alarm where it is
    /// presented. `false` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<bool>,
}

/// Changes a key. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdatePlatformApiKey {
    /// What it is for: 1 to 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// `read`, `read_write` or `full_access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Until when, from where and how often it works.
    #[serde(flatten)]
    pub limits: KeyLimits,
}
