//! `/api/v1/unstract/{org}/webhooks/`

use std::{str::FromStr, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue, StatusCode},
};
use keydock_core::{
    id::{self, Id},
    text::WebhookDescription,
};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    webhooks as wire,
};
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Changes, Delivery, EventType, Issued, MAX_GRACE, NewWebhook, Webhook};
use crate::{
    App, Error, FieldError, Result,
    access::Admin,
    outbound::Target,
    web::{Fields, NO_STORE},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(rotate))
        .routes(routes!(ping))
        .routes(routes!(deliveries))
        .routes(routes!(redeliver))
}

type Uncached<T> = ([(HeaderName, HeaderValue); 1], T);

/// How long both secrets are signed with if nobody says otherwise.
const GRACE: Duration = Duration::from_hours(24);

/// List webhooks
///
/// All webhooks of the organization, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/webhooks/",
    tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = Vec<wire::Webhook>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn list(admin: Admin, State(app): State<App>) -> Result<Json<Vec<wire::Webhook>>> {
    let webhooks = app.read(async |tx| super::list(tx, &admin).await).await?;
    Ok(Json(webhooks.into_iter().map(Into::into).collect()))
}

/// Register a webhook
///
/// At most 20. The answer shows the secret, for the only time. Messages and signatures are those of
/// Standard Webhooks.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/webhooks/",
    tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::CreateWebhook,
    responses(
        (status = 201, body = wire::IssuedWebhook),
        (status = 400, body = ErrorEnvelope, description = "A field is wrong, or the address may not be called"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or there are 20"),
    )
)]
async fn create(
    admin: Admin,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<wire::IssuedWebhook>>)> {
    if !fields.has("url") {
        fields.reject(FieldError::required("url"));
    }
    let target = target(&app, &mut fields);
    let event_types = event_types(&mut fields);
    let description = fields.text_opt::<WebhookDescription>("description");
    let is_enabled = fields.bool_opt("is_enabled").unwrap_or(true);
    fields.finish()?;
    let target = target.ok_or_else(|| FieldError::required("url"))?;
    let everything = || "*".parse().map(|every| vec![every]).map_err(Error::internal);
    let new = NewWebhook {
        target,
        description: description.map_or_else(|| "".parse().map_err(Error::internal), Ok)?,
        event_types: event_types.map_or_else(everything, Ok)?,
        is_enabled,
    };
    let issued = app.write(async |tx| super::create(tx, &admin, app.pepper(), new).await).await?;
    Ok((StatusCode::CREATED, ([NO_STORE], Json(issued.into()))))
}

fn target(app: &App, fields: &mut Fields) -> Option<Target> {
    let text = fields.string_opt("url")?;
    let target = app.outbound().target(text.trim());
    target.map_err(|blocked| fields.reject(FieldError::invalid("url", blocked.to_string()))).ok()
}

fn event_types(fields: &mut Fields) -> Option<Vec<EventType>> {
    let read = |value: Value| -> Result<Vec<EventType>, String> {
        let Value::Array(values) = value else { return Err("Send a list of types.".to_owned()) };
        if values.is_empty() {
            return Err("Name at least one type, or \"*\" for all.".to_owned());
        }
        let mut types: Vec<EventType> = Vec::new();
        for value in values {
            let text = value.as_str().unwrap_or_default();
            let one = EventType::from_str(text).map_err(|error| {
                let known = super::types().join(", ");
                let text: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
                format!("\"{text}\": {error} Send some of: *, {known}; or all of a kind: deployment_key.*")
            })?;
            if !types.contains(&one) {
                types.push(one);
            }
        }
        Ok(types)
    };
    let value = fields.take("event_types")?;
    read(value).map_err(|detail| fields.reject(FieldError::invalid("event_types", detail))).ok()
}

