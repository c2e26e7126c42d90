//! The `keys` table. Every statement names the organization, but for those that learn it from here.

pub(super) mod quotas;
pub(super) mod sealed;
pub(super) mod uses;

use std::sync::Arc;

use keydock_core::{
    hygiene::next_reminder,
    id::{self, Id, OrgNumber, UserNumber},
    secret::{KeyDigest, KeyKind},
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{Controls, Facts, Filter, Key, Kind, NewKey, Noted, leaked::Exposed};
use crate::{
    Result,
    access::{
        Caller,
        keyring::{ApiKey, Entry, Opens, OrgWide, Page, Shared},
        secrets::{Digests, Minted, Secrets},
    },
};

/// Puts the changes to the keys of an organization into one order: what is read after it is still so
/// when it is written.
pub(crate) async fn lock(tx: &mut Tx, org: OrgNumber) -> Result<()> {
    let sql = "UPDATE organizations SET key_changes = key_changes + 1 WHERE id = $1";
    tx.execute(sql, args![org]).await?;
    Ok(())
}

pub(super) async fn insert<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    id: Id<K::Id>,
    new: &NewKey<K>,
    minted: &Minted,
) -> Result<(), db::Error> {
    let sql =
        "INSERT INTO keys (id, org_id, kind, name, description, slot, permission, service_user,
                                 deployment_id, opens_all, is_active, expires_at, limits, digest,
                                 last_four, fingerprint, version, secrets_made, created_by,
                                 created_at, modified_at, use_count, remind_at, is_canary,
                                 pepper)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, 1,
                       $17, $18, $18, 0, $19, $20, $21)";
    let columns = new.kind.columns();
    let values = args![
        id,
        caller.org.number,
        K::KIND.as_str(),
        columns.name,
        columns.description,
        columns.slot,
        columns.permission,
        columns.service_user,
        columns.deployment,
        columns.opens_all,
        new.is_active,
        new.controls.expires_at,
        new.controls.limits.stored(),
        minted.digest.to_hex(),
        &minted.last_four,
        &minted.fingerprint,
        caller.user(),
        tx.now(),
        first_reminder(tx, &new.controls),
        new.controls.is_canary,
        minted.pepper.to_string()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn list<K: Kind>(
    tx: &mut Tx,
    org: OrgNumber,
    filter: &Filter,
) -> Result<Vec<Key<K>>> {
    let sql = "SELECT k.*, u.email FROM keys k LEFT JOIN users u ON u.id = k.created_by
               WHERE k.org_id = $1 AND k.kind = $2
                 AND ($3 IS NULL OR k.deployment_id = $3)
                 AND ($4 IS NULL OR k.is_active = $4)
                 AND ($5 IS NULL
                      OR LOWER(COALESCE(k.name, '')) LIKE $5 ESCAPE '\\'
                      OR LOWER(k.description) LIKE $5 ESCAPE '\\'
                      OR LOWER(k.last_four) LIKE $5 ESCAPE '\\'
                      OR k.fingerprint LIKE $5 ESCAPE '\\')
               ORDER BY k.created_at, k.id LIMIT $6 OFFSET $7";
    let (limit, offset) = filter.page.unwrap_or((i64::MAX, 0));
    let values = args![
        org,
        K::KIND.as_str(),
        filter.deployment,
        filter.is_active,
        pattern(filter),
        limit,
        offset
    ];
    Ok(tx.fetch_all(sql, values).await?)
}

pub(super) async fn count<K: Kind>(tx: &mut Tx, org: OrgNumber, filter: &Filter) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM keys k
               WHERE k.org_id = $1 AND k.kind = $2
                 AND ($3 IS NULL OR k.deployment_id = $3)
                 AND ($4 IS NULL OR k.is_active = $4)
                 AND ($5 IS NULL
                      OR LOWER(COALESCE(k.name, '')) LIKE $5 ESCAPE '\\'
                      OR LOWER(k.description) LIKE $5 ESCAPE '\\'
                      OR LOWER(k.last_four) LIKE $5 ESCAPE '\\'
                      OR k.fingerprint LIKE $5 ESCAPE '\\')";
    let values = args![org, K::KIND.as_str(), filter.deployment, filter.is_active, pattern(filter)];
    Ok(tx.fetch_one(sql, values).await?)
}

