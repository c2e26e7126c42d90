//! The `sessions` table. Sessions are of people; the digest of the cookie names one.

use keydock_core::{
    id::{OrgNumber, UserNumber},
    secret::PepperId,
    time::Timestamp,
};
use keydock_storage::db::{Tx, args};

use crate::{Result, users::User};

pub(super) async fn insert(
    tx: &mut Tx,
    digest: &str,
    user: &User,
    org: Option<OrgNumber>,
    csrf: &str,
    expires_at: Timestamp,
    pepper: PepperId,
) -> Result<()> {
    let sql = "INSERT INTO sessions (digest, user_id, org_id, csrf, created_at, expires_at, pepper)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    tx.execute(
        sql,
        args![digest, user.number, org, csrf, tx.now(), expires_at, pepper.to_string()],
    )
    .await?;
    Ok(())
}

pub(super) async fn only_organization(tx: &mut Tx, user: UserNumber) -> Result<Option<OrgNumber>> {
    let sql = "SELECT org_id FROM members WHERE user_id = $1 LIMIT 2";
    let orgs: Vec<i64> = tx.fetch_all(sql, args![user]).await?;
    Ok(match orgs[..] {
        [org] => Some(OrgNumber::from_i64(org)),
        _ => None,
    })
}

pub(super) async fn delete(tx: &mut Tx, digest: &str) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE digest = $1", args![digest]).await?;
    Ok(())
}

pub(super) async fn delete_others(tx: &mut Tx, user: UserNumber, digest: &str) -> Result<()> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND digest <> $2";
    tx.execute(sql, args![user, digest]).await?;
    Ok(())
}

pub(super) async fn delete_expired(tx: &mut Tx, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE expires_at <= $1", args![now]).await?;
    Ok(())
}

pub(super) async fn set_organization(
    tx: &mut Tx,
    digest: &str,
    user: UserNumber,
    org: OrgNumber,
) -> Result<bool> {
    let sql = "UPDATE sessions SET org_id = $3
               WHERE digest = $1 AND user_id = $2
                 AND EXISTS (SELECT 1 FROM members m WHERE m.org_id = $3 AND m.user_id = $2)";
    Ok(tx.execute(sql, args![digest, user, org]).await? == 1)
}
