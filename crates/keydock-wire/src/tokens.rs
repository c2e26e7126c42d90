//! Asking about a key and giving one up, in the words of RFC 7662 and RFC 7009.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The key that a request is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PresentedToken {
    /// Its secret.
    pub token: String,
    /// Ignored: every kind of key is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type_hint: Option<String>,
}

impl std::fmt::Debug for PresentedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PresentedToken(…)")
    }
}

/// What is known of a key. Of one that does not work, that is unknown, or that is another
/// organization's, nothing but `active: false`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Introspection {
    /// Whether it works.
    pub active: bool,
    /// The identifier of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The same, under the name that resource servers of OAuth look for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What people call the key; its description, if it has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// Always `Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// What it permits: `read`, `read_write` or `full_access`; `execute` of keys of deployments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When the key was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// When the secret ends, because the key does, or because it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The name of the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// `platform`, `platform_api`, `deployment` or `org_deployment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The identifier of the deployment, if the key opens one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
}
