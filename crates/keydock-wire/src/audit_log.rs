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
    /// The number of the organization, where it happened in one.
    pub org_id: Option<i64>,
    /// Its number: without gaps over the whole server, in the order in which changes took effect.
    pub sequence: i64,
    /// The hash of the event before it, whosever that is.
    pub previous_hash: String,
    /// The hash of this event and of that hash.
    pub hash: String,
}

/// A page of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// How many events there are in all.
    pub count: i64,
    /// The address of the next page.
    pub next: Option<String>,
    /// The address of the page before.
    pub previous: Option<String>,
    /// The events of this page, newest first.
    pub results: Vec<AuditEvent>,
}
