//! Why requests were refused.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The request.
    pub request_id: String,
    /// When it came. RFC 3339, UTC.
    pub at: String,
    /// The status of the answer.
    pub status: i64,
    /// The stable code.
    pub code: String,
    /// Where the code is explained.
    pub docs: String,
    /// Why, and what to do.
    pub reason: String,
    /// Its method.
    pub method: String,
    /// Its path, without its query and without keys.
    pub path: String,
    /// The key that was sent, if it was genuine.
    pub key: Option<ExplainedKey>,
    /// Where it came from.
    pub ip: String,
    /// What sent it: its `User-Agent`.
    pub agent: String,
}

/// A genuine key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedKey {
    /// Its identifier.
    pub id: String,
    /// `platform`, `platform_api`, `deployment` or `org_deployment`.
    pub kind: String,
    /// Its name, if its kind has names.
    pub name: Option<String>,
}
