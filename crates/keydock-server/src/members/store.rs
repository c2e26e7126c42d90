//! The `members` table. Every statement names the organization, but for the one that asks which
//! organizations a person has.

use keydock_core::{
    id::{OrgNumber, UserNumber},
    role::Role,
};
use keydock_storage::db::{self, FromRow, OnConflict as _, Row, Tx, args};

use super::{Member, Membership};
use crate::{Error, Result};

/// Puts the changes to the members of an organization into one order.
pub(super) async fn lock(tx: &mut Tx, org: OrgNumber) -> Result<()> {
    tx.execute("UPDATE organizations SET name = name WHERE id = $1", args![org]).await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut Tx,
    org: OrgNumber,
    user: UserNumber,
    role: Role,
) -> Result<()> {
    let sql = "INSERT INTO members (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, args![org, user, role.as_str(), tx.now()]).await.on_conflict(|| {
        Error::Conflict { detail: "This person was added at the same time. Look again." }
    })?;
    Ok(())
}

pub(super) async fn list(tx: &mut Tx, org: OrgNumber) -> Result<Vec<Member>> {
    let sql = "SELECT m.user_id, m.role, u.email
               FROM members m JOIN users u ON u.id = m.user_id
               WHERE m.org_id = $1 AND NOT u.is_service ORDER BY m.created_at, m.user_id";
    Ok(tx.fetch_all(sql, args![org]).await?)
}

pub(super) async fn of_user(tx: &mut Tx, user: UserNumber) -> Result<Vec<Membership>> {
    let sql = "SELECT o.id, o.name, o.title, o.display_name, m.role
               FROM members m JOIN organizations o ON o.id = m.org_id
               WHERE m.user_id = $1 ORDER BY o.name";
    Ok(tx.fetch_all(sql, args![user]).await?)
}

pub(super) async fn role_of(
    tx: &mut Tx,
    org: OrgNumber,
    user: UserNumber,
) -> Result<Option<String>> {
    let sql = "SELECT role FROM members WHERE org_id = $1 AND user_id = $2";
    Ok(tx.fetch_optional(sql, args![org, user]).await?)
}

pub(super) async fn set_role(
    tx: &mut Tx,
    org: OrgNumber,
    user: UserNumber,
    role: Role,
) -> Result<()> {
    let sql = "UPDATE members SET role = $3 WHERE org_id = $1 AND user_id = $2";
    tx.execute(sql, args![org, user, role.as_str()]).await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, org: OrgNumber, user: UserNumber) -> Result<()> {
    tx.execute("DELETE FROM members WHERE org_id = $1 AND user_id = $2", args![org, user]).await?;
    let sql = "UPDATE sessions SET org_id = NULL WHERE org_id = $1 AND user_id = $2";
    tx.execute(sql, args![org, user]).await?;
    Ok(())
}

pub(super) async fn count_admins(tx: &mut Tx, org: OrgNumber) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM members WHERE org_id = $1 AND role = 'admin'";
    Ok(tx.fetch_one(sql, args![org]).await?)
}

impl FromRow for Member {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            user: UserNumber::from_i64(row.int("user_id")?),
            email: row.parse("email")?,
            role: row.parse("role")?,
        })
    }
}

impl FromRow for Membership {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            org: OrgNumber::from_i64(row.int("id")?),
            org_name: row.parse("name")?,
            title: row.text("title")?,
            display_name: row.text("display_name")?,
            role: row.parse("role")?,
        })
    }
}
