//! Webhooks: organizations hear of what happens to their keys.
//!
//! What is told is written in the transaction of what happened, one delivery for each webhook that
//! wants it, and brought by a job. The form is that of Standard Webhooks: a body that never holds a
//! secret, and a signature that only the receiver and this server can make. A delivery that does not
//! arrive is tried again for most of a day, then it stays as failed until an admin has it redelivered.

pub mod api;
mod deliver;
mod events;
mod store;

use std::{str::FromStr, time::Duration};

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::Pepper,
    signatures::SigningSecret,
    text::WebhookDescription,
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde_json::json;

pub(crate) use self::{deliver::give_up, events::write_down};
pub use self::{
    deliver::{WAITS, deliver},
    events::{EventType, InvalidEventType, types},
    store::forget_old,
};
use crate::{
    Error, Result,
    access::{Admin, Caller, peppers::Peppers},
    audit_log::{self, Action, Subject},
    keys::set,
    outbound::Target,
};

/// How many webhooks an organization may have.
pub const MOST: usize = 20;
/// The longest overlap of an old and a new secret.
pub const MAX_GRACE: Duration = Duration::from_hours(7 * 24);
/// For how long nothing may arrive before a webhook is switched off.
pub const MAX_FAILING: Duration = Duration::from_hours(5 * 24);
/// For how long deliveries are kept.
pub const KEEP: Duration = Duration::from_hours(14 * 24);

/// Somewhere to tell what happens.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its id.
    pub id: Id<id::Webhook>,
    /// Where it is. May hold a secret of the receiver's.
    pub url: String,
    /// What it is for.
    pub description: WebhookDescription,
    /// What it wants to hear of.
    pub event_types: Vec<EventType>,
    /// Whether it is told anything.
    pub is_enabled: bool,
    /// Why the server itself switched it off.
    pub disabled_reason: Option<String>,
    /// How many secrets it has had.
    pub version: i64,
    /// Until when messages are signed with the secret before this one, too.
    pub previous_until: Option<Timestamp>,
    /// The id of the pepper that its secret follows from.
    pub pepper: String,
    /// The same for the secret before that.
    pub previous_pepper: Option<String>,
    /// Since when nothing has arrived.
    pub failing_since: Option<Timestamp>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
}

