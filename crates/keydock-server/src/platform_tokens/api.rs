//! `/api/v1/unstract/{org}/platform-tokens/`

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use keydock_wire::{
    ci_trusts as wire,
    errors::{ErrorEnvelope, RefusalBody},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::PlatformToken;
use crate::{App, Result, access::Admin};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(revoke))
}

/// List platform tokens
///
/// The newest two hundred that pipelines were granted, newest first. They are listed until a week
/// after their end.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/platform-tokens/",
    tag = "Trust in pipelines",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = Vec<wire::PlatformToken>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn list(admin: Admin, State(app): State<App>) -> Result<Json<Vec<wire::PlatformToken>>> {
    let tokens = app.read(async |tx| super::list(tx, &admin).await).await?;
    Ok(Json(tokens.into_iter().map(Into::into).collect()))
}

/// Revoke a platform token
///
/// It stops working before the answer is written.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/platform-tokens/{id}/",
    tag = "Trust in pipelines",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The token")
    ),
    responses(
        (status = 204),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn revoke(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let id = id.parse()?;
    app.write(async |tx| super::revoke(tx, &admin, id).await).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<PlatformToken> for wire::PlatformToken {
    fn from(token: PlatformToken) -> Self {
        Self {
            id: token.id.to_string(),
            trust: token.trust.to_string(),
            trust_name: token.trust_name,
            permission: token.tier.as_str().to_owned(),
            token: format!("****{}", token.last_four),
            fingerprint: token.fingerprint,
            claims: Value::Object(token.claims),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            revoked_at: token.revoked_at.map(|at| at.to_string()),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            last_used_ip: token.last_used_ip,
            use_count: token.use_count,
        }
    }
}
