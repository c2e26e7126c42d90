//! Which peppers there are, as the database knows it, and which digests were made with each. Of all
//! organizations: who asks is the server itself, or its operator.

use keydock_core::{secret::PepperId, time::Timestamp};
use keydock_storage::db::{self, FromRow, Row, Tx, args};
use serde_json::{Value, json};

use super::{moves::Move, peppers::made_with};
use crate::Result;

/// What a node needs to know of peppers.
#[derive(Debug)]
pub(crate) struct State {
    /// By what the current pepper is known.
    pub(crate) current: Option<String>,
    /// Since when it is current.
    pub(crate) since: Option<Timestamp>,
    /// What the journal of revocations is known by.
    pub(crate) journal: Option<String>,
    /// The ids of those that nothing is looked up with any more.
    pub(crate) retired: Vec<String>,
    /// Which of the asked kinds of digests are stored.
    pub(crate) stored: Vec<String>,
    pub(crate) now: Timestamp,
}

/// A pepper that the database has met.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) current_since: Timestamp,
    pub(crate) retired_at: Option<Timestamp>,
}

pub(crate) async fn state(tx: &mut Tx, ids: &[PepperId]) -> Result<State> {
    let current = setting(tx, "pepper_check").await?;
    let journal = setting(tx, "journal_identity").await?;
    let known = known(tx).await?;
    let is_current = |known: &&Known| {
        current.as_ref().is_some_and(|current: &String| current.starts_with(&known.id))
    };
    let since = known.iter().find(is_current).map(|known| known.current_since);
    let mut stored = Vec::new();
    for (id, of_sha256) in ids.iter().flat_map(|id| [(id, false), (id, true)]) {
        let form = made_with(*id, of_sha256);
        let is_current = current.as_ref().is_some_and(|current| current.starts_with(&form));
        if !is_current && is_stored(tx, &form).await? {
            stored.push(form);
        }
    }
    let retired =
        known.into_iter().filter(|known| known.retired_at.is_some()).map(|known| known.id);
    Ok(State { current, since, journal, retired: retired.collect(), stored, now: tx.now() })
}

/// Whether a digest that was made with this is stored.
async fn is_stored(tx: &mut Tx, form: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM keys WHERE pepper = $1)
                   OR EXISTS (SELECT 1 FROM keys WHERE previous_pepper = $1)
                   OR EXISTS (SELECT 1 FROM platform_tokens WHERE pepper = $1) AS is_stored";
    Ok(tx.fetch_one::<Stored>(sql, args![form]).await?.0)
}

/// Every pepper that was current once, the newest first.
pub(crate) async fn known(tx: &mut Tx) -> Result<Vec<Known>, db::Error> {
    let sql = "SELECT id, current_since, retired_at FROM peppers ORDER BY current_since DESC, id";
    tx.fetch_all(sql, args![]).await
}

pub(crate) async fn setting(tx: &mut Tx, name: &'static str) -> Result<Option<String>, db::Error> {
    let sql = "SELECT value FROM settings WHERE name = $1";
    tx.fetch_optional(sql, args![name]).await
}

/// Keeps what a database is known by that has met no pepper yet; does nothing to another one.
pub(crate) async fn remember_first(
    tx: &mut Tx,
    check: &str,
    id: PepperId,
    journal: &str,
) -> Result<(), db::Error> {
    let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    tx.execute(sql, args!["pepper_check", check]).await?;
    tx.execute(sql, args!["journal_identity", journal]).await?;
    let sql = "INSERT INTO peppers (id, current_since)
               SELECT $1, $2 FROM settings WHERE name = 'pepper_check' AND value = $3
               ON CONFLICT (id) DO NOTHING";
    tx.execute(sql, args![id.to_string(), tx.now(), check]).await?;
    Ok(())
}

/// Makes a pepper the one that digests and seals are made with from here on.
pub(crate) async fn make_current(tx: &mut Tx, id: PepperId, check: &str) -> Result<()> {
    tx.execute("UPDATE settings SET value = $1 WHERE name = 'pepper_check'", args![check]).await?;
    let sql = "INSERT INTO peppers (id, current_since) VALUES ($1, $2)
               ON CONFLICT (id) DO UPDATE SET current_since = $2, retired_at = NULL";
    tx.execute(sql, args![id.to_string(), tx.now()]).await?;
    let sql = "UPDATE audit_chain SET pepper = $1 WHERE id = 1";
    tx.execute(sql, args![id.to_string()]).await?;
    Ok(())
}