impl Webhook {
    /// The secrets that messages are signed with at this instant, the newest first.
    /// None where the pepper of one is retired.
    fn secrets(&self, peppers: &Peppers, now: Timestamp) -> Vec<SigningSecret> {
        let has_two = self.version > 1 && self.previous_until.is_some_and(|until| until > now);
        let before = self.previous_pepper.as_deref().unwrap_or(&self.pepper);
        let all =
            [(self.version, Some(&*self.pepper)), (self.version - 1, has_two.then_some(before))];
        all.into_iter()
            .filter_map(|(version, pepper)| Some((version, peppers.find(pepper?)?)))
            .map(|(version, pepper)| SigningSecret::derive(pepper, self.id, version))
            .collect()
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is on its way, or will be tried again.
    Pending,
    /// It has arrived.
    Delivered,
    /// It was given up.
    Failed,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// There is no such state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such state of a delivery")]
pub struct InvalidState;

impl FromStr for State {
    type Err = InvalidState;

    fn from_str(text: &str) -> Result<Self, InvalidState> {
        let all = [Self::Pending, Self::Delivered, Self::Failed];
        all.into_iter().find(|state| state.as_str() == text).ok_or(InvalidState)
    }
}

/// One message for one webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id, which the receiver knows it by, too.
    pub id: Id<id::WebhookDelivery>,
    /// The webhook.
    pub webhook: Id<id::Webhook>,
    /// What happened.
    pub event_type: String,
    /// What is said.
    pub body: String,
    /// What became of it.
    pub state: State,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it will be tried at most from here on.
    pub attempts_left: i64,
    /// What the receiver answered last.
    pub last_status: Option<i64>,
    /// Why the last attempt failed.
    pub last_failure: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last tried.
    pub attempted_at: Option<Timestamp>,
    /// When it will be tried again.
    pub next_at: Option<Timestamp>,
}

/// What to register.
#[derive(Debug)]
pub struct NewWebhook {
    /// Where it is.
    pub target: Target,
    /// What it is for.
    pub description: WebhookDescription,
    /// What it wants to hear of.
    pub event_types: Vec<EventType>,
    /// Whether it is told anything.
    pub is_enabled: bool,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// Where it is.
    pub target: Option<Target>,
    /// What it is for.
    pub description: Option<WebhookDescription>,
    /// What it wants to hear of.
    pub event_types: Option<Vec<EventType>>,
    /// Whether it is told anything.
    pub is_enabled: Option<bool>,
}

/// A webhook with the only copy of its secret.
#[derive(Debug)]
pub struct Issued {
    /// The webhook.
    pub webhook: Webhook,
    /// Its secret, to be shown once.
    pub secret: SigningSecret,
}

const NOT_FOUND: Error = Error::NotFound { what: "Webhook" };

/// Lists the webhooks of the admin's organization, oldest first.
pub async fn list(tx: &mut Tx, admin: &Admin) -> Result<Vec<Webhook>> {
    store::list(tx, admin.org()).await
}

/// One webhook of the admin's organization.
pub async fn get(tx: &mut Tx, admin: &Admin, id: Id<id::Webhook>) -> Result<Webhook> {
    find(tx, admin.org(), id).await
}

async fn find(tx: &mut Tx, org: OrgNumber, id: Id<id::Webhook>) -> Result<Webhook> {
    store::find(tx, org, id).await?.ok_or(NOT_FOUND)
}

/// Registers a webhook and makes its secret.
pub async fn create(
    tx: &mut Tx,
    admin: &Admin,
    pepper: &Pepper,
    new: NewWebhook,
) -> Result<Issued> {
    store::lock(tx, admin.org()).await?;
    if store::list(tx, admin.org()).await?.len() >= MOST {
        return Err(Error::forbidden(format!(
            "This organization has {MOST} webhooks already. Delete one first."
        )));
    }
    let webhook = Webhook {
        id: tx.new_id(),
        url: new.target.as_str().to_owned(),
        description: new.description,
        event_types: new.event_types,
        is_enabled: new.is_enabled,
        disabled_reason: None,
        version: 1,
        previous_until: None,
        pepper: pepper.id().to_string(),
        previous_pepper: None,
        failing_since: None,
        created_at: tx.now(),
        modified_at: tx.now(),
    };
    store::insert(tx, admin.caller(), &webhook).await?;
    let detail = json!({"to": new.target.origin(), "is_enabled": webhook.is_enabled,
                        "event_types": words(&webhook.event_types)});
    record(tx, admin.caller(), Action::WebhookCreated, &webhook, detail).await?;
    let secret = SigningSecret::derive(pepper, webhook.id, webhook.version);
    Ok(Issued { webhook, secret })
}

/// Changes a webhook. Switching it on again forgets that nothing arrived.
pub async fn update(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::Webhook>,
    changes: Changes,
) -> Result<Webhook> {
    store::lock(tx, admin.org()).await?;
    let mut webhook = find(tx, admin.org(), id).await?;
    let mut touched = Vec::new();
    let url = changes.target.map(|target| target.as_str().to_owned());
    set(&mut webhook.url, url, "url", &mut touched);
    let description = changes.description;
    set(&mut webhook.description, description, "description", &mut touched);
    let types = changes.event_types;
    set(&mut webhook.event_types, types, "event_types", &mut touched);
    set(&mut webhook.is_enabled, changes.is_enabled, "is_enabled", &mut touched);
    if touched.is_empty() {
        return Ok(webhook);
    }
    if webhook.is_enabled {
        (webhook.failing_since, webhook.disabled_reason) = (None, None);
    }
    webhook.modified_at = tx.now();
    store::update(tx, admin.org(), &webhook).await?;
    let detail = json!({"changed": touched, "is_enabled": webhook.is_enabled});
    record(tx, admin.caller(), Action::WebhookChanged, &webhook, detail).await?;
    Ok(webhook)
}

/// Replaces the secret of a webhook. For another `grace` messages are signed with both.
pub async fn rotate(
    tx: &mut Tx,
    admin: &Admin,
    pepper: &Pepper,
    id: Id<id::Webhook>,
    grace: Duration,
) -> Result<Issued> {
    store::lock(tx, admin.org()).await?;
    let mut webhook = find(tx, admin.org(), id).await?;
    webhook.version += 1;
    let before = std::mem::replace(&mut webhook.pepper, pepper.id().to_string());
    webhook.previous_pepper = Some(before);
    webhook.previous_until = (!grace.is_zero()).then(|| tx.now().after(grace));
    webhook.modified_at = tx.now();
    store::update(tx, admin.org(), &webhook).await?;
    let detail = json!({"version": webhook.version, "grace_seconds": grace.as_secs()});
    record(tx, admin.caller(), Action::WebhookRotated, &webhook, detail).await?;
    let secret = SigningSecret::derive(pepper, id, webhook.version);
    Ok(Issued { webhook, secret })
}

/// Deletes a webhook, with what was to be told.
pub async fn delete(tx: &mut Tx, admin: &Admin, id: Id<id::Webhook>) -> Result<()> {
    store::lock(tx, admin.org()).await?;
    let webhook = find(tx, admin.org(), id).await?;
    store::delete(tx, admin.org(), id).await?;
    record(tx, admin.caller(), Action::WebhookDeleted, &webhook, json!({})).await
}

/// Sends a message that tells nothing, so that somebody sees whether it arrives.
pub async fn ping(tx: &mut Tx, admin: &Admin, id: Id<id::Webhook>) -> Result<Delivery> {
    let webhook = find(tx, admin.org(), id).await?;
    if !webhook.is_enabled {
        return Err(Error::Conflict { detail: "The webhook is switched off. Switch it on first." });
    }
    events::queue_ping(tx, admin.caller(), &webhook).await
}

/// The newest deliveries of a webhook, newest first; of one state if `state` says so.
pub async fn deliveries(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::Webhook>,
    state: Option<State>,
) -> Result<Vec<Delivery>> {
    find(tx, admin.org(), id).await?;
    store::deliveries(tx, admin.org(), id, state, 100).await
}

/// Has a message sent again that arrived or was given up.
pub async fn redeliver(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::Webhook>,
    delivery: Id<id::WebhookDelivery>,
) -> Result<Delivery> {
    let webhook = find(tx, admin.org(), id).await?;
    let found = store::find_delivery(tx, admin.org(), delivery).await?;
    let found = found.filter(|found| found.webhook == id);
    let found = found.ok_or(Error::NotFound { what: "Delivery" })?;
    if !webhook.is_enabled {
        return Err(Error::Conflict { detail: "The webhook is switched off. Switch it on first." });
    }
    if !store::begin_again(tx, admin.org(), &found, deliver::ATTEMPTS).await? {
        return Err(Error::Conflict { detail: "The delivery is still under way." });
    }
    deliver::enqueue(tx, admin.org(), delivery, found.attempts, None).await?;
    let detail = json!({"delivery": delivery.to_string(), "event_type": found.event_type});
    record(tx, admin.caller(), Action::WebhookRedelivered, &webhook, detail).await?;
    store::find_delivery(tx, admin.org(), delivery).await?.ok_or(NOT_FOUND)
}

fn words(types: &[EventType]) -> Vec<&str> {
    types.iter().map(EventType::as_str).collect()
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    webhook: &Webhook,
    mut detail: serde_json::Value,
) -> Result<()> {
    detail["description"] = webhook.description.as_str().into();
    audit_log::record(tx, caller, action, Subject::new("webhook", &webhook.id), detail).await
}
