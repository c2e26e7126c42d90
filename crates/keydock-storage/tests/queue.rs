//! Jobs are leased, kept, ended and never lost.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::{collections::BTreeSet, time::Duration};

use keydock_core::{
    id::{Id, Job},
    time::Timestamp,
};
use keydock_storage::{
    db::{Db, Error, args},
    queue::{self, Backoff, Counts, Leased, Outcome, Schedule},
    testing,
};
use tempfile::TempDir;

const KINDS: &[&str] = &["run", "tidy"];
const LEASE: Duration = Duration::from_secs(30);

async fn fresh() -> (TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = testing::db(dir.path()).await;
    (dir, db)
}

async fn enqueue(db: &Db, kind: &'static str, schedule: Schedule) -> Id<Job> {
    let enqueued = db.write(async |tx| queue::enqueue(tx, kind, "{}", schedule).await);
    let enqueued = enqueued.await.unwrap();
    assert!(enqueued.topics.contains(queue::TOPIC));
    enqueued.value
}

async fn lease(db: &Db, worker: &str, count: u32) -> Vec<Leased> {
    queue::lease(db, worker, KINDS, count, LEASE).await.unwrap()
}

async fn complete(db: &Db, leased: &Leased) -> bool {
    db.write(async |tx| queue::complete(tx, leased).await).await.unwrap().value
}

async fn fail(db: &Db, leased: &Leased) -> Outcome {
    let backoff = Backoff::default();
    db.write(async |tx| queue::fail(tx, leased, "no ink", backoff).await).await.unwrap().value
}

async fn counts(db: &Db) -> Counts {
    db.read(async |tx| queue::counts(tx).await).await.unwrap()
}

async fn next_due(db: &Db, kinds: &[&str]) -> Option<Timestamp> {
    db.read(async |tx| queue::next_due(tx, kinds).await).await.unwrap()
}

#[tokio::test]
async fn a_job_is_leased_and_completed() {
    let (_dir, db) = fresh().await;
    let id = enqueue(&db, "run", Schedule::default()).await;
    let taken = lease(&db, "w1", 10).await;
    let [job] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((job.id, job.kind.as_str(), job.body.as_str(), job.attempt), (id, "run", "{}", 1));
    assert!(!job.exhausted());
    assert!(lease(&db, "w2", 10).await.is_empty());
    assert!(complete(&db, job).await);
    assert!(!complete(&db, job).await, "once");
    assert_eq!(counts(&db).await, Counts::default());
    assert_eq!(next_due(&db, KINDS).await, None);
}

