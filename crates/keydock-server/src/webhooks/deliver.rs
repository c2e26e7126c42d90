//! Bringing a message to its receiver.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use keydock_core::{
    id::{self, Id, OrgNumber},
    signatures::seconds,
    time::Timestamp,
};
use keydock_storage::db::Tx;
use rand::RngExt as _;
use serde_json::json;

use super::{Delivery, MAX_FAILING, State, Webhook, record, store};
use crate::{
    App, Result,
    access::{Actor, Caller},
    audit_log::Action,
    jobs::{self, Job},
    organizations,
    outbound::Failure,
};

/// How long to wait after each attempt that failed; each is shortened by a random part of up to a
/// fifth, so that what failed together does not return together.
pub const WAITS: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
];

/// How often a message is tried.
pub(super) const ATTEMPTS: i64 = 9;

/// What came of an attempt.
type Answer = Result<StatusCode, Failure>;

/// Has attempt number `attempts` made, the first being 0.
pub(super) async fn enqueue(
    tx: &mut Tx,
    org: OrgNumber,
    delivery: Id<id::WebhookDelivery>,
    attempts: i64,
    at: Option<Timestamp>,
) -> Result<()> {
    jobs::enqueue_at(tx, &Job::DeliverWebhook { org, delivery, attempts }, at).await
}

/// Makes one attempt, and has the next one made if it fails.
///
/// It may run twice, as every job: then a message may arrive twice, under the same id, and what came
/// of it counts once.
pub async fn deliver(
    app: &App,
    org: OrgNumber,
    delivery: Id<id::WebhookDelivery>,
    attempts: i64,
) -> Result<()> {
    let found = app.read(async |tx| {
        let found = store::find_delivery(tx, org, delivery).await?;
        let Some(found) = found.filter(|found| found.is_due(attempts)) else { return Ok(None) };
        Ok(store::find(tx, org, found.webhook).await?.map(|webhook| (found, webhook)))
    });
    let Some((delivery, webhook)) = found.await? else { return Ok(()) };
    if !webhook.is_enabled {
        let failure = "The webhook was switched off.";
        return app.write(async |tx| store::give_up(tx, org, &delivery, failure).await).await;
    }
    let answer = attempt(app, &delivery, &webhook).await;
    app.write(async |tx| conclude(tx, org, &delivery, &webhook, answer).await).await
}

impl Delivery {
    fn is_due(&self, attempts: i64) -> bool {
        self.state == State::Pending && self.attempts == attempts
    }

    /// What the receiver knows it by.
    fn message_id(&self) -> String {
        format!("msg_{}", self.id)
    }
}

async fn attempt(app: &App, delivery: &Delivery, webhook: &Webhook) -> Answer {
    // What the operator allows may have changed since it was registered.
    let target = app.outbound().target(&webhook.url)?;
    let now = app.db().clock().now();
    let id = delivery.message_id();
    let secrets = webhook.secrets(app.peppers(), now);
    if secrets.is_empty() {
        return Err(Failure::Broken);
    }
    let signatures: Vec<String> =
        secrets.iter().map(|secret| secret.sign(&id, now, delivery.body.as_bytes())).collect();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-timestamp", HeaderValue::from(seconds(now)));
    for (name, text) in [("webhook-id", id), ("webhook-signature", signatures.join(" "))] {
        let value = HeaderValue::from_str(&text).map_err(|_| Failure::Broken)?;
        headers.insert(name, value);
    }
    app.outbound().post(&target, headers, Bytes::from(delivery.body.clone())).await
}

/// Writes down what came of an attempt, and what follows from it.
async fn conclude(
    tx: &mut Tx,
    org: OrgNumber,
    delivery: &Delivery,
    webhook: &Webhook,
    answer: Answer,
) -> Result<()> {
    let status = answer.ok().map(|status| i64::from(status.as_u16()));
    let failure = match answer {
        Ok(status) if status.is_success() => None,
        Ok(status) => Some(format!("The receiver answered with {}.", status.as_u16())),
        Err(failure) => Some(failure.to_string()),
    };
    let Some(failure) = failure else {
        if store::delivered(tx, org, delivery, status).await? {
            store::clear_failing(tx, org, webhook.id).await?;
        }
        return Ok(());
    };
    let next = next_at(tx, delivery);
    if !store::failed(tx, org, delivery, status, &failure, next).await? {
        // Another worker has concluded it.
        return Ok(());
    }
    if let Some(next) = next {
        enqueue(tx, org, delivery.id, delivery.attempts + 1, Some(next)).await?;
    }
    let since = webhook.failing_since.unwrap_or(tx.now());
    if answer == Ok(StatusCode::GONE) {
        return switch_off(tx, org, webhook, "The receiver says that it is gone for good.").await;
    }
    if tx.now().since(since) >= MAX_FAILING {
        return switch_off(tx, org, webhook, "Nothing has arrived for days.").await;
    }
    store::note_failing(tx, org, webhook.id).await
}

fn next_at(tx: &mut Tx, delivery: &Delivery) -> Option<Timestamp> {
    let done = usize::try_from(ATTEMPTS - delivery.attempts_left).unwrap_or(usize::MAX);
    let wait = WAITS.get(done)?;
    let part = tx.with_rng(|rng| rng.random_range(0.8..=1.0));
    Some(tx.now().after(wait.mul_f64(part)))
}

async fn switch_off(tx: &mut Tx, org: OrgNumber, webhook: &Webhook, reason: &str) -> Result<()> {
    if !store::switch_off(tx, org, webhook.id, reason).await? {
        return Ok(());
    }
    let org = organizations::facts(tx, org).await?.into();
    let caller = Caller { org, actor: Actor::Server, request_id: String::new(), ip: None };
    record(tx, &caller, Action::WebhookDisabled, webhook, json!({"reason": reason})).await
}

/// Gives up a message whose job was given up: every worker that tried it vanished.
pub(crate) async fn give_up(
    tx: &mut Tx,
    org: OrgNumber,
    delivery: Id<id::WebhookDelivery>,
) -> Result<()> {
    let Some(found) = store::find_delivery(tx, org, delivery).await? else { return Ok(()) };
    store::give_up(tx, org, &found, "This server failed to deliver it.").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_but_the_last_is_followed_by_a_wait() {
        assert_eq!(i64::try_from(WAITS.len()).unwrap() + 1, ATTEMPTS);
        assert!(WAITS.is_sorted());
    }
}
