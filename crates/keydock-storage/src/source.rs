//! Somebody else's database, to be read once: for imports.

use futures_util::StreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::db::Error;

/// A PostgreSQL database that is not ours. Nothing in it is changed.
#[derive(Debug)]
pub struct Source(PgConnection);

impl Source {
    /// Connects to `postgres://…`.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(Error::Address { reason: "it must start with postgres://".to_owned() });
        }
        Ok(Self(PgConnection::connect(url).await?))
    }

    /// Runs the query of an operator, who may read that database anyway, and hands out its rows one by
    /// one, each as a JSON object of its columns. Ends early when `each` gives back `false`.
    pub async fn rows<F: Future<Output = bool> + Send>(
        &mut self,
        query: &str,
        mut each: impl FnMut(String) -> F + Send,
    ) -> Result<(), Error> {
        let query = query.trim().trim_end_matches(';');
        let sql = format!("SELECT CAST(row_to_json(q) AS TEXT) FROM ({query}\n) q");
        let mut tx = self.0.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *tx);
        while let Some(row) = rows.next().await {
            let json: String = row?.try_get(0)?;
            if !each(json).await {
                break;
            }
        }
        drop(rows);
        tx.rollback().await?;
        Ok(())
    }
}
