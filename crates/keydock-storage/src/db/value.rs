//! What can be bound to a parameter.

use keydock_core::{
    id::{Id, OrgNumber, UserNumber},
    time::Timestamp,
};

/// A parameter. The nulls are typed, because PostgreSQL asks for the type of a null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A `BIGINT`.
    Int(Option<i64>),
    /// A `TEXT`.
    Text(Option<String>),
    /// A `BOOLEAN`.
    Bool(Option<bool>),
    /// A `BYTEA`.
    Bytes(Option<Vec<u8>>),
}

/// Collects parameters: `args![id, name, now]`.
#[doc(hidden)]
#[macro_export]
macro_rules! __args {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Value::from($value)),*] as &[$crate::db::Value] };
}
pub use crate::__args as args;

macro_rules! bind {
    ($sql:expr, $args:expr) => {
        $args.iter().fold(sqlx::query($sql), |query, value| match value {
            $crate::db::Value::Int(value) => query.bind(*value),
            $crate::db::Value::Text(value) => query.bind(value.as_deref()),
            $crate::db::Value::Bool(value) => query.bind(*value),
            $crate::db::Value::Bytes(value) => query.bind(value.as_deref()),
        })
    };
}
pub(super) use bind;

macro_rules! from {
    ($($type:ty => $variant:ident, |$value:ident| $as:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant(Some($as))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map(|$value| $as))
            }
        }
    )*};
}

from! {
    i64 => Int, |int| int;
    i32 => Int, |int| int.into();
    u32 => Int, |int| int.into();
    Timestamp => Int, |at| at.as_micros();
    OrgNumber => Int, |number| number.as_i64();
    UserNumber => Int, |number| number.as_i64();
    bool => Bool, |bool| bool;
    &str => Text, |text| text.to_owned();
    String => Text, |text| text;
    &String => Text, |text| text.clone();
    &[u8] => Bytes, |bytes| bytes.to_vec();
    Vec<u8> => Bytes, |bytes| bytes;
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl<K> From<Id<K>> for Value {
    fn from(id: Id<K>) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl<K> From<Option<Id<K>>> for Value {
    fn from(id: Option<Id<K>>) -> Self {
        Self::Text(id.map(|id| id.to_string()))
    }
}
