//! Runs of a deployment: what submitting and polling answer (CONTRACT 5).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ExecutionStatus {
    /// Accepted; not begun.
    Pending,
    /// Under way.
    Executing,
    /// Finished, with an item for every file; some of these may have failed.
    Completed,
    /// Ended before it was finished.
    Stopped,
    /// Failed as a whole.
    Error,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ItemStatus {
    /// It was read.
    Success,
    /// It was not; `error` says why.
    Failed,
}

/// The form that a submission takes, as `multipart/form-data`. Fields that are blank count as not
/// given.
#[derive(Debug, ToSchema)]
#[schema(as = Submission)]
pub struct Submission {
    /// The documents: 1 to 32 parts of this name, each with a file name.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    pub files: Vec<Vec<u8>>,
    /// How many seconds to wait for the result, up to 300; 0 and -1 (the default) answer at once.
    pub timeout: Option<i64>,
    /// Whether items carry `result.metadata`: evidence, pages, media type.
    pub include_metadata: Option<bool>,
    /// Whether items carry `result.metrics`.
    pub include_metrics: Option<bool>,
    /// Whether items carry the text of the document.
    pub include_extracted_text: Option<bool>,
    /// Whether the result of an earlier run of the same workflow on the same content will do.
    pub use_file_history: Option<bool>,
    /// One label for the run: a letter, then up to 49 letters, digits, `_` and `-`.
    pub tags: Option<String>,
    /// A JSON object that is given back with every item.
    pub custom_data: Option<String>,
}

/// The answer to a submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The run.
    pub message: SubmittedExecution,
}

/// A run, as its submission is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubmittedExecution {
    /// Its identifier.
    pub execution_id: String,
    /// How far it is.
    pub execution_status: ExecutionStatus,
    /// Where to ask for it: a path, with its query.
    pub status_api: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Its items, once it is finished.
    pub result: Option<Vec<Item>>,
}

/// The answer to a question about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Polled {
    /// How far the run is.
    pub status: ExecutionStatus,
    /// Its items when they are read for the first time; a sentence when they were read before.
    pub message: Option<PolledMessage>,
}

/// What there is to tell about a run that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PolledMessage {
    /// Its items.
    Items(Vec<Item>),
    /// Why there are none.
    Text(String),
}

/// What became of one file of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// The name of the file, as it was sent, without folders.
    pub file: String,
    /// The identifier of this file in this run.
    pub file_execution_id: String,
    /// What became of it.
    pub status: ItemStatus,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// What was found in it; null if it failed.
    pub result: Option<ItemResult>,
    /// About the file and the run.
    pub metadata: ItemMetadata,
    /// The text of the document, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extracted_text: Option<String>,
    /// The `file_execution_id` of an earlier file of this run with the same content, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
}

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemResult {
    /// The values, by the fields of the workflow.
    pub output: Map<String, Value>,
    /// Where they were found, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ResultMetadata>,
    /// How long it took, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<ResultMetrics>,
}

/// Where the values of a file were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultMetadata {
    /// The identifier of the file in this run.
    pub run_id: String,
    /// The name of the file.
    pub file_name: String,
    /// For every value: the page, the place and the rule that found it.
    pub evidence: Vec<Value>,
    /// The fields without a value, and why.
    pub misses: Vec<Value>,
    /// How many pages the document has.
    pub pages: usize,
    /// What the content turned out to be.
    pub media_type: String,
    /// Calls of language models; rules make none.
    pub extraction_llm: Vec<Value>,
    /// Calls of embedding models; rules make none.
    pub embedding: Vec<Value>,
    /// Always empty.
    pub context: Map<String, Value>,
}

/// How long the stages of a file took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultMetrics {
    /// From acceptance until a worker took the run.
    pub queued_ms: u64,
    /// Reading the document and extracting its values.
    pub extraction_ms: u64,
    /// From acceptance until the result was there.
    pub total_ms: u64,
}

/// About a file and its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemMetadata {
    /// The name of the file.
    pub source_name: String,
    /// The SHA-256 of its content, in hexadecimal.
    pub source_hash: String,
    /// The organization's name.
    pub organization_id: String,
    /// The workflow.
    pub workflow_id: String,
    /// The version of the workflow that ran.
    pub workflow_version: i64,
    /// The run.
    pub execution_id: String,
    /// The file in this run.
    pub file_execution_id: String,
    /// The labels of the run.
    pub tags: Vec<String>,
    /// How long the file took, in seconds.
    pub total_elapsed_time: f64,
    /// When the run began, in seconds since 1970.
    pub workflow_start_time: f64,
    /// What the client gave along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<Map<String, Value>>,
    /// What the content turned out to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the file cost, where metadata or metrics were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What models cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExecutionUsage)]
pub struct Usage {
    /// Tokens of embedding models.
    pub embedding_tokens: u64,
    /// Tokens sent to language models.
    pub prompt_tokens: u64,
    /// Tokens received from language models.
    pub completion_tokens: u64,
    /// All of these.
    pub total_tokens: u64,
    /// Their price in US dollars.
    pub cost_in_dollars: f64,
    /// The file in this run.
    pub file_execution_id: String,
}
