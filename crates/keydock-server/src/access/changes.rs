//! The log of changes to secrets, in the order of the commits.

use std::time::Duration;

use keydock_core::{secret::KeyDigest, time::Timestamp};
use keydock_storage::db::{self, FromRow, Row, Tx, args};
use serde_json::{Value, json};

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
    /// The digest under which the secret is found since.
    pub(super) moved_to: Option<KeyDigest>,
}

/// Notes that what is true of a secret changes with this transaction.
pub fn record(tx: &mut Tx, digest: &KeyDigest) {
    tx.announce_about(TOPIC, digest.to_hex());
}

/// Notes that a secret is found under another digest from this transaction on. The new one is read
/// before the old one is forgotten, so that there is no moment at which the secret is unknown.
pub(super) fn record_move(tx: &mut Tx, from: &KeyDigest, to: &KeyDigest) {
    tx.announce_about(TOPIC, to.to_hex());
    tx.announce_about(TOPIC, format!("{}>{}", from.to_hex(), to.to_hex()));
}

/// Writes down what was noted, as the last step of a transaction: the counter is a row that stays
/// locked until the commit, so that numbers come in the order of commits, and nobody who holds it
/// waits for anything else. Tells how many there were.
pub(crate) async fn write_down(tx: &mut Tx) -> Result<usize> {
    let notes = tx.take_notes(TOPIC);
    if notes.is_empty() {
        return Ok(0);
    }
    let count = |notes: &[String]| i64::try_from(notes.len()).unwrap_or(i64::MAX);
    let mut last = tx.next_many_in("key_changes", count(&notes)).await?;
    let mut notes = notes;
    // Who read a digest before it was moved, and changes the key after, means the secret that is found
    // elsewhere by now. Whoever moved it has committed, because the counter is ours.
    let moved = moved_meanwhile(tx, &notes).await?;
    if !moved.is_empty() {
        last = tx.next_many_in("key_changes", count(&moved)).await?;
        notes.extend(moved);
    }
    let first = last - count(&notes) + 1;
    let rows: Value = (first..).zip(&notes).map(|(seq, note)| row(seq, note)).collect();
    let sql = tx.in_dialect(
        "INSERT INTO key_changes (seq, digest, moved_to, at)
         SELECT value ->> 'seq', value ->> 'digest', value ->> 'moved', $2 FROM json_each($1)",
        "INSERT INTO key_changes (seq, digest, moved_to, at)
         SELECT c.seq, c.digest, c.moved, $2
         FROM json_to_recordset($1::json) AS c (seq bigint, digest text, moved text)",
    );
    tx.execute(sql, args![rows.to_string(), tx.now()]).await?;
    Ok(notes.len())
}

fn row(seq: i64, note: &str) -> Value {
    let (digest, to) = note.split_once('>').map_or((note, None), |(from, to)| (from, Some(to)));
    json!({"seq": seq, "digest": digest, "moved": to})
}

/// Where the secrets of these notes are found now, as far as they were moved.
async fn moved_meanwhile(tx: &mut Tx, notes: &[String]) -> Result<Vec<String>> {
    let digests: Value =
        notes.iter().filter(|note| !note.contains('>')).map(String::as_str).collect();
    let sql = tx.in_dialect(
        "SELECT DISTINCT c.moved_to FROM json_each($1) AS d
         JOIN key_changes c ON c.digest = d.value WHERE c.moved_to IS NOT NULL",
        "SELECT DISTINCT c.moved_to FROM json_array_elements_text($1::json) AS d
         JOIN key_changes c ON c.digest = d.value WHERE c.moved_to IS NOT NULL",
    );
    Ok(tx.fetch_all(sql, args![digests.to_string()]).await?)
}

pub(super) async fn newest(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT COALESCE(MAX(seq), 0) FROM key_changes";
    Ok(tx.fetch_one(sql, args![]).await?)
}

pub(super) async fn after(tx: &mut Tx, seq: i64) -> Result<Vec<Change>> {
    let sql = "SELECT seq, digest, moved_to FROM key_changes WHERE seq > $1 ORDER BY seq";
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
        Ok(Self {
            seq: row.int("seq")?,
            digest: row.parse("digest")?,
            moved_to: row.parse_opt("moved_to")?,
        })
    }
}