/// Makes changes of the current pepper, and what depends on it, wait for each other.
pub(crate) async fn lock(tx: &mut Tx) -> Result<()> {
    tx.execute("UPDATE settings SET value = value WHERE name = 'pepper_check'", args![]).await?;
    Ok(())
}

pub(crate) async fn retire(tx: &mut Tx, id: &str) -> Result<()> {
    let sql = "UPDATE peppers SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL";
    tx.execute(sql, args![id, tx.now()]).await?;
    Ok(())
}

/// Writes down which peppers a node has.
pub(crate) async fn announce(tx: &mut Tx, node: &str, knows: &[PepperId]) -> Result<()> {
    let knows: Vec<String> = knows.iter().map(ToString::to_string).collect();
    let sql = "INSERT INTO pepper_nodes (node, knows, seen_at) VALUES ($1, $2, $3)
               ON CONFLICT (node) DO UPDATE SET knows = $2, seen_at = $3";
    tx.execute(sql, args![node, knows.join(" "), tx.now()]).await?;
    Ok(())
}

pub(crate) async fn leave(tx: &mut Tx, node: &str) -> Result<()> {
    tx.execute("DELETE FROM pepper_nodes WHERE node = $1", args![node]).await?;
    Ok(())
}

/// The nodes that were there lately, with the ids of their peppers.
pub(crate) async fn nodes(tx: &mut Tx, since: Timestamp) -> Result<Vec<(String, String)>> {
    let sql = "SELECT node, knows FROM pepper_nodes WHERE seen_at >= $1 ORDER BY node";
    let nodes: Vec<Node> = tx.fetch_all(sql, args![since]).await?;
    Ok(nodes.into_iter().map(|Node(node, knows)| (node, knows)).collect())
}

/// Forgets nodes that are gone.
pub(crate) async fn forget_nodes(tx: &mut Tx, before: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM pepper_nodes WHERE seen_at < $1", args![before]).await?;
    Ok(())
}

/// Puts the digests of these secrets in the place of the old ones, wherever those still stand. Gives
/// back the new digests that stand somewhere now. By digests alone: they name the keys.
pub(crate) async fn move_secrets(tx: &mut Tx, moves: &[&Move], form: &str) -> Result<Vec<String>> {
    let rows: Value =
        moves.iter().map(|one| json!({"from": one.from.to_hex(), "to": one.to.to_hex()})).collect();
    let rows = rows.to_string();
    // A key that somebody is changing is left for the next time.
    let sql = tx.in_dialect(
        "UPDATE keys SET digest = m.moved_to, pepper = $2
         FROM (SELECT value ->> 'from' AS moved_from, value ->> 'to' AS moved_to
               FROM json_each($1)) AS m
         WHERE digest = m.moved_from RETURNING digest",
        "UPDATE keys SET digest = m.moved_to, pepper = $2
         FROM (SELECT k.id AS moved_id, r.to_digest AS moved_to
               FROM (SELECT value ->> 'from' AS from_digest, value ->> 'to' AS to_digest
                     FROM json_array_elements($1::json)) AS r
               JOIN keys k ON k.digest = r.from_digest
               FOR UPDATE OF k SKIP LOCKED) AS m
         WHERE id = m.moved_id RETURNING digest",
    );
    let mut placed: Vec<String> = tx.fetch_all(sql, args![&rows, form]).await?;
    let sql = tx.in_dialect(
        "UPDATE keys SET previous_digest = m.moved_to, previous_pepper = $2
         FROM (SELECT value ->> 'from' AS moved_from, value ->> 'to' AS moved_to
               FROM json_each($1)) AS m
         WHERE previous_digest = m.moved_from RETURNING previous_digest",
        "UPDATE keys SET previous_digest = m.moved_to, previous_pepper = $2
         FROM (SELECT k.id AS moved_id, r.to_digest AS moved_to
               FROM (SELECT value ->> 'from' AS from_digest, value ->> 'to' AS to_digest
                     FROM json_array_elements($1::json)) AS r
               JOIN keys k ON k.previous_digest = r.from_digest
               FOR UPDATE OF k SKIP LOCKED) AS m
         WHERE id = m.moved_id RETURNING previous_digest",
    );
    placed.extend(tx.fetch_all::<String>(sql, args![&rows, form]).await?);
    Ok(placed)
}

struct Stored(bool);

impl FromRow for Stored {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self(row.bool("is_stored")?))
    }
}

struct Node(String, String);

impl FromRow for Node {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self(row.text("node")?, row.text("knows")?))
    }
}

impl FromRow for Known {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.text("id")?,
            current_since: row.time("current_since")?,
            retired_at: row.time_opt("retired_at")?,
        })
    }
}
