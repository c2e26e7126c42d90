//! What both databases promise to everything above them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says so by failing")]

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _, time::Duration};

use keydock_core::{
    id::{Id, Job},
    time::{Clock, Timestamp},
};
use keydock_storage::{
    db::{Db, Error, FromRow, Kind, OnConflict as _, Options, Row, Tx, Value, args},
    testing,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use tempfile::TempDir;

const THINGS: &str = "CREATE TABLE things (
    id      TEXT PRIMARY KEY,
    name    TEXT,
    slot    BIGINT,
    active  BOOLEAN,
    hash    BYTEA,
    seen_at BIGINT,
    counted BIGINT REFERENCES parents (id),
    CONSTRAINT things_slot_known CHECK (slot IN (1, 2)),
    UNIQUE (name, slot)
)";

/// An empty database with a table to play with.
async fn things() -> (TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = testing::db(dir.path()).await;
    write(&db, "CREATE TABLE parents (id BIGINT PRIMARY KEY)", args![]).await.unwrap();
    write(&db, THINGS, args![]).await.unwrap();
    let one_active = "CREATE UNIQUE INDEX things_active_once ON things (active) WHERE active";
    write(&db, one_active, args![]).await.unwrap();
    (dir, db)
}

async fn write(db: &Db, sql: &'static str, args: &[Value]) -> Result<u64, Error> {
    db.write(async |tx| tx.execute(sql, args).await).await.map(|committed| committed.value)
}

async fn count(db: &Db) -> i64 {
    let sql = "SELECT COUNT(*) FROM things";
    db.read(async |tx| tx.fetch_one::<i64>(sql, args![]).await).await.unwrap()
}

