//! Every row of every table, as text that either database can take in again.
//!
//! Tables and columns are asked of the schema, so that a new table needs nothing here. Names of both
//! go into statements; they come from the schema and never from what is read.

use std::{collections::BTreeSet, io};

use futures_util::TryStreamExt as _;
use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::{Error, Row, Tx, Value, args, tx::Conn, value};

/// A table as the schema has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    columns: Vec<(String, Type)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    Text,
    Bool,
    Bytes,
}

/// What a row of a dump, or the place it is written to, does not allow.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
    /// The place to write to, or to read from, failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What is read is no row of this table.
    #[error("a row of {table} cannot be read")]
    Row {
        /// The table.
        table: String,
    },
}

impl Table {
    /// The names of its columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }
}

impl Tx {
    /// The tables of the product, each after those that its rows refer to.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Error> {
        let names = self.either(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                AND name <> '_sqlx_migrations' ORDER BY name",
            "SELECT table_name::text FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
                AND table_name <> '_sqlx_migrations' ORDER BY 1",
        );
        let names: Vec<String> = self.fetch_all(names, args![]).await?;
        let mut left = Vec::new();
        for name in names {
            let parents = self.parents(&name).await?;
            let columns = self.columns(&name).await?;
            left.push((Table { name, columns }, parents));
        }
        let mut ordered: Vec<Table> = Vec::new();
        let mut known = BTreeSet::new();
        while !left.is_empty() {
            let (ready, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(table, parents)| {
                    parents.iter().all(|parent| known.contains(parent) || *parent == table.name)
                });
            if ready.is_empty() {
                return Err(Error::Driver("tables refer to each other in a circle".into()));
            }
            known.extend(ready.iter().map(|(table, _)| table.name.clone()));
            ordered.extend(ready.into_iter().map(|(table, _)| table));
            left = later;
        }
        Ok(ordered)
    }

    async fn parents(&mut self, table: &str) -> Result<Vec<String>, Error> {
        let sql = self.either(
            "SELECT \"table\" FROM pragma_foreign_key_list($1)",
            "SELECT p.relname::text FROM pg_constraint c
             JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid
             JOIN pg_namespace n ON n.oid = t.relnamespace
             WHERE c.contype = 'f' AND n.nspname = current_schema() AND t.relname = $1",
        );
        self.fetch_all(sql, args![table]).await
    }

    async fn columns(&mut self, table: &str) -> Result<Vec<(String, Type)>, Error> {
        let sql = self.either(
            "SELECT name, type FROM pragma_table_info($1) ORDER BY name",
            "SELECT column_name::text, data_type::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY 1",
        );
        let columns: Vec<(String, String)> = self.fetch_all(sql, args![table]).await?;
        columns.into_iter().map(|(name, kind)| Ok((name, Type::called(&kind)?))).collect()
    }

    /// Writes the rows of a table, a JSON array on each line, and tells how many there are. They are as
    /// of the instant of this transaction, if it only reads.
    pub async fn dump(
        &mut self,
        table: &Table,
        out: &mut impl io::Write,
    ) -> Result<u64, DumpError> {
        let columns: Vec<String> = table.columns().map(|name| format!("\"{name}\"")).collect();
        let sql = format!("SELECT {} FROM \"{}\"", columns.join(", "), table.name);
        let mut rows = 0;
        macro_rules! write_rows {
            ($tx:expr) => {{
                let mut found = sqlx::query(AssertSqlSafe(sql)).fetch(&mut **$tx);
                while let Some(row) = found.try_next().await.map_err(Error::from)? {
                    write_row(table, &Row::from(row), out)?;
                    rows += 1;
                }
            }};
        }
        match &mut self.conn {
            Conn::Sqlite(tx) => write_rows!(tx),
            Conn::Postgres(tx) => {
                // A table may take longer than a statement usually may.
                sqlx::query("SET LOCAL statement_timeout = 0")
                    .execute(&mut **tx)
                    .await
                    .map_err(Error::from)?;
                write_rows!(tx);
            }
        }
        Ok(rows)
    }

    /// Deletes the rows of these tables, the last table first.
    pub async fn clear(&mut self, tables: &[Table]) -> Result<(), Error> {
        for table in tables.iter().rev() {
            self.run(format!("DELETE FROM \"{}\"", table.name), &[]).await?;
        }
        Ok(())
    }

    /// Takes in what [`dump`](Self::dump) wrote of this table, and tells how many rows that were.
    pub async fn load(&mut self, table: &Table, rows: impl io::BufRead) -> Result<u64, DumpError> {
        let columns: Vec<String> = table.columns().map(|name| format!("\"{name}\"")).collect();
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        let (columns, places) = (columns.join(", "), places.join(", "));
        let sql = format!("INSERT INTO \"{}\" ({columns}) VALUES ({places})", table.name);
        let mut count = 0;
        for line in rows.lines() {
            let values = read_row(table, &line?)?;
            self.run(sql.clone(), &values).await?;
            count += 1;
        }
        Ok(count)
    }

    async fn run(&mut self, sql: String, values: &[Value]) -> Result<(), Error> {
        let sql = AssertSqlSafe(sql).into_sql_str();
        match &mut self.conn {
            Conn::Sqlite(tx) => value::bind!(sql, values).execute(&mut **tx).await.map(drop)?,
            Conn::Postgres(tx) => value::bind!(sql, values).execute(&mut **tx).await.map(drop)?,
        }
        Ok(())
    }
}

impl Type {
    fn called(name: &str) -> Result<Self, Error> {
        match name.to_ascii_lowercase().as_str() {
            "bigint" | "integer" => Ok(Self::Int),
            "text" => Ok(Self::Text),
            "boolean" => Ok(Self::Bool),
            "bytea" | "blob" => Ok(Self::Bytes),
            other => Err(Error::Driver(format!("no column can be a {other}").into())),
        }
    }
}

fn write_row(table: &Table, row: &Row, out: &mut impl io::Write) -> Result<(), DumpError> {
    let mut values = Vec::with_capacity(table.columns.len());
    for (place, (_, kind)) in table.columns.iter().enumerate() {
        values.push(match kind {
            Type::Int => row.int_opt(place)?.into(),
            Type::Text => row.text_opt(place)?.into(),
            Type::Bool => row.bool_opt(place)?.into(),
            Type::Bytes => row.bytes_opt(place)?.into(),
        });
    }
    writeln!(out, "{}", Json::Array(values))?;
    Ok(())
}

fn read_row(table: &Table, line: &str) -> Result<Vec<Value>, DumpError> {
    let wrong = || DumpError::Row { table: table.name.clone() };
    let values: Vec<Json> = serde_json::from_str(line).map_err(|_| wrong())?;
    if values.len() != table.columns.len() {
        return Err(wrong());
    }
    let values = values.into_iter().zip(&table.columns).map(|(value, (_, kind))| match kind {
        Type::Int => serde_json::from_value(value).map(Value::Int),
        Type::Text => serde_json::from_value(value).map(Value::Text),
        Type::Bool => serde_json::from_value(value).map(Value::Bool),
        Type::Bytes => serde_json::from_value(value).map(Value::Bytes),
    });
    values.collect::<Result<_, _>>().map_err(|_| wrong())
}
