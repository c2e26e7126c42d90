//! `/api/v1/unstract/{org}/platform/keys/` and `whoami` (CONTRACT 2.2, 3.7)

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use keydock_core::{
    id::{self, Id},
    secret::SecretKey,
};
use keydock_wire::{
    audit_log::AuditEvent,
    errors::{ErrorEnvelope, RefusalBody},
    platform_keys as wire,
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Issued, MAX_GRACE, NewKey, PlatformKey};
use crate::{
    App, Error, FieldError, Result,
    access::{Admin, KeyHolder},
    audit_log::{self, Filter},
    web::{Fields, Head, NO_STORE},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, generate, refresh))
        .routes(routes!(get, toggle, delete))
        .routes(routes!(verify))
        .routes(routes!(usage))
        .routes(routes!(audit))
        .routes(routes!(whoami))
}

type Uncached<T> = ([(HeaderName, HeaderValue); 1], T);

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
    params(("org" = String, Path, description = "The organization's name")),
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
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<wire::GeneratedPlatformKey>>)> {
    let is_active = fields.bool_opt("is_active").unwrap_or(false);
    let name = fields.text_opt("key_name");
    fields.finish()?;
    let new = NewKey { name, is_active };
    let issued =
        app.write(async |tx| super::generate(tx, &admin, app.minting(), new).await).await?;
    Ok((StatusCode::CREATED, ([NO_STORE], Json(generated(issued)))))
}

/// Refresh a platform key
///
/// Replaces the secret and keeps the key. The old secret stops working before the answer is written,
/// or after `grace_seconds`.
#[utoipa::path(
    put,
    path = "/api/v1/unstract/{org}/platform/keys/",
    tag = "Platform keys",
    params(("org" = String, Path, description = "The organization's name")),
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
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<wire::RefreshedPlatformKey>>)> {
    let id = fields.string_opt("id").ok_or(Error::MissingField { field: "id" })?;
    let grace = grace(&mut fields);
    fields.ignore(&["key_name"]);
    fields.finish()?;
    let id: Id<id::PlatformKey> = id.trim().parse()?;
    let issued =
        app.write(async |tx| super::refresh(tx, &admin, app.minting(), id, grace).await).await?;
    Ok((StatusCode::CREATED, ([NO_STORE], Json(refreshed(issued)))))
}

/// Reads how long the old secret of a key shall still work.
pub(crate) fn grace(fields: &mut Fields) -> Duration {
    let seconds = fields.int_opt("grace_seconds").unwrap_or(0);
    let Ok(seconds) = u64::try_from(seconds) else {
        fields.reject(FieldError::new(
            "grace_seconds",
            "min_value",
            "Ensure this value is greater than or equal to 0.",
        ));
        return Duration::ZERO;
    };
    if seconds > MAX_GRACE.as_secs() {
        let most = MAX_GRACE.as_secs();
        fields.reject(FieldError::new(
            "grace_seconds",
            "max_value",
            format!("Ensure this value is less than or equal to {most}."),
        ));
    }
    Duration::from_secs(seconds)
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
        .read(async |tx| super::is_secret_of(tx, &admin, app.pepper(), id, &secret).await)
        .await?;
    Ok(([NO_STORE], Json(wire::PlatformKeyMatch { matches })))
}

/// Show how a platform key is used
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform/keys/{id}/usage/",
    tag = "Platform keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    responses(
        (status = 200, description = "`use_count`, `last_used_at`, `last_used_ip`"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn usage(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>> {
    let id = id.parse()?;
    let key = app.read(async |tx| super::get(tx, &admin, id).await).await?;
    Ok(Json(json!({
        "use_count": key.use_count,
        "last_used_at": key.last_used_at,
        "last_used_ip": key.last_used_ip,
    })))
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
async fn whoami(holder: KeyHolder) -> Response {
    tell(&holder)
}

/// Where [`whoami`] is.
const WHOAMI: &str = "/api/v1/unstract/whoami/";

/// Answers [`whoami`] in front of the router, which costs more than verifying the key: this is what
/// gateways and health checks ask before everything else.
pub(crate) fn whoami_at_once(method: &Method, head: Head<'_>, app: &App) -> Option<Response> {
    if *method != Method::GET || head.uri.path() != WHOAMI {
        return None;
    }
    Some(match KeyHolder::of(head, app) {
        Ok(holder) => tell(&holder),
        Err(error) => error.into_response(),
    })
}

fn tell(holder: &KeyHolder) -> Response {
    let answer = wire::WhoAmI {
        organization_id: holder.org().name.as_str().into(),
        organization_name: holder.org().title.as_str().into(),
        permission: holder.tier().as_str().into(),
        key_name: holder.key_name().into(),
    };
    Json(answer).into_response()
}

/// What stands in place of a secret: its last four characters.
pub(crate) fn masked(last_four: &str) -> String {
    format!("********-****-****-****-********{last_four}")
}

impl From<PlatformKey> for wire::PlatformKey {
    fn from(key: PlatformKey) -> Self {
        Self {
            id: key.id.to_string(),
            key_name: key.name.to_string(),
            key: masked(&key.last_four),
            is_active: key.is_active,
            slot: key.slot.number(),
            version: key.version,
            created_at: key.created_at.to_string(),
            modified_at: key.modified_at.to_string(),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            last_used_ip: key.last_used_ip,
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
        key_name: issued.key.name.to_string(),
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
        key_name: issued.key.name.to_string(),
        previous_secret_until: issued.key.previous_until.map(|at| at.to_string()),
        key: issued.secret.reveal(),
    }
}
