//! What an import asks and writes, many rows at a time. The organizations were found by name.

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    role::Tier,
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row as DbRow, Tx, args};
use serde_json::{Value, json};

use crate::Result;

/// How long before its end people are reminded of a key for the first time.
const FIRST_REMINDER: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// A row that is to be written, as far as its table has it.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) id: Id<id::AnyKey>,
    pub(super) values: Value,
    pub(super) scope: Vec<Id<id::Deployment>>,
    pub(super) org: OrgNumber,
}

/// A platform key that is there already.
#[derive(Debug)]
pub(super) struct Slotted {
    pub(super) slot: i64,
    pub(super) is_active: bool,
}

/// Which of these digests are stored.
pub(super) async fn known_digests(tx: &mut Tx, digests: &[String]) -> Result<Vec<String>> {
    let sql = tx.in_dialect(
        "SELECT k.digest FROM json_each($1) d JOIN keys k ON k.digest = d.value
         UNION SELECT k.previous_digest FROM json_each($1) d
         JOIN keys k ON k.previous_digest = d.value",
        "SELECT k.digest FROM json_array_elements_text($1::json) d(value)
         JOIN keys k ON k.digest = d.value
         UNION SELECT k.previous_digest FROM json_array_elements_text($1::json) d(value)
         JOIN keys k ON k.previous_digest = d.value",
    );
    let digests: Value = digests.iter().map(String::as_str).collect();
    Ok(tx.fetch_all(sql, args![digests.to_string()]).await?)
}

/// What is known by its name, its deployment and the beginning of its SHA-256 already: a key that was
/// imported and has been used since has another digest.
pub(super) async fn known_fingerprints(tx: &mut Tx, rows: &[String]) -> Result<Vec<String>> {
    let sql = tx.in_dialect(
        "SELECT k.org_id || ' ' || k.kind || ' ' || COALESCE(k.deployment_id, k.name) || ' '
                || k.fingerprint
         FROM json_each($1) d JOIN keys k ON k.fingerprint = SUBSTR(d.value, -8)",
        "SELECT k.org_id || ' ' || k.kind || ' ' || COALESCE(k.deployment_id, k.name) || ' '
                || k.fingerprint
         FROM json_array_elements_text($1::json) d(value)
         JOIN keys k ON k.fingerprint = RIGHT(d.value, 8)",
    );
    let rows: Value = rows.iter().map(String::as_str).collect();
    Ok(tx.fetch_all(sql, args![rows.to_string()]).await?)
}

/// Whether a key of this kind has the name.
pub(super) async fn has_name(
    tx: &mut Tx,
    org: OrgNumber,
    kind: KeyKind,
    name: &str,
) -> Result<bool> {
    let sql = "SELECT id FROM keys WHERE org_id = $1 AND kind = $2 AND name = $3";
    let found: Option<String> = tx.fetch_optional(sql, args![org, kind.as_str(), name]).await?;
    Ok(found.is_some())
}

pub(super) async fn slots(tx: &mut Tx, org: OrgNumber) -> Result<Vec<Slotted>> {
    let sql = "SELECT slot, is_active FROM keys WHERE org_id = $1 AND slot IS NOT NULL";
    Ok(tx.fetch_all(sql, args![org]).await?)
}

/// The deployment with this name or id.
pub(super) async fn deployment(tx: &mut Tx, org: OrgNumber, name: &str) -> Result<Option<String>> {
    let sql = "SELECT id FROM deployments WHERE org_id = $1 AND (api_name = $2 OR id = $2)
               ORDER BY api_name = $2 DESC LIMIT 1";
    Ok(tx.fetch_optional(sql, args![org, name]).await?)
}

pub(super) async fn insert(tx: &mut Tx, rows: &[NewRow]) -> Result<()> {
    let sql = tx.in_dialect(
        "INSERT INTO keys (id, org_id, kind, name, description, slot, permission, service_user,
                           deployment_id, opens_all, is_active, expires_at, limits, digest,
                           last_four, fingerprint, version, secrets_made, created_at, modified_at,
                           use_count, pepper, active_since, remind_at)
         SELECT value ->> 'id', value ->> 'org', value ->> 'kind', value ->> 'name',
                value ->> 'description', value ->> 'slot', value ->> 'permission',
                value ->> 'service', value ->> 'deployment', value ->> 'opens_all',
                value ->> 'is_active', value ->> 'expires_at', '{}', value ->> 'digest',
                value ->> 'last_four', value ->> 'fingerprint', 1, 1, value ->> 'created_at', $2,
                0, value ->> 'pepper', $2, value ->> 'remind_at'
         FROM json_each($1)",
        "INSERT INTO keys (id, org_id, kind, name, description, slot, permission, service_user,
                           deployment_id, opens_all, is_active, expires_at, limits, digest,
                           last_four, fingerprint, version, secrets_made, created_at, modified_at,
                           use_count, pepper, active_since, remind_at)
         SELECT id, org, kind, name, description, slot, permission, service, deployment, opens_all,
                is_active, expires_at, '{}', digest, last_four, fingerprint, 1, 1, created_at, $2,
                0, pepper, $2, remind_at
         FROM json_to_recordset($1::json)
              AS r (id text, org bigint, kind text, name text, description text, slot bigint,
                    permission text, service bigint, deployment text, opens_all boolean,
                    is_active boolean, expires_at bigint, digest text, last_four text,
                    fingerprint text, created_at bigint, pepper text, remind_at bigint)",
    );
    let values: Value = rows.iter().map(|row| row.values.clone()).collect();
    tx.execute(sql, args![values.to_string(), tx.now()]).await?;
    for row in rows {
        for deployment in &row.scope {
            let sql = "INSERT INTO key_scopes (org_id, key_id, deployment_id) VALUES ($1, $2, $3)
                       ON CONFLICT (key_id, deployment_id) DO NOTHING";
            tx.execute(sql, args![row.org, row.id, *deployment]).await?;
        }
    }
    Ok(())
}

/// What [`known_fingerprints`] knows a key by.
pub(super) fn known_by(org: OrgNumber, kind: KeyKind, of: &str, fingerprint: &str) -> String {
    format!("{} {} {of} {fingerprint}", org.as_i64(), kind.as_str())
}

/// A row as it goes into [`insert`].
pub(super) fn values(row: &super::Fitting<'_>, id: Id<id::AnyKey>) -> Value {
    json!({
        "id": id.to_string(), "org": row.org.as_i64(), "kind": row.row.kind.as_str(),
        "name": row.row.name, "description": row.row.description, "slot": row.slot,
        "permission": row.row.permission.map(Tier::as_str),
        "service": row.service.map(UserNumber::as_i64),
        "deployment": row.deployment, "opens_all": row.opens_all, "is_active": row.row.is_active,
        // The reminders that are past by now are passed over.
        "remind_at": row.row.expires_at.map(|end| end.before(FIRST_REMINDER).as_micros()),
        "expires_at": row.row.expires_at.map(Timestamp::as_micros),
        "digest": row.digest.to_hex(), "last_four": row.row.last_four,
        "fingerprint": row.row.fingerprint, "pepper": row.pepper,
        "created_at": row.created_at.as_micros(),
    })
}

impl FromRow for Slotted {
    fn from_row(row: &DbRow) -> Result<Self, db::Error> {
        Ok(Self { slot: row.int("slot")?, is_active: row.bool("is_active")? })
    }
}
