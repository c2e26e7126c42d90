//! What can go wrong, by what a caller can do about it.

use std::error::Error as StdError;

use sqlx::error::{DatabaseError, ErrorKind};

use super::row::Column;

/// A database failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A `UNIQUE` constraint or a primary key said no.
    #[error("a row with the same key exists ({constraint})")]
    Unique {
        /// In PostgreSQL the name of the constraint or index; in SQLite its columns, as in
        /// `keys.org_id, keys.slot`. [`OnConflict::on_constraint`] understands both.
        constraint: String,
    },
    /// A row that is referred to does not exist, or one that is still referred to was to go.
    #[error("a row refers to one that does not exist")]
    ForeignKey,
    /// A `CHECK` constraint said no.
    #[error("a value breaks a rule of the schema ({constraint})")]
    Check {
        /// The name of the constraint.
        constraint: String,
    },
    /// There was no row where there must be one.
    #[error("a row that must exist is missing")]
    Missing,
    /// A stored value is not what the code that reads it expects.
    #[error("{column} holds an unexpected value")]
    Corrupt {
        /// The column read, or its place if it was read by place.
        column: &'static str,
        /// What the parser said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The database had no time for this: no free connection, a lock held too long, a deadlock, a
    /// statement over its time limit. Nothing was written; trying again later may help.
    #[error("the database is busy")]
    Busy(#[source] Box<dyn StdError + Send + Sync>),
    /// The database cannot be reached, or the connection broke. If it broke at the commit, nobody
    /// knows whether the transaction counts.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// There is no room left to write. Reading goes on; nothing was written.
    #[error("the disk of the database is full")]
    Full(#[source] Box<dyn StdError + Send + Sync>),
    /// The disk did not confirm a write. What is stored is in doubt until the next start: the
    /// process should end without answering.
    #[error("the disk did not confirm a write")]
    NotDurable(#[source] Box<dyn StdError + Send + Sync>),
    /// The address of the database cannot be used.
    #[error("the database address cannot be used: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// The schema was made by a newer program than this one.
    #[error(
        "the database has schema {found}, made by a newer keydock; this one knows {known} and \
         leaves it alone"
    )]
    Newer {
        /// The version the database has.
        found: i64,
        /// The last version this program knows.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("migration")]
    Migrate(#[source] Box<dyn StdError + Send + Sync>),
    /// Anything else the driver reports: a mistake in a statement, most likely.
    #[error("database driver")]
    Driver(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    pub(super) fn corrupt(
        column: Column,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        const PLACES: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "6th"];
        let column = match column {
            Column::Named(name) => name,
            Column::Nth(place) => PLACES.get(place).copied().unwrap_or("a later one"),
        };
        Self::Corrupt { column, source: source.into() }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(db) => match db.kind() {
                ErrorKind::UniqueViolation => Self::Unique { constraint: constraint(&**db) },
                ErrorKind::ForeignKeyViolation => Self::ForeignKey,
                ErrorKind::CheckViolation => Self::Check { constraint: constraint(&**db) },
                _ => by_code(&db.code().unwrap_or_default())(error.into()),
            },
            sqlx::Error::PoolTimedOut => Self::Busy(error.into()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.into()),
            sqlx::Error::Configuration(source) => Self::Address { reason: source.to_string() },
            sqlx::Error::RowNotFound => Self::Missing,
            _ => Self::Driver(error.into()),
        }
    }
}

/// The meaning of an SQLSTATE, which has five characters, or of an extended code of SQLite, which
/// is a number with fewer.
fn by_code(code: &str) -> fn(Box<dyn StdError + Send + Sync>) -> Error {
    match code {
        // Serialization failure, deadlock, lock not available, cancelled by a time limit.
        "40001" | "40P01" | "55P03" | "57014" => Error::Busy,
        "53100" => Error::Full,
        // Too many connections, out of memory; out of service, starting or stopping.
        "53200" | "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Error::Unavailable,
        _ if code.len() == 5 => match &code[..2] {
            "08" => Error::Unavailable,
            // No such user or wrong password; no such database.
            "28" | "3D" => unusable,
            "58" => Error::NotDurable,
            _ => Error::Driver,
        },
        _ => match code.parse::<u32>() {
            // Failed fsync of a file or of its directory.
            Ok(1034 | 1290) => Error::NotDurable,
            Ok(code) => match code & 0xff {
                5 | 6 => Error::Busy,
                13 => Error::Full,
                // Input and output, cannot open: out of file descriptors, a disk that is away.
                10 | 14 => Error::Unavailable,
                _ => Error::Driver,
            },
            Err(_) => Error::Driver,
        },
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the others of its kind keep it")]
fn unusable(source: Box<dyn StdError + Send + Sync>) -> Error {
    Error::Address { reason: source.to_string() }
}

/// PostgreSQL names the constraint; SQLite does it in the text, after the colon.
fn constraint(error: &dyn DatabaseError) -> String {
    let named = error.constraint().or_else(|| Some(error.message().split_once(": ")?.1));
    named.unwrap_or_default().to_owned()
}

/// Turns a broken constraint into the error the caller understands.
pub trait OnConflict<T> {
    /// `conflict` is called only when a `UNIQUE` constraint was the cause.
    fn on_conflict<E: From<Error>>(self, conflict: impl FnOnce() -> E) -> Result<T, E>;

    /// `broken` is called only when a `UNIQUE` or `CHECK` constraint was the cause and its name
    /// contains `fragment`.
    ///
    /// A fragment made of column names works for both databases: what PostgreSQL calls
    /// `keys_org_id_slot_key` and SQLite `keys.org_id, keys.slot` both contain `org_id_slot`.
    fn on_constraint<E: From<Error>>(
        self,
        fragment: &str,
        broken: impl FnOnce() -> E,
    ) -> Result<T, E>;
}

impl<T> OnConflict<T> for Result<T, Error> {
    fn on_conflict<E: From<Error>>(self, conflict: impl FnOnce() -> E) -> Result<T, E> {
        self.map_err(|error| match error {
            Error::Unique { .. } => conflict(),
            error => error.into(),
        })
    }

    fn on_constraint<E: From<Error>>(
        self,
        fragment: &str,
        broken: impl FnOnce() -> E,
    ) -> Result<T, E> {
        self.map_err(|error| match &error {
            Error::Unique { constraint } | Error::Check { constraint }
                if underscored(constraint).contains(fragment) =>
            {
                broken()
            }
            _ => error.into(),
        })
    }
}

/// `keys.org_id, keys.slot` as PostgreSQL would name it: `keys_org_id_slot`.
fn underscored(constraint: &str) -> String {
    let mut columns = constraint.split(", ");
    let first = columns.next().unwrap_or_default().replace('.', "_");
    columns.fold(first, |name, column| {
        name + "_" + column.split_once('.').map_or(column, |(_, column)| column)
    })
}