/// Get a webhook
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/webhooks/{id}/",
    tag = "Webhooks",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The webhook")
    ),
    responses(
        (status = 200, body = wire::Webhook),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::Webhook>> {
    let id = id.parse()?;
    let webhook = app.read(async |tx| super::get(tx, &admin, id).await).await?;
    Ok(Json(webhook.into()))
}

/// Change a webhook
///
/// Switching it on again forgets that nothing arrived.
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/webhooks/{id}/",
    tag = "Webhooks",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The webhook")
    ),
    request_body = wire::ChangeWebhook,
    responses(
        (status = 200, body = wire::Webhook),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn change(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Json<wire::Webhook>> {
    let changes = Changes {
        target: target(&app, &mut fields),
        event_types: event_types(&mut fields),
        description: fields.text_opt("description"),
        is_enabled: fields.bool_opt("is_enabled"),
    };
    fields.finish()?;
    let id = id.parse()?;
    let webhook = app.write(async |tx| super::update(tx, &admin, id, changes).await).await?;
    Ok(Json(webhook.into()))
}

/// Delete a webhook
///
/// With what it was still to be told.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/webhooks/{id}/",
    tag = "Webhooks",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The webhook")
    ),
    responses(
        (status = 204),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn delete(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let id = id.parse()?;
    app.write(async |tx| super::delete(tx, &admin, id).await).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate the secret of a webhook
///
/// The answer shows the new secret, for the only time. For `grace_seconds` messages are signed with
/// both, so that receivers can change over without losing any.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/webhooks/{id}/rotate/",
    tag = "Webhooks",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The webhook")
    ),
    request_body = wire::RotateWebhook,
    responses(
        (status = 200, body = wire::IssuedWebhook),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn rotate(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Uncached<Json<wire::IssuedWebhook>>> {
    let seconds = fields.int_opt("grace_seconds");
    let grace =
        seconds.map_or(Some(GRACE), |some| u64::try_from(some).ok().map(Duration::from_secs));
    let grace = grace.filter(|grace| *grace <= MAX_GRACE);
    if grace.is_none() {
        let detail = format!("Send 0 to {} seconds.", MAX_GRACE.as_secs());
        fields.reject(FieldError::invalid("grace_seconds", detail));
    }
    fields.finish()?;
    let grace = grace.unwrap_or(GRACE);
    let id = id.parse()?;
    let issued =
        app.write(async |tx| super::rotate(tx, &admin, app.pepper(), id, grace).await).await?;
    Ok(([NO_STORE], Json(issued.into())))
}

/// Send a test message
///
/// Of the type `webhook.ping`, which tells nothing.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/webhooks/{id}/ping/",
    tag = "Webhooks",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The webhook")
    ),
    responses(
        (status = 202, body = wire::WebhookDelivery),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
        (status = 409, body = ErrorEnvelope, description = "It is switched off"),
    )
)]
async fn ping(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<(StatusCode, Json<wire::WebhookDelivery>)> {
    let id = id.parse()?;
    let delivery = app.write(async |tx| super::ping(tx, &admin, id).await).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// What of a list of deliveries is asked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    state: String,
}

/// List deliveries of a webhook
///
/// The newest hundred, newest first; with `state=failed` those that were given up. They are kept for
/// two weeks.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/webhooks/{id}/deliveries/",
    tag = "Webhooks",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The webhook"),
        ("state" = Option<String>, Query, description = "`pending`, `delivered` or `failed`")
    ),
    responses(
        (status = 200, body = Vec<wire::WebhookDelivery>),
        (status = 400, body = ErrorEnvelope, description = "There is no such state"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn deliveries(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<wire::WebhookDelivery>>> {
    let state = match wanted.state.as_str() {
        "" => None,
        word => Some(
            word.parse()
                .map_err(|_| FieldError::invalid("state", "Send pending, delivered or failed."))?,
        ),
    };
    let id = id.parse()?;
    let found = app.read(async |tx| super::deliveries(tx, &admin, id, state).await).await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// Deliver a message again
///
/// One that was given up, or that arrived and was lost. It has the same `webhook-id` as before.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/webhooks/{id}/deliveries/{delivery}/redeliver/",
    tag = "Webhooks",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The webhook"),
        ("delivery" = String, Path, description = "The delivery")
    ),
    responses(
        (status = 202, body = wire::WebhookDelivery),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
        (status = 409, body = ErrorEnvelope, description = "It is under way, or the webhook is off"),
    )
)]
async fn redeliver(
    admin: Admin,
    State(app): State<App>,
    Path((_, id, delivery)): Path<(String, String, String)>,
) -> Result<(StatusCode, Json<wire::WebhookDelivery>)> {
    let (id, delivery): (Id<id::Webhook>, Id<id::WebhookDelivery>) =
        (id.parse()?, delivery.parse()?);
    let again = app.write(async |tx| super::redeliver(tx, &admin, id, delivery).await).await?;
    Ok((StatusCode::ACCEPTED, Json(again.into())))
}

impl From<Webhook> for wire::Webhook {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id.to_string(),
            url: webhook.url,
            description: webhook.description.to_string(),
            event_types: webhook.event_types.iter().map(ToString::to_string).collect(),
            is_enabled: webhook.is_enabled,
            disabled_reason: webhook.disabled_reason,
            version: webhook.version,
            previous_secret_until: webhook.previous_until.map(|at| at.to_string()),
            failing_since: webhook.failing_since.map(|at| at.to_string()),
            created_at: webhook.created_at.to_string(),
            modified_at: webhook.modified_at.to_string(),
        }
    }
}

impl From<Issued> for wire::IssuedWebhook {
    fn from(issued: Issued) -> Self {
        Self { webhook: issued.webhook.into(), secret: issued.secret.reveal() }
    }
}

impl From<Delivery> for wire::WebhookDelivery {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_type: delivery.event_type,
            state: delivery.state.as_str().to_owned(),
            attempts: delivery.attempts,
            attempts_left: delivery.attempts_left,
            last_status: delivery.last_status,
            last_failure: delivery.last_failure,
            created_at: delivery.created_at.to_string(),
            attempted_at: delivery.attempted_at.map(|at| at.to_string()),
            next_attempt_at: delivery.next_at.map(|at| at.to_string()),
            body: serde_json::from_str(&delivery.body).unwrap_or(Value::Null),
        }
    }
}
