//! What the rows of platform keys have that others do not.

use keydock_storage::db::{self, FromRow, Row};

use super::{Slot, Slotted};

impl FromRow for Slotted {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let slot = if row.int("slot")? == 1 { Slot::One } else { Slot::Two };
        Ok(Self { slot, name: row.parse("name")? })
    }
}
