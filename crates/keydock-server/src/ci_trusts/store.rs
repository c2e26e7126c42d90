//! The tables `ci_trusts` and `exchanged_tokens`. Every statement on trusts names the organization.

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    secret::PepperId,
    time::Timestamp,
    trusts::Condition,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::CiTrust;
use crate::{Result, access::Caller};

/// Puts the changes to the trusts of an organization, and what is granted by them, into one order.
pub(super) async fn lock(tx: &mut Tx, org: OrgNumber) -> Result<()> {
    let sql = "UPDATE organizations SET key_changes = key_changes WHERE id = $1";
    tx.execute(sql, args![org]).await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, caller: &Caller, trust: &CiTrust) -> Result<(), db::Error> {
    let sql = "INSERT INTO ci_trusts (id, org_id, name, issuer, audience, conditions, permission,
                                      lifetime_seconds, service_user, is_enabled, created_by,
                                      created_at, modified_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)";
    let values = args![
        trust.id,
        caller.org.number,
        trust.name.as_str(),
        &trust.issuer,
        &trust.audience,
        conditions(trust),
        trust.tier.as_str(),
        lifetime(trust),
        trust.service,
        trust.is_enabled,
        trust.created_by,
        trust.created_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

fn conditions(trust: &CiTrust) -> String {
    serde_json::to_string(&trust.conditions).unwrap_or_default()
}

fn lifetime(trust: &CiTrust) -> i64 {
    i64::try_from(trust.lifetime.as_secs()).unwrap_or(i64::MAX)
}

pub(super) async fn list(tx: &mut Tx, org: OrgNumber) -> Result<Vec<CiTrust>> {
    let sql = "SELECT * FROM ci_trusts WHERE org_id = $1 ORDER BY created_at, id";
    Ok(tx.fetch_all(sql, args![org]).await?)
}

pub(super) async fn find(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::CiTrust>,
) -> Result<Option<CiTrust>> {
    let sql = "SELECT * FROM ci_trusts WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

pub(super) async fn update(tx: &mut Tx, org: OrgNumber, trust: &CiTrust) -> Result<()> {
    let sql = "UPDATE ci_trusts
               SET audience = $3, conditions = $4, permission = $5, lifetime_seconds = $6,
                   is_enabled = $7, modified_at = $8
               WHERE org_id = $1 AND id = $2";
    let values = args![
        org,
        trust.id,
        &trust.audience,
        conditions(trust),
        trust.tier.as_str(),
        lifetime(trust),
        trust.is_enabled,
        trust.modified_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, org: OrgNumber, id: Id<id::CiTrust>) -> Result<()> {
    tx.execute("DELETE FROM ci_trusts WHERE org_id = $1 AND id = $2", args![org, id]).await?;
    Ok(())
}

/// Remembers that a token was exchanged, until that second. `false` if it was before. The first digest
/// is the one of the current pepper; it may have been remembered by another one.
pub(super) async fn remember(
    tx: &mut Tx,
    pepper: PepperId,
    digests: &[String],
    until: i64,
) -> Result<bool> {
    let Some((current, others)) = digests.split_first() else { return Ok(false) };
    for other in others {
        let sql = "SELECT digest FROM exchanged_tokens WHERE digest = $1";
        if tx.fetch_optional::<String>(sql, args![other]).await?.is_some() {
            return Ok(false);
        }
    }
    let sql = "INSERT INTO exchanged_tokens (digest, expires_at, pepper) VALUES ($1, $2, $3)
               ON CONFLICT (digest) DO NOTHING";
    let until = Timestamp::from_micros(until.saturating_mul(1_000_000));
    Ok(tx.execute(sql, args![current, until, pepper.to_string()]).await? == 1)
}

/// Forgets tokens that are over anyway.
pub async fn forget_old(tx: &mut Tx) -> Result<()> {
    let sql = "DELETE FROM exchanged_tokens WHERE expires_at < $1";
    // A little later than that: clocks differ.
    let before = tx.now().before(Duration::from_mins(5));
    tx.execute(sql, args![before]).await?;
    Ok(())
}

/// Conditions as they are stored.
struct Stored(Vec<Condition>);

impl std::str::FromStr for Stored {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

impl FromRow for CiTrust {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let seconds = u64::try_from(row.int("lifetime_seconds")?).unwrap_or_default();
        Ok(Self {
            id: row.parse("id")?,
            name: row.parse("name")?,
            issuer: row.text("issuer")?,
            audience: row.text("audience")?,
            conditions: row.parse::<Stored>("conditions")?.0,
            tier: row.parse("permission")?,
            lifetime: Duration::from_secs(seconds),
            service: UserNumber::from_i64(row.int("service_user")?),
            is_enabled: row.bool("is_enabled")?,
            created_by: row.int_opt("created_by")?.map(UserNumber::from_i64),
            created_at: row.time("created_at")?,
            modified_at: row.time("modified_at")?,
        })
    }
}
