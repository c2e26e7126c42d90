//! One SQL text, two databases.
//!
//! Every statement is written once, in the dialect that SQLite and PostgreSQL share, and runs in a
//! [`Tx`]. This module is the only place that knows which database is behind it; the whole test
//! suite runs against both.
//!
//! The shared dialect: `$1` parameters, `TEXT`/`BIGINT`/`BOOLEAN`/`BYTEA` columns,
//! `RETURNING`, `ON CONFLICT`, `COUNT(*) FILTER (WHERE …)`. Ids and instants are made here, not in SQL. Three
//! things to know:
//!
//! - `SUM` of a `BIGINT` is a `NUMERIC` in PostgreSQL: write `CAST(SUM(x) AS BIGINT)`.
//! - Unique indexes are named after their columns, `<table>_<columns>_…`, so that
//!   [`OnConflict::on_constraint`] knows them in both databases.
//! - A statement that fails ends the transaction, as PostgreSQL has it: later ones and the commit
//!   are refused. Do not catch an error and go on; write `ON CONFLICT DO NOTHING` instead.
//!
//! ```
//! # async fn example(db: &keydock_storage::db::Db) -> Result<(), keydock_storage::db::Error> {
//! use keydock_storage::db::{Error, args};
//!
//! let written = db
//!     .write(async |tx| -> Result<i64, Error> {
//!         tx.announce("visits");
//!         tx.next_in("visits").await
//!     })
//!     .await?;
//! assert!(written.topics.contains("visits"));
//!
//! let sql = "SELECT value FROM counters WHERE name = $1";
//! let visits: i64 = db.read(async |tx| tx.fetch_one(sql, args!["visits"]).await).await?;
//! # Ok(())
//! # }
//! ```

mod connect;
mod dump;
mod error;
mod migrations;
mod row;
mod tx;
mod value;

use std::sync::{Arc, Mutex};

use keydock_core::time::Clock;
use rand_chacha::ChaCha20Rng;
use sqlx::{PgPool, SqlitePool};

use self::tx::Conn;
pub use self::{
    connect::Options,
    dump::{DumpError, Table},
    error::{Error, OnConflict},
    migrations::Migrated,
    row::{Column, FromColumn, FromRow, Row},
    tx::{Committed, Topics, Tx},
    value::{Value, args},
};

/// A database, embedded or shared. Clones are the same database.
#[derive(Clone, Debug)]
pub struct Db {
    pools: Pools,
    clock: Clock,
    rng: Arc<Mutex<ChaCha20Rng>>,
}

#[derive(Clone, Debug)]
enum Pools {
    /// One connection writes and its queue is the queue of writers; the others see snapshots.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// Which database it is: for diagnosis and metrics, never for a branch in a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of this machine.
    Sqlite,
    /// A server.
    Postgres,
}

impl Db {
    /// Connects to `sqlite:PATH` or `postgres://…`. Does not touch the schema: see
    /// [`Db::migrate`].
    ///
    /// The file of an embedded database is made if need be, readable by its owner only; its folder
    /// must exist. The parameter `options=-csearch_path%3D…` of a PostgreSQL address chooses a
    /// schema.
    pub async fn connect(
        url: &str,
        options: Options,
        clock: Clock,
        rng: ChaCha20Rng,
    ) -> Result<Self, Error> {
        let pools = connect::connect(url, options).await?;
        Ok(Self { pools, clock, rng: Arc::new(Mutex::new(rng)) })
    }

    /// Runs `work` in one transaction: `Ok` commits, `Err` rolls back, and so does dropping the
    /// future before it is done.
    ///
    /// Nothing is tried again behind the caller's back.
    pub async fn write<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<Committed<T>, E> {
        let mut tx = self.begin_write().await?;
        let value = work(&mut tx).await?;
        let topics = tx.commit().await?;
        Ok(Committed { value, topics })
    }

    /// Runs `work` on one snapshot of the database. Writing fails.
    pub async fn read<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tx = self.begin_read().await?;
        work(&mut tx).await
    }

    async fn begin_write(&self) -> Result<Tx, Error> {
        let conn = match &self.pools {
            // SQLite takes its write lock up front: a deferred one can fail half-way.
            Pools::Sqlite { writer, .. } => {
                Conn::Sqlite(connect::begin(writer, "BEGIN IMMEDIATE").await?)
            }
            Pools::Postgres(pool) => {
                let sql = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
                Conn::Postgres(connect::begin(pool, sql).await?)
            }
        };
        Ok(Tx::new(conn, self.clock.now(), Arc::clone(&self.rng)))
    }

    async fn begin_read(&self) -> Result<Tx, Error> {
        let conn = match &self.pools {
            Pools::Sqlite { readers, .. } => Conn::Sqlite(connect::begin(readers, "BEGIN").await?),
            Pools::Postgres(pool) => {
                let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Conn::Postgres(connect::begin(pool, sql).await?)
            }
        };
        Ok(Tx::new(conn, self.clock.now(), Arc::clone(&self.rng)))
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), Error> {
        let _one: i64 = self.read(async |tx| tx.fetch_one("SELECT 1", args![]).await).await?;
        Ok(())
    }

    /// The clock that transactions read.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Which database it is.
    pub fn kind(&self) -> Kind {
        match &self.pools {
            Pools::Sqlite { .. } => Kind::Sqlite,
            Pools::Postgres(_) => Kind::Postgres,
        }
    }

    /// Waits for open transactions and closes every connection. What comes later is
    /// [`Error::Unavailable`].
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                // The last one: it folds the write-ahead log into the file.
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}
