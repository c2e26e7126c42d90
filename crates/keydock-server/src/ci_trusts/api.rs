//! `/api/v1/unstract/{org}/ci-trusts/` and `/api/v1/token`

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode},
};
use keydock_core::{role::Tier, text::ApiKeyName, trusts::Condition};
use keydock_wire::{
    ci_trusts as wire,
    errors::{ErrorEnvelope, RefusalBody},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Asked, Changes, CiTrust, LIFETIME, MAX_LIFETIME, MIN_LIFETIME, NewTrust};
use crate::{
    App, Error, FieldError, Result,
    access::{Admin, Visitor},
    web::{Fields, NO_STORE},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(token))
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Exchange a token of a pipeline
///
/// Token exchange of RFC 8693: for a token that an issuer gave a pipeline, and that the organization
/// trusts, a platform token that ends by itself. `audience` or `resource` names the organization. Each
/// token of an issuer is good for one exchange.
#[utoipa::path(
    post,
    path = "/api/v1/token",
    tag = "Trust in pipelines",
    request_body(content = wire::ExchangeToken, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = wire::ExchangedToken),
        (status = 400, body = wire::TokenRefused),
        (status = 429, body = ErrorEnvelope, description = "Too many tokens that prove nothing"),
    )
)]
async fn token(
    visitor: Visitor,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<([(HeaderName, HeaderValue); 1], Json<wire::ExchangedToken>)> {
    let mut field = |name| fields.string_opt(name).filter(|text| !text.is_empty());
    if field("grant_type").as_deref() != Some(EXCHANGE) {
        return Err(refused("unsupported_grant_type", format!("Send grant_type={EXCHANGE}.")));
    }
    let token = field("subject_token");
    let token = token.ok_or_else(|| refused("invalid_request", "subject_token is missing."))?;
    if !matches!(field("subject_token_type").as_deref(), Some(ID_TOKEN | JWT)) {
        let words = format!("Send subject_token_type={ID_TOKEN} or {JWT}.");
        return Err(refused("invalid_request", words));
    }
    if field("actor_token").is_some() {
        return Err(refused("invalid_request", "actor_token is not taken here."));
    }
    if field("requested_token_type").is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return Err(refused("invalid_request", format!("Only {ACCESS_TOKEN} is issued here.")));
    }
    let scope = field("scope").map(|text| text.parse::<Tier>()).transpose();
    let scope = scope.map_err(|error| refused("invalid_scope", format!("{error}.")))?;
    let org = organization(field("audience"), field("resource"))?;
    let asked = Asked { org: &org, token: &token, scope };
    let issued = super::exchange(&app, &visitor, &asked).await?;
    let lifetime = issued.token.expires_at.since(issued.token.created_at);
    let answer = wire::ExchangedToken {
        access_token: issued.secret.reveal(),
        issued_token_type: ACCESS_TOKEN.to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: lifetime.as_secs(),
        scope: issued.token.tier.as_str().to_owned(),
    };
    Ok(([NO_STORE], Json(answer)))
}

fn refused(error: &'static str, description: impl Into<String>) -> Error {
    Error::TokenRefused { error, description: description.into() }
}

/// The organization that is named.
fn organization(audience: Option<String>, resource: Option<String>) -> Result<String> {
    let of_resource = |address: String| {
        let parsed = url::Url::parse(&address).ok()?;
        let mut segments = parsed.path_segments()?;
        segments.find(|segment| *segment == "unstract")?;
        segments.next().filter(|name| !name.is_empty()).map(ToOwned::to_owned)
    };
    let target = || {
        let words = "resource must be https://HOST/api/v1/unstract/ORGANIZATION.";
        refused("invalid_target", words)
    };
    match (audience, resource) {
        (Some(name), None) => Ok(name),
        (None, Some(address)) => of_resource(address).ok_or_else(target),
        (Some(name), Some(address)) if of_resource(address.clone()).as_ref() == Some(&name) => {
            Ok(name)
        }
        (Some(_), Some(_)) => Err(refused("invalid_target", "audience and resource differ.")),
        (None, None) => {
            let words = "Name the organization: audience=ORGANIZATION, or resource.";
            Err(refused("invalid_request", words))
        }
    }
}

/// List trusts in pipelines
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/ci-trusts/",
    tag = "Trust in pipelines",
    params(("org" = String, Path, description = "The organization's name")),
    responses(
        (status = 200, body = Vec<wire::CiTrust>),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
    )
)]
async fn list(admin: Admin, State(app): State<App>) -> Result<Json<Vec<wire::CiTrust>>> {
    let trusts = app.read(async |tx| super::list(tx, &admin).await).await?;
    Ok(Json(trusts.into_iter().map(Into::into).collect()))
}

