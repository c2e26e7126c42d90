//! `/api/v1/unstract/{org}/requests/{request_id}/explain/`

use axum::{
    Json,
    extract::{Path, State},
};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    refusals as wire,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Kept;
use crate::{App, Result, access::Admin};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Explain why a request was refused
///
/// By its `X-Request-Id`, for a week. Tells admins more than whoever was refused was told.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/requests/{request_id}/explain/",
    tag = "Requests",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("request_id" = String, Path, description = "The X-Request-Id of the answer")
    ),
    responses(
        (status = 200, body = wire::Explanation),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope, description = "Not refused, another organization's, or too long ago"),
    )
)]
async fn explain(
    admin: Admin,
    State(app): State<App>,
    Path((_, request_id)): Path<(String, String)>,
) -> Result<Json<wire::Explanation>> {
    super::write_down(&app).await?;
    let kept = app.read(async |tx| super::explain(tx, &admin, &request_id).await).await?;
    Ok(Json(kept.into()))
}

impl From<Kept> for wire::Explanation {
    fn from(kept: Kept) -> Self {
        Self {
            request_id: kept.request_id,
            at: kept.at.to_string(),
            status: kept.status,
            docs: format!("/docs#error-{}", kept.code),
            code: kept.code,
            reason: kept.reason,
            method: kept.method,
            path: kept.path,
            key: kept.key.map(|(id, kind, name)| wire::ExplainedKey {
                id: id.to_string(),
                kind: kind.as_str().to_owned(),
                name: Some(name).filter(|name| !name.is_empty()),
            }),
            ip: kept.ip,
            agent: kept.agent,
        }
    }
}