const INSERT: &str = "INSERT INTO things (id, name, slot) VALUES ($1, $2, $3)";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forty_writers_wait_for_each_other() {
    let (_dir, db) = things().await;
    let writers = (0..40).map(|n| {
        let db = db.clone();
        tokio::spawn(async move {
            db.write(async |tx| -> Result<(), Error> {
                let before: i64 = tx.fetch_one("SELECT COUNT(*) FROM things", args![]).await?;
                let id = format!("{n} after {before}");
                tx.execute(INSERT, args![id, None::<&str>, None::<i64>]).await?;
                Ok(())
            })
            .await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(count(&db).await, 40);
}

#[tokio::test]
async fn an_error_rolls_back() {
    let (_dir, db) = things().await;
    let failed = db
        .write(async |tx| -> Result<(), Error> {
            tx.execute(INSERT, args!["a", "a", 1_i64]).await?;
            tx.announce("things");
            Err(Error::Missing)
        })
        .await;
    assert!(matches!(failed, Err(Error::Missing)));
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn a_failed_statement_ends_the_transaction_even_if_the_work_goes_on() {
    let (_dir, db) = things().await;
    for goes_on in [false, true] {
        let committed = db
            .write(async |tx| -> Result<(), Error> {
                tx.execute(INSERT, args!["a", "a", 1_i64]).await?;
                let again = tx.execute(INSERT, args!["a", "a", 1_i64]).await;
                assert!(matches!(again, Err(Error::Unique { .. })));
                if goes_on {
                    let later = tx.execute(INSERT, args!["b", "b", 1_i64]).await;
                    assert!(matches!(later, Err(Error::Driver(_))), "{later:?}");
                }
                Ok(())
            })
            .await;
        assert!(matches!(committed, Err(Error::Driver(_))), "{committed:?}");
        assert_eq!(count(&db).await, 0);
    }
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_room_is_enough_to_go_on() {
    let (_dir, db) = things().await;
    if db.kind() == Kind::Postgres {
        return;
    }
    let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
                INSERT INTO things (id, hash) SELECT n, randomblob(1000) FROM n";
    let set = async |limit| {
        db.write(async |tx| tx.fetch_all::<i64>(limit, args![]).await).await.unwrap();
    };
    set("PRAGMA max_page_count = 100").await;
    for _ in 0..3 {
        let refused = write(&db, fill, args![]).await;
        assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
        assert_eq!(count(&db).await, 0);
    }
    set("PRAGMA max_page_count = 100000").await;
    write(&db, fill, args![]).await.unwrap();
    assert_eq!(count(&db).await, 2000);
}

#[tokio::test]
async fn a_transaction_that_the_database_ended_by_itself_harms_no_other() {
    let (_dir, db) = things().await;
    for round in ["1", "2", "3"] {
        // What SQLite does when the disk is full or fails.
        let ended = db
            .write(async |tx| -> Result<(), Error> {
                tx.execute(INSERT, args!["lost", "lost", 1_i64]).await?;
                tx.execute("ROLLBACK", args![]).await?;
                Err(Error::Missing)
            })
            .await;
        assert!(matches!(ended, Err(Error::Missing)), "{ended:?}");
        write(&db, INSERT, args![round, round, 1_i64]).await.unwrap();
    }
    assert_eq!(count(&db).await, 3);
}

#[tokio::test]
async fn a_dropped_future_rolls_back_wherever_it_was() {
    let (_dir, db) = things().await;
    for micros in (0..2_000).step_by(100).chain([20_000]) {
        let work = db.write(async |tx| -> Result<(), Error> {
            for n in 0..5 {
                tx.execute(INSERT, args![format!("{micros}-{n}"), None::<&str>, 1_i64]).await?;
            }
            std::future::pending().await
        });
        assert!(tokio::time::timeout(Duration::from_micros(micros), work).await.is_err());
    }
    // The writer is free again, and nothing of the above is there.
    write(&db, INSERT, args!["after", "after", 1_i64]).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn what_is_read_does_not_change_meanwhile() {
    let (_dir, db) = things().await;
    let counted = db
        .read(async |tx| -> Result<(i64, i64), Error> {
            let sql = "SELECT COUNT(*) FROM things";
            let before = tx.fetch_one(sql, args![]).await?;
            write(&db, INSERT, args!["a", "a", 1_i64]).await?;
            Ok((before, tx.fetch_one(sql, args![]).await?))
        })
        .await;
    assert_eq!(counted.unwrap(), (0, 0));
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn reading_cannot_write() {
    let (_dir, db) = things().await;
    let wrote = db.read(async |tx| tx.execute(INSERT, args!["a", "a", 1_i64]).await).await;
    assert!(matches!(wrote, Err(Error::Driver(_))), "{wrote:?}");
}

#[tokio::test]
async fn topics_are_told_once_and_in_order() {
    let (_dir, db) = things().await;
    let committed = db
        .write(async |tx| -> Result<u8, Error> {
            for topic in ["keys", "jobs", "keys"] {
                tx.announce(topic);
            }
            Ok(7)
        })
        .await
        .unwrap();
    assert_eq!(committed.value, 7);
    assert_eq!(committed.topics.iter().collect::<Vec<_>>(), ["keys", "jobs"]);
    assert!(committed.topics.contains("jobs") && !committed.topics.contains("things"));
}

#[derive(Debug, PartialEq)]
struct Thing {
    name: Option<String>,
    slot: Option<i64>,
    active: Option<bool>,
    hash: Option<Vec<u8>>,
    seen_at: Option<Timestamp>,
}

impl FromRow for Thing {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.text_opt("name")?,
            slot: row.int_opt("slot")?,
            active: row.bool_opt("active")?,
            hash: row.bytes_opt("hash")?,
            seen_at: row.time_opt("seen_at")?,
        })
    }
}

#[tokio::test]
async fn every_type_comes_back_and_so_does_its_null() {
    let (_dir, db) = things().await;
    let whole = Thing {
        name: Some("ä".into()),
        slot: Some(2),
        active: Some(true),
        hash: Some(vec![0, 255]),
        seen_at: Some(Timestamp::from_micros(i64::MAX)),
    };
    let nothing = Thing { name: None, slot: None, active: None, hash: None, seen_at: None };
    let insert = "INSERT INTO things (id, name, slot, active, hash, seen_at)
                  VALUES ($1, $2, $3, $4, $5, $6)";
    let select = "SELECT name, slot, active, hash, seen_at FROM things WHERE id = $1";
    // Twice, so that a prepared statement sees nulls and values in turn.
    for (id, thing) in [("1", &nothing), ("2", &whole), ("3", &nothing)] {
        let Thing { name, slot, active, hash, seen_at } = thing;
        let args = args![id, name.clone(), *slot, *active, hash.clone(), *seen_at];
        write(&db, insert, args).await.unwrap();
        let back: Thing = db.read(async |tx| tx.fetch_one(select, args![id]).await).await.unwrap();
        assert_eq!(back, *thing);
    }
    let null = "SELECT COUNT(*) FROM things
                WHERE name = $1 OR slot = $2 OR active = $3 OR hash = $4";
    let args = args![None::<String>, None::<i64>, None::<bool>, None::<Vec<u8>>];
    let equal: i64 = db.read(async |tx| tx.fetch_one(null, args).await).await.unwrap();
    assert_eq!(equal, 0, "nothing equals a null");
}

#[tokio::test]
async fn expressions_have_the_type_one_expects() {
    let (_dir, db) = things().await;
    write(&db, INSERT, args!["1", "a", 1_i64]).await.unwrap();
    write(&db, INSERT, args!["2", "b", 2_i64]).await.unwrap();
    db.read(async |tx| -> Result<(), Error> {
        let sql = "SELECT COUNT(*), CAST(SUM(slot) AS BIGINT), COALESCE(MAX(seen_at), 7), 1
                   FROM things";
        let numbers: (i64, i64, i64, i64) = tx.fetch_one(sql, args![]).await?;
        assert_eq!(numbers, (2, 3, 7, 1));
        let sql = "SELECT EXISTS (SELECT 1 FROM things), COALESCE(active, TRUE), slot = 1, TRUE
                   FROM things WHERE id = $1";
        let truths: (bool, bool, bool, bool) = tx.fetch_one(sql, args!["2"]).await?;
        assert_eq!(truths, (true, true, false, true));
        let none: Option<String> =
            tx.fetch_optional("SELECT name FROM things WHERE id = $1", args!["9"]).await?;
        assert_eq!(none, None);
        let missing = tx.fetch_one::<String>("SELECT name FROM things WHERE 1 = 0", args![]).await;
        assert!(matches!(missing, Err(Error::Missing)));
        let ordered: Vec<String> =
            tx.fetch_all("SELECT name FROM things ORDER BY id DESC", args![]).await?;
        assert_eq!(ordered, ["b", "a"]);
        Ok(())
    })
    .await
    .unwrap();
}

#[derive(Debug, PartialEq)]
enum Refusal {
    SlotTaken,
    SlotUnknown,
    TwoActive,
    Other,
}

impl From<Error> for Refusal {
    fn from(_: Error) -> Self {
        Self::Other
    }
}

#[tokio::test]
async fn a_broken_constraint_is_told_by_its_kind_and_name() {
    let (_dir, db) = things().await;
    write(&db, INSERT, args!["1", "a", 1_i64]).await.unwrap();

    let again = async || write(&db, INSERT, args!["2", "a", 1_i64]).await;
    let Err(Error::Unique { constraint }) = again().await else { panic!("not refused") };
    match db.kind() {
        Kind::Sqlite => assert_eq!(constraint, "things.name, things.slot"),
        Kind::Postgres => assert_eq!(constraint, "things_name_slot_key"),
    }
    let refusal = again().await.on_constraint("name_slot", || Refusal::SlotTaken);
    assert_eq!(refusal, Err(Refusal::SlotTaken));
    let refusal = again().await.on_constraint("active", || Refusal::TwoActive);
    assert_eq!(refusal, Err(Refusal::Other));
    assert_eq!(again().await.on_conflict(|| Refusal::SlotTaken), Err(Refusal::SlotTaken));

    let same_id = write(&db, INSERT, args!["1", "b", 1_i64]).await;
    assert!(matches!(same_id, Err(Error::Unique { .. })), "{same_id:?}");

    let third_slot = async || write(&db, INSERT, args!["3", "a", 3_i64]).await;
    let Err(Error::Check { constraint }) = third_slot().await else { panic!("not refused") };
    assert_eq!(constraint, "things_slot_known");
    let refusal = third_slot().await.on_constraint("slot_known", || Refusal::SlotUnknown);
    assert_eq!(refusal, Err(Refusal::SlotUnknown));
    assert_eq!(third_slot().await.on_conflict(|| Refusal::SlotTaken), Err(Refusal::Other));

    let activate = "INSERT INTO things (id, active) VALUES ($1, TRUE)";
    write(&db, activate, args!["4"]).await.unwrap();
    let second = write(&db, activate, args!["5"]).await;
    let refusal = second.on_constraint("things_active", || Refusal::TwoActive);
    assert_eq!(refusal, Err(Refusal::TwoActive), "a partial index has its name or its columns");

    let orphan = "INSERT INTO things (id, counted) VALUES ('6', 1)";
    assert!(matches!(write(&db, orphan, args![]).await, Err(Error::ForeignKey)));

    let typo = write(&db, "INSERT INTO thongs VALUES (1)", args![]).await;
    assert!(matches!(typo, Err(Error::Driver(_))), "{typo:?}");
}

#[tokio::test]
async fn a_corrupt_value_names_its_column() {
    let (_dir, db) = things().await;
    write(&db, INSERT, args!["not an id", None::<&str>, 1_i64]).await.unwrap();
    db.read(async |tx| -> Result<(), Error> {
        let parsed = tx.fetch_one::<Id<Job>>("SELECT id FROM things", args![]).await;
        let Err(Error::Corrupt { column: "1st", .. }) = parsed else { panic!("{parsed:?}") };
        let null = tx.fetch_one::<NameOnly>("SELECT name FROM things", args![]).await;
        assert!(matches!(null, Err(Error::Corrupt { column: "name", .. })));
        let text = tx.fetch_one::<i64>("SELECT id FROM things", args![]).await;
        assert!(matches!(text, Err(Error::Corrupt { .. })), "{text:?}");
        let unknown = tx.fetch_one::<NameOnly>("SELECT id FROM things", args![]).await;
        assert!(matches!(unknown, Err(Error::Driver(_))), "a mistake in the code");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_was_noted_and_not_written_down_does_not_commit() {
    let (_dir, db) = things().await;
    let forgetful = db
        .write(async |tx| -> Result<(), Error> {
            tx.execute(INSERT, args!["a", None::<&str>, 1_i64]).await?;
            tx.announce_about("keys", "a".to_owned());
            Ok(())
        })
        .await;
    assert!(matches!(forgetful, Err(Error::Driver(_))), "{forgetful:?}");
    let count = "SELECT COUNT(*) FROM things";
    let count: i64 = db.read(async |tx| tx.fetch_one::<i64>(count, args![]).await).await.unwrap();
    assert_eq!(count, 0);
    let careful = db
        .write(async |tx| -> Result<_, Error> {
            tx.announce_about("keys", "a".to_owned());
            Ok(tx.take_notes("keys"))
        })
        .await;
    assert_eq!(careful.unwrap().value, ["a"]);
}

struct NameOnly;

impl FromRow for NameOnly {
    fn from_row(row: &Row) -> Result<Self, Error> {
        row.text("name").map(|_| Self)
    }
}

async fn ids(db: &Db, count: usize) -> Vec<Id<Job>> {
    let made = db.write(async |tx: &mut Tx| -> Result<_, Error> {
        Ok((0..count).map(|_| tx.new_id()).collect())
    });
    made.await.unwrap().value
}

#[tokio::test]
async fn ids_are_ordered_and_repeat_with_the_seed() {
    let dir = tempfile::tempdir().unwrap();
    let url = testing::fresh(dir.path()).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let db = testing::connect(&url).await;
        let mut made = ids(&db, 100).await;
        made.extend(ids(&db, 100).await);
        assert!(made.is_sorted());
        assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), 200);
        assert!(made.iter().all(|id| id.as_uuid().get_version_num() == 7));
        runs.push(made);
    }
    assert_eq!(runs[0], runs[1]);
    let rng = ChaCha20Rng::seed_from_u64(1);
    let db = Db::connect(&url, Options::default(), Clock::System, rng).await.unwrap();
    let many = ids(&db, 20_000).await;
    assert!(many[..16_000].is_sorted());
    assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_have_no_gaps_in_the_order_of_commits() {
    let (_dir, db) = things().await;
    let writers: Vec<_> = (0..32)
        .map(|task| {
            let db = db.clone();
            tokio::spawn(async move {
                for round in 0..4 {
                    let wrote = db
                        .write(async |tx| -> Result<(), Error> {
                            let n = tx.next_in("changes").await?;
                            tokio::task::yield_now().await;
                            if (task + round) % 5 == 0 {
                                return Err(Error::Missing);
                            }
                            tx.execute(INSERT, args![format!("{n:04}"), None::<&str>, 1_i64])
                                .await?;
                            Ok(())
                        })
                        .await;
                    assert!(matches!(wrote, Ok(_) | Err(Error::Missing)), "{wrote:?}");
                }
            })
        })
        .collect();
    let mut last = 0;
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let sql = "SELECT COUNT(*), COALESCE(MAX(CAST(id AS BIGINT)), 0),
                          COALESCE((SELECT value FROM counters WHERE name = 'changes'), 0)
                   FROM things";
        let (seen, newest, counter): (i64, i64, i64) =
            db.read(async |tx| tx.fetch_one(sql, args![]).await).await.unwrap();
        assert_eq!((seen, newest), (counter, counter), "whoever sees a number sees those below");
        assert!(counter >= last);
        last = counter;
        if done {
            break;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let written = (0..32).flat_map(|task| (0..4).map(move |round| task + round));
    let expected = written.filter(|n| n % 5 != 0).count();
    assert_eq!(usize::try_from(last).unwrap(), expected);
}

#[tokio::test]
async fn migrations_run_once() {
    let dir = tempfile::tempdir().unwrap();
    let url = testing::fresh(dir.path()).await;
    let db = testing::connect(&url).await;
    let pending = db.pending_migrations().await.unwrap();
    assert_eq!(pending[..2], ["0001_counters", "0002_queue"]);
    let first = db.migrate().await.unwrap();
    assert_eq!(first.applied, pending);
    assert!(db.pending_migrations().await.unwrap().is_empty());
    let second = db.migrate().await.unwrap();
    assert_eq!((second.applied.len(), second.version), (0, first.version));
    assert_eq!(testing::connect(&url).await.migrate().await.unwrap(), second);
}

#[tokio::test]
async fn two_programs_may_start_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let url = testing::fresh(dir.path()).await;
    let (one, other) = (testing::connect(&url).await, testing::connect(&url).await);
    let (one, other) = tokio::join!(one.migrate(), other.migrate());
    one.unwrap();
    other.unwrap();
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let (_dir, db) = things().await;
    let newer = "INSERT INTO _sqlx_migrations
                     (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, $1, 0)";
    write(&db, newer, args![vec![0_u8]]).await.unwrap();
    for refused in [db.migrate().await.err(), db.pending_migrations().await.err()] {
        let refused = refused.expect("refused");
        assert!(matches!(refused, Error::Newer { found: 9999, .. }), "{refused:?}");
        assert!(refused.to_string().contains("made by a newer keydock"));
    }
}

#[tokio::test]
async fn who_waits_too_long_is_told_that_it_is_busy() {
    let (dir, _) = things().await;
    let url = testing::fresh(dir.path()).await;
    let options = Options {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let rng = ChaCha20Rng::seed_from_u64(1);
    let db = Db::connect(&url, options, Clock::System, rng).await.unwrap();
    let slow = db.write(async |_| -> Result<(), Error> {
        let waiting = write(&db, "SELECT 1", args![]).await;
        assert!(matches!(waiting, Err(Error::Busy(_))), "{waiting:?}");
        Ok(())
    });
    assert!(slow.await.unwrap().topics.is_empty());
}

#[tokio::test]
async fn a_closed_or_absent_database_is_unavailable() {
    let (_dir, db) = things().await;
    db.ping().await.unwrap();
    db.close().await;
    assert!(matches!(db.ping().await, Err(Error::Unavailable(_))));
    for (url, expected) in [
        ("postgres://nobody@127.0.0.1:1/nothing", "Unavailable"),
        ("mysql://localhost", "Address"),
        ("sqlite::memory:", "Address"),
        ("sqlite:/nowhere/at/all.db", "Address"),
    ] {
        let rng = ChaCha20Rng::seed_from_u64(1);
        let options = Options { acquire_timeout: Duration::from_secs(1), ..Options::default() };
        let error = Db::connect(url, options, Clock::System, rng).await.expect_err("refused");
        assert!(format!("{error:?}").starts_with(expected), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    let (dir, db) = things().await;
    if db.kind() == Kind::Postgres {
        return;
    }
    let mut files = 0;
    for entry in dir.path().read_dir().unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and the index of the log");
}

#[tokio::test]
async fn the_settings_of_a_connection_hold() {
    let (_dir, db) = things().await;
    let shown = match db.kind() {
        Kind::Sqlite => [
            ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
            ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
            ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        ],
        Kind::Postgres => [
            ("SELECT current_setting('application_name')", "keydock"),
            ("SELECT current_setting('statement_timeout')", "30s"),
            ("SELECT current_setting('idle_in_transaction_session_timeout')", "1min"),
        ],
    };
    for (sql, expected) in shown {
        let value = db
            .write(async |tx| tx.fetch_one::<String>(sql, args![]).await)
            .await
            .map(|committed| committed.value);
        assert_eq!(value.unwrap(), expected, "{sql}");
    }
}
