//! The tables `webhooks` and `webhook_deliveries`. Every statement names the organization.

use keydock_core::id::{self, Id, OrgNumber};
use keydock_core::time::Timestamp;
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{Delivery, KEEP, State, Webhook, events};
use crate::{Result, access::Caller};

/// Puts the changes to the webhooks of an organization into one order.
pub(super) async fn lock(tx: &mut Tx, org: OrgNumber) -> Result<()> {
    let sql = "UPDATE organizations SET key_changes = key_changes WHERE id = $1";
    tx.execute(sql, args![org]).await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, caller: &Caller, webhook: &Webhook) -> Result<()> {
    let sql =
        "INSERT INTO webhooks (id, org_id, url, description, event_types, is_enabled, version,
                                     created_by, created_at, modified_at, pepper)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let values = args![
        webhook.id,
        caller.org.number,
        &webhook.url,
        webhook.description.as_str(),
        events::to_json(&webhook.event_types),
        webhook.is_enabled,
        webhook.version,
        caller.user(),
        webhook.created_at,
        webhook.modified_at,
        &webhook.pepper
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn list(tx: &mut Tx, org: OrgNumber) -> Result<Vec<Webhook>> {
    let sql = "SELECT * FROM webhooks WHERE org_id = $1 ORDER BY created_at, id";
    Ok(tx.fetch_all(sql, args![org]).await?)
}

pub(super) async fn find(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::Webhook>,
) -> Result<Option<Webhook>> {
    let sql = "SELECT * FROM webhooks WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

pub(super) async fn update(tx: &mut Tx, org: OrgNumber, webhook: &Webhook) -> Result<()> {
    let sql = "UPDATE webhooks
               SET url = $3, description = $4, event_types = $5, is_enabled = $6,
                   disabled_reason = $7, version = $8, previous_until = $9, failing_since = $10,
                   modified_at = $11, pepper = $12, previous_pepper = $13
               WHERE org_id = $1 AND id = $2";
    let values = args![
        org,
        webhook.id,
        &webhook.url,
        webhook.description.as_str(),
        events::to_json(&webhook.event_types),
        webhook.is_enabled,
        webhook.disabled_reason.as_deref(),
        webhook.version,
        webhook.previous_until,
        webhook.failing_since,
        webhook.modified_at,
        &webhook.pepper,
        webhook.previous_pepper.as_deref()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, org: OrgNumber, id: Id<id::Webhook>) -> Result<()> {
    tx.execute("DELETE FROM webhooks WHERE org_id = $1 AND id = $2", args![org, id]).await?;
    Ok(())
}

/// Notes that something did not arrive, if that is news.
pub(super) async fn note_failing(tx: &mut Tx, org: OrgNumber, id: Id<id::Webhook>) -> Result<()> {
    let sql = "UPDATE webhooks SET failing_since = $3
               WHERE org_id = $1 AND id = $2 AND failing_since IS NULL";
    tx.execute(sql, args![org, id, tx.now()]).await?;
    Ok(())
}

pub(super) async fn clear_failing(tx: &mut Tx, org: OrgNumber, id: Id<id::Webhook>) -> Result<()> {
    let sql = "UPDATE webhooks SET failing_since = NULL
               WHERE org_id = $1 AND id = $2 AND failing_since IS NOT NULL";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

/// Switches a webhook off. `false` if it was off already.
pub(super) async fn switch_off(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::Webhook>,
    reason: &str,
) -> Result<bool> {
    let sql = "UPDATE webhooks SET is_enabled = FALSE, disabled_reason = $3, modified_at = $4
               WHERE org_id = $1 AND id = $2 AND is_enabled";
    Ok(tx.execute(sql, args![org, id, reason, tx.now()]).await? == 1)
}

pub(super) async fn insert_delivery(tx: &mut Tx, org: OrgNumber, new: &Delivery) -> Result<()> {
    let sql = "INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_type, body, state,
                                               attempts, attempts_left, created_at, next_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = args![
        new.id,
        org,
        new.webhook,
        &new.event_type,
        &new.body,
        new.state.as_str(),
        new.attempts,
        new.attempts_left,
        new.created_at,
        new.next_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn find_delivery(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::WebhookDelivery>,
) -> Result<Option<Delivery>> {
    let sql = "SELECT * FROM webhook_deliveries WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

pub(super) async fn deliveries(
    tx: &mut Tx,
    org: OrgNumber,
    webhook: Id<id::Webhook>,
    state: Option<State>,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let sql = "SELECT * FROM webhook_deliveries
               WHERE org_id = $1 AND webhook_id = $2 AND ($3 = '' OR state = $3)
               ORDER BY id DESC LIMIT $4";
    let state = state.map_or("", State::as_str);
    Ok(tx.fetch_all(sql, args![org, webhook, state, limit]).await?)
}

/// Notes that a message arrived. `false` if what came of this attempt was noted before.
pub(super) async fn delivered(
    tx: &mut Tx,
    org: OrgNumber,
    delivery: &Delivery,
    status: Option<i64>,
) -> Result<bool> {
    let sql = "UPDATE webhook_deliveries
               SET state = 'delivered', attempts = attempts + 1, attempts_left = 0,
                   last_status = $4, last_failure = NULL, attempted_at = $5, next_at = NULL
               WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'pending'";
    let values = args![org, delivery.id, delivery.attempts, status, tx.now()];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Notes that an attempt failed; without a next one the message is given up. `false` if what came of
/// this attempt was noted before.
pub(super) async fn failed(
    tx: &mut Tx,
    org: OrgNumber,
    delivery: &Delivery,
    status: Option<i64>,
    failure: &str,
    next: Option<Timestamp>,
) -> Result<bool> {
    let sql = "UPDATE webhook_deliveries
               SET state = $7, attempts = attempts + 1, attempts_left = attempts_left - 1,
                   last_status = $4, last_failure = $5, attempted_at = $6, next_at = $8
               WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'pending'";
    let state = if next.is_some() { State::Pending } else { State::Failed };
    let values =
        args![org, delivery.id, delivery.attempts, status, failure, tx.now(), state.as_str(), next];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Gives up a message without an attempt.
pub(super) async fn give_up(
    tx: &mut Tx,
    org: OrgNumber,
    delivery: &Delivery,
    failure: &str,
) -> Result<()> {
    let sql = "UPDATE webhook_deliveries
               SET state = 'failed', attempts_left = 0, last_failure = $4, next_at = NULL
               WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'pending'";
    tx.execute(sql, args![org, delivery.id, delivery.attempts, failure]).await?;
    Ok(())
}

/// Has a message tried again from the beginning. `false` if it is still under way.
pub(super) async fn begin_again(
    tx: &mut Tx,
    org: OrgNumber,
    delivery: &Delivery,
    attempts: i64,
) -> Result<bool> {
    let sql = "UPDATE webhook_deliveries SET state = 'pending', attempts_left = $3, next_at = $4
               WHERE org_id = $1 AND id = $2 AND state <> 'pending'";
    Ok(tx.execute(sql, args![org, delivery.id, attempts, tx.now()]).await? == 1)
}

/// Forgets what was told, or not, long ago; of everybody.
pub async fn forget_old(tx: &mut Tx) -> Result<()> {
    let sql = "DELETE FROM webhook_deliveries WHERE created_at < $1 AND state <> 'pending'";
    let before = tx.now().before(KEEP);
    tx.execute(sql, args![before]).await?;
    Ok(())
}

impl FromRow for Webhook {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.parse("id")?,
            url: row.text("url")?,
            description: row.parse("description")?,
            event_types: row.parse::<events::Stored>("event_types")?.0,
            is_enabled: row.bool("is_enabled")?,
            disabled_reason: row.text_opt("disabled_reason")?,
            version: row.int("version")?,
            previous_until: row.time_opt("previous_until")?,
            pepper: row.text("pepper")?,
            previous_pepper: row.text_opt("previous_pepper")?,
            failing_since: row.time_opt("failing_since")?,
            created_at: row.time("created_at")?,
            modified_at: row.time("modified_at")?,
        })
    }
}

impl FromRow for Delivery {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.parse("id")?,
            webhook: row.parse("webhook_id")?,
            event_type: row.text("event_type")?,
            body: row.text("body")?,
            state: row.parse("state")?,
            attempts: row.int("attempts")?,
            attempts_left: row.int("attempts_left")?,
            last_status: row.int_opt("last_status")?,
            last_failure: row.text_opt("last_failure")?,
            created_at: row.time("created_at")?,
            attempted_at: row.time_opt("attempted_at")?,
            next_at: row.time_opt("next_at")?,
        })
    }
}
