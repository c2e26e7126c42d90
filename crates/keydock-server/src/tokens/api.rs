//! `POST /introspect` (RFC 7662) and `POST /revoke` (RFC 7009)

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use keydock_wire::tokens as wire;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use super::Known;
use crate::{
    App, Result,
    access::{Asker, Refusal, Visitor, keyring::Opens},
    canaries::Sighting,
    web::{NO_STORE, fields::Form, user_agent},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(introspect)).routes(routes!(revoke))
}

/// Ask whether a key works, and what it is
///
/// For programs that take keys of their organization and guard something themselves. Of a key that does
/// not work, is unknown or belongs to another organization nothing is told but that it is not active.
#[utoipa::path(
    post,
    path = "/introspect",
    tag = "Keys in other programs",
    request_body(content = wire::PresentedToken, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = wire::Introspection),
        (status = 400, description = "`token` is missing or sent twice"),
        (status = 401, description = "No key of a whole organization asks"),
    )
)]
async fn introspect(
    asker: Asker,
    State(app): State<App>,
    headers: HeaderMap,
    form: Form,
) -> Result<([(HeaderName, HeaderValue); 1], Json<wire::Introspection>)> {
    let token = Zeroizing::new(form.take_one("token")?);
    let (ip, request) = (asker.caller().ip, asker.caller().request_id.as_str());
    let sighting = || Sighting::new(request, ip, user_agent(&headers), "/introspect");
    let inspected = match app.inspect_token(token.trim(), ip, sighting) {
        Ok(inspected) => inspected,
        Err(refusal @ Refusal::KeysUnavailable) => return Err(refusal.into()),
        Err(_) => return Ok(([NO_STORE], Json(wire::Introspection::default()))),
    };
    let known = app.read(async |tx| super::introspect(tx, &asker, inspected).await).await?;
    let org = asker.org_name().as_str();
    let told = known.map_or_else(Default::default, |known| tell(&known, org));
    Ok(([NO_STORE], Json(told)))
}

fn tell(known: &Known, org: &str) -> wire::Introspection {
    let id = known.key.to_string();
    wire::Introspection {
        active: true,
        sub: Some(id.clone()),
        client_id: Some(id),
        key_name: Some(known.name.clone()),
        token_type: Some("Bearer".to_owned()),
        scope: Some(known.opens.permission().to_owned()),
        iat: Some(known.created_at.as_seconds()),
        exp: known.until.map(keydock_core::time::Timestamp::as_seconds),
        org: Some(org.to_owned()),
        kind: Some(known.opens.kind().as_str().to_owned()),
        deployment: match &known.opens {
            Opens::Organization { .. } | Opens::OrganizationTiered(_) | Opens::Deployments(_) => {
                None
            }
            Opens::Deployment(deployment) => Some(deployment.to_string()),
        },
    }
}

/// Give up a key
///
/// Whoever holds a key may switch it off by presenting it: its owner who is done with it, or somebody
/// who found it. It is not deleted; who manages it can switch it on again, or better refresh it. A
/// secret that was replaced and still works for a while ends alone. The answer is 200 for keys that are
/// unknown too.
#[utoipa::path(
    post,
    path = "/revoke",
    tag = "Keys in other programs",
    request_body(content = wire::PresentedToken, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200),
        (status = 400, description = "`token` is missing or sent twice"),
        (status = 429, description = "Too many unknown keys came from this address"),
        (status = 503, description = "The key may still work"),
    )
)]
async fn revoke(
    visitor: Visitor,
    State(app): State<App>,
    headers: HeaderMap,
    form: Form,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1])> {
    let token = Zeroizing::new(form.take_one("token")?);
    let (ip, request) = (Some(visitor.ip), visitor.request_id.as_str());
    let sighting = || Sighting::new(request, ip, user_agent(&headers), "/revoke");
    if let Some(possession) = app.possession(token.trim(), &visitor, sighting)? {
        app.write(async |tx| super::revoke(tx, &possession).await).await?;
    }
    Ok((StatusCode::OK, [NO_STORE]))
}
