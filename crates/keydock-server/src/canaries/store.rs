//! What canaries have of the `keys` table. Every statement names the organization.

use keydock_core::{
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::Alarm;
use crate::{Result, keys::OfAnyKind};

/// A canary as it stands.
#[derive(Debug)]
pub(super) struct Canary {
    pub(super) key: OfAnyKind,
    pub(super) is_active: bool,
    pub(super) alarmed_at: Option<Timestamp>,
}

pub(super) async fn find(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::AnyKey>,
) -> Result<Option<Canary>> {
    let sql = "SELECT id, org_id, kind, name, description, deployment_id, last_four, is_active,
                      alarmed_at
               FROM keys WHERE org_id = $1 AND id = $2 AND is_canary";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

/// Notes an alarm at its key, unless there was one after `before`. Two nodes come one after the other.
pub(super) async fn raise(
    tx: &mut Tx,
    id: Id<id::AnyKey>,
    alarm: &Alarm,
    before: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE keys
               SET alarmed_at = $3, last_used_at = $4, last_used_ip = $5, last_used_agent = $6,
                   use_count = use_count + $7
               WHERE org_id = $1 AND id = $2 AND is_canary AND is_active
                 AND (alarmed_at IS NULL OR alarmed_at <= $8)";
    let values = args![
        alarm.org,
        id,
        tx.now(),
        alarm.last_at,
        alarm.first.ip.map(|ip| ip.to_string()),
        &alarm.first.agent,
        alarm.count,
        before
    ];
    Ok(tx.execute(sql, values).await? == 1)
}

impl FromRow for Canary {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            key: OfAnyKind::from_row(row)?,
            is_active: row.bool("is_active")?,
            alarmed_at: row.time_opt("alarmed_at")?,
        })
    }
}
