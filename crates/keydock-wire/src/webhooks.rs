//! Webhooks: where an organization hears of what happens to its keys.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A webhook, without its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its identifier.
    pub id: String,
    /// Where messages are sent.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// What it hears of: types such as `platform_key.deleted`, `platform_key.*` for all of one kind of
    /// key, or `*`.
    pub event_types: Vec<String>,
    /// Whether it is told anything.
    pub is_enabled: bool,
    /// Why the server itself switched it off.
    pub disabled_reason: Option<String>,
    /// How many secrets it has had.
    pub version: i64,
    /// Until when messages are signed with the secret before the last rotation, too.
    pub previous_secret_until: Option<String>,
    /// Since when nothing has arrived.
    pub failing_since: Option<String>,
    /// When it was registered. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last changed.
    pub modified_at: String,
}

// The address may hold a secret of the receiver's.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({})", self.id)
    }
}

/// A webhook with its secret. The only time that it is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What signatures are verified with: `whsec_` and Base64, as libraries for Standard Webhooks
    /// take it.
    pub secret: String,
}

impl std::fmt::Debug for IssuedWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuedWebhook({})", self.webhook.id)
    }
}

/// Registers a webhook.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateWebhook {
    /// Where messages are sent: `https`, out on the open internet.
    pub url: String,
    /// What it hears of; everything if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    /// What it is for: at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is told anything; `true` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

/// Changes a webhook; what is left out stays.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeWebhook {
    /// Where messages are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it hears of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is told anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

macro_rules! silent {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

silent!(CreateWebhook, ChangeWebhook);

/// Replaces the secret of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateWebhook {
    /// For how many seconds messages are signed with both secrets: 0 to 604800; a day if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
}

/// One message for one webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDelivery {
    /// Its identifier; the receiver sees it as `msg_…` in `webhook-id`.
    pub id: String,
    /// What happened.
    pub event_type: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it will be tried at most from here on.
    pub attempts_left: i64,
    /// What the receiver answered last.
    pub last_status: Option<i64>,
    /// Why the last attempt failed. Never holds what the receiver said.
    pub last_failure: Option<String>,
    /// When it was written. RFC 3339, UTC.
    pub created_at: String,
    /// When it was last tried.
    pub attempted_at: Option<String>,
    /// When it will be tried again.
    pub next_attempt_at: Option<String>,
    /// What is said.
    pub body: Value,
}
