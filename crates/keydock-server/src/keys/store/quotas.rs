//! The `key_quotas` table: what was taken of the quota of a key in its present period.

use keydock_core::{
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_storage::db::{Tx, args};

use crate::Result;

/// What a node has taken of a quota.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Requests that it may let pass.
    pub(crate) granted: u32,
    /// Requests that are left for others, and for later.
    pub(crate) beyond: u32,
}

/// Takes up to `some` requests of the quota of a key, which is `most` in the period since `from`.
pub(crate) async fn take_quota(
    tx: &mut Tx,
    org: OrgNumber,
    key: Id<id::AnyKey>,
    from: Timestamp,
    most: u32,
    some: u32,
) -> Result<Taken> {
    // Also locks the row, so that two nodes take one after the other.
    let sql = "INSERT INTO key_quotas (key_id, org_id, period_from, taken) VALUES ($1, $2, $3, 0)
               ON CONFLICT (key_id) DO UPDATE
               SET taken = CASE WHEN key_quotas.period_from = $3 THEN key_quotas.taken ELSE 0 END,
                   period_from = $3
               RETURNING taken";
    let taken: i64 = tx.fetch_one(sql, args![key, org, from]).await?;
    let left = u32::try_from(i64::from(most).saturating_sub(taken)).unwrap_or(0);
    let granted = left.min(some);
    let sql = "UPDATE key_quotas SET taken = taken + $3 WHERE org_id = $1 AND key_id = $2";
    tx.execute(sql, args![org, key, granted]).await?;
    Ok(Taken { granted, beyond: left - granted })
}
