//! The `organizations` table.

use keydock_core::id::{OrgNumber, UserNumber};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::Organization;
use crate::Result;

pub(super) async fn insert(
    tx: &mut Tx,
    organization: &Organization,
    owner: UserNumber,
) -> Result<(), db::Error> {
    let sql = "INSERT INTO organizations (id, name, title, display_name, key_changes, executions,
                                          created_by, created_at)
               VALUES ($1, $2, $3, $4, 0, 0, $5, $6)";
    let values = args![
        organization.number,
        organization.name.as_str(),
        organization.title.as_str(),
        organization.display_name.as_str(),
        owner,
        organization.created_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn get(tx: &mut Tx, number: OrgNumber) -> Result<Organization> {
    let sql = "SELECT id, name, title, display_name, created_at, dormant_after_days
               FROM organizations WHERE id = $1";
    Ok(tx.fetch_one(sql, args![number]).await?)
}

/// An organization that nobody else changes until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, number: OrgNumber) -> Result<Organization> {
    let sql = "UPDATE organizations SET created_at = created_at WHERE id = $1
               RETURNING id, name, title, display_name, created_at, dormant_after_days";
    Ok(tx.fetch_one(sql, args![number]).await?)
}

pub(super) async fn update(tx: &mut Tx, organization: &Organization) -> Result<()> {
    let sql = "UPDATE organizations SET dormant_after_days = $2 WHERE id = $1";
    tx.execute(sql, args![organization.number, organization.dormant_after_days]).await?;
    Ok(())
}

pub(super) async fn find(tx: &mut Tx, name: &str) -> Result<Option<Organization>> {
    let sql = "SELECT id, name, title, display_name, created_at, dormant_after_days
               FROM organizations WHERE name = $1";
    Ok(tx.fetch_optional(sql, args![name]).await?)
}

pub(super) async fn count(tx: &mut Tx) -> Result<i64> {
    Ok(tx.fetch_one("SELECT COUNT(*) FROM organizations", args![]).await?)
}

impl FromRow for Organization {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let days = row.int_opt("dormant_after_days")?;
        Ok(Self {
            number: OrgNumber::from_i64(row.int("id")?),
            name: row.parse("name")?,
            title: row.parse("title")?,
            display_name: row.parse("display_name")?,
            created_at: row.time("created_at")?,
            dormant_after_days: days.map(|days| u32::try_from(days).unwrap_or(0)),
        })
    }
}
