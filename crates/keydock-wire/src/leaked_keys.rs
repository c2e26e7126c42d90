//! Keys that somebody found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Reports a key that was found where it should not be.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportLeakedKey {
    /// The key, as it was found.
    pub key: String,
}

impl std::fmt::Debug for ReportLeakedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReportLeakedKey(…)")
    }
}