/// What `LIKE` is asked for.
fn pattern(filter: &Filter) -> Option<String> {
    let text = filter.search.as_ref()?.to_lowercase();
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    Some(format!("%{escaped}%"))
}

pub(super) async fn find<K: Kind>(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<K::Id>,
) -> Result<Option<Key<K>>> {
    let sql = "SELECT k.*, u.email FROM keys k LEFT JOIN users u ON u.id = k.created_by
               WHERE k.org_id = $1 AND k.kind = $2 AND k.id = $3";
    Ok(tx.fetch_optional(sql, args![org, K::KIND.as_str(), id]).await?)
}

pub(super) async fn digests(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::AnyKey>,
) -> Result<Option<Digests>> {
    let sql = "SELECT digest, previous_digest FROM keys WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

/// When the first reminder of the end of a key is due.
fn first_reminder(tx: &Tx, controls: &Controls) -> Option<Timestamp> {
    next_reminder(controls.expires_at?, tx.now())
}

/// A key that is switched on begins its time anew, and one that ends at another time its reminders.
pub(super) async fn update<K: Kind>(
    tx: &mut Tx,
    org: OrgNumber,
    key: &Key<K>,
) -> Result<(), db::Error> {
    let sql = "UPDATE keys
         SET name = $3, description = $4, permission = $5, opens_all = $6, is_active = $7,
             expires_at = $8, limits = $9, modified_at = $10,
             remind_at = CASE WHEN expires_at IS NOT DISTINCT FROM $8 THEN remind_at ELSE $11 END,
             reminded_days = CASE WHEN expires_at IS NOT DISTINCT FROM $8 THEN reminded_days END,
             reminded_at = CASE WHEN expires_at IS NOT DISTINCT FROM $8 THEN reminded_at END,
             active_since = CASE WHEN $7 AND NOT is_active THEN $10 ELSE active_since END,
             disabled_reason = CASE WHEN $7 THEN NULL ELSE disabled_reason END
         WHERE org_id = $1 AND id = $2";
    let columns = key.kind.columns();
    let values = args![
        org,
        key.id,
        columns.name,
        columns.description,
        columns.permission,
        columns.opens_all,
        key.is_active,
        key.controls.expires_at,
        key.controls.limits.stored(),
        key.modified_at,
        first_reminder(tx, &key.controls)
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// What the server noted about a key.
pub(super) async fn noted<T>(tx: &mut Tx, org: OrgNumber, id: Id<T>) -> Result<Noted, db::Error> {
    let sql = "SELECT reminded_days, reminded_at, dormancy_warned_at, alarmed_at, is_active,
                      active_since, created_at, last_used_at
               FROM keys WHERE org_id = $1 AND id = $2";
    tx.fetch_one(sql, args![org, id]).await
}

/// The digest of the old secret is kept, so that whoever still sends it is told what happened; it
/// works until then.
pub(super) async fn replace_secret<T>(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<T>,
    minted: &Minted,
    until: Timestamp,
    overlap_seconds: Option<i64>,
) -> Result<()> {
    let sql = "UPDATE keys
               SET previous_digest = digest, previous_pepper = pepper, pepper = $9,
                   previous_last_four = last_four,
                   previous_fingerprint = fingerprint, previous_version = version,
                   previous_until = $6, overlap_seconds = $8,
                   digest = $3, last_four = $4, fingerprint = $5,
                   version = secrets_made + 1, secrets_made = secrets_made + 1, modified_at = $7
               WHERE org_id = $1 AND id = $2";
    let values = args![
        org,
        id,
        minted.digest.to_hex(),
        &minted.last_four,
        &minted.fingerprint,
        until,
        tx.now(),
        overlap_seconds,
        minted.pepper.to_string()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Makes the secret before the present one the present one again. The other one ends, and whoever
/// sends it is told so.
pub(super) async fn swap_secrets<T>(tx: &mut Tx, org: OrgNumber, id: Id<T>) -> Result<()> {
    // In two steps, since a digest may stand only once at any time.
    let sql = "UPDATE keys
               SET digest = digest || '-', pepper = COALESCE(previous_pepper, ''),
                   previous_pepper = pepper, last_four = COALESCE(previous_last_four, '????'),
                   previous_last_four = last_four,
                   fingerprint = COALESCE(previous_fingerprint, ''),
                   previous_fingerprint = fingerprint, version = previous_version,
                   previous_version = version, previous_until = $3, overlap_seconds = NULL,
                   modified_at = $3
               WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id, tx.now()]).await?;
    let sql = "UPDATE keys
               SET digest = previous_digest,
                   previous_digest = SUBSTR(digest, 1, LENGTH(digest) - 1)
               WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

/// Ends the secret before the present one.
pub(super) async fn end_overlap<T>(tx: &mut Tx, org: OrgNumber, id: Id<T>) -> Result<()> {
    let sql = "UPDATE keys SET previous_until = $3, overlap_seconds = NULL, modified_at = $3
               WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id, tx.now()]).await?;
    Ok(())
}

/// Which secret a key had before.
pub(super) async fn previous_version<T>(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<T>,
) -> Result<Option<i64>> {
    let sql = "SELECT previous_version FROM keys
               WHERE org_id = $1 AND id = $2 AND previous_version IS NOT NULL";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

/// Gives what one account created to another.
pub(crate) async fn hand_over(
    tx: &mut Tx,
    org: OrgNumber,
    from: UserNumber,
    to: UserNumber,
) -> Result<()> {
    let sql = "UPDATE keys SET created_by = $3 WHERE org_id = $1 AND created_by = $2";
    tx.execute(sql, args![org, from, to]).await?;
    Ok(())
}

/// Switches a key off. Tells whether it was on.
pub(super) async fn switch_off(tx: &mut Tx, org: OrgNumber, id: Id<id::AnyKey>) -> Result<bool> {
    let sql = "UPDATE keys SET is_active = FALSE, modified_at = $3
               WHERE org_id = $1 AND id = $2 AND is_active";
    Ok(tx.execute(sql, args![org, id, tx.now()]).await? == 1)
}

pub(super) async fn facts(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::AnyKey>,
) -> Result<Option<Facts>> {
    let sql = "SELECT COALESCE(name, description) AS called, created_at FROM keys
               WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

pub(super) async fn delete<T>(tx: &mut Tx, org: OrgNumber, id: Id<T>) -> Result<()> {
    let sql = "DELETE FROM keys WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

/// What is known of a key one of whose secrets leaked.
pub(super) async fn exposed(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::AnyKey>,
) -> Result<Option<Exposed>> {
    let sql = "SELECT COALESCE(name, description) AS name, digest, previous_digest, last_four,
                      previous_last_four, is_active, is_canary, previous_until
               FROM keys WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

/// Announces that what the keys whose scope names a deployment open changes with this transaction.
pub(crate) async fn announce_scoped(
    tx: &mut Tx,
    org: OrgNumber,
    deployment: Id<id::Deployment>,
) -> Result<()> {
    let sql = "SELECT k.digest, k.previous_digest
               FROM keys k JOIN key_scopes s ON s.key_id = k.id
               WHERE k.org_id = $1 AND s.deployment_id = $2 ORDER BY k.id";
    let scoped: Vec<Digests> = tx.fetch_all(sql, args![org, deployment]).await?;
    for digests in scoped {
        digests.record_change(tx);
    }
    Ok(())
}

/// Secrets of keys, for the key map: a page of `limit` keys after the one with the id `after`.
///
/// An exception to the rule that every statement names the organization, as are the next two: this
/// is how a key's organization is learnt.
pub async fn entries(tx: &mut Tx, shared: &mut Shared, after: &str, limit: usize) -> Result<Page> {
    let sql = "SELECT k.*, o.name AS org_name, o.title
               FROM keys k JOIN organizations o ON o.id = k.org_id
               WHERE k.id > $1 ORDER BY k.id LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows: Vec<Secrets> = tx.fetch_all(sql, args![after, limit]).await?;
    for row in &mut rows {
        fill_scope(tx, row).await?;
    }
    Ok(Secrets::page(rows, shared))
}

/// How many keys there are.
pub async fn count_all(tx: &mut Tx) -> Result<usize> {
    let count: i64 = tx.fetch_one("SELECT COUNT(*) FROM keys WHERE TRUE", args![]).await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The secret with this digest, current or previous.
pub async fn find_entry(
    tx: &mut Tx,
    shared: &mut Shared,
    digest: &KeyDigest,
) -> Result<Option<Entry>> {
    let sql = "SELECT k.*, o.name AS org_name, o.title
               FROM keys k JOIN organizations o ON o.id = k.org_id
               WHERE k.digest = $1 OR k.previous_digest = $1";
    let row: Option<Secrets> = tx.fetch_optional(sql, args![digest.to_hex()]).await?;
    let Some(mut row) = row else { return Ok(None) };
    fill_scope(tx, &mut row).await?;
    Ok(row.entry(shared, digest))
}

/// Reads which deployments a key opens, where that is a list of its own.
async fn fill_scope(tx: &mut Tx, row: &mut Secrets) -> Result<()> {
    let Opens::Deployments(opened) = &row.opens else { return Ok(()) };
    if opened.opens_all {
        return Ok(());
    }
    let sql = "SELECT deployment_id FROM key_scopes WHERE key_id = $1 ORDER BY deployment_id";
    let ids: Vec<String> = tx.fetch_all(sql, args![row.id]).await?;
    let deployments: Result<Box<[_]>, _> = ids.iter().map(|id| id.parse()).collect();
    let deployments = deployments.map_err(crate::Error::internal)?;
    let opened = OrgWide { key_name: Arc::clone(&opened.key_name), opens_all: false, deployments };
    row.opens = Opens::Deployments(Arc::new(opened));
    Ok(())
}

/// What a row opens; the list of deployments is read apart.
pub(crate) fn opens(row: &Row) -> Result<Opens, db::Error> {
    let name = || Ok::<_, db::Error>(Arc::<str>::from(row.text("name")?));
    Ok(match row.parse("kind")? {
        KeyKind::Platform => Opens::Organization { key_name: name()? },
        KeyKind::PlatformApi => Opens::OrganizationTiered(Arc::new(ApiKey {
            kind: KeyKind::PlatformApi,
            name: name()?,
            tier: row.parse("permission")?,
            user: UserNumber::from_i64(row.int("service_user")?),
        })),
        KeyKind::Deployment => Opens::Deployment(row.parse("deployment_id")?),
        KeyKind::OrgDeployment => Opens::Deployments(Arc::new(OrgWide {
            key_name: name()?,
            opens_all: row.bool("opens_all")?,
            deployments: Box::default(),
        })),
        KeyKind::PlatformToken => {
            let source = "platform tokens have a table of their own".into();
            return Err(db::Error::Corrupt { column: "kind", source });
        }
    })
}

impl FromRow for Facts {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { name: row.text("called")?, created_at: row.time("created_at")? })
    }
}

impl FromRow for Exposed {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            digests: Digests::from_row(row)?,
            name: row.text("name")?,
            last_four: row.text("last_four")?,
            previous_last_four: row.text_opt("previous_last_four")?,
            is_active: row.bool("is_active")?,
            is_canary: row.bool("is_canary")?,
            previous_until: row.time_opt("previous_until")?,
        })
    }
}

impl<K: Kind> FromRow for Key<K> {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let modified_at = row.time("modified_at")?;
        Ok(Self {
            id: row.parse("id")?,
            kind: K::from_row(row)?,
            is_active: row.bool("is_active")?,
            controls: Controls::from_row(row)?,
            last_four: row.text("last_four")?,
            fingerprint: row.text("fingerprint")?,
            version: row.int("version")?,
            created_at: row.time("created_at")?,
            modified_at,
            created_by: row.int_opt("created_by")?.map(UserNumber::from_i64),
            created_by_email: row.text_opt("email")?,
            // One that was replaced without an overlap ended with the change itself.
            previous_until: row.time_opt("previous_until")?.filter(|until| *until > modified_at),
            last_used_at: row.time_opt("last_used_at")?,
            last_used_ip: row.text_opt("last_used_ip")?,
            last_used_agent: row.text_opt("last_used_agent")?,
            use_count: row.int("use_count")?,
            noted: Noted::from_row(row)?,
        })
    }
}