/// Trust an issuer
///
/// Says whose tokens are trusted, what must be true of them, and what is granted. At most 20.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/ci-trusts/",
    tag = "Trust in pipelines",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::CreateCiTrust,
    responses(
        (status = 201, body = wire::CiTrust),
        (status = 400, body = ErrorEnvelope, description = "A field is wrong, or the name is taken"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or there are 20"),
    )
)]
async fn create(
    admin: Admin,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<(StatusCode, Json<wire::CiTrust>)> {
    for name in ["issuer", "audience", "conditions", "permission"] {
        if !fields.has(name) {
            fields.reject(FieldError::required(name));
        }
    }
    let name = fields.text::<ApiKeyName>("name");
    let issuer = fields.string_opt("issuer").map(|text| text.trim().to_owned());
    let target = issuer.as_deref().and_then(|text| match app.outbound().target(text) {
        Ok(target) => Some(target),
        Err(blocked) => {
            fields.reject(FieldError::invalid("issuer", blocked.to_string()));
            None
        }
    });
    let changes = read_changes(&mut fields);
    fields.finish()?;
    let missing = |name| move || Error::from(FieldError::required(name));
    let new = NewTrust {
        name: name.ok_or_else(missing("name"))?,
        issuer: issuer.ok_or_else(missing("issuer"))?,
        target: target.ok_or_else(missing("issuer"))?,
        audience: changes.audience.ok_or_else(missing("audience"))?,
        conditions: changes.conditions.ok_or_else(missing("conditions"))?,
        tier: changes.tier.ok_or_else(missing("permission"))?,
        lifetime: changes.lifetime.unwrap_or(LIFETIME),
        is_enabled: changes.is_enabled.unwrap_or(true),
    };
    let trust = app.write(async |tx| super::create(tx, &admin, new).await).await?;
    Ok((StatusCode::CREATED, Json(trust.into())))
}

fn read_changes(fields: &mut Fields) -> Changes {
    let audience = fields.string_opt("audience").map(|text| text.trim().to_owned());
    let is_usable = |text: &String| {
        !text.is_empty() && text.len() <= 500 && !text.chars().any(char::is_control)
    };
    let audience = match audience {
        Some(text) if !is_usable(&text) => {
            fields.reject(FieldError::invalid("audience", "Send 1 to 500 characters."));
            None
        }
        other => other,
    };
    let conditions = fields.take("conditions").and_then(|value| {
        let read = Condition::read_all(&value);
        read.map_err(|error| fields.reject(FieldError::invalid("conditions", error.to_string())))
            .ok()
    });
    let tier = fields.string_opt("permission").and_then(|text| {
        let read = text.trim().parse();
        read.map_err(|error: keydock_core::role::UnknownTier| {
            fields.reject(FieldError::new("permission", "invalid_choice", error.to_string()));
        })
        .ok()
    });
    let lifetime = fields.int_opt("lifetime_seconds").and_then(|seconds| {
        let lifetime = u64::try_from(seconds).map(Duration::from_secs).unwrap_or_default();
        if (MIN_LIFETIME..=MAX_LIFETIME).contains(&lifetime) {
            return Some(lifetime);
        }
        let (least, most) = (MIN_LIFETIME.as_secs(), MAX_LIFETIME.as_secs());
        let detail = format!("Send {least} to {most} seconds.");
        fields.reject(FieldError::invalid("lifetime_seconds", detail));
        None
    });
    Changes { audience, conditions, tier, lifetime, is_enabled: fields.bool_opt("is_enabled") }
}

/// Get a trust
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/ci-trusts/{id}/",
    tag = "Trust in pipelines",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The trust")
    ),
    responses(
        (status = 200, body = wire::CiTrust),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    admin: Admin,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::CiTrust>> {
    let id = id.parse()?;
    let trust = app.read(async |tx| super::get(tx, &admin, id).await).await?;
    Ok(Json(trust.into()))
}

/// Change a trust
///
/// Switching it off, or granting less, ends what was granted before.
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/ci-trusts/{id}/",
    tag = "Trust in pipelines",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The trust")
    ),
    request_body = wire::ChangeCiTrust,
    responses(
        (status = 200, body = wire::CiTrust),
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
) -> Result<Json<wire::CiTrust>> {
    let changes = read_changes(&mut fields);
    fields.finish()?;
    let id = id.parse()?;
    let trust = app.write(async |tx| super::update(tx, &admin, id, changes).await).await?;
    Ok(Json(trust.into()))
}

/// Delete a trust
///
/// What was granted by it ends before the answer is written.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/ci-trusts/{id}/",
    tag = "Trust in pipelines",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The trust")
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

impl From<CiTrust> for wire::CiTrust {
    fn from(trust: CiTrust) -> Self {
        Self {
            id: trust.id.to_string(),
            name: trust.name.to_string(),
            issuer: trust.issuer,
            audience: trust.audience,
            conditions: Value::Object(Condition::to_object(&trust.conditions)),
            permission: trust.tier.as_str().to_owned(),
            lifetime_seconds: trust.lifetime.as_secs(),
            is_enabled: trust.is_enabled,
            created_at: trust.created_at.to_string(),
            modified_at: trust.modified_at.to_string(),
        }
    }
}
