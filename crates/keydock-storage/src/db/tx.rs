//! The open transaction.

use std::sync::{Arc, Mutex, PoisonError};

use keydock_core::{id::Id, time::Timestamp};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use sqlx::{Postgres, Sqlite, Transaction};

use super::{Error, FromRow, Row, Value, args, value};

/// An open transaction: the connection, the one instant it happens at, and the source of new ids.
///
/// It lives inside [`Db::write`](super::Db::write) and [`Db::read`](super::Db::read), which alone
/// can commit it; dropped, it rolls back.
#[derive(Debug)]
pub struct Tx {
    pub(super) conn: Conn,
    now: Timestamp,
    rng: Arc<Mutex<ChaCha20Rng>>,
    ids: u16,
    topics: Topics,
    notes: Vec<(&'static str, String)>,
    failed: bool,
}

#[derive(Debug)]
pub(super) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// What a committed transaction gave back and what it announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// The result of the work.
    pub value: T,
    /// The topics that the work announced.
    pub topics: Topics,
}

/// A small set of topics: what changed, for those who wait for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics(Vec<&'static str>);

impl Topics {
    /// Whether the topic was announced.
    pub fn contains(&self, topic: &str) -> bool {
        self.0.contains(&topic)
    }

    /// Whether nothing was announced.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every topic once, in the order of the first announcements.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().copied()
    }

    fn insert(&mut self, topic: &'static str) {
        if !self.contains(topic) {
            self.0.push(topic);
        }
    }
}

impl Tx {
    pub(super) fn new(conn: Conn, now: Timestamp, rng: Arc<Mutex<ChaCha20Rng>>) -> Self {
        Self { conn, now, rng, ids: 0, topics: Topics::default(), notes: Vec::new(), failed: false }
    }

    /// Refuses if a statement has failed, even if the work went on: PostgreSQL would roll back and
    /// call it a success.
    pub(super) async fn commit(self) -> Result<Topics, Error> {
        self.still_whole()?;
        if let Some((topic, _)) = self.notes.first() {
            return Err(Error::Driver(Box::new(Unwritten(topic))));
        }
        match self.conn {
            Conn::Sqlite(tx) => tx.commit().await?,
            Conn::Postgres(tx) => tx.commit().await?,
        }
        Ok(self.topics)
    }

    /// The instant of this transaction, the same for every row it writes.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A new id, a version 7 UUID. It sorts after the ids that this transaction made before, and
    /// after those of transactions at an earlier microsecond.
    pub fn new_id<K>(&mut self) -> Id<K> {
        let micros = u64::try_from(self.now.as_micros()).unwrap_or_default();
        let mut tail: [u8; 10] = self.with_rng(RngExt::random);
        // Twelve bits of the fraction of the millisecond, then fourteen that count.
        let fraction = (micros % 1_000 * 4_096 / 1_000).to_be_bytes();
        tail[..2].copy_from_slice(&fraction[6..]);
        tail[2..4].copy_from_slice(&self.ids.to_be_bytes());
        self.ids = (self.ids + 1).min(0x3fff);
        let id = uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &tail);
        Id::from_uuid(id.into_uuid())
    }

    /// Lends the random number generator.
    pub fn with_rng<T>(&mut self, use_it: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
        use_it(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that this transaction changed something others wait for. They learn it from
    /// [`Committed::topics`], so only if the transaction commits.
    pub fn announce(&mut self, topic: &'static str) {
        self.topics.insert(topic);
    }

    /// Announces a topic and keeps what there is to say about it, for whoever writes it down as the
    /// last step of this transaction: what all transactions lock is locked last. A transaction whose
    /// notes nobody took does not commit.
    pub fn announce_about(&mut self, topic: &'static str, note: String) {
        self.announce(topic);
        self.notes.push((topic, note));
    }

    /// What was kept about the topic, in the order of the announcements.
    pub fn take_notes(&mut self, topic: &str) -> Vec<String> {
        let taken = self.notes.extract_if(.., |(about, _)| *about == topic);
        taken.map(|(_, note)| note).collect()
    }

    /// Runs a statement and tells how many rows it touched.
    ///
    /// When a statement fails, so has the transaction, and every later one is refused.
    pub async fn execute(&mut self, sql: &'static str, args: &[Value]) -> Result<u64, Error> {
        self.still_whole()?;
        let touched = match &mut self.conn {
            Conn::Sqlite(tx) => {
                value::bind!(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            Conn::Postgres(tx) => {
                value::bind!(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        };
        self.failed = touched.is_err();
        Ok(touched?)
    }

    /// Fetches every row.
    pub async fn fetch_all<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<Vec<T>, Error> {
        self.rows(sql, args).await?.iter().map(T::from_row).collect()
    }

    /// Fetches the first row, if there is one.
    pub async fn fetch_optional<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<Option<T>, Error> {
        self.rows(sql, args).await?.first().map(T::from_row).transpose()
    }

    /// Fetches the first row, which must be there.
    pub async fn fetch_one<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<T, Error> {
        self.fetch_optional(sql, args).await?.ok_or(Error::Missing)
    }

    /// The next number of a counter, starting at one.
    ///
    /// The row of the counter stays locked until the transaction ends, so that the order of the
    /// numbers is the order of the commits, without gaps: who has read number 7 has missed none
    /// below it. Call it late in the transaction; others wait.
    pub async fn next_in(&mut self, counter: &'static str) -> Result<i64, Error> {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, 1)
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + 1
                   RETURNING value";
        self.fetch_one(sql, args![counter]).await
    }

    /// The same for `many` numbers at once; gives back the last of them.
    pub async fn next_many_in(&mut self, counter: &'static str, many: i64) -> Result<i64, Error> {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + $2
                   RETURNING value";
        self.fetch_one(sql, args![counter, many]).await
    }

    /// The one of two texts that this database understands. For the few statements that the
    /// shared dialect cannot say; each has a method with a name, in this crate.
    pub(crate) fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match &self.conn {
            Conn::Sqlite(_) => sqlite,
            Conn::Postgres(_) => postgres,
        }
    }

    /// Of one statement in two forms, the one that this database understands: for statements that take
    /// their rows out of a JSON parameter, or pass over rows that another transaction holds, both of
    /// which each database says in its own way.
    pub fn in_dialect(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        self.either(sqlite, postgres)
    }

    async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Error> {
        self.still_whole()?;
        let rows = match &mut self.conn {
            Conn::Sqlite(tx) => {
                let rows = value::bind!(sql, args).fetch_all(&mut **tx).await;
                rows.map(|rows| rows.into_iter().map(Row::from).collect())
            }
            Conn::Postgres(tx) => {
                let rows = value::bind!(sql, args).fetch_all(&mut **tx).await;
                rows.map(|rows| rows.into_iter().map(Row::from).collect())
            }
        };
        self.failed = rows.is_err();
        Ok(rows?)
    }

    /// PostgreSQL ends a transaction at its first error; SQLite does so for some errors and would
    /// then run what follows outside of any. Here they are the same.
    fn still_whole(&self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Driver(Box::new(AlreadyFailed)));
        }
        Ok(())
    }
}

/// An earlier statement of the transaction failed and the work went on.
#[derive(Debug, thiserror::Error)]
#[error("an earlier statement of this transaction failed")]
struct AlreadyFailed;

/// Something was to be written down as the last step, and was not.
#[derive(Debug, thiserror::Error)]
#[error("what was noted about \"{0}\" was not written down")]
struct Unwritten(&'static str);
