//! What a statement gives back.

use std::{error::Error as StdError, str::FromStr};

use keydock_core::{id::Id, time::Timestamp};
use sqlx::{
    Column as _, ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, TypeInfo as _,
    postgres::PgRow, sqlite::SqliteRow,
};

use super::Error;

/// A row of either database.
#[expect(missing_debug_implementations, reason = "rows may hold secrets")]
pub struct Row(Inner);

enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(Inner::Sqlite(row))
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(Inner::Postgres(row))
    }
}

/// Reads one type out of a row, checking every column on the way in.
pub trait FromRow: Sized {
    /// Fails only if the row is corrupt.
    fn from_row(row: &Row) -> Result<Self, Error>;
}

/// Where a value stands in a row: the name of its column, or its place from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// By name.
    Named(&'static str),
    /// By place.
    Nth(usize),
}

impl From<&'static str> for Column {
    fn from(name: &'static str) -> Self {
        Self::Named(name)
    }
}

impl From<usize> for Column {
    fn from(place: usize) -> Self {
        Self::Nth(place)
    }
}

/// A type that one column holds.
pub trait FromColumn: Sized {
    /// Fails only if the value is not of this type.
    fn from_column(row: &Row, column: Column) -> Result<Self, Error>;
}

impl Row {
    /// A column of a type that [`FromColumn`] knows.
    pub fn get<T: FromColumn>(&self, column: impl Into<Column>) -> Result<T, Error> {
        T::from_column(self, column.into())
    }

    /// A text.
    pub fn text(&self, column: impl Into<Column>) -> Result<String, Error> {
        self.get(column)
    }

    /// A text that may be absent.
    pub fn text_opt(&self, column: impl Into<Column>) -> Result<Option<String>, Error> {
        self.get(column)
    }

    /// A number.
    pub fn int(&self, column: impl Into<Column>) -> Result<i64, Error> {
        self.get(column)
    }

    /// A number that may be absent.
    pub fn int_opt(&self, column: impl Into<Column>) -> Result<Option<i64>, Error> {
        self.get(column)
    }

    /// A truth value.
    pub fn bool(&self, column: impl Into<Column>) -> Result<bool, Error> {
        self.get(column)
    }

    /// A truth value that may be absent.
    pub fn bool_opt(&self, column: impl Into<Column>) -> Result<Option<bool>, Error> {
        self.get(column)
    }

    /// Bytes.
    pub fn bytes(&self, column: impl Into<Column>) -> Result<Vec<u8>, Error> {
        self.get(column)
    }

    /// Bytes that may be absent.
    pub fn bytes_opt(&self, column: impl Into<Column>) -> Result<Option<Vec<u8>>, Error> {
        self.get(column)
    }

    /// An instant that is always there.
    pub fn time(&self, column: impl Into<Column>) -> Result<Timestamp, Error> {
        self.get(column)
    }

    /// An instant that may not have come yet.
    pub fn time_opt(&self, column: impl Into<Column>) -> Result<Option<Timestamp>, Error> {
        self.get(column)
    }

    /// A text column that holds a domain type.
    pub fn parse<T>(&self, column: impl Into<Column>) -> Result<T, Error>
    where
        T: FromStr<Err: StdError + Send + Sync + 'static>,
    {
        let column = column.into();
        parse(column, &self.text(column)?)
    }

    /// A text column that holds a domain type, or nothing.
    pub fn parse_opt<T>(&self, column: impl Into<Column>) -> Result<Option<T>, Error>
    where
        T: FromStr<Err: StdError + Send + Sync + 'static>,
    {
        let column = column.into();
        self.text_opt(column)?.map(|text| parse(column, &text)).transpose()
    }

    /// A column as the driver decodes it, which checks the type that was really stored.
    fn decode<T>(&self, column: Column) -> Result<Option<T>, Error>
    where
        T: for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>
            + for<'r> Decode<'r, Postgres>
            + Type<Postgres>,
    {
        let value = match &self.0 {
            Inner::Sqlite(row) => row.try_get(place(row, column)?),
            Inner::Postgres(row) => row.try_get(place(row, column)?),
        };
        value.map_err(|error| undecodable(column, error))
    }

    /// A number of any width: a literal is an `INT4` in PostgreSQL.
    fn decode_int(&self, column: Column) -> Result<Option<i64>, Error> {
        let Inner::Postgres(row) = &self.0 else { return self.decode(column) };
        let place = place(row, column)?;
        let value = match row.column(place).type_info().name() {
            "INT4" => row.try_get::<Option<i32>, _>(place).map(|int| int.map(i64::from)),
            "INT2" => row.try_get::<Option<i16>, _>(place).map(|int| int.map(i64::from)),
            _ => row.try_get(place),
        };
        value.map_err(|error| undecodable(column, error))
    }
}

fn place<R>(row: &R, column: Column) -> Result<usize, Error>
where
    R: sqlx::Row,
    &'static str: ColumnIndex<R>,
{
    Ok(match column {
        Column::Named(name) => name.index(row)?,
        Column::Nth(place) => place,
    })
}

fn parse<T>(column: Column, text: &str) -> Result<T, Error>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    text.parse().map_err(|source: T::Err| Error::corrupt(column, source))
}

fn undecodable(column: Column, error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::ColumnDecode { source, .. } | sqlx::Error::Decode(source) => {
            Error::corrupt(column, source)
        }
        error => error.into(),
    }
}

/// A value was needed where the database has none.
#[derive(Debug, thiserror::Error)]
#[error("unexpected null")]
struct UnexpectedNull;

macro_rules! from_column {
    ($($type:ty, $decode:ident, |$value:ident| $as:expr;)*) => {$(
        impl FromColumn for Option<$type> {
            fn from_column(row: &Row, column: Column) -> Result<Self, Error> {
                Ok(row.$decode(column)?.map(|$value| $as))
            }
        }

        impl FromColumn for $type {
            fn from_column(row: &Row, column: Column) -> Result<Self, Error> {
                let value: Option<Self> = row.get(column)?;
                value.ok_or_else(|| Error::corrupt(column, UnexpectedNull))
            }
        }
    )*};
}

from_column! {
    i64, decode_int, |int| int;
    bool, decode, |bool| bool;
    String, decode, |text| text;
    Vec<u8>, decode, |bytes| bytes;
    Timestamp, decode_int, |micros| Timestamp::from_micros(micros);
}

impl<K> FromColumn for Id<K> {
    fn from_column(row: &Row, column: Column) -> Result<Self, Error> {
        row.parse(column)
    }
}

impl<K> FromColumn for Option<Id<K>> {
    fn from_column(row: &Row, column: Column) -> Result<Self, Error> {
        row.parse_opt(column)
    }
}

impl<T: FromColumn> FromRow for T {
    fn from_row(row: &Row) -> Result<Self, Error> {
        row.get(Column::Nth(0))
    }
}

macro_rules! from_row_for_tuples {
    ($(($($type:ident $place:literal),*))*) => {$(
        impl<$($type: FromColumn),*> FromRow for ($($type,)*) {
            fn from_row(row: &Row) -> Result<Self, Error> {
                Ok(($(row.get::<$type>(Column::Nth($place))?,)*))
            }
        }
    )*};
}

from_row_for_tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}
