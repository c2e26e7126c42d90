//! Organization deployment keys: one key for several or all deployments (CONTRACT 3.6).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::keys::{KeyFacts, KeyLimits};

/// An organization deployment key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrgDeploymentKey {
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
    /// Whether it opens every deployment, those of the future included.
    pub allow_all_deployments: bool,
    /// The deployments that it opens otherwise.
    pub api_deployments: Vec<ScopedDeployment>,
    /// When it was created. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
    /// Who created it.
    pub created_by_email: String,
    /// How it is used, and what limits it.
    #[serde(flatten)]
    pub facts: KeyFacts,
}

/// A deployment that a key can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScopedDeployment {
    /// Its identifier.
    pub id: String,
    /// Its name on pages.
    pub display_name: String,
    /// Its name in URLs.
    pub api_name: String,
    /// Whether it answers.
    pub is_active: bool,
}

/// Creates a key. It opens all deployments or the ones listed: exactly one of the two is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateOrgDeploymentKey {
    /// 1 to 128 characters, unique among such keys of the organization.
    pub name: String,
    /// What it is for: 1 to 512 characters.
    pub description: String,
    /// Whether it opens every deployment; `false` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_all_deployments: Option<bool>,
    /// The deployments that it opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_deployments: Option<Vec<String>>,
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
pub struct UpdateOrgDeploymentKey {
    /// What it is for: 1 to 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// Whether it opens every deployment; `true` forgets the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_all_deployments: Option<bool>,
    /// The deployments that it opens, in place of those before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_deployments: Option<Vec<String>>,
    /// Until when, from where and how often it works.
    #[serde(flatten)]
    pub limits: KeyLimits,
}
