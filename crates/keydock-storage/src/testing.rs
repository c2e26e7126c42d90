//! Fresh databases for tests, of this crate and of those above it.
//!
//! Tests run on SQLite, in files of a folder that the test owns. When `KEYDOCK_TEST_POSTGRES` holds
//! the address of a server, they run there instead, each in a schema of its own.

use std::{path::Path, time::Duration};

use keydock_core::time::{Clock, Timestamp};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::db::{Db, Options};

/// Schemas of tests that ended long ago are dropped by later ones.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// The address of an empty database that no other test uses.
#[expect(clippy::expect_used, reason = "a test without a database can only stop")]
pub async fn fresh(dir: &Path) -> String {
    let Some(server) = postgres() else {
        return format!("sqlite:{}", dir.join(format!("{}.db", random())).display());
    };
    let schema = format!("test_{}_{}", Clock::System.now().as_seconds(), random());
    let mut conn = PgConnection::connect(&server).await.expect("KEYDOCK_TEST_POSTGRES answers");
    drop_old_schemas(&mut conn).await.expect("old schemas can be dropped");
    let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    sqlx::query(create).execute(&mut conn).await.expect("a schema can be made");
    let _ = conn.close().await;
    let separator = if server.contains('?') { '&' } else { '?' };
    format!("{server}{separator}options=-csearch_path%3D{schema}")
}

/// A fresh database with the whole schema, whose clock ticks from the start of 2026 and whose ids
/// repeat from run to run.
#[expect(clippy::expect_used, reason = "a test without a database can only stop")]
pub async fn db(dir: &Path) -> Db {
    let db = connect(&fresh(dir).await).await;
    db.migrate().await.expect("the schema can be made");
    db
}

/// Connects as [`db`] does, without making the schema.
pub async fn connect(url: &str) -> Db {
    connect_by(url, Clock::ticking_from(Timestamp::from_micros(1_767_225_600_000_000)), 1).await
}

/// The same by a clock of the test, with ids that follow from the seed.
#[expect(clippy::expect_used, reason = "a test without a database can only stop")]
pub async fn connect_by(url: &str, clock: Clock, seed: u64) -> Db {
    let rng = ChaCha20Rng::seed_from_u64(seed);
    let options = Options { acquire_timeout: Duration::from_secs(30), ..Options::default() };
    Db::connect(url, options, clock, rng).await.expect("the database can be opened")
}

/// The server to test on, if it is not to be SQLite.
pub fn postgres() -> Option<String> {
    std::env::var("KEYDOCK_TEST_POSTGRES").ok().filter(|server| !server.is_empty())
}

fn random() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Drops a few old schemas; the next test drops more. One test does it at a time, the others do
/// not wait.
async fn drop_old_schemas(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let lock = "SELECT pg_try_advisory_lock(7665379)";
    if !sqlx::query_scalar::<_, bool>(lock).fetch_one(&mut *conn).await? {
        return Ok(());
    }
    let born_before = Clock::System.now().as_seconds() - KEPT_FOR.as_secs().cast_signed();
    let list = "SELECT nspname::text FROM pg_namespace
                WHERE nspname ~ '^test_[0-9]+_[0-9a-f]{16}$'
                  AND split_part(nspname, '_', 2)::bigint < $1
                LIMIT 20";
    let old: Vec<String> = sqlx::query_scalar(list).bind(born_before).fetch_all(&mut *conn).await?;
    for schema in old {
        let drop = AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"));
        sqlx::query(drop).execute(&mut *conn).await?;
    }
    Ok(())
}
