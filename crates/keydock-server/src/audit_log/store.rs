//! The `audit_events` table. Rows are only ever added.

use keydock_core::{id::OrgNumber, time::Timestamp};
use keydock_storage::db::{self, FromRow, Row, Tx, args};
use serde_json::Value;

use super::{Event, NewEvent};
use crate::{Result, access::Actor};

pub(super) async fn insert(tx: &mut Tx, event: NewEvent<'_>) -> Result<()> {
    let sql = "INSERT INTO audit_events (id, org_id, at, action, actor_kind, actor_id, actor_name,
                                         subject_kind, subject_id, detail, request_id, ip)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let id: keydock_core::id::Id<keydock_core::id::AuditEvent> = tx.new_id();
    let (kind, actor, name) = words(event.actor);
    let values = args![
        id,
        event.org,
        tx.now(),
        event.action.as_str(),
        kind,
        actor,
        name,
        event.subject.kind,
        event.subject.id.into_owned(),
        Value::Object(event.detail).to_string(),
        event.request_id,
        event.ip
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Somebody, as the log has them: their kind, their identifier and their name.
pub(super) fn words(actor: &Actor) -> (&'static str, String, String) {
    match actor {
        Actor::Person { user, email } => ("user", user.to_string(), email.clone()),
        Actor::PlatformKey { id, name } => ("platform_key", id.to_string(), name.to_string()),
        Actor::PlatformApiKey { id, name, .. } => {
            ("platform_api_key", id.to_string(), name.to_string())
        }
        Actor::DeploymentKey { id } => ("deployment_key", id.to_string(), String::new()),
        Actor::OrgDeploymentKey { id, name } => {
            ("org_deployment_key", id.to_string(), name.to_string())
        }
        Actor::PlatformToken { id, name, .. } => {
            ("platform_token", id.to_string(), name.to_string())
        }
        Actor::Pipeline { subject, trust } => ("pipeline", subject.clone(), trust.clone()),
        Actor::Anonymous => ("anonymous", String::new(), String::new()),
        Actor::Server => ("server", String::new(), String::new()),
    }
}

pub(super) async fn happened_since(
    tx: &mut Tx,
    org: OrgNumber,
    action: &str,
    subject_id: &str,
    since: Timestamp,
) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM audit_events
               WHERE org_id = $1 AND subject_id = $2 AND action = $3 AND at > $4";
    let count: i64 = tx.fetch_one(sql, args![org, subject_id, action, since]).await?;
    Ok(count > 0)
}

pub(super) async fn list(
    tx: &mut Tx,
    org: OrgNumber,
    subject_kind: &str,
    limit: i64,
) -> Result<Vec<Event>> {
    let sql = "SELECT id, at, action, actor_kind, actor_id, actor_name, subject_kind, subject_id,
                      detail, request_id, ip
               FROM audit_events
               WHERE org_id = $1 AND ($2 = '' OR subject_kind = $2)
               ORDER BY id DESC LIMIT $3";
    Ok(tx.fetch_all(sql, args![org, subject_kind, limit]).await?)
}

impl FromRow for Event {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.parse("id")?,
            at: row.time("at")?,
            action: row.text("action")?,
            actor_kind: row.text("actor_kind")?,
            actor_id: row.text("actor_id")?,
            actor_name: row.text("actor_name")?,
            subject_kind: row.text("subject_kind")?,
            subject_id: row.text("subject_id")?,
            detail: row.parse("detail")?,
            request_id: row.text("request_id")?,
            ip: row.text("ip")?,
        })
    }
}
