//! `/api/v1/unstract/{org}/api/keys/` (CONTRACT 4.5)

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use keydock_core::{
    id::{self, Id},
    role::Tier,
};
use keydock_wire::{
    deployment_keys as wire,
    errors::{ErrorEnvelope, RefusalBody},
    keys::{BulkDone, BulkKeys, KeyUsage, RotateKey, SettleRotation},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Changes, DeploymentKey, Issued, NOT_FOUND, NewKey};
use crate::{
    App, FieldError, Result,
    access::{Doing, Member, Once},
    deployments,
    keys::{
        self, BulkAction, ControlChanges,
        api::{NOT_THEIRS, Uncached, masked, overlap},
    },
    web::{Fields, NO_STORE, PageRequest},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(list, create_at))
        .routes(routes!(bulk))
        .routes(routes!(get, put, patch, delete))
        .routes(routes!(rotate))
        .routes(routes!(usage))
        .routes(routes!(settle))
}

/// List the keys of a deployment
///
/// Oldest first, with their secrets masked. `search` and `is_active` choose some; with `page` or
/// `page_size` the answer is one page (`count`, `next`, `previous`, `results`).
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/api/keys/api/{id}/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The deployment"),
        ("search" = Option<String>, Query, description = "Part of a description, the last four characters or the fingerprint"),
        ("is_active" = Option<bool>, Query, description = "Only those that work, or only those that do not"),
        ("page" = Option<u32>, Query, description = "The page, from 1"),
        ("page_size" = Option<u32>, Query, description = "Keys a page, 1 to 1,000")
    ),
    responses(
        (status = 200, body = Vec<wire::DeploymentKey>),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn list(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    page: PageRequest,
) -> Result<Json<Value>> {
    let id = parse_deployment(&id)?;
    let filter = keys::api::filter(&page)?;
    let listed = app.read(async |tx| super::list(tx, &member, id, filter).await).await?;
    keys::api::rows::<_, wire::DeploymentKey>(&page, listed)
}

/// Activate, deactivate or delete several keys of a deployment
///
/// All of them, or none if one is not there.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/api/keys/api/{id}/bulk/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The deployment")
    ),
    request_body = BulkKeys,
    responses(
        (status = 200, body = BulkDone),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn bulk(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Result<Json<BulkDone>> {
    let id = parse_deployment(&id)?;
    let (ids, action) = keys::api::bulk(fields)?;
    if action == BulkAction::Delete {
        member.confirm_tier(Tier::FullAccess, "DELETE")?;
    }
    let changed = app
        .write(async |tx| {
            let deployment = deployments::manage(tx, &member, id).await?;
            super::bulk(tx, &deployment, &ids, action).await
        })
        .await?;
    Ok(keys::api::done(ids.len(), changed))
}

/// Create a key of a deployment
///
/// The answer shows the secret, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/api/keys/api/{id}/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The deployment"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = wire::CreateDeploymentKey,
    responses(
        (status = 201, body = wire::DeploymentKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn create_at(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    once: Once,
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<Value>>)> {
    let doing = once.by(member.caller(), &fields, &app);
    let id = parse_deployment(&id)?;
    let new = read_new(&mut fields);
    confirm_target(&mut fields, id);
    fields.finish()?;
    issue(&member, &app, doing, id, new).await
}

/// Create a key of the deployment named in the body
///
/// The answer shows the secret, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/api/keys/api/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = wire::CreateDeploymentKey,
    responses(
        (status = 201, body = wire::DeploymentKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn create(
    member: Member,
    State(app): State<App>,
    once: Once,
    mut fields: Fields,
) -> Result<(StatusCode, Uncached<Json<Value>>)> {
    let doing = once.by(member.caller(), &fields, &app);
    let new = read_new(&mut fields);
    let id = read_target(&mut fields);
    fields.finish()?;
    let id = id.ok_or_else(|| FieldError::required("api"))?;
    issue(&member, &app, doing, id, new).await
}

async fn issue(
    member: &Member,
    app: &App,
    doing: Doing<'_>,
    deployment: Id<id::Deployment>,
    new: Option<NewKey>,
) -> Result<(StatusCode, Uncached<Json<Value>>)> {
    let new = new.ok_or_else(|| FieldError::required("description"))?;
    let shown = doing.once(async |tx| {
        let deployment = deployments::manage(tx, member, deployment).await?;
        let issued = super::create(tx, &deployment, app.minting(), new).await?;
        Ok((issued.key.id.widen(), shown_once(issued)))
    });
    Ok((StatusCode::CREATED, ([NO_STORE], Json(shown.await?))))
}

/// Get a key
///
/// With its secret masked.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/api/keys/{id}/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    responses(
        (status = 200, body = wire::DeploymentKey),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::DeploymentKey>> {
    let id = parse_id(&id)?;
    let key = app.read(async |tx| super::get(tx, &member, id).await).await?;
    Ok(Json(key.into()))
}

/// Change a key
///
/// Takes a whole row of the list: fields that are not the caller's to change are ignored. A key that
/// is switched off stops working before the answer is written.
#[utoipa::path(
    put,
    path = "/api/v1/unstract/{org}/api/keys/{id}/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = wire::UpdateDeploymentKey,
    responses(
        (status = 200, body = wire::DeploymentKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn put(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Result<Json<wire::DeploymentKey>> {
    change(member, app, &id, fields).await
}

/// Change a part of a key
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/api/keys/{id}/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = wire::UpdateDeploymentKey,
    responses(
        (status = 200, body = wire::DeploymentKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn patch(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Result<Json<wire::DeploymentKey>> {
    change(member, app, &id, fields).await
}

async fn change(
    member: Member,
    app: App,
    id: &str,
    mut fields: Fields,
) -> Result<Json<wire::DeploymentKey>> {
    let id = parse_id(id)?;
    fields.ignore(NOT_THEIRS);
    fields.ignore(&["api_key"]);
    let changes = Changes {
        description: fields.text_opt("description"),
        is_active: fields.bool_opt("is_active"),
        controls: ControlChanges::read(&mut fields),
    };
    let saved = app
        .write(async |tx| {
            let managed = super::manage(tx, &member, id).await?;
            confirm_target(&mut fields, managed.key().kind.deployment);
            fields.finish()?;
            super::update(tx, managed, changes).await
        })
        .await?;
    Ok(Json(saved.into()))
}

/// Delete a key
///
/// Active or not. It stops working before the answer is written.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/api/keys/{id}/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    responses(
        (status = 204),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn delete(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let id = parse_id(&id)?;
    app.write(async |tx| {
        let managed = super::manage(tx, &member, id).await?;
        super::delete(tx, managed).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate a key
///
/// Replaces the secret and keeps the key. The old secret stops working before the answer is written,
/// or after `grace_seconds`. The answer shows the new secret, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/api/keys/{id}/rotate/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key"),
        ("Idempotency-Key" = Option<String>, Header, description = "16 to 255 characters of your choice; sent again within ten minutes, with the same body, it gets the same answer")
    ),
    request_body = RotateKey,
    responses(
        (status = 200, body = wire::DeploymentKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn rotate(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    once: Once,
    mut fields: Fields,
) -> Result<Uncached<Json<Value>>> {
    let doing = once.by(member.caller(), &fields, &app);
    let id = parse_id(&id)?;
    let overlap = overlap(&mut fields);
    fields.finish()?;
    let shown = doing.once(async |tx| {
        let managed = super::manage(tx, &member, id).await?;
        let issued = super::rotate(tx, managed, app.minting(), overlap).await?;
        Ok((issued.key.id.widen(), shown_once(issued)))
    });
    Ok(([NO_STORE], Json(shown.await?)))
}

/// Show who uses a deployment key
///
/// Which of its secrets was used by whom, when, from where and how often. Look here before an old
/// secret ends or a key goes.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/api/keys/{id}/usage/",
    tag = "Deployment keys",
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
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<KeyUsage>> {
    let id = parse_id(&id)?;
    app.write(async |tx| super::manage(tx, &member, id).await.map(drop)).await?;
    keys::api::write_down_uses(&app, member.org(), id).await?;
    let meter = app
        .write(async |tx| {
            let managed = super::manage(tx, &member, id).await?;
            super::meter(tx, &managed).await
        })
        .await?;
    Ok(keys::api::meter(meter))
}

/// Take back the rotation of a deployment key, or end its overlap
///
/// While the old secret still works: `undo` makes it the only one again, `finish` ends it. Either is in
/// effect before the answer is written.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/api/keys/{id}/rotation/",
    tag = "Deployment keys",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The key")
    ),
    request_body = SettleRotation,
    responses(
        (status = 200, body = wire::DeploymentKey),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
        (status = 409, body = ErrorEnvelope, description = "No old secret works any more"),
    )
)]
async fn settle(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Result<Json<wire::DeploymentKey>> {
    let id = parse_id(&id)?;
    let how = keys::api::settle(fields)?;
    let key = app
        .write(async |tx| {
            let managed = super::manage(tx, &member, id).await?;
            super::settle(tx, managed, how).await
        })
        .await?;
    Ok(Json(key.into()))
}

fn parse_id(text: &str) -> Result<Id<id::DeploymentKey>> {
    text.parse().map_err(|_| NOT_FOUND)
}

fn parse_deployment(text: &str) -> Result<Id<id::Deployment>> {
    text.parse().map_err(|_| deployments::NOT_FOUND)
}

fn read_new(fields: &mut Fields) -> Option<NewKey> {
    fields.ignore(NOT_THEIRS);
    fields.ignore(&["api_key"]);
    let description = fields.text("description");
    let is_active = fields.bool_opt("is_active").unwrap_or(true);
    let controls = ControlChanges::read_new(fields);
    description.map(|description| NewKey { description, is_active, controls })
}

/// The deployment that the body names.
fn read_target(fields: &mut Fields) -> Option<Id<id::Deployment>> {
    refuse_pipeline(fields);
    if !fields.has("api") {
        fields.reject(FieldError::invalid(
            "non_field_errors",
            "Say which deployment the key is for: send its id as api.",
        ));
        return None;
    }
    fields.id("api")
}

/// The deployment of the path or of the key, which the body may repeat and not change.
fn confirm_target(fields: &mut Fields, deployment: Id<id::Deployment>) {
    refuse_pipeline(fields);
    match fields.take("api") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.trim().parse() == Ok(deployment) => {}
        Some(_) => fields.reject(FieldError::invalid(
            "api",
            "This key is for another deployment. Leave api out, or create a key for that one.",
        )),
    }
}

fn refuse_pipeline(fields: &mut Fields) {
    if !matches!(fields.take("pipeline"), None | Some(Value::Null)) {
        fields.reject(FieldError::invalid(
            "pipeline",
            "Pipelines are not served here. Leave this out and name a deployment as api.",
        ));
    }
}

fn shown_once(issued: Issued) -> wire::DeploymentKey {
    wire::DeploymentKey { api_key: issued.secret.reveal(), ..issued.key.into() }
}

impl From<DeploymentKey> for wire::DeploymentKey {
    fn from(key: DeploymentKey) -> Self {
        Self {
            facts: keys::api::facts(&key),
            id: key.id.to_string(),
            api_key: masked(&key.last_four),
            api: key.kind.deployment.to_string(),
            pipeline: None,
            description: key.kind.description.into(),
            is_active: key.is_active,
            created_at: key.created_at.to_string(),
            modified_at: key.modified_at.to_string(),
            created_by_email: key.created_by_email,
        }
    }
}
