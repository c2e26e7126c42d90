//! `/api/v1/unstract/{org}/platform/keys/` and `whoami` (CONTRACT 2.2, 3.7)

use axum::{
    Json,
    extract::{Path, State},
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use keydock_core::{
    id::{self, Id},
    secret::SecretKey,
};
use keydock_wire::{
    audit_log::AuditEvent,
    errors::{ErrorEnvelope, RefusalBody},
    keys::{KeyUsage, SettleRotation},
    platform_keys as wire,
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Issued, NewKey, PlatformKey};
use crate::{
    App, Error, FieldError, Result,
    access::{Admin, KeyHolder, Once},
    audit_log::{self, Filter},
    keys::{
        self,
        api::{Uncached, masked, overlap},
    },
    web::{Fields, Head, NO_STORE},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, generate, refresh))
        .routes(routes!(get, toggle, delete))
        .routes(routes!(verify))
        .routes(routes!(usage))
        .routes(routes!(settle))
        .routes(routes!(audit))
        .routes(routes!(whoami))
}

/// List platform keys
///
/// Both keys of the organization, oldest first, with their secrets masked.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform/keys/",
    tag = "Platform keys",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = Vec<wire::PlatformKey>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn list(admin: Admin, State(app): State<App>) -> Result<Json<Vec<wire::PlatformKey>>> {
    let keys = app.read(async |tx| super::list(tx, &admin).await).await?;
    Ok(Json(keys.into_iter().map(Into::into).collect()))
}

/// Generate a platform key
///
/// In the first free slot. The answer shows the secret, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/platform/keys/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = wire::GeneratePlatformKey,
    responses(
        (status = 201, body = wire::GeneratedPlatformKey),
        (status = 400, body = ErrorEnvelope, description = "A field is wrong, or the name is taken"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or both slots are taken"),
    )
)]
async fn generate(
    admin: Admin,
    State(app): State<App>,
    once: Once,
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<Value>>)> {
    let doing = once.by(admin.caller(), &fields, &app);
    let is_active = fields.bool_opt("is_active").unwrap_or(false);
    let name = fields.text_opt("key_name");
    fields.finish()?;
    let new = NewKey { name, is_active };
    let shown = doing.once(async |tx| {
        let issued = super::generate(tx, &admin, app.minting(), new).await?;
        Ok((issued.key.id.widen(), generated(issued)))
    });
    Ok((StatusCode::CREATED, ([NO_STORE], Json(shown.await?))))
}

