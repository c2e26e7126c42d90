//! What tools of the SDK ask and tell (CONTRACT 8.2).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose platform key this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlatformDetails {
    /// Always `OK`.
    pub status: String,
    /// What there is to know.
    pub details: Details,
}

/// What a tool is told about its platform key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Details {
    /// The name of the organization.
    pub organization_id: String,
}

/// A value to be kept in the cache of the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheEntry {
    /// What it is called, at most 512 characters.
    pub key: String,
    /// The value, at most 1 MiB.
    pub value: String,
}

/// Tokens that a model took. Each member may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Usage {
    /// The workflow.
    pub workflow_id: String,
    /// The run of the workflow.
    pub execution_id: String,
    /// The adapter that led to the model.
    pub adapter_instance_id: String,
    /// The run of the tool.
    pub run_id: String,
    /// `llm` or `embedding`.
    pub usage_type: String,
    /// `extraction`, `challenge`, `summarize` or nothing.
    pub llm_usage_reason: String,
    /// The model.
    pub model_name: String,
    /// Who runs the model.
    pub provider: String,
    /// Tokens that were embedded.
    pub embedding_tokens: i64,
    /// Tokens of prompts.
    pub prompt_tokens: i64,
    /// Tokens of answers.
    pub completion_tokens: i64,
    /// All tokens.
    pub total_tokens: i64,
    /// What that cost.
    pub cost_in_dollars: f64,
}

/// Pages that a document had. Each member may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PageUsage {
    /// How many pages.
    pub page_count: i64,
    /// The document.
    pub file_name: String,
    /// Its size in bytes.
    pub file_size: i64,
    /// Its media type.
    pub file_type: String,
    /// The run of the tool.
    pub run_id: String,
}

/// Whether a report of use was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageStored {
    /// `OK`, or `ERROR`.
    pub status: String,
    /// What is wrong; empty if nothing is.
    pub error: String,
    /// The identifier of the report; empty if it was not stored.
    pub unique_id: String,
}

/// An error, as tools know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiError {
    /// What is wrong.
    pub error: String,
    /// Always `APIError`.
    pub name: String,
    /// The status of the answer. The stable code is in the header `X-Keydock-Error`.
    pub code: u16,
    /// Always null.
    pub payload: Option<String>,
    /// The name of the request, for support.
    pub request_id: String,
    /// Where the stable code is explained.
    pub docs: String,
}
