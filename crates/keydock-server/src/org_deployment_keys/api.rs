//! `/api/v1/unstract/{org}/global-api-deployment/keys/` (CONTRACT 3.6)

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    keys::{BulkDone, BulkKeys, IssuedKey, KeyUsage, RotateKey, SettleRotation},
    org_deployment_keys as wire,
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Changes, NewKey, OrgDeploymentKey, Reachable, scope};
use crate::{
    App, FieldError, Result,
    access::{Admin, Once},
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
        .routes(routes!(deployments))
}

/// List organization deployment keys
///
/// Oldest first, with their secrets masked. `search` and `is_active` choose some; with `page` or
/// `page_size` the answer is one page (`count`, `next`, `previous`, `results`).
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/",
    tag = "Organization deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("search" = Option<String>, Query, description = "Part of a name, a description, the last four characters or the fingerprint"),
        ("is_active" = Option<bool>, Query, description = "Only those that work, or only those that do not"),
        ("page" = Option<u32>, Query, description = "The page, from 1"),
        ("page_size" = Option<u32>, Query, description = "Keys a page, 1 to 1,000")
    ),
    responses(
        (status = 200, body = Vec<wire::OrgDeploymentKey>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn list(admin: Admin, State(app): State<App>, page: PageRequest) -> Result<Json<Value>> {
    let filter = keys::api::filter(&page)?;
    let listed = app.read(async |tx| super::list(tx, &admin, &filter).await).await?;
    keys::api::rows::<_, wire::OrgDeploymentKey>(&page, listed)
}

/// Create an organization deployment key
///
/// The answer shows the secret, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/",
    tag = "Organization deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = wire::CreateOrgDeploymentKey,
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
    let opens_all = fields.bool_opt("allow_all_deployments").unwrap_or(false);
    let deployments = keys::api::ids(&mut fields, "api_deployments").unwrap_or_default();
    let scope = scope(opens_all, deployments).map_err(|error| fields.reject(error));
    let controls = ControlChanges::read_new(&mut fields);
    fields.finish()?;
    let (Some(name), Some(description), Ok(scope)) = (name, description, scope) else {
        return Err(FieldError::required("name").into());
    };
    let new = NewKey { name, description, scope, controls };
    let shown = doing.once(async |tx| {
        let issued = super::create(tx, &admin, app.minting(), new).await?;
        let name = issued.key.kind.name.to_string();
        Ok(keys::api::issued(issued, name))
    });
    Ok((StatusCode::CREATED, ([NO_STORE], Json(shown.await?))))
}

/// Get an organization deployment key
///
/// With its secret masked.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/{id}/",
    tag = "Organization deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    responses(
        (status = 200, body = wire::OrgDeploymentKey),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::OrgDeploymentKey>> {
    let id = id.parse()?;
    let key = app.read(async |tx| super::get(tx, &admin, id).await).await?;
    Ok(Json(key.into()))
}

/// Change an organization deployment key
///
/// What a key loses, it has lost before the answer is written. Its name stays.
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/{id}/",
    tag = "Organization deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = wire::UpdateOrgDeploymentKey,
    responses(
        (status = 200, body = wire::OrgDeploymentKey),
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
) -> Result<Json<wire::OrgDeploymentKey>> {
    let id = id.parse()?;
    fields.ignore(NOT_THEIRS);
    fields.ignore(&["name"]);
    let changes = Changes {
        description: fields.text_opt("description"),
        is_active: fields.bool_opt("is_active"),
        opens_all: fields.bool_opt("allow_all_deployments"),
        deployments: keys::api::ids(&mut fields, "api_deployments"),
        controls: ControlChanges::read(&mut fields),
    };
    fields.finish()?;
    let saved = app.write(async |tx| super::update(tx, &admin, id, changes).await).await?;
    Ok(Json(saved.into()))
}

/// Delete an organization deployment key
///
/// It stops working before the answer is written.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/{id}/",
    tag = "Organization deployment keys",
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

/// Rotate an organization deployment key
///
/// Replaces the secret and keeps the key. The old secret stops working before the answer is written,
/// or after `grace_seconds`.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/{id}/rotate/",
    tag = "Organization deployment keys",
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
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    once: Once,
    mut fields: Fields,
) -> Result<Uncached<Json<Value>>> {
    let doing = once.by(admin.caller(), &fields, &app);
    let id = id.parse()?;
    let overlap = overlap(&mut fields);
    fields.finish()?;
    let shown = doing.once(async |tx| {
        let issued = super::rotate(tx, &admin, app.minting(), id, overlap).await?;
        let name = issued.key.kind.name.to_string();
        Ok(keys::api::issued(issued, name))
    });
    Ok(([NO_STORE], Json(shown.await?)))
}

/// Activate, deactivate or delete several organization deployment keys
///
/// All of them, or none if one is not there.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/bulk/",
    tag = "Organization deployment keys",
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

/// Show who uses an organization deployment key
///
/// Which of its secrets was used by whom, when, from where and how often. Look here before an old
/// secret ends or a key goes.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/{id}/usage/",
    tag = "Organization deployment keys",
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

/// Take back the rotation of an organization deployment key, or end its overlap
///
/// While the old secret still works: `undo` makes it the only one again, `finish` ends it. Either is in
/// effect before the answer is written.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/global-api-deployment/keys/{id}/rotation/",
    tag = "Organization deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = SettleRotation,
    responses(
        (status = 200, body = wire::OrgDeploymentKey),
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
) -> Result<Json<wire::OrgDeploymentKey>> {
    let id = id.parse()?;
    let how = keys::api::settle(fields)?;
    let key = app.write(async |tx| super::settle(tx, &admin, id, how).await).await?;
    Ok(Json(key.into()))
}

/// List the deployments that a key can open
///
/// All of the organization, inactive ones included.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/global-api-deployment/deployments/",
    tag = "Organization deployment keys",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = Vec<wire::ScopedDeployment>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
    )
)]
async fn deployments(
    admin: Admin,
    State(app): State<App>,
) -> Result<Json<Vec<wire::ScopedDeployment>>> {
    let all = app.read(async |tx| super::deployments(tx, &admin).await).await?;
    Ok(Json(all.into_iter().map(Into::into).collect()))
}

impl From<OrgDeploymentKey> for wire::OrgDeploymentKey {
    fn from(key: OrgDeploymentKey) -> Self {
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
            allow_all_deployments: key.kind.opens_all,
            api_deployments: key.kind.deployments.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Reachable> for wire::ScopedDeployment {
    fn from(deployment: Reachable) -> Self {
        Self {
            id: deployment.id.to_string(),
            display_name: deployment.display_name,
            api_name: deployment.api_name,
            is_active: deployment.is_active,
        }
    }
}
