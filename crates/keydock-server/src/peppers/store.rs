//! What is stored under which pepper. Of all organizations: who asks is the operator of the server.

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyDigest,
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{Stored, Unmoved};
use crate::Result;

/// How many secrets that may still be used are stored under each pepper that is not retired.
pub(super) async fn needed(tx: &mut Tx) -> Result<Vec<(String, i64)>, db::Error> {
    let sql = "SELECT s.id, CAST(SUM(s.secrets) AS BIGINT) AS secrets FROM (
                   SELECT SUBSTR(pepper, 1, 12) AS id, COUNT(*) AS secrets FROM keys
                   WHERE is_active GROUP BY 1
                   UNION ALL
                   SELECT SUBSTR(previous_pepper, 1, 12), COUNT(*) FROM keys
                   WHERE is_active AND previous_until > $1 AND previous_pepper IS NOT NULL GROUP BY 1
                   UNION ALL
                   SELECT pepper, COUNT(*) FROM platform_tokens
                   WHERE revoked_at IS NULL AND expires_at > $1 GROUP BY 1
                   UNION ALL
                   SELECT pepper, COUNT(*) FROM webhooks WHERE is_enabled GROUP BY 1) s
               WHERE s.id <> ''
                 AND NOT EXISTS (SELECT 1 FROM peppers p
                                 WHERE p.id = s.id AND p.retired_at IS NOT NULL)
               GROUP BY s.id ORDER BY s.id";
    let rows: Vec<Needed> = tx.fetch_all(sql, args![tx.now()]).await?;
    Ok(rows.into_iter().map(|Needed(id, secrets)| (id, secrets)).collect())
}

/// How many secrets of which kind are stored under which pepper, and how many of those that work were
/// used since.
pub(super) async fn stored(tx: &mut Tx, since: Timestamp) -> Result<Vec<Stored>> {
    let sql = "SELECT s.pepper, s.kind, CAST(SUM(s.secrets) AS BIGINT) AS secrets,
                      CAST(SUM(s.active) AS BIGINT) AS active, CAST(SUM(s.used) AS BIGINT) AS used
               FROM (
                   SELECT pepper, kind, COUNT(*) AS secrets,
                          COUNT(*) FILTER (WHERE is_active) AS active,
                          COUNT(*) FILTER (WHERE is_active AND last_used_at >= $2) AS used
                   FROM keys GROUP BY 1, 2
                   UNION ALL
                   SELECT previous_pepper, kind, COUNT(*), COUNT(*), 0 FROM keys
                   WHERE is_active AND previous_until > $1 AND previous_pepper IS NOT NULL
                   GROUP BY 1, 2
                   UNION ALL
                   SELECT pepper, 'platform_token', COUNT(*), COUNT(*),
                          COUNT(*) FILTER (WHERE last_used_at >= $2)
                   FROM platform_tokens WHERE revoked_at IS NULL AND expires_at > $1 GROUP BY 1
                   UNION ALL
                   SELECT pepper, 'webhook', COUNT(*), COUNT(*), 0
                   FROM webhooks WHERE is_enabled GROUP BY 1
                   UNION ALL
                   SELECT pepper, 'session', COUNT(*), COUNT(*), 0
                   FROM sessions WHERE expires_at > $1 GROUP BY 1) s
               GROUP BY s.pepper, s.kind ORDER BY s.pepper, s.kind";
    Ok(tx.fetch_all(sql, args![tx.now(), since]).await?)
}