#[tokio::test]
async fn a_job_of_a_transaction_that_failed_was_never_there() {
    let (_dir, db) = fresh().await;
    let failed = db
        .write(async |tx| -> Result<(), Error> {
            queue::enqueue(tx, "run", "{}", Schedule::default()).await?;
            Err(Error::Missing)
        })
        .await;
    assert!(failed.is_err());
    assert!(lease(&db, "w", 10).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_workers_hold_one_job() {
    let (_dir, db) = fresh().await;
    db.write(async |tx| -> Result<(), Error> {
        for _ in 0..120 {
            queue::enqueue(tx, "run", "{}", Schedule::default()).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut held = Vec::new();
                loop {
                    let taken = lease(&db, &format!("w{worker}"), 4).await;
                    assert!(taken.len() <= 4);
                    if taken.is_empty() {
                        return held;
                    }
                    held.extend(taken);
                }
            })
        })
        .collect();
    let mut held = Vec::new();
    for worker in workers {
        held.extend(worker.await.unwrap());
    }
    assert_eq!(held.len(), 120);
    assert_eq!(held.iter().map(|job| job.id).collect::<BTreeSet<_>>().len(), 120);
    assert_eq!(counts(&db).await.leased, 120);
}

#[tokio::test]
async fn only_jobs_of_the_kinds_asked_for_are_taken_the_longest_due_first() {
    let (_dir, db) = fresh().await;
    let other = enqueue(&db, "it's \"odd\"", Schedule::default()).await;
    let first = enqueue(&db, "tidy", Schedule::default()).await;
    let second = enqueue(&db, "run", Schedule::default()).await;
    assert_eq!(lease(&db, "w", 1).await[0].id, first);
    assert_eq!(lease(&db, "w", 9).await[0].id, second);
    assert!(lease(&db, "w", 9).await.is_empty());
    assert!(queue::lease(&db, "w", &[], 9, LEASE).await.unwrap().is_empty());
    assert!(next_due(&db, &["it's \"odd\""]).await.unwrap() < db.clock().now());
    let taken = queue::lease(&db, "w", &["it's \"odd\""], 9, LEASE).await.unwrap();
    assert_eq!(taken[0].id, other);
}

#[tokio::test]
async fn a_scheduled_job_waits_for_its_time() {
    let (_dir, db) = fresh().await;
    let run_at = db.clock().now().after(Duration::from_mins(1));
    enqueue(&db, "run", Schedule { run_at: Some(run_at), ..Schedule::default() }).await;
    assert!(lease(&db, "w", 1).await.is_empty());
    assert_eq!(next_due(&db, KINDS).await, Some(run_at));
    assert_eq!(next_due(&db, &["tidy"]).await, None);
    assert_eq!(counts(&db).await.waiting, 1);
    db.clock().advance(Duration::from_mins(1));
    assert_eq!(counts(&db).await.oldest_ready_since, Some(run_at));
    assert_eq!(lease(&db, "w", 1).await.len(), 1);
}

#[tokio::test]
async fn a_lease_that_ended_goes_to_another_and_the_first_cannot_end_the_job() {
    let (_dir, db) = fresh().await;
    enqueue(&db, "run", Schedule::default()).await;
    let slow = lease(&db, "slow", 1).await.remove(0);
    let ends = next_due(&db, KINDS).await.unwrap();
    db.clock().advance(LEASE);
    assert!(ends <= db.clock().now());
    let quick = lease(&db, "quick", 1).await.remove(0);
    assert_eq!((quick.id, quick.attempt), (slow.id, 2));

    assert!(!queue::heartbeat(&db, &slow, LEASE).await.unwrap());
    assert!(!complete(&db, &slow).await);
    assert_eq!(fail(&db, &slow).await, Outcome::Lost);
    assert!(!db.write(async |tx| queue::release(tx, &slow).await).await.unwrap().value);
    assert_eq!(counts(&db).await.leased, 1);
    assert!(complete(&db, &quick).await);
}

#[tokio::test]
async fn a_heartbeat_keeps_a_job() {
    let (_dir, db) = fresh().await;
    enqueue(&db, "run", Schedule::default()).await;
    let job = lease(&db, "w1", 1).await.remove(0);
    for _ in 0..3 {
        db.clock().advance(LEASE / 2);
        assert!(queue::heartbeat(&db, &job, LEASE).await.unwrap());
        assert!(lease(&db, "w2", 1).await.is_empty());
    }
    db.clock().advance(LEASE * 2);
    assert!(queue::heartbeat(&db, &job, LEASE).await.unwrap(), "late, but nobody was quicker");
    assert!(complete(&db, &job).await);
}

#[tokio::test]
async fn the_wait_grows_until_the_job_is_dead_and_it_can_be_revived() {
    let (_dir, db) = fresh().await;
    let id = enqueue(&db, "run", Schedule { run_at: None, max_attempts: 4 }).await;
    let mut before = Duration::ZERO;
    for attempt in 1..4 {
        let job = lease(&db, "w", 1).await.remove(0);
        assert_eq!(job.attempt, attempt);
        let now = db.clock().now();
        let Outcome::WillRetry(at) = fail(&db, &job).await else { panic!("given up") };
        let wait = at.since(now);
        assert!(wait > before && wait <= Duration::from_secs(1 << attempt), "{wait:?}");
        assert!(lease(&db, "w", 1).await.is_empty());
        db.clock().advance(wait);
        before = wait.mul_f64(0.99);
    }
    let last = lease(&db, "w", 1).await.remove(0);
    assert_eq!(fail(&db, &last).await, Outcome::Dead);
    db.clock().advance(Duration::from_hours(1));
    assert!(lease(&db, "w", 1).await.is_empty());
    assert_eq!(next_due(&db, KINDS).await, None);
    assert_eq!(counts(&db).await, Counts { dead: 1, ..Counts::default() });

    let dead = db.read(async |tx| queue::dead(tx, 10).await).await.unwrap();
    assert_eq!((dead[0].id, dead[0].attempts), (id, 4));
    assert_eq!(dead[0].last_error.as_deref(), Some("no ink"));
    assert!(db.write(async |tx| queue::revive(tx, id).await).await.unwrap().value);
    assert!(!db.write(async |tx| queue::revive(tx, id).await).await.unwrap().value);
    assert_eq!(lease(&db, "w", 1).await[0].attempt, 1);
}

#[tokio::test]
async fn a_job_whose_workers_all_vanished_is_handed_out_to_be_ended() {
    let (_dir, db) = fresh().await;
    enqueue(&db, "run", Schedule { run_at: None, max_attempts: 2 }).await;
    for _ in 0..2 {
        assert!(!lease(&db, "w", 1).await[0].exhausted());
        db.clock().advance(LEASE);
    }
    let last = lease(&db, "w", 1).await.remove(0);
    assert!(last.exhausted());
    assert_eq!(fail(&db, &last).await, Outcome::Dead);
    let later = db.clock().now();
    let forgotten = db.write(async |tx| queue::forget_dead(tx, later).await).await.unwrap();
    assert_eq!(forgotten.value, 1);
}

#[tokio::test]
async fn a_released_job_is_due_at_once_and_the_attempt_is_not_counted() {
    let (_dir, db) = fresh().await;
    enqueue(&db, "run", Schedule { run_at: None, max_attempts: 1 }).await;
    for _ in 0..3 {
        let job = lease(&db, "w", 1).await.remove(0);
        assert_eq!(job.attempt, 1);
        let released = db.write(async |tx| queue::release(tx, &job).await).await.unwrap();
        assert!(released.value && released.topics.contains(queue::TOPIC));
    }
}

#[tokio::test]
async fn a_worker_that_restarts_takes_its_jobs_back_at_once() {
    let (_dir, db) = fresh().await;
    for _ in 0..3 {
        enqueue(&db, "run", Schedule::default()).await;
    }
    let before = lease(&db, "here", 2).await;
    let elsewhere = lease(&db, "elsewhere", 1).await.remove(0);
    let reclaimed = db.write(async |tx| queue::reclaim(tx, "here").await).await.unwrap();
    assert_eq!(reclaimed.value, 2);
    assert!(!complete(&db, &before[0]).await);
    let again = lease(&db, "here", 9).await;
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [2, 2]);
    assert!(complete(&db, &elsewhere).await);
}

#[tokio::test]
async fn a_result_and_the_end_of_the_job_are_one() {
    let (_dir, db) = fresh().await;
    enqueue(&db, "run", Schedule::default()).await;
    let stale = lease(&db, "w1", 1).await.remove(0);
    db.clock().advance(LEASE);
    let current = lease(&db, "w2", 1).await.remove(0);
    for (job, counts) in [(&stale, false), (&current, true)] {
        let stored = db
            .write(async |tx| -> Result<(), Error> {
                tx.next_in("results").await?;
                let held = queue::complete(tx, job).await?;
                if held { Ok(()) } else { Err(Error::Missing) }
            })
            .await;
        assert_eq!(stored.is_ok(), counts);
    }
    let sql = "SELECT value FROM counters WHERE name = $1";
    let results: i64 = db.read(async |tx| tx.fetch_one(sql, args!["results"]).await).await.unwrap();
    assert_eq!(results, 1);
}

#[test]
fn an_error_is_described_with_its_causes() {
    let cause = std::io::Error::other("no ink");
    let error = Error::Unavailable(cause.into());
    assert_eq!(queue::describe(&error), "the database is unavailable: no ink");
}
