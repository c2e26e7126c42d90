//! The `platform_tokens` table. Every statement names the organization, but for those that learn it
//! from here.

use std::sync::Arc;

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    secret::{KeyDigest, KeyKind},
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};
use serde_json::Value;

use super::{KEEP, PlatformToken};
use crate::{
    Result,
    access::{
        changes,
        keyring::{ApiKey, Entry, Opens, OrgFacts, Page, Shared, Standing},
        secrets::Minted,
        usage::Used,
    },
    keys::{self, Controls},
};

pub(super) async fn insert(
    tx: &mut Tx,
    org: OrgNumber,
    token: &PlatformToken,
    minted: &Minted,
) -> Result<()> {
    let sql = "INSERT INTO platform_tokens (id, org_id, trust_id, digest, last_four, fingerprint,
                                            permission, claims, created_at, expires_at, use_count,
                                            pepper)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11)";
    let values = args![
        token.id,
        org,
        token.trust,
        minted.digest.to_hex(),
        &token.last_four,
        &token.fingerprint,
        token.tier.as_str(),
        Value::Object(token.claims.clone()).to_string(),
        token.created_at,
        token.expires_at,
        minted.pepper.to_string()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn list(tx: &mut Tx, org: OrgNumber, limit: i64) -> Result<Vec<PlatformToken>> {
    let sql = "SELECT k.*, t.name AS trust_name
               FROM platform_tokens k JOIN ci_trusts t ON t.id = k.trust_id
               WHERE k.org_id = $1 ORDER BY k.id DESC LIMIT $2";
    Ok(tx.fetch_all(sql, args![org, limit]).await?)
}

pub(super) async fn find(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::PlatformToken>,
) -> Result<Option<(PlatformToken, KeyDigest)>> {
    let sql = "SELECT k.*, t.name AS trust_name
               FROM platform_tokens k JOIN ci_trusts t ON t.id = k.trust_id
               WHERE k.org_id = $1 AND k.id = $2";
    let found: Option<WithDigest> = tx.fetch_optional(sql, args![org, id]).await?;
    Ok(found.map(|found| (found.token, found.digest)))
}

/// The tokens of a trust that still work.
pub(super) async fn live_of(
    tx: &mut Tx,
    org: OrgNumber,
    trust: Id<id::CiTrust>,
) -> Result<Vec<(PlatformToken, KeyDigest)>> {
    let sql = "SELECT k.*, t.name AS trust_name
               FROM platform_tokens k JOIN ci_trusts t ON t.id = k.trust_id
               WHERE k.org_id = $1 AND k.trust_id = $2 AND k.revoked_at IS NULL
                 AND k.expires_at > $3
               ORDER BY k.id";
    let found: Vec<WithDigest> = tx.fetch_all(sql, args![org, trust, tx.now()]).await?;
    Ok(found.into_iter().map(|found| (found.token, found.digest)).collect())
}

pub(super) async fn revoke(tx: &mut Tx, org: OrgNumber, id: Id<id::PlatformToken>) -> Result<()> {
    let sql = "UPDATE platform_tokens SET revoked_at = $3
               WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL";
    tx.execute(sql, args![org, id, tx.now()]).await?;
    Ok(())
}

/// Forgets tokens that ended long ago, some at a time; of everybody. Tells whether there may be more.
pub async fn forget_old(tx: &mut Tx) -> Result<bool> {
    let sql =
        "SELECT digest FROM platform_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT 500";
    let before = tx.now().before(KEEP);
    let old: Vec<String> = tx.fetch_all(sql, args![before]).await?;
    for text in &old {
        let sql = "DELETE FROM platform_tokens WHERE digest = $1 AND expires_at < $2";
        tx.execute(sql, args![text, before]).await?;
        changes::record(tx, &text.parse().map_err(crate::Error::internal)?);
    }
    Ok(old.len() == 500)
}

/// Adds to the records of tokens. As [`keys::record_uses`].
pub async fn record_uses(tx: &mut Tx, uses: &[&Used]) -> Result<Vec<Id<id::AnyKey>>> {
    let sql = tx.in_dialect(
        "UPDATE platform_tokens
         SET last_used_at = used.last_at, last_used_ip = used.last_ip,
             use_count = use_count + used.uses
         FROM (SELECT value ->> 'id' AS used_id, value ->> 'at' AS last_at,
                      value ->> 'ip' AS last_ip, value ->> 'uses' AS uses
               FROM json_each($1)) AS used
         WHERE id = used.used_id
         RETURNING id",
        "UPDATE platform_tokens
         SET last_used_at = used.last_at, last_used_ip = used.last_ip,
             use_count = use_count + used.uses
         FROM (SELECT k.id AS used_id, u.at AS last_at, u.ip AS last_ip, u.uses
               FROM platform_tokens k
               JOIN json_to_recordset($1::json) AS u (id text, at bigint, ip text, uses bigint)
                    ON u.id = k.id
               FOR UPDATE OF k SKIP LOCKED) AS used
         WHERE id = used.used_id
         RETURNING id",
    );
    let written: Vec<String> = tx.fetch_all(sql, args![keys::uses_by_key(uses)]).await?;
    written.iter().map(|id| id.parse().map_err(crate::Error::internal)).collect()
}

/// Tokens, for the key map: a page of `limit` after the one with the id `after`.
///
/// An exception to the rule that every statement names the organization, as is the next: this is how
/// a token's organization is learnt.
pub async fn entries(tx: &mut Tx, shared: &mut Shared, after: &str, limit: usize) -> Result<Page> {
    let sql = "SELECT k.*, t.name AS trust_name, t.service_user, o.name AS org_name, o.title
               FROM platform_tokens k JOIN ci_trusts t ON t.id = k.trust_id
                                      JOIN organizations o ON o.id = k.org_id
               WHERE k.id > $1 ORDER BY k.id LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<Known> = tx.fetch_all(sql, args![after, limit]).await?;
    let last = rows.last().map(|row| row.token.id.to_string());
    Ok(Page { entries: rows.into_iter().map(|row| row.entry(shared)).collect(), last })
}

/// The token with this digest.
pub async fn find_entry(
    tx: &mut Tx,
    shared: &mut Shared,
    digest: &KeyDigest,
) -> Result<Option<Entry>> {
    let sql = "SELECT k.*, t.name AS trust_name, t.service_user, o.name AS org_name, o.title
               FROM platform_tokens k JOIN ci_trusts t ON t.id = k.trust_id
                                      JOIN organizations o ON o.id = k.org_id
               WHERE k.digest = $1";
    let row: Option<Known> = tx.fetch_optional(sql, args![digest.to_hex()]).await?;
    Ok(row.map(|row| row.entry(shared)))
}

struct WithDigest {
    token: PlatformToken,
    digest: KeyDigest,
}

struct Known {
    token: PlatformToken,
    digest: KeyDigest,
    org: OrgFacts,
    service: UserNumber,
}

impl Known {
    fn entry(self, shared: &mut Shared) -> Entry {
        let token = self.token;
        let opened = ApiKey {
            kind: KeyKind::PlatformToken,
            name: Arc::from(token.trust_name),
            tier: token.tier,
            user: self.service,
        };
        let is_revoked = token.revoked_at.is_some();
        let controls = Controls { expires_at: Some(token.expires_at), ..Controls::default() };
        Entry {
            digest: self.digest,
            key: token.id.widen(),
            org: shared.org(self.org),
            opens: Opens::OrganizationTiered(Arc::new(opened)),
            standing: if is_revoked { Standing::Inactive } else { Standing::Active },
            version: 1,
            ends_previous: false,
            controls: Some(Arc::new(controls)),
        }
    }
}

impl FromRow for WithDigest {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { token: PlatformToken::from_row(row)?, digest: row.parse("digest")? })
    }
}

impl FromRow for Known {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let org = OrgFacts {
            number: OrgNumber::from_i64(row.int("org_id")?),
            name: row.parse("org_name")?,
            title: row.text("title")?.into(),
        };
        Ok(Self {
            token: PlatformToken::from_row(row)?,
            digest: row.parse("digest")?,
            org,
            service: UserNumber::from_i64(row.int("service_user")?),
        })
    }
}

impl FromRow for PlatformToken {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let claims: Value = row.parse("claims")?;
        Ok(Self {
            id: row.parse("id")?,
            trust: row.parse("trust_id")?,
            trust_name: row.text("trust_name")?,
            tier: row.parse("permission")?,
            last_four: row.text("last_four")?,
            fingerprint: row.text("fingerprint")?,
            claims: claims.as_object().cloned().unwrap_or_default(),
            created_at: row.time("created_at")?,
            expires_at: row.time("expires_at")?,
            revoked_at: row.time_opt("revoked_at")?,
            last_used_at: row.time_opt("last_used_at")?,
            last_used_ip: row.text_opt("last_used_ip")?,
            use_count: row.int("use_count")?,
        })
    }
}
