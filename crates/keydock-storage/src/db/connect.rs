//! How the pools are set up.

use std::{fs, io, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use sqlx::{
    Connection as _, Database, PgConnection, Pool, Sqlite, SqliteConnection, Transaction,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{Error, Pools};

/// Limits of a connection to a database. The default suits one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many connections there may be. SQLite has one more, for writing.
    pub max_connections: u32,
    /// How long a transaction waits for a connection, or for the writer before it.
    pub acquire_timeout: Duration,
    /// How long one statement may take (PostgreSQL).
    pub statement_timeout: Duration,
    /// How long a transaction may stand still (PostgreSQL).
    pub idle_in_transaction_timeout: Duration,
    /// How long to wait for another process that writes to the same file (SQLite).
    pub busy_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_mins(1),
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// A connection that was idle for longer is asked for a sign of life before it is used.
const STALE_AFTER: Duration = Duration::from_secs(5);

pub(super) async fn connect(url: &str, options: Options) -> Result<Pools, Error> {
    if let Some(path) = file_of(url) {
        sqlite(path, options).await
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        postgres(url, options).await
    } else {
        let reason = "it must start with sqlite: or postgres://".to_owned();
        Err(Error::Address { reason })
    }
}

/// The file of a database that is one.
pub(super) fn file_of(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite:")?;
    Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
}

async fn sqlite(path: &Path, options: Options) -> Result<Pools, Error> {
    create_private(path).map_err(|error| Error::Address {
        reason: format!("{} cannot be opened: {error}", path.display()),
    })?;
    let file = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .statement_cache_capacity(512)
        .pragma("temp_store", "memory")
        .pragma("mmap_size", "134217728");
    let writer = file_pool(options)
        .max_connections(1)
        .idle_timeout(None)
        .connect_with(
            file.clone()
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .pragma("cache_size", "-16384")
                .pragma("journal_size_limit", "67108864"),
        )
        .await?;
    let readers = file_pool(options)
        .max_connections(options.max_connections)
        .connect_lazy_with(file.pragma("query_only", "on"));
    Ok(Pools::Sqlite { writer, readers })
}

/// A pool of connections to a file.
///
/// When the disk is full SQLite rolls back by itself; the rollback of the driver then fails and it
/// believes for ever that a transaction is open. Such a connection is replaced.
fn file_pool(options: Options) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|conn: &mut SqliteConnection, _| {
            Box::pin(async { Ok(!conn.is_in_transaction()) })
        })
        .max_lifetime(None)
}

/// Makes the file if it is not there, for the eyes of its owner; SQLite gives its log the same
/// mode.
fn create_private(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(io::Error::other("a database has to be a file"));
    }
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

async fn postgres(url: &str, options: Options) -> Result<Pools, Error> {
    let idle = options.idle_in_transaction_timeout;
    let server = url
        .parse::<PgConnectOptions>()?
        .application_name("keydock")
        .statement_cache_capacity(512)
        .options([
            ("statement_timeout", options.statement_timeout.as_millis()),
            ("idle_in_transaction_session_timeout", idle.as_millis()),
        ]);
    // A pool would try for as long as one may wait and then not say why it failed.
    PgConnection::connect_with(&server).await?.close().await?;
    let pool = PoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|conn: &mut PgConnection, meta| {
            Box::pin(async move {
                if meta.idle_for > STALE_AFTER {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(server);
    Ok(Pools::Postgres(pool))
}

/// Begins a transaction on a connection of the pool.
pub(super) async fn begin<D: Database>(
    pool: &Pool<D>,
    sql: &'static str,
) -> Result<Transaction<'static, D>, Error> {
    pool.begin_with(sql).await.map_err(|error| match error {
        // It was not for want of a free one: no new one could be made.
        sqlx::Error::PoolTimedOut if pool.size() < pool.options().get_max_connections() => {
            Error::Unavailable(error.into())
        }
        error => error.into(),
    })
}
