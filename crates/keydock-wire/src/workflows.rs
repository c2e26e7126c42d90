//! Workflows and their definitions (CONTRACT 6.1, 6.2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workflow {
    /// Its identifier.
    pub id: String,
    /// What it is called; unique in the organization.
    pub workflow_name: String,
    /// What it is for.
    pub description: String,
    /// Whether it may be used.
    pub is_active: bool,
    /// Always empty.
    pub status: String,
    /// `DEFAULT`, `ETL`, `TASK`, `API` or `APP`.
    pub deployment_type: String,
    /// Always empty.
    pub source_settings: Map<String, Value>,
    /// Always empty.
    pub destination_settings: Map<String, Value>,
    /// How often one file may be run; unlimited if null.
    pub max_file_execution_count: Option<i64>,
    /// Who created it; null if that was a key.
    pub workflow_owner: Option<i64>,
    /// The same as `workflow_owner`.
    pub created_by: Option<i64>,
    /// The address of who created it.
    pub created_by_email: Option<String>,
    /// Who changed it last; null if that was a key.
    pub modified_by: Option<i64>,
    /// Always null.
    pub organization: Option<i64>,
    /// Whether every member of the organization may see it.
    pub shared_to_org: bool,
    /// Always empty.
    pub shared_groups: Vec<i64>,
    /// Always empty.
    pub tool_instances: Vec<Value>,
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
    /// How often it was defined; 0 while it has no definition.
    pub definition_version: i64,
    /// The newest definition as it was written. Left out of lists, and while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A page of workflows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowPage {
    /// How many there are on all pages.
    pub count: i64,
    /// The address of the next page.
    pub next: Option<String>,
    /// The address of the page before.
    pub previous: Option<String>,
    /// The workflows of this page.
    pub results: Vec<Workflow>,
}

/// Creates a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateWorkflow {
    /// 1 to 128 characters, unique in the organization.
    pub workflow_name: String,
    /// At most 490 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `DEFAULT` (if left out), `ETL`, `TASK`, `API` or `APP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_type: Option<String>,
    /// At least 1; unlimited if left out or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file_execution_count: Option<i64>,
    /// How to read documents and what to extract: YAML or JSON in a string, or a JSON object. Its
    /// schema is at `/api/v1/schemas/workflow-definition.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
}

/// Changes a workflow. What is left out stays, except that a `PUT` must name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateWorkflow {
    /// 1 to 128 characters, unique in the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_name: Option<String>,
    /// At most 490 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `DEFAULT`, `ETL`, `TASK`, `API` or `APP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_type: Option<String>,
    /// At least 1; unlimited if null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file_execution_count: Option<i64>,
    /// The new definition, in place of the newest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
}

/// A definition to be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidateDefinition {
    /// YAML or JSON in a string, or a JSON object.
    pub definition: Value,
}

/// Says that a definition makes sense. What does not is told as errors of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidDefinition {
    /// Always true.
    pub valid: bool,
}

/// Where the documents of a workflow come from, or where its answers go: always the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowEndpoint {
    /// Its identifier.
    pub id: String,
    /// The workflow.
    pub workflow: String,
    /// What the workflow is called.
    pub workflow_name: String,
    /// `SOURCE` or `DESTINATION`.
    pub endpoint_type: String,
    /// Always `API`.
    pub connection_type: String,
    /// Always empty.
    pub configuration: Map<String, Value>,
    /// Always null.
    pub connector_instance: Option<Value>,
    /// When the workflow was created.
    pub created_at: String,
    /// When the workflow was last changed.
    pub modified_at: String,
}

/// Sets up an endpoint. There is nothing to set up: it confirms what is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateWorkflowEndpoint {
    /// `API`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_type: Option<String>,
    /// Accepted and ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
    /// Null: there are no connectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_instance_id: Option<String>,
}
