//! API deployments (CONTRACT 4.1, 4.2).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its identifier.
    pub id: String,
    /// What it is called on pages.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// The workflow that it publishes.
    pub workflow: String,
    /// The part of its address that names it.
    pub api_name: String,
    /// Its address below that of the server, without a slash in front.
    pub api_endpoint: String,
    /// Whether it takes documents.
    pub is_active: bool,
    /// When it was created. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
    /// Who created it; null if that was a key.
    pub created_by: Option<i64>,
    /// Who changed it last; null if that was a key.
    pub modified_by: Option<i64>,
    /// Always null.
    pub organization: Option<i64>,
    /// Whether every member of the organization may see it.
    pub shared_to_org: bool,
    /// Always empty.
    pub shared_groups: Vec<i64>,
    /// Always empty.
    pub shared_users: Vec<i64>,
}

/// A deployment as a row of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentRow {
    /// Its identifier.
    pub id: String,
    /// The workflow that it publishes.
    pub workflow: String,
    /// What that workflow is called.
    pub workflow_name: String,
    /// What the deployment is called on pages.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Whether it takes documents.
    pub is_active: bool,
    /// Its address below that of the server, without a slash in front.
    pub api_endpoint: String,
    /// The part of its address that names it.
    pub api_name: String,
    /// Who created it; null if that was a key.
    pub created_by: Option<i64>,
    /// The address of who created it.
    pub created_by_email: Option<String>,
    /// Its last runs, at most five, oldest first.
    pub last_5_run_statuses: Vec<RunSummary>,
    /// How often it was run.
    pub run_count: i64,
    /// When it was last run; null if never.
    pub last_run_time: Option<String>,
    /// Whether the caller owns it.
    pub is_owner: bool,
    /// How many owners it has besides one.
    pub co_owners_count: i64,
    /// The addresses of its owners, earliest first.
    pub owner_emails: Vec<String>,
    /// When it was created. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
    /// Whether every member of the organization may see it.
    pub shared_to_org: bool,
    /// Always empty.
    pub shared_groups: Vec<i64>,
    /// Always empty.
    pub shared_users: Vec<i64>,
}

/// One run in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunSummary {
    /// The run.
    pub execution_id: String,
    /// `PENDING`, `EXECUTING`, `COMPLETED`, `PARTIAL_SUCCESS`, `STOPPED` or `ERROR`.
    pub status: String,
    /// When it was accepted.
    pub timestamp: String,
    /// How many of its files gave a result.
    pub successful_files: i64,
    /// How many of its files failed.
    pub failed_files: i64,
}

/// A page of deployments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentPage {
    /// How many there are on all pages.
    pub count: i64,
    /// The address of the next page.
    pub next: Option<String>,
    /// The address of the page before.
    pub previous: Option<String>,
    /// The deployments of this page.
    pub results: Vec<DeploymentRow>,
}

/// Publishes a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateDeployment {
    /// The workflow. It needs a definition, and may have one active deployment.
    pub workflow: String,
    /// 1 to 30 characters; `default api` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// At most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 1 to 30 letters, digits, hyphens and underscores, unique in the organization; random if left
    /// out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_name: Option<String>,
    /// Whether it takes documents; `true` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}

/// A deployment that was just created, with its first key. The only time that the key is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedDeployment {
    /// Its identifier.
    pub id: String,
    /// The secret of its first key.
    pub api_key: String,
    /// Its address below that of the server, without a slash in front.
    pub api_endpoint: String,
    /// What it is called on pages.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// The part of its address that names it.
    pub api_name: String,
    /// Whether it takes documents: the text `True` or `False`.
    pub is_active: String,
}

impl std::fmt::Debug for CreatedDeployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CreatedDeployment({})", self.id)
    }
}

/// Changes a deployment. What is left out stays, except that a `PUT` must name the workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateDeployment {
    /// The workflow that it publishes from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// 1 to 30 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// At most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 1 to 30 letters, digits, hyphens and underscores, unique in the organization. Changes its
    /// address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_name: Option<String>,
    /// Whether it takes documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}
