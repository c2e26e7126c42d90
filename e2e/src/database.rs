//! The database of a server under test, and looking into it from outside.

use std::{path::Path, time::Duration};

use anyhow::Result;
use keydock_core::time::Clock;
use keydock_storage::db::{Db, FromRow, Options, Row, args};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

/// A database that only one server uses.
#[derive(Clone, Debug)]
pub struct Database {
    url: String,
    schema: Option<Schema>,
}

#[derive(Clone, Debug)]
struct Schema {
    server: String,
    name: String,
}

impl Database {
    /// A fresh one: in PostgreSQL if `KEYDOCK_TEST_POSTGRES` has the address of a server, else a
    /// file in this folder.
    pub async fn fresh(folder: &Path) -> Result<Self> {
        match std::env::var("KEYDOCK_TEST_POSTGRES").ok().filter(|server| !server.is_empty()) {
            Some(server) => Self::schema(&server).await,
            None => Ok(Self::file(&folder.join("keydock.db"))),
        }
    }

    /// A file.
    pub fn file(path: &Path) -> Self {
        Self { url: format!("sqlite:{}", path.display()), schema: None }
    }

    /// A new schema of a PostgreSQL server.
    pub async fn schema(server: &str) -> Result<Self> {
        let now = Clock::System.now().as_seconds();
        // The tests of the storage drop schemas of this form when they are old.
        let name = format!("test_{now}_{:016x}", rand::random::<u64>());
        statement(server, format!("CREATE SCHEMA {name}")).await?;
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options=-csearch_path%3D{name}");
        Ok(Self { url, schema: Some(Schema { server: server.to_owned(), name }) })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.schema.is_some()
    }

    /// Opens it, beside the server.
    pub async fn open(&self) -> Result<Db> {
        connect(&self.url).await
    }

    /// Everything that is stored, as text: every row of every table. Nothing for a file, which can
    /// be read as it is.
    pub async fn dump(&self) -> Result<String> {
        let Some(Schema { name, .. }) = &self.schema else { return Ok(String::new()) };
        let db = self.open().await?;
        let sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1";
        let tables: Vec<String> =
            db.read(async |tx| tx.fetch_all(sql, args![name.as_str()]).await).await?;
        let mut text = String::new();
        for table in tables {
            let sql: &'static str = format!("SELECT t::text FROM {table} t").leak();
            let rows: Vec<String> = db.read(async |tx| tx.fetch_all(sql, args![]).await).await?;
            text.push_str(&rows.join("\n"));
        }
        db.close().await;
        Ok(text)
    }

    /// Removes it from its server. A file goes with its folder.
    pub async fn remove(self) -> Result<()> {
        if let Some(Schema { server, name }) = &self.schema {
            statement(server, format!("DROP SCHEMA {name} CASCADE")).await?;
        }
        Ok(())
    }
}

async fn connect(url: &str) -> Result<Db> {
    let options = Options {
        max_connections: 4,
        acquire_timeout: Duration::from_secs(30),
        ..Options::default()
    };
    let rng = ChaCha20Rng::seed_from_u64(rand::random());
    Ok(Db::connect(url, options, Clock::System, rng).await?)
}

async fn statement(server: &str, sql: String) -> Result<()> {
    let db = connect(server).await?;
    let sql: &'static str = sql.leak();
    db.write(async |tx| tx.execute(sql, args![]).await).await?;
    db.close().await;
    Ok(())
}

/// A row of the audit log.
#[derive(Clone, Debug)]
pub struct Event {
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else is told about it.
    pub detail: serde_json::Value,
}

impl FromRow for Event {
    fn from_row(row: &Row) -> Result<Self, keydock_storage::db::Error> {
        let detail = row.text("detail")?;
        Ok(Self {
            action: row.text("action")?,
            subject: row.text("subject_id")?,
            detail: serde_json::from_str(&detail).unwrap_or_default(),
        })
    }
}

/// A row of the platform keys.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its id.
    pub id: String,
    /// Whether it works.
    pub is_active: bool,
    /// How many secrets it has had.
    pub version: i64,
}

impl FromRow for StoredKey {
    fn from_row(row: &Row) -> Result<Self, keydock_storage::db::Error> {
        Ok(Self {
            id: row.text("id")?,
            is_active: row.bool("is_active")?,
            version: row.int("version")?,
        })
    }
}

/// The platform keys of an organization and the events about them, as of one instant.
pub async fn keys_and_events(db: &Db, org: &str) -> Result<(Vec<StoredKey>, Vec<Event>)> {
    let keys = "SELECT k.id, k.is_active, k.version FROM keys k
                JOIN organizations o ON o.id = k.org_id
                WHERE o.name = $1 AND k.kind = 'platform'";
    let events = "SELECT e.action, e.subject_id, e.detail FROM audit_events e
                  JOIN organizations o ON o.id = e.org_id
                  WHERE o.name = $1 AND e.subject_kind = 'platform_key' ORDER BY e.seq";
    let both = async |tx: &mut keydock_storage::db::Tx| {
        Ok::<_, keydock_storage::db::Error>((
            tx.fetch_all(keys, args![org]).await?,
            tx.fetch_all(events, args![org]).await?,
        ))
    };
    Ok(db.read(both).await?)
}
