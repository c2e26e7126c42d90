//! Work that survives a crash: a queue that is a table.
//!
//! A job is enqueued in the transaction that makes it necessary, so neither exists without the
//! other. A worker takes it on a *lease*: for as long as the lease is renewed by [`heartbeat`],
//! nobody else gets the job; when the worker vanishes, the lease ends and the job is due again.
//! [`complete`] says whether the lease still stood.
//!
//! **Every job may run twice.** A worker that was slow or cut off may still be at it while another
//! one has taken over. What it does must bear repeating: a result is stored only where none is yet,
//! or in the transaction of [`complete`], rolled back when that answers `false`.
//!
//! A job ends in one of two ways: [`complete`] deletes it, or [`fail`] declares it dead after its
//! last attempt, in the transaction in which the caller tells whoever waits. If the workers of all
//! attempts vanished, the job is leased once more, [`exhausted`](Leased::exhausted), to be ended.
//! So a job that was accepted comes to an end as long as there are workers.
//!
//! Leases are measured with the clocks of the nodes. These may differ by a good part of a lease
//! without harm, since a lease that was taken over cannot complete.

mod backoff;
mod lease;

use std::error::Error as StdError;

use keydock_core::{
    id::{Id, Job},
    time::Timestamp,
};

pub use self::{
    backoff::Backoff,
    lease::{Leased, Outcome, complete, fail, heartbeat, lease, reclaim, release},
};
use crate::db::{Error, FromRow, Row, Tx, args};

/// The topic that is announced when there may be something to lease.
pub const TOPIC: &str = "jobs";

/// When a job may run, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Not before this instant; at once if there is none.
    pub run_at: Option<Timestamp>,
    /// How often it may be tried before it is dead. At least once.
    pub max_attempts: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { run_at: None, max_attempts: 5 }
    }
}

/// Adds a job and announces [`TOPIC`].
///
/// The body should carry ids, not copies: the job reads the truth when it runs.
pub async fn enqueue(
    tx: &mut Tx,
    kind: &'static str,
    body: &str,
    schedule: Schedule,
) -> Result<Id<Job>, Error> {
    let id = tx.new_id();
    let now = tx.now();
    let due_at = schedule.run_at.unwrap_or(now);
    let sql = "INSERT INTO jobs (id, kind, body, created_at, due_at, max_attempts)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let max_attempts = schedule.max_attempts.max(1);
    tx.execute(sql, args![id, kind, body, now, due_at, max_attempts]).await?;
    tx.announce(TOPIC);
    Ok(id)
}

/// The instant at which a job of these kinds becomes due next, be it by its schedule or by the end
/// of a lease. In the past if one is due now; nothing if the queue is empty.
pub async fn next_due(tx: &mut Tx, kinds: &[&str]) -> Result<Option<Timestamp>, Error> {
    let sql = tx.either(
        "SELECT MIN(due_at) FROM jobs
         WHERE died_at IS NULL AND kind IN (SELECT value FROM json_each($1))",
        "SELECT MIN(due_at) FROM jobs
         WHERE died_at IS NULL
           AND kind = ANY (ARRAY(SELECT json_array_elements_text(CAST($1 AS json))))",
    );
    tx.fetch_one(sql, args![list(kinds)]).await
}

/// How full the queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs that a worker could take now.
    pub ready: i64,
    /// Jobs whose time has not come: scheduled, or waiting for another attempt.
    pub waiting: i64,
    /// Jobs that a worker holds.
    pub leased: i64,
    /// Jobs that were given up.
    pub dead: i64,
    /// Since when the longest waiting ready job is due.
    pub oldest_ready_since: Option<Timestamp>,
}

impl FromRow for Counts {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            ready: row.int("ready")?,
            waiting: row.int("waiting")?,
            leased: row.int("leased")?,
            dead: row.int("dead")?,
            oldest_ready_since: row.time_opt("oldest_ready_since")?,
        })
    }
}

/// Counts the jobs, for metrics. Reads the whole table.
pub async fn counts(tx: &mut Tx) -> Result<Counts, Error> {
    let sql = "SELECT
            COUNT(*) FILTER (WHERE died_at IS NULL AND due_at <= $1) AS ready,
            COUNT(*) FILTER (WHERE died_at IS NULL AND due_at > $1 AND lease_token IS NULL)
                AS waiting,
            COUNT(*) FILTER (WHERE died_at IS NULL AND due_at > $1 AND lease_token IS NOT NULL)
                AS leased,
            COUNT(*) FILTER (WHERE died_at IS NOT NULL) AS dead,
            MIN(due_at) FILTER (WHERE died_at IS NULL AND due_at <= $1) AS oldest_ready_since
        FROM jobs";
    let now = tx.now();
    tx.fetch_one(sql, args![now]).await
}

/// A job that was given up, for somebody to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The job.
    pub id: Id<Job>,
    /// What was to be done.
    pub kind: String,
    /// To what.
    pub body: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was given up.
    pub died_at: Timestamp,
}

impl FromRow for Dead {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.parse("id")?,
            kind: row.text("kind")?,
            body: row.text("body")?,
            attempts: row.int("attempts")?,
            last_error: row.text_opt("last_error")?,
            died_at: row.time("died_at")?,
        })
    }
}

/// The jobs that were given up, the latest first.
pub async fn dead(tx: &mut Tx, limit: u32) -> Result<Vec<Dead>, Error> {
    let sql = "SELECT id, kind, body, attempts, last_error, died_at FROM jobs
               WHERE died_at IS NOT NULL ORDER BY died_at DESC, id DESC LIMIT $1";
    tx.fetch_all(sql, args![limit]).await
}

/// Gives a dead job all its attempts again. `false` if there is no such dead job.
pub async fn revive(tx: &mut Tx, id: Id<Job>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET died_at = NULL, attempts = 0, due_at = $2
               WHERE id = $1 AND died_at IS NOT NULL";
    let now = tx.now();
    let touched = tx.execute(sql, args![id, now]).await?;
    tx.announce(TOPIC);
    Ok(touched == 1)
}

/// Forgets the jobs that died before an instant. Tells how many.
pub async fn forget_dead(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM jobs WHERE died_at < $1", args![before]).await
}

/// A list as one parameter: JSON, which both databases take apart.
fn list(kinds: &[&str]) -> String {
    serde_json::json!(kinds).to_string()
}

/// The chain of an error as one line, as it is kept with a job.
pub fn describe(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
