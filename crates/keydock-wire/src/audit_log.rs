//! Events of the audit log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// Its identifier.
    pub id: String,
    /// When. RFC 3339, UTC.
    pub at: String,
    /// What.
    pub action: String,
    /// Who: `user`, `platform_key`, `deployment_key` or `server`.
    pub actor_kind: String,
    /// Which one.
    pub actor_id: String,
    /// How they are known.
    pub actor_name: String,
    /// To what: its kind.
    pub subject_kind: String,
    /// Which one.
    pub subject_id: String,
    /// More, without secrets.
    pub detail: serde_json::Value,
    /// The request that did it.
    pub request_id: String,
    /// Where that came from.
    pub ip: String,
}