/// Refresh a platform key
///
/// Replaces the secret and keeps the key. The old secret stops working before the answer is written,
/// or after `grace_seconds`.
#[utoipa::path(
    put,
    path = "/api/v1/unstract/{org}/platform/keys/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = wire::RefreshPlatformKey,
    responses(
        (status = 201, body = wire::RefreshedPlatformKey),
        (status = 400, description = "`id` is missing, or `grace_seconds` is wrong"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn refresh(
    admin: Admin,
    State(app): State<App>,
    once: Once,
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<Value>>)> {
    let doing = once.by(admin.caller(), &fields, &app);
    let id = fields.string_opt("id").ok_or(Error::MissingField { field: "id" })?;
    let overlap = overlap(&mut fields);
    fields.ignore(&["key_name"]);
    fields.finish()?;
    let id: Id<id::PlatformKey> = id.trim().parse()?;
    let shown = doing.once(async |tx| {
        let issued = super::refresh(tx, &admin, app.minting(), id, overlap).await?;
        Ok((issued.key.id.widen(), refreshed(issued)))
    });
    Ok((StatusCode::CREATED, ([NO_STORE], Json(shown.await?))))
}

/// Get a platform key
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform/keys/{id}/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    responses(
        (status = 200, body = wire::PlatformKey),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::PlatformKey>> {
    let id = id.parse()?;
    let key = app.read(async |tx| super::get(tx, &admin, id).await).await?;
    Ok(Json(key.into()))
}

/// Activate or deactivate a platform key
///
/// Activating one deactivates the other in the same instant. Doing it twice is the same as once.
#[utoipa::path(
    put,
    path = "/api/v1/unstract/{org}/platform/keys/{id}/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = wire::TogglePlatformKey,
    responses(
        (status = 201, body = wire::Message),
        (status = 400, description = "`action` is missing or unknown"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn toggle(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<(StatusCode, Json<wire::Message>)> {
    let action = fields.string_opt("action").ok_or(Error::MissingField { field: "action" })?;
    fields.finish()?;
    let id = id.parse()?;
    match action.as_str() {
        "ACTIVATE" => app.write(async |tx| super::activate(tx, &admin, id).await).await?,
        "DEACTIVATE" => app.write(async |tx| super::deactivate(tx, &admin, id).await).await?,
        other => return Err(unknown_action(other)),
    }
    let message = "Platform key toggled successfully".to_owned();
    Ok((StatusCode::CREATED, Json(wire::Message { message })))
}

fn unknown_action(action: &str) -> Error {
    let action: String = action.chars().take(64).collect();
    FieldError::new(
        "action",
        "invalid_choice",
        format!("Invalid action: {action}. Send ACTIVATE or DEACTIVATE."),
    )
    .into()
}

/// Delete a platform key
///
/// Active or not; nothing takes its place.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/platform/keys/{id}/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
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

/// Compare a secret with a platform key
///
/// For somebody who found a secret and wonders whether it is this key's current one.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/platform/keys/{id}/verify/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = wire::VerifyPlatformKey,
    responses(
        (status = 200, body = wire::PlatformKeyMatch),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn verify(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Uncached<Json<wire::PlatformKeyMatch>>> {
    let text = fields.string("key");
    fields.finish()?;
    let id = id.parse()?;
    let text = text.unwrap_or_default();
    let Ok(secret) = SecretKey::parse(text.trim()) else {
        return Ok(([NO_STORE], Json(wire::PlatformKeyMatch { matches: false })));
    };
    let matches = app
        .read(async |tx| super::is_secret_of(tx, &admin, app.peppers(), id, &secret).await)
        .await?;
    Ok(([NO_STORE], Json(wire::PlatformKeyMatch { matches })))
}

/// Show who uses a platform key
///
/// Which of its secrets was used by whom, when, from where and how often. Look here before an old
/// secret ends or a key goes.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform/keys/{id}/usage/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    responses(
        (status = 200, body = KeyUsage),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn usage(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<KeyUsage>> {
    let id = id.parse()?;
    keys::api::write_down_uses(&app, admin.org(), id).await?;
    let meter = app.read(async |tx| super::meter(tx, &admin, id).await).await?;
    Ok(keys::api::meter(meter))
}

/// Take back the rotation of a platform key, or end its overlap
///
/// While the old secret still works: `undo` makes it the only one again, `finish` ends it. Either is in
/// effect before the answer is written.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/platform/keys/{id}/rotation/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = SettleRotation,
    responses(
        (status = 200, body = wire::PlatformKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
        (status = 409, body = ErrorEnvelope, description = "No old secret works any more"),
    )
)]
async fn settle(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Result<Json<wire::PlatformKey>> {
    let id = id.parse()?;
    let how = keys::api::settle(fields)?;
    let key = app.write(async |tx| super::settle(tx, &admin, id, how).await).await?;
    Ok(Json(key.into()))
}

/// Show what was done to platform keys
///
/// The newest hundred events, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform/keys/audit/",
    tag = "Platform keys",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = Vec<AuditEvent>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
    )
)]
async fn audit(admin: Admin, State(app): State<App>) -> Result<Json<Vec<AuditEvent>>> {
    let filter = Filter { subject: "platform_key".to_owned(), ..Filter::default() };
    let (_, events) =
        app.read(async |tx| audit_log::list(tx, &admin, &filter, 0, 100).await).await?;
    Ok(Json(events.into_iter().map(audit_log::api::event).collect()))
}

/// Tell whose key this is
///
/// Takes any key of a whole organization.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/whoami/",
    tag = "Identity",
    responses((status = 200, body = wire::WhoAmI), (status = 401, body = RefusalBody))
)]
async fn whoami(State(app): State<App>, mut parts: Parts) -> Result<Response> {
    KeyHolder::counted(&mut parts, &app, tell).await
}

/// Where [`whoami`] is.
const WHOAMI: &str = "/api/v1/unstract/whoami/";

/// Answers [`whoami`] in front of the router, which costs more than verifying the key: this is what
/// gateways and health checks ask before everything else.
pub(crate) fn whoami_at_once(method: &Method, head: Head<'_>, app: &App) -> Option<Response> {
    if *method != Method::GET || head.uri.path() != WHOAMI {
        return None;
    }
    KeyHolder::at_once(head, app, tell).unwrap_or_else(|error| Some(error.into_response()))
}

fn tell(holder: KeyHolder<'_>) -> Response {
    let answer = wire::WhoAmI {
        organization_id: holder.org().name.as_str().into(),
        organization_name: holder.org().title.as_str().into(),
        permission: holder.tier().as_str().into(),
        key_name: holder.key_name().into(),
    };
    Json(answer).into_response()
}

impl From<PlatformKey> for wire::PlatformKey {
    fn from(key: PlatformKey) -> Self {
        Self {
            disabled_reason: keys::api::disabled_reason(&key),
            dormancy_warned_at: key.noted.dormancy_warned_at.map(|at| at.to_string()),
            id: key.id.to_string(),
            key_name: key.kind.name.to_string(),
            key: masked(&key.last_four),
            is_active: key.is_active,
            slot: key.kind.slot.number(),
            version: key.version,
            created_at: key.created_at.to_string(),
            modified_at: key.modified_at.to_string(),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            last_used_ip: key.last_used_ip,
            last_used_agent: key.last_used_agent,
            use_count: key.use_count,
            previous_secret_until: key.previous_until.map(|at| at.to_string()),
            created_by_email: key.created_by_email,
            fingerprint: key.fingerprint,
        }
    }
}

fn generated(issued: Issued) -> wire::GeneratedPlatformKey {
    wire::GeneratedPlatformKey {
        id: issued.key.id.to_string(),
        key: issued.secret.reveal(),
        key_name: issued.key.kind.name.to_string(),
        is_active: issued.key.is_active,
        created_at: issued.key.created_at.to_string(),
        organization: None,
        created_by: None,
        modified_by: None,
    }
}

fn refreshed(issued: Issued) -> wire::RefreshedPlatformKey {
    wire::RefreshedPlatformKey {
        id: issued.key.id.to_string(),
        key_name: issued.key.kind.name.to_string(),
        previous_secret_until: issued.key.previous_until.map(|at| at.to_string()),
        key: issued.secret.reveal(),
    }
}
