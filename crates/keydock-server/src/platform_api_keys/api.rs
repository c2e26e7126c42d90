//! `/api/v1/unstract/{org}/platform-api/keys/` (CONTRACT 3.3)

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use keydock_core::role::Tier;
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    keys::{BulkDone, BulkKeys, IssuedKey, KeyUsage, RotateKey, SettleRotation},
    platform_api_keys as wire,
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Changes, NewKey, PlatformApiKey};
use crate::{
    App, FieldError, Result,
    access::{Admin, KeyRotator, Once},
    keys::{
        self, ControlChanges,
        api::{NOT_THEIRS, Uncached, masked_shortly, overlap},
    },
    web::{Fields, NO_STORE, PageRequest},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(bulk))
        .routes(routes!(get, patch, delete))
        .routes(routes!(rotate))
        .routes(routes!(usage))
        .routes(routes!(settle))
}

/// List platform API keys
///
/// Oldest first, with their secrets masked. `search` and `is_active` choose some; with `page` or
/// `page_size` the answer is one page (`count`, `next`, `previous`, `results`).
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform-api/keys/",
    tag = "Platform API keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("search" = Option<String>, Query, description = "Part of a name, a description, the last four characters or the fingerprint"),
        ("is_active" = Option<bool>, Query, description = "Only those that work, or only those that do not"),
        ("page" = Option<u32>, Query, description = "The page, from 1"),
        ("page_size" = Option<u32>, Query, description = "Keys a page, 1 to 1,000")
    ),
    responses(
        (status = 200, body = Vec<wire::PlatformApiKey>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn list(admin: Admin, State(app): State<App>, page: PageRequest) -> Result<Json<Value>> {
    let filter = keys::api::filter(&page)?;
    let listed = app.read(async |tx| super::list(tx, &admin, &filter).await).await?;
    keys::api::rows::<_, wire::PlatformApiKey>(&page, listed)
}

/// Create a platform API key
///
/// The answer shows the secret, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/platform-api/keys/",
    tag = "Platform API keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = wire::CreatePlatformApiKey,
    responses(
        (status = 201, body = IssuedKey),
        (status = 400, body = ErrorEnvelope, description = "A field is wrong, or the name is taken"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn create(
    admin: Admin,
    State(app): State<App>,
    once: Once,
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<Value>>)> {
    let doing = once.by(admin.caller(), &fields, &app);
    let name = fields.text("name");
    let description = fields.text("description");
    let tier = read_tier(&mut fields).unwrap_or(Tier::ReadWrite);
    let controls = ControlChanges::read_new(&mut fields);
    fields.finish()?;
    let (Some(name), Some(description)) = (name, description) else {
        return Err(FieldError::required("name").into());
    };
    let new = NewKey { name, description, tier, controls };
    let shown = doing.once(async |tx| {
        let issued = super::create(tx, &admin, app.minting(), new).await?;
        let name = issued.key.kind.name.to_string();
        Ok(keys::api::issued(issued, name))
    });
    Ok((StatusCode::CREATED, ([NO_STORE], Json(shown.await?))))
}

/// Get a platform API key
///
/// With its secret masked.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform-api/keys/{id}/",
    tag = "Platform API keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    responses(
        (status = 200, body = wire::PlatformApiKey),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::PlatformApiKey>> {
    let id = id.parse()?;
    let key = app.read(async |tx| super::get(tx, &admin, id).await).await?;
    Ok(Json(key.into()))
}

/// Change a platform API key
///
/// A key that is switched off, or given a lower tier, is so before the answer is written. Its name
/// stays.
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/platform-api/keys/{id}/",
    tag = "Platform API keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = wire::UpdatePlatformApiKey,
    responses(
        (status = 200, body = wire::PlatformApiKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn patch(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Json<wire::PlatformApiKey>> {
    let id = id.parse()?;
    fields.ignore(NOT_THEIRS);
    fields.ignore(&["name"]);
    let changes = Changes {
        description: fields.text_opt("description"),
        is_active: fields.bool_opt("is_active"),
        tier: read_tier(&mut fields),
        controls: ControlChanges::read(&mut fields),
    };
    fields.finish()?;
    let saved = app.write(async |tx| super::update(tx, &admin, id, changes).await).await?;
    Ok(Json(saved.into()))
}

/// Delete a platform API key
///
/// It stops working before the answer is written. What it created goes to whoever created the key.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/platform-api/keys/{id}/",
    tag = "Platform API keys",
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

/// Rotate a platform API key
///
/// Replaces the secret and keeps the key. The old secret stops working before the answer is written,
/// or after `grace_seconds`. Also open to platform API keys with `full_access`, for themselves too.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/platform-api/keys/{id}/rotate/",
    tag = "Platform API keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = RotateKey,
    responses(
        (status = 200, body = IssuedKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn rotate(
    rotator: KeyRotator,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    once: Once,
    mut fields: Fields,
) -> Result<Uncached<Json<Value>>> {
    let doing = once.by(rotator.caller(), &fields, &app);
    let id = id.parse()?;
    let overlap = overlap(&mut fields);
    fields.finish()?;
    let shown = doing.once(async |tx| {
        let issued = super::rotate(tx, &rotator, app.minting(), id, overlap).await?;
        let name = issued.key.kind.name.to_string();
        Ok(keys::api::issued(issued, name))
    });
    Ok(([NO_STORE], Json(shown.await?)))
}

/// Activate, deactivate or delete several platform API keys
///
/// All of them, or none if one is not there.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/platform-api/keys/bulk/",
    tag = "Platform API keys",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = BulkKeys,
    responses(
        (status = 200, body = BulkDone),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn bulk(admin: Admin, State(app): State<App>, fields: Fields) -> Result<Json<BulkDone>> {
    let (ids, action) = keys::api::bulk(fields)?;
    let changed = app.write(async |tx| super::bulk(tx, &admin, &ids, action).await).await?;
    Ok(keys::api::done(ids.len(), changed))
}

/// Show who uses a platform API key
///
/// Which of its secrets was used by whom, when, from where and how often. Look here before an old
/// secret ends or a key goes.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform-api/keys/{id}/usage/",
    tag = "Platform API keys",
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

/// Take back the rotation of a platform API key, or end its overlap
///
/// While the old secret still works: `undo` makes it the only one again, `finish` ends it. Either is in
/// effect before the answer is written.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/platform-api/keys/{id}/rotation/",
    tag = "Platform API keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = SettleRotation,
    responses(
        (status = 200, body = wire::PlatformApiKey),
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
) -> Result<Json<wire::PlatformApiKey>> {
    let id = id.parse()?;
    let how = keys::api::settle(fields)?;
    let key = app.write(async |tx| super::settle(tx, &admin, id, how).await).await?;
    Ok(Json(key.into()))
}

fn read_tier(fields: &mut Fields) -> Option<Tier> {
    let text = fields.string_opt("permission")?;
    let parsed = text.trim().parse().ok();
    if parsed.is_none() {
        let detail = "Send read, read_write or full_access.";
        fields.reject(FieldError::new("permission", "invalid_choice", detail));
    }
    parsed
}

impl From<PlatformApiKey> for wire::PlatformApiKey {
    fn from(key: PlatformApiKey) -> Self {
        Self {
            facts: keys::api::facts(&key),
            created_by_email: keys::api::creator(&key),
            id: key.id.to_string(),
            name: key.kind.name.into(),
            description: key.kind.description.into(),
            key: masked_shortly(&key.last_four),
            is_active: key.is_active,
            created_at: key.created_at.to_string(),
            modified_at: key.modified_at.to_string(),
            permission: key.kind.tier.as_str().to_owned(),
        }
    }
}
