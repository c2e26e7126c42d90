//! Holding a job: taking it, keeping it, ending it.

use std::time::Duration;

use keydock_core::{
    id::{Id, Job},
    time::Timestamp,
};

use super::{Backoff, TOPIC, list};
use crate::db::{Db, Error, FromRow, Row, Tx, args};

/// Kind of [`Id`]: one taking of jobs by one worker.
#[derive(Debug)]
enum Token {}

/// A job in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The job.
    pub id: Id<Job>,
    /// What is to be done.
    pub kind: String,
    /// To what.
    pub body: String,
    /// Which attempt this is, the first being 1.
    pub attempt: u32,
    /// How many there may be.
    pub max_attempts: u32,
    token: String,
}

impl Leased {
    /// Whether every attempt was used up by workers that vanished. Such a job should not run, as
    /// it may have been what killed them: end it with [`fail`], which declares it dead, and tell
    /// whoever waits in the same transaction.
    pub fn exhausted(&self) -> bool {
        self.attempt > self.max_attempts
    }
}

impl FromRow for Leased {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.parse("id")?,
            kind: row.text("kind")?,
            body: row.text("body")?,
            attempt: saturating(row.int("attempts")?),
            max_attempts: saturating(row.int("max_attempts")?),
            token: row.text("lease_token")?,
        })
    }
}

fn saturating(int: i64) -> u32 {
    u32::try_from(int).unwrap_or(u32::MAX)
}

/// What became of a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It will be due again at this instant.
    WillRetry(Timestamp),
    /// It was the last attempt. The job stays, with the error, until somebody revives it.
    Dead,
    /// The lease had ended and somebody else holds the job, or has ended it. Nothing was changed.
    Lost,
}

/// Takes up to `count` jobs of these kinds that are due, the longest due first, for `lease_for`.
///
/// Two workers never get the same job: one passes over what the other is taking.
pub async fn lease(
    db: &Db,
    worker: &str,
    kinds: &[&str],
    count: u32,
    lease_for: Duration,
) -> Result<Vec<Leased>, Error> {
    let taken = db.write(async |tx| take(tx, worker, kinds, count, lease_for).await).await?;
    Ok(taken.value)
}

async fn take(
    tx: &mut Tx,
    worker: &str,
    kinds: &[&str],
    count: u32,
    lease_for: Duration,
) -> Result<Vec<Leased>, Error> {
    // The same but for the list and for the locks: writers of SQLite take turns anyway. The list
    // of what is taken is made once; in a plain subquery PostgreSQL could make it again, longer.
    let sql = tx.either(
        "WITH taken AS MATERIALIZED (
             SELECT id FROM jobs
             WHERE died_at IS NULL AND due_at <= $1
               AND kind IN (SELECT value FROM json_each($2))
             ORDER BY due_at LIMIT $3
         )
         UPDATE jobs
         SET attempts = attempts + 1, due_at = $4, leased_by = $5, lease_token = $6
         WHERE id IN (SELECT id FROM taken)
         RETURNING id, kind, body, attempts, max_attempts, lease_token",
        "WITH taken AS MATERIALIZED (
             SELECT id FROM jobs
             WHERE died_at IS NULL AND due_at <= $1
               AND kind = ANY (ARRAY(SELECT json_array_elements_text(CAST($2 AS json))))
             ORDER BY due_at LIMIT $3
             FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs
         SET attempts = attempts + 1, due_at = $4, leased_by = $5, lease_token = $6
         WHERE id IN (SELECT id FROM taken)
         RETURNING id, kind, body, attempts, max_attempts, lease_token",
    );
    let now = tx.now();
    let lease_token: Id<Token> = tx.new_id();
    let until = now.after(lease_for);
    let mut taken: Vec<Leased> =
        tx.fetch_all(sql, args![now, list(kinds), count, until, worker, lease_token]).await?;
    taken.sort_by_key(|job| job.id);
    Ok(taken)
}

/// Keeps a job for another `lease_for`. `false` if it is no longer held: stop working on it.
///
/// A lease that has run out can be kept as long as nobody has taken the job.
pub async fn heartbeat(db: &Db, leased: &Leased, lease_for: Duration) -> Result<bool, Error> {
    let kept = db.write(async |tx| {
        let sql = "UPDATE jobs SET due_at = $3 WHERE id = $1 AND lease_token = $2";
        let until = tx.now().after(lease_for);
        tx.execute(sql, args![leased.id, &leased.token, until]).await
    });
    Ok(kept.await?.value == 1)
}

/// Ends a job as done.
///
/// `false` if it is no longer held: another worker has it, and a transaction that also stores a
/// result must be rolled back.
pub async fn complete(tx: &mut Tx, leased: &Leased) -> Result<bool, Error> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND lease_token = $2";
    Ok(tx.execute(sql, args![leased.id, &leased.token]).await? == 1)
}

/// Gives a job back after a failed attempt: to be tried again after a while, or dead.
pub async fn fail(
    tx: &mut Tx,
    leased: &Leased,
    error: &str,
    backoff: Backoff,
) -> Result<Outcome, Error> {
    let now = tx.now();
    let (outcome, due_at, died_at) = if leased.attempt < leased.max_attempts {
        let due_at = now.after(backoff.wait(leased.attempt, tx));
        (Outcome::WillRetry(due_at), due_at, None)
    } else {
        (Outcome::Dead, now, Some(now))
    };
    let sql = "UPDATE jobs
               SET due_at = $3, died_at = $4, last_error = $5, lease_token = NULL, leased_by = NULL
               WHERE id = $1 AND lease_token = $2";
    let args = args![leased.id, &leased.token, due_at, died_at, error];
    let touched = tx.execute(sql, args).await?;
    tx.announce(TOPIC);
    Ok(if touched == 1 { outcome } else { Outcome::Lost })
}

/// Gives a job back unfinished and uncounted, because the worker shuts down. `false` if it was no
/// longer held.
pub async fn release(tx: &mut Tx, leased: &Leased) -> Result<bool, Error> {
    let sql = "UPDATE jobs
               SET due_at = $3, attempts = attempts - 1, lease_token = NULL, leased_by = NULL
               WHERE id = $1 AND lease_token = $2";
    let now = tx.now();
    let touched = tx.execute(sql, args![leased.id, &leased.token, now]).await?;
    tx.announce(TOPIC);
    Ok(touched == 1)
}

/// Gives back what a worker of this name held in an earlier life, so that nothing waits for the
/// end of its leases after a restart. The attempts count: they may be what killed it.
///
/// Only for a worker that alone has its name, before it takes its first job.
pub async fn reclaim(tx: &mut Tx, worker: &str) -> Result<u64, Error> {
    let sql = "UPDATE jobs SET due_at = $2, lease_token = NULL, leased_by = NULL
               WHERE leased_by = $1";
    let now = tx.now();
    let touched = tx.execute(sql, args![worker, now]).await?;
    tx.announce(TOPIC);
    Ok(touched)
}