/// Keys, tokens and webhooks that work and need this pepper.
pub(super) async fn unmoved(tx: &mut Tx, pepper: &str, limit: i64) -> Result<Vec<Unmoved>> {
    let sql = "SELECT u.*, o.name AS org_name FROM (
                   SELECT org_id, kind, id, COALESCE(name, description) AS called, last_four,
                          last_used_at, pepper IN ($1, $1 || '/sha256') AS is_current,
                          digest, previous_digest
                   FROM keys
                   WHERE is_active
                     AND (pepper IN ($1, $1 || '/sha256')
                          OR (previous_pepper IN ($1, $1 || '/sha256') AND previous_until > $2))
                   UNION ALL
                   SELECT org_id, 'platform_token', id, '', last_four, last_used_at, TRUE,
                          digest, NULL
                   FROM platform_tokens
                   WHERE pepper = $1 AND revoked_at IS NULL AND expires_at > $2
                   UNION ALL
                   SELECT org_id, 'webhook', id, description, '', NULL, TRUE, '', NULL
                   FROM webhooks WHERE pepper = $1 AND is_enabled) u
               JOIN organizations o ON o.id = u.org_id
               ORDER BY o.name, u.kind, u.id LIMIT $3";
    Ok(tx.fetch_all(sql, args![pepper, tx.now(), limit]).await?)
}

/// Until when tokens of issuers are remembered by this pepper alone.
pub(super) async fn exchanged_until(tx: &mut Tx, pepper: &str) -> Result<Option<Timestamp>> {
    let sql = "SELECT expires_at FROM exchanged_tokens WHERE pepper = $1 AND expires_at > $2
               ORDER BY expires_at DESC LIMIT 1";
    let until: Option<i64> = tx.fetch_optional(sql, args![pepper, tx.now()]).await?;
    Ok(until.map(Timestamp::from_micros))
}

/// Switches a key off whose secret, or ends the overlap whose old secret, needs a retired pepper.
pub(super) async fn end_key(tx: &mut Tx, key: &Unmoved) -> Result<()> {
    let sql = if key.is_current {
        "UPDATE keys SET is_active = FALSE, modified_at = $3 WHERE org_id = $1 AND id = $2"
    } else {
        "UPDATE keys SET previous_until = $3, overlap_seconds = NULL, modified_at = $3
         WHERE org_id = $1 AND id = $2"
    };
    tx.execute(sql, args![key.org, &key.id, tx.now()]).await?;
    Ok(())
}

pub(super) async fn end_token(tx: &mut Tx, key: &Unmoved) -> Result<()> {
    let sql = "UPDATE platform_tokens SET revoked_at = $3 WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![key.org, &key.id, tx.now()]).await?;
    Ok(())
}

pub(super) async fn end_webhook(tx: &mut Tx, key: &Unmoved, reason: &str) -> Result<()> {
    let sql = "UPDATE webhooks SET is_enabled = FALSE, disabled_reason = $3, modified_at = $4
               WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![key.org, &key.id, reason, tx.now()]).await?;
    Ok(())
}

/// Ends the sign-ins whose cookies need this pepper.
pub(super) async fn end_sessions(tx: &mut Tx, pepper: &str) -> Result<u64> {
    Ok(tx.execute("DELETE FROM sessions WHERE pepper = $1", args![pepper]).await?)
}

struct Needed(String, i64);

impl FromRow for Needed {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self(row.text("id")?, row.int("secrets")?))
    }
}

impl FromRow for Stored {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            pepper: row.text("pepper")?,
            kind: row.text("kind")?,
            secrets: row.int("secrets")?,
            active: row.int("active")?,
            used: row.int("used")?,
        })
    }
}

impl FromRow for Unmoved {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let id: Id<id::AnyKey> = row.parse("id")?;
        let digest = row.text("digest")?;
        let digests =
            [Some(digest).filter(|text| !text.is_empty()), row.text_opt("previous_digest")?];
        let parse = |text: String| text.parse::<KeyDigest>();
        let digests: Result<Vec<KeyDigest>, _> = digests.into_iter().flatten().map(parse).collect();
        Ok(Self {
            org: OrgNumber::from_i64(row.int("org_id")?),
            org_name: row.text("org_name")?,
            kind: row.text("kind")?,
            id: id.to_string(),
            called: row.text("called")?,
            last_four: row.text("last_four")?,
            last_used_at: row.time_opt("last_used_at")?,
            is_current: row.bool("is_current")?,
            digests: digests
                .map_err(|source| db::Error::Corrupt { column: "digest", source: source.into() })?,
        })
    }
}
