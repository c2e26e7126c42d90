//! The keys of a deployment (CONTRACT 4.5).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::keys::{KeyFacts, KeyLimits};

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
    /// How it is used, and what limits it.
    #[serde(flatten)]
    pub facts: KeyFacts,
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
    /// Until when, from where and how often it works.
    #[serde(flatten)]
    pub limits: KeyLimits,
}
