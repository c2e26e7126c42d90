//! What hygiene has of the `keys` table: of all organizations, one key at a time.

use keydock_core::{
    hygiene::{Dormancy, Verdict},
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use crate::{
    Result,
    config::Dormancies,
    keys::{self, OfAnyKind},
};

/// Keys that are looked at together.
const PAGE: i64 = 500;

/// A key of whose end somebody is to be reminded.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) key: OfAnyKind,
    pub(super) is_active: bool,
    pub(super) end: Timestamp,
    remind_at: Timestamp,
}

/// The reminders that are due, of every organization.
pub(super) async fn due_reminders(tx: &mut Tx) -> Result<Vec<Ending>> {
    let sql = "SELECT id, org_id, kind, name, description, deployment_id, last_four, is_active,
                      expires_at, remind_at
               FROM keys WHERE remind_at <= $1 AND expires_at IS NOT NULL
               ORDER BY remind_at, id LIMIT $2";
    Ok(tx.fetch_all(sql, args![tx.now(), PAGE]).await?)
}

/// Notes that a reminder is given, or passed over, and when the next one is due. Tells whether this is
/// the one that gives it.
pub(super) async fn set_reminded(
    tx: &mut Tx,
    ending: &Ending,
    days: Option<u32>,
    next: Option<Timestamp>,
) -> Result<bool> {
    let sql = "UPDATE keys
               SET remind_at = $5, reminded_days = COALESCE($6, reminded_days),
                   reminded_at = CASE WHEN $6 IS NULL THEN reminded_at ELSE $7 END
               WHERE org_id = $1 AND id = $2 AND expires_at = $3 AND remind_at = $4";
    let key = &ending.key;
    let values = args![key.org, key.id, ending.end, ending.remind_at, next, days, tx.now()];
    Ok(tx.execute(sql, values).await? == 1)
}

/// A key that has not been used for a while.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) key: OfAnyKind,
    pub(super) since: Timestamp,
    warned_at: Option<Timestamp>,
    /// As its organization has it.
    after_days: Option<u32>,
}

impl Idle {
    /// What is to be done about it.
    pub(super) fn verdict(&self, dormancies: Dormancies, now: Timestamp) -> Verdict {
        let after = self.after_days.unwrap_or(dormancies.after_days);
        match Dormancy::of(after, dormancies.warning_days) {
            Some(dormancy) => dormancy.judge(self.since, self.warned_at, now),
            None => Verdict::Leave,
        }
    }
}

/// Keys that work and have been idle for half of the time that they may be, in the order of their ids,
/// of every organization. Canaries are not there to be used.
pub(super) async fn idle(tx: &mut Tx, dormancies: Dormancies, after: &str) -> Result<Vec<Idle>> {
    let sql = "SELECT k.id, k.org_id, k.kind, k.name, k.description, k.deployment_id, k.last_four,
                      k.active_since, k.created_at, k.last_used_at, k.dormancy_warned_at,
                      o.dormant_after_days
               FROM keys k JOIN organizations o ON o.id = k.org_id
               WHERE k.id > $1 AND k.is_active AND NOT k.is_canary
                 AND (k.expires_at IS NULL OR k.expires_at > $2)
                 AND COALESCE(o.dormant_after_days, $3) > 0
                 AND COALESCE(k.active_since, k.created_at)
                     <= $2 - COALESCE(o.dormant_after_days, $3) * 43200000000
                 AND (k.last_used_at IS NULL OR k.last_used_at
                     <= $2 - COALESCE(o.dormant_after_days, $3) * 43200000000)
               ORDER BY k.id LIMIT $4";
    let values = args![after, tx.now(), dormancies.after_days, PAGE];
    Ok(tx.fetch_all(sql, values).await?)
}

/// One key, if it works.
pub(super) async fn find_idle(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::AnyKey>,
) -> Result<Option<Idle>> {
    let sql = "SELECT k.id, k.org_id, k.kind, k.name, k.description, k.deployment_id, k.last_four,
                      k.active_since, k.created_at, k.last_used_at, k.dormancy_warned_at,
                      o.dormant_after_days
               FROM keys k JOIN organizations o ON o.id = k.org_id
               WHERE k.org_id = $1 AND k.id = $2 AND k.is_active AND NOT k.is_canary";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

/// Notes that somebody was warned, unless the key was used meanwhile.
pub(super) async fn set_warned(tx: &mut Tx, idle: &Idle) -> Result<bool> {
    let sql = "UPDATE keys SET dormancy_warned_at = $3
               WHERE org_id = $1 AND id = $2 AND is_active
                 AND (last_used_at IS NULL OR last_used_at <= $4)";
    let values = args![idle.key.org, idle.key.id, tx.now(), idle.since];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Switches a key off, unless it was used meanwhile.
pub(super) async fn disable(tx: &mut Tx, idle: &Idle) -> Result<bool> {
    let sql = "UPDATE keys SET is_active = FALSE, disabled_reason = $3, modified_at = $4
               WHERE org_id = $1 AND id = $2 AND is_active
                 AND (last_used_at IS NULL OR last_used_at <= $5)";
    let values = args![idle.key.org, idle.key.id, keys::DORMANT, tx.now(), idle.since];
    Ok(tx.execute(sql, values).await? == 1)
}

impl FromRow for Ending {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            key: OfAnyKind::from_row(row)?,
            is_active: row.bool("is_active")?,
            end: row.time("expires_at")?,
            remind_at: row.time("remind_at")?,
        })
    }
}

impl FromRow for Idle {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let after_days = row.int_opt("dormant_after_days")?;
        Ok(Self {
            key: OfAnyKind::from_row(row)?,
            since: keys::idle_since(row)?,
            warned_at: row.time_opt("dormancy_warned_at")?,
            after_days: after_days.map(|days| u32::try_from(days).unwrap_or(0)),
        })
    }
}
