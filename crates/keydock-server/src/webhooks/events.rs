//! What webhooks tell of, and how it is put.

use std::{fmt, str::FromStr};

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde_json::{Value, json};

use super::{Delivery, NOT_FOUND, State, Webhook, deliver, store};
use crate::{
    Error, Result,
    access::Caller,
    audit_log::{self, Action, Happened, KeyVerb},
    keys::subject_kind,
};

/// What is told of, beside `webhook.ping`: everything that can happen to a key of any kind.
pub fn types() -> Vec<String> {
    let of_kind = |kind: KeyKind| {
        let type_of = move |verb| type_of(subject_kind(kind), Action::Key(kind, verb).as_str());
        KeyVerb::ALL.into_iter().filter_map(type_of)
    };
    KeyKind::ALL.into_iter().flat_map(of_kind).collect()
}

/// The message that only shows whether messages arrive.
const PING: &str = "webhook.ping";

/// Events that a webhook wants: one type, `platform_key.*` for all of one kind of key, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType(String);

/// There are no such events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("There is no such type of event.")]
pub struct InvalidEventType;

impl EventType {
    /// The word for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn wants(&self, event_type: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => event_type.starts_with(beginning),
            None => self.0 == event_type,
        }
    }
}

impl FromStr for EventType {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, InvalidEventType> {
        let types = types();
        let is_family = text.strip_suffix(".*").is_some_and(|family| {
            types.iter().any(|known| known.split_once('.').is_some_and(|(of, _)| of == family))
        });
        if text == "*" || is_family || types.iter().any(|known| known == text) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidEventType)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The type of an event of the audit log about something: of `platform_key_deleted` about a
/// `platform_key` it is `platform_key.deleted`.
fn type_of(subject: &str, action: &str) -> Option<String> {
    let what = action.strip_prefix(subject)?.strip_prefix('_')?;
    Some(format!("{subject}.{what}"))
}

/// Writes down what is to be told of this transaction, in this transaction.
pub(crate) async fn write_down(tx: &mut Tx) -> Result<()> {
    for note in tx.take_notes(audit_log::KEY_EVENTS) {
        let happened: Happened = serde_json::from_str(&note).map_err(Error::internal)?;
        let Some(event_type) = type_of(&happened.subject_kind, &happened.action) else { continue };
        let wanting = store::list(tx, happened.org).await?.into_iter().filter(|webhook| {
            webhook.is_enabled && webhook.event_types.iter().any(|some| some.wants(&event_type))
        });
        let body = body(&event_type, tx.new_id(), &happened, tx.now());
        for webhook in wanting.collect::<Vec<_>>() {
            queue(tx, happened.org, webhook.id, &event_type, &body).await?;
        }
    }
    Ok(())
}

fn body(event_type: &str, id: Id<id::WebhookEvent>, happened: &Happened, at: Timestamp) -> String {
    let detail = &happened.detail;
    let name = detail.get("key_name").or_else(|| detail.get("description"));
    json!({
        "type": event_type,
        "id": id.to_string(),
        "timestamp": at,
        "data": {
            "organization": {"id": happened.org_name, "title": happened.org_title},
            "subject": {
                "kind": happened.subject_kind,
                "id": happened.subject_id,
                "name": name,
                "last_four": detail.get("last_four"),
            },
            "actor": {
                "kind": happened.actor_kind,
                "id": happened.actor_id,
                "name": happened.actor_name,
            },
            "ip": happened.ip,
            "detail": detail,
        },
    })
    .to_string()
}

pub(super) async fn queue_ping(
    tx: &mut Tx,
    caller: &Caller,
    webhook: &Webhook,
) -> Result<Delivery> {
    let body = json!({
        "type": PING,
        "id": tx.new_id::<id::WebhookEvent>().to_string(),
        "timestamp": tx.now(),
        "data": {
            "organization": {"id": caller.org.name.as_str(), "title": caller.org.title.as_str()},
            "webhook": {"id": webhook.id.to_string(), "description": webhook.description.as_str()},
        },
    });
    let org = caller.org.number;
    let id = queue(tx, org, webhook.id, PING, &body.to_string()).await?;
    store::find_delivery(tx, org, id).await?.ok_or(NOT_FOUND)
}

async fn queue(
    tx: &mut Tx,
    org: OrgNumber,
    webhook: Id<id::Webhook>,
    event_type: &str,
    body: &str,
) -> Result<Id<id::WebhookDelivery>> {
    let delivery = Delivery {
        id: tx.new_id(),
        webhook,
        event_type: event_type.to_owned(),
        body: body.to_owned(),
        state: State::Pending,
        attempts: 0,
        attempts_left: deliver::ATTEMPTS,
        last_status: None,
        last_failure: None,
        created_at: tx.now(),
        attempted_at: None,
        next_at: Some(tx.now()),
    };
    store::insert_delivery(tx, org, &delivery).await?;
    deliver::enqueue(tx, org, delivery.id, 0, None).await?;
    Ok(delivery.id)
}

/// A list of types as it is stored.
pub(super) fn to_json(types: &[EventType]) -> String {
    types.iter().map(EventType::as_str).collect::<Value>().to_string()
}

/// Such a list, read again.
pub(super) struct Stored(pub(super) Vec<EventType>);

impl FromStr for Stored {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        let words: Vec<String> = serde_json::from_str(text)?;
        Ok(Self(words.into_iter().map(EventType).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_hears_of_what_it_wants() {
        let wants = |pattern: &str, event: &str| {
            pattern.parse::<EventType>().is_ok_and(|pattern| pattern.wants(event))
        };
        assert!(wants("*", "platform_key.deleted"));
        assert!(wants("*", "mcp_key.created"), "kinds that are still to come, too");
        assert!(wants("platform_key.*", "platform_key.deleted"));
        assert!(wants("platform_key.deleted", "platform_key.deleted"));
        assert!(!wants("platform_key.deleted", "platform_key.activated"));
        assert!(!wants("platform_key.*", "deployment_key.deleted"));
        for unknown in ["", "**", "platform_key", "platform_key.*.*", "key.*", "webhook.ping"] {
            assert!(unknown.parse::<EventType>().is_err(), "{unknown}");
        }
    }

    #[test]
    fn everything_that_happens_to_keys_has_a_type() {
        let told = type_of("platform_key", "platform_key_reported_leaked");
        assert_eq!(told.as_deref(), Some("platform_key.reported_leaked"));
        assert!(types().contains(&told.unwrap()));
        assert_eq!(types().len(), KeyKind::ALL.len() * KeyVerb::ALL.len());
        assert_eq!(type_of("webhook", "platform_key_deleted"), None);
    }
}
