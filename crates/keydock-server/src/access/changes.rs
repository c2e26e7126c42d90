//! The log of changes to secrets, in the order of the commits.

use std::time::Duration;

use keydock_core::{secret::KeyDigest, time::Timestamp};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use crate::Result;

/// Announced by every transaction that changes what a secret opens.
pub const TOPIC: &str = "keys";

/// How long changes are kept for nodes that were away.
const KEEP: Duration = Duration::from_hours(24);

/// One change: what is true of this digest is to be read again.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) seq: i64,
    pub(super) digest: KeyDigest,
}

/// Notes that what is true of a secret changes with this transaction.
pub fn record(tx: &mut Tx, digest: &KeyDigest) {
    tx.announce_about(TOPIC, digest.to_hex());
}

/// Writes down what was noted, as the last step of a transaction: the counter is a row that stays
/// locked until the commit, so that numbers come in the order of commits, and nobody who holds it
/// waits for anything else. Tells how many there were.
pub(crate) async fn write_down(tx: &mut Tx) -> Result<usize> {
    let digests = tx.take_notes(TOPIC);
    for digest in &digests {
        let seq = tx.next_in("key_changes").await?;
        let sql = "INSERT INTO key_changes (seq, digest, at) VALUES ($1, $2, $3)";
        tx.execute(sql, args![seq, digest, tx.now()]).await?;
    }
    Ok(digests.len())
}

pub(super) async fn newest(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT COALESCE(MAX(seq), 0) FROM key_changes";
    Ok(tx.fetch_one(sql, args![]).await?)
}

pub(super) async fn after(tx: &mut Tx, seq: i64) -> Result<Vec<Change>> {
    let sql = "SELECT seq, digest FROM key_changes WHERE seq > $1 ORDER BY seq";
    Ok(tx.fetch_all(sql, args![seq]).await?)
}

/// Forgets changes that every node has read long ago.
pub async fn forget_old(tx: &mut Tx) -> Result<()> {
    let sql = "DELETE FROM key_changes WHERE at < $1
               AND seq < (SELECT MAX(seq) FROM key_changes)";
    let before: Timestamp = tx.now().before(KEEP);
    tx.execute(sql, args![before]).await?;
    Ok(())
}

impl FromRow for Change {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { seq: row.int("seq")?, digest: row.parse("digest")? })
    }
}
