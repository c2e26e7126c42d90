//! What the rows of platform keys have that others do not.

use keydock_core::id::OrgNumber;
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{Slot, Slotted};
use crate::Result;

/// Puts the changes to the keys of an organization into one order.
pub(super) async fn lock(tx: &mut Tx, org: OrgNumber) -> Result<()> {
    let sql = "UPDATE organizations SET key_changes = key_changes + 1 WHERE id = $1";
    tx.execute(sql, args![org]).await?;
    Ok(())
}

impl FromRow for Slotted {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let slot = if row.int("slot")? == 1 { Slot::One } else { Slot::Two };
        Ok(Self { slot, name: row.parse("name")? })
    }
}
