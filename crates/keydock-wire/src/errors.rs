//! What a refusal looks like (CONTRACT 9.1).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of most errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorEnvelope {
    /// `validation_error`, `client_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong.
    pub errors: Vec<ErrorItem>,
    /// The stable code of the refusal, explained at `docs`.
    pub code: String,
    /// The name of the request, for support.
    pub request_id: String,
    /// Where the code is explained.
    pub docs: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorItem {
    /// The code of the wire.
    pub code: String,
    /// What is wrong, for a person.
    pub detail: String,
    /// The field, if it is about one.
    pub attr: Option<String>,
}

/// The body of a refused credential on the platform API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalBody {
    /// What it has always said.
    pub message: String,
    /// What to do, for a person.
    pub detail: String,
    /// The stable code of the refusal, explained at `docs`.
    pub code: String,
    /// The name of the request, for support.
    pub request_id: String,
    /// Where the code is explained.
    pub docs: String,
}
