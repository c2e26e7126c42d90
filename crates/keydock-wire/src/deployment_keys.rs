//! The keys of a deployment (CONTRACT 4.5).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key of a deployment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentKey {
    /// Its identifier, which stays the same when the secret is rotated.
    pub id: String,
    /// The secret, masked but for its last four characters; whole only in the answer that makes it.
    pub api_key: String,
    /// The deployment that it opens.
    pub api: String,
    /// Always null.
    pub pipeline: Option<String>,
    /// Whom it was given to.
    pub description: String,
    /// Whether it works.
    pub is_active: bool,
    /// When it was created. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
    /// Who created it.
    pub created_by_email: Option<String>,
    /// When it was last used; lags by a few seconds.
    pub last_used_at: Option<String>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// How often it was used.
    pub use_count: i64,
    /// The first eight hexadecimal digits of the secret's SHA-256.
    pub fingerprint: String,
    /// How many secrets this key has had.
    pub version: i64,
    /// Until when the secret before the last rotation still works.
    pub previous_secret_until: Option<String>,
}

impl std::fmt::Debug for DeploymentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeploymentKey({})", self.id)
    }
}

/// Creates a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateDeploymentKey {
    /// Whom it is for: 1 to 255 characters.
    pub description: String,
    /// Whether it works at once; `true` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// The deployment; must be here or in the address, and the same if it is in both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// Changes a key. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateDeploymentKey {
    /// Whom it is for: 1 to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// The deployment that it opens already; a key cannot be moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// Replaces the secret of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateDeploymentKey {
    /// For how many seconds the old secret still works: 0 (the default) to 2,592,000 (30 days).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<i64>,
}
