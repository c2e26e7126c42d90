//! What is done to keys of every kind at once. By their digests alone: keys of any organization are
//! meant, and who may do it is the operator of the server, or the server that starts.

use keydock_core::{secret::KeyDigest, time::Timestamp};
use keydock_storage::db::{Tx, args};

use super::secrets::Digests;
use crate::Result;

/// Takes care that this secret opens nothing any more. Tells whether it did.
pub(super) async fn close(tx: &mut Tx, digest: &KeyDigest, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE keys SET is_active = FALSE, modified_at = $2 WHERE digest = $1 AND is_active";
    let current = tx.execute(sql, args![digest.to_hex(), now]).await?;
    let sql = "UPDATE keys SET previous_until = $2, overlap_seconds = NULL
               WHERE previous_digest = $1 AND previous_until > $2";
    let previous = tx.execute(sql, args![digest.to_hex(), now]).await?;
    Ok(current + previous > 0)
}

/// Switches every key off, and tells which secrets that concerns.
pub(super) async fn close_all(tx: &mut Tx, now: Timestamp) -> Result<Vec<Digests>> {
    let sql = "SELECT digest, previous_digest FROM keys WHERE is_active ORDER BY id";
    let closed = tx.fetch_all(sql, args![]).await?;
    let sql = "UPDATE keys SET is_active = FALSE, modified_at = $1 WHERE is_active";
    tx.execute(sql, args![now]).await?;
    Ok(closed)
}

/// How many keys were switched off at this instant and are so still.
pub(super) async fn count_closed_at(tx: &mut Tx, at: Timestamp) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM keys WHERE NOT is_active AND modified_at = $1";
    Ok(tx.fetch_one(sql, args![at]).await?)
}

/// The number of the last change to a key.
pub(super) async fn last_change(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT value FROM counters WHERE name = 'key_changes'";
    Ok(tx.fetch_optional(sql, args![]).await?.unwrap_or(0))
}

/// Numbers changes after this one from here on.
pub(super) async fn count_from(tx: &mut Tx, seq: i64) -> Result<()> {
    let sql = "INSERT INTO counters (name, value) VALUES ('key_changes', $1)
               ON CONFLICT (name) DO UPDATE SET value = $1";
    tx.execute(sql, args![seq]).await?;
    Ok(())
}

/// Remembers that every key was switched off, for those who look after the server.
pub(super) async fn set_quarantine(tx: &mut Tx, at: Timestamp) -> Result<()> {
    let sql = "INSERT INTO settings (name, value) VALUES ('quarantined_at', $1)
               ON CONFLICT (name) DO UPDATE SET value = $1";
    tx.execute(sql, args![at.as_micros().to_string()]).await?;
    Ok(())
}

/// When every key was switched off, if that ever happened.
pub(super) async fn quarantine(tx: &mut Tx) -> Result<Option<Timestamp>> {
    let sql = "SELECT value FROM settings WHERE name = 'quarantined_at'";
    let at: Option<String> = tx.fetch_optional(sql, args![]).await?;
    Ok(at.and_then(|at| at.parse().ok()).map(Timestamp::from_micros))
}

/// Ends every platform token: nobody knows which were revoked, and a pipeline gets another one.
pub(super) async fn end_tokens(tx: &mut Tx, now: Timestamp) -> Result<()> {
    let sql = "UPDATE platform_tokens SET revoked_at = $1 WHERE revoked_at IS NULL";
    tx.execute(sql, args![now]).await?;
    Ok(())
}

/// Ends every sign-in: what was ended since the backup must not come back.
pub(super) async fn end_sessions(tx: &mut Tx) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE TRUE", args![]).await?;
    Ok(())
}
