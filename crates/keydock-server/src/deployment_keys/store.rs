//! The `deployment_keys` table. Every statement names the organization.

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyDigest,
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::DeploymentKey;
use crate::{
    Result,
    access::{
        Caller,
        keyring::{Entry, Opens, Orgs, Page},
        secrets::{Digests, Minted, Secrets},
    },
};

pub(super) async fn insert(
    tx: &mut Tx,
    caller: &Caller,
    key: &DeploymentKey,
    digest: &KeyDigest,
) -> Result<()> {
    let sql = "INSERT INTO deployment_keys (id, org_id, deployment_id, description, digest,
                                            last_four, fingerprint, is_active, version, created_by,
                                            created_at, modified_at, use_count)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)";
    let values = args![
        key.id,
        caller.org.number,
        key.deployment,
        key.description.as_str(),
        digest.to_hex(),
        &key.last_four,
        &key.fingerprint,
        key.is_active,
        key.version,
        caller.user(),
        key.created_at,
        key.modified_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn list(
    tx: &mut Tx,
    org: OrgNumber,
    deployment: Id<id::Deployment>,
) -> Result<Vec<DeploymentKey>> {
    let sql = "SELECT k.id, k.deployment_id, k.description, k.is_active, k.last_four,
                      k.fingerprint, k.version, k.created_at, k.modified_at, k.previous_until,
                      k.last_used_at, k.last_used_ip, k.use_count, u.email
               FROM deployment_keys k LEFT JOIN users u ON u.id = k.created_by
               WHERE k.org_id = $1 AND k.deployment_id = $2 ORDER BY k.created_at, k.id";
    Ok(tx.fetch_all(sql, args![org, deployment]).await?)
}

pub(super) async fn find(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::DeploymentKey>,
) -> Result<Option<DeploymentKey>> {
    let sql = "SELECT k.id, k.deployment_id, k.description, k.is_active, k.last_four,
                      k.fingerprint, k.version, k.created_at, k.modified_at, k.previous_until,
                      k.last_used_at, k.last_used_ip, k.use_count, u.email
               FROM deployment_keys k LEFT JOIN users u ON u.id = k.created_by
               WHERE k.org_id = $1 AND k.id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

pub(super) async fn digests(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::DeploymentKey>,
) -> Result<Option<Digests>> {
    let sql = "SELECT digest, previous_digest FROM deployment_keys WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

pub(super) async fn digests_of(
    tx: &mut Tx,
    org: OrgNumber,
    deployment: Id<id::Deployment>,
) -> Result<Vec<Digests>> {
    let sql = "SELECT digest, previous_digest FROM deployment_keys
               WHERE org_id = $1 AND deployment_id = $2";
    Ok(tx.fetch_all(sql, args![org, deployment]).await?)
}

pub(super) async fn update(tx: &mut Tx, org: OrgNumber, key: &DeploymentKey) -> Result<()> {
    let sql = "UPDATE deployment_keys SET description = $3, is_active = $4, modified_at = $5
               WHERE org_id = $1 AND id = $2";
    let values = args![org, key.id, key.description.as_str(), key.is_active, key.modified_at];
    tx.execute(sql, values).await?;
    Ok(())
}

/// The digest of the old secret is kept, so that whoever still sends it is told what happened; it
/// works until then.
pub(super) async fn replace_secret(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::DeploymentKey>,
    minted: &Minted,
    until: Timestamp,
) -> Result<()> {
    let sql = "UPDATE deployment_keys
               SET previous_digest = digest, previous_until = $6,
                   digest = $3, last_four = $4, fingerprint = $5,
                   version = version + 1, modified_at = $7
               WHERE org_id = $1 AND id = $2";
    let values = args![
        org,
        id,
        minted.digest.to_hex(),
        &minted.last_four,
        &minted.fingerprint,
        until,
        tx.now()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, org: OrgNumber, id: Id<id::DeploymentKey>) -> Result<()> {
    let sql = "DELETE FROM deployment_keys WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

/// Adds to the records of keys, in one statement. By their ids alone: the keys themselves said who
/// they are. `uses` is what [`usage::as_json`](crate::access::usage::as_json) makes of them.
///
/// Tells which were written: not those that somebody is changing at the moment, or that are gone.
pub async fn record_uses(tx: &mut Tx, uses: &str) -> Result<Vec<Id<id::AnyKey>>> {
    let sql = tx.skipping_locked(
        "UPDATE deployment_keys
         SET last_used_at = used.last_at, last_used_ip = used.last_ip,
             use_count = use_count + used.uses
         FROM (SELECT value ->> 'id' AS used_id, value ->> 'at' AS last_at,
                      value ->> 'ip' AS last_ip, value ->> 'uses' AS uses
               FROM json_each($1)) AS used
         WHERE id = used.used_id
         RETURNING id",
        "UPDATE deployment_keys
         SET last_used_at = used.last_at, last_used_ip = used.last_ip,
             use_count = use_count + used.uses
         FROM (SELECT k.id AS used_id, u.at AS last_at, u.ip AS last_ip, u.uses
               FROM deployment_keys k
               JOIN json_to_recordset($1::json) AS u (id text, at bigint, ip text, uses bigint)
                    ON u.id = k.id
               FOR UPDATE OF k SKIP LOCKED) AS used
         WHERE id = used.used_id
         RETURNING id",
    );
    let written: Vec<String> = tx.fetch_all(sql, args![uses]).await?;
    written.iter().map(|id| id.parse().map_err(crate::Error::internal)).collect()
}

/// Secrets of keys, for the key map: a page of `limit` keys after the one with the id `after`.
///
/// An exception to the rule that every statement names the organization, as is the next: this is
/// how a key's organization is learnt.
pub async fn entries(tx: &mut Tx, orgs: &mut Orgs, after: &str, limit: usize) -> Result<Page> {
    let sql = "SELECT k.id, k.org_id, k.deployment_id, k.is_active, k.digest, k.previous_digest,
                      k.previous_until, o.name AS org_name, o.title
               FROM deployment_keys k JOIN organizations o ON o.id = k.org_id
               WHERE k.id > $1 ORDER BY k.id LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<Secrets<Opened>> = tx.fetch_all(sql, args![after, limit]).await?;
    Ok(Secrets::page(rows, orgs))
}

/// The secret with this digest, current or previous.
pub async fn find_entry(tx: &mut Tx, orgs: &mut Orgs, digest: &KeyDigest) -> Result<Option<Entry>> {
    let sql = "SELECT k.id, k.org_id, k.deployment_id, k.is_active, k.digest, k.previous_digest,
                      k.previous_until, o.name AS org_name, o.title
               FROM deployment_keys k JOIN organizations o ON o.id = k.org_id
               WHERE k.digest = $1 OR k.previous_digest = $1";
    let row: Option<Secrets<Opened>> = tx.fetch_optional(sql, args![digest.to_hex()]).await?;
    Ok(row.and_then(|row| row.entry(orgs, digest)))
}

/// What a deployment key opens.
struct Opened(Id<id::Deployment>);

impl From<Opened> for Opens {
    fn from(Opened(deployment): Opened) -> Self {
        Self::Deployment(deployment)
    }
}

impl FromRow for Opened {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self(row.parse("deployment_id")?))
    }
}

impl FromRow for DeploymentKey {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let modified_at = row.time("modified_at")?;
        Ok(Self {
            id: row.parse("id")?,
            deployment: row.parse("deployment_id")?,
            description: row.parse("description")?,
            is_active: row.bool("is_active")?,
            last_four: row.text("last_four")?,
            fingerprint: row.text("fingerprint")?,
            version: row.int("version")?,
            created_at: row.time("created_at")?,
            modified_at,
            created_by_email: row.text_opt("email")?,
            // One that was replaced without an overlap ended with the change itself.
            previous_until: row.time_opt("previous_until")?.filter(|until| *until > modified_at),
            last_used_at: row.time_opt("last_used_at")?,
            last_used_ip: row.text_opt("last_used_ip")?,
            use_count: row.int("use_count")?,
        })
    }
}
