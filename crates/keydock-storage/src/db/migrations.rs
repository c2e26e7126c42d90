//! Bringing the schema up to date.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};

use super::{Db, Error, Pools, args, connect::file_of};

/// Embedded when the crate is built: one folder for both databases.
static MIGRATOR: Migrator = sqlx::migrate!();

/// What [`Db::migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were applied now, by name, in order. Empty if there was nothing to do.
    pub applied: Vec<String>,
    /// The version the schema has now.
    pub version: i64,
}

impl Db {
    /// Applies every migration that was not applied yet. Two programs that start at once do it one
    /// after the other.
    ///
    /// A database that was migrated by a newer program is [`Error::Newer`] and is left alone.
    pub async fn migrate(&self) -> Result<Migrated, Error> {
        let applied = self.pending_migrations().await?;
        let ran = match &self.pools {
            Pools::Sqlite { writer, .. } => {
                // All of them or none: the write lock keeps a second program waiting, since the
                // migrator has a lock of its own for PostgreSQL only.
                let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                let ran = MIGRATOR.run(&mut tx).await;
                if ran.is_ok() {
                    tx.commit().await?;
                }
                ran
            }
            Pools::Postgres(pool) => {
                // Not a connection for others afterwards: a migration may take its time.
                let mut conn = pool.acquire().await?.detach();
                sqlx::query("SET statement_timeout = 0").execute(&mut conn).await?;
                MIGRATOR.run(&mut conn).await
            }
        };
        ran.map_err(|error| match error {
            MigrateError::VersionMissing(found) if found > newest() => newer(found),
            error => Error::Migrate(error.into()),
        })?;
        Ok(Migrated { applied, version: newest() })
    }

    /// The names of the migrations that were not applied yet, in order.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, Error> {
        let applied: Vec<i64> = self
            .read(async |tx| {
                let exists = tx.either(
                    "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
                    "SELECT COUNT(to_regclass('_sqlx_migrations'))",
                );
                if tx.fetch_one::<i64>(exists, args![]).await? == 0 {
                    return Ok(Vec::new());
                }
                let sql = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
                tx.fetch_all(sql, args![]).await
            })
            .await?;
        match applied.last() {
            Some(&found) if found > newest() => Err(newer(found)),
            _ => Ok(names(&applied)),
        }
    }

    /// Whether there is something to connect to: the file, or a server, which is not asked.
    pub fn is_there(url: &str) -> bool {
        file_of(url).is_none_or(Path::exists)
    }

    /// The names of all migrations, in order: what is pending where there is no database yet.
    pub fn all_migrations() -> Vec<String> {
        names(&[])
    }
}

fn names(without: &[i64]) -> Vec<String> {
    MIGRATOR
        .iter()
        .filter(|migration| !without.contains(&migration.version))
        .map(|migration| {
            format!("{:04}_{}", migration.version, migration.description.replace(' ', "_"))
        })
        .collect()
}

fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}

fn newer(found: i64) -> Error {
    Error::Newer { found, known: newest() }
}
