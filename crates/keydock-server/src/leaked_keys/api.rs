//! `/api/v1/report-leaked-key`

use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
    http::{StatusCode, header},
};
use keydock_core::secret::SecretKey;
use keydock_wire::{errors::ErrorEnvelope, leaked_keys as wire, platform_keys::Message};
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use crate::{
    App, Error, FieldError, Result,
    access::{Visitor, throttle::network},
    jobs::{self, Job},
    web::{Fields, fields},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(report))
}

/// Report a leaked key
///
/// For whoever found a key: send it here, as JSON or as plain text, and nothing else. If it is a key
/// of this server it is stopped at once and its organization is told. The answer is the same if it is
/// none.
#[utoipa::path(
    post,
    path = "/api/v1/report-leaked-key",
    tag = "Leaked keys",
    request_body(content(
        (wire::ReportLeakedKey = "application/json"),
        (String = "text/plain"),
    )),
    responses(
        (status = 202, body = Message, description = "Whether it is a key or not"),
        (status = 400, body = ErrorEnvelope, description = "There is no `key`"),
        (status = 429, body = ErrorEnvelope, description = "Too many reports and unknown keys"),
    )
)]
async fn report(
    visitor: Visitor,
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<Message>)> {
    // Counted before anything is looked at, and genuine keys too: the count must not tell either.
    if let Some(retry_after) = app.guesses().count(&network(visitor.ip)) {
        let detail = "Too many keys came from this address. Wait, then report the next one.";
        return Err(Error::TooMany { detail: detail.into(), retry_after });
    }
    let text = key_in(request, &app).await?;
    if let Ok(secret) = SecretKey::parse(text.trim()) {
        let mut digests = app.peppers().digests(&secret).into_iter().map(|digest| digest.to_hex());
        let job = Job::StopLeakedKey {
            digest: digests.next().unwrap_or_default(),
            others: digests.collect(),
            request_id: visitor.request_id,
            ip: Some(visitor.ip),
        };
        app.write(async |tx| jobs::enqueue(tx, &job).await).await?;
    }
    let message = "Thank you. If this is a key of this server, it is being stopped.".to_owned();
    Ok((StatusCode::ACCEPTED, Json(Message { message })))
}

async fn key_in(request: Request, app: &App) -> Result<Zeroizing<String>> {
    let sent = request.headers().get(header::CONTENT_TYPE);
    let is_text = sent.and_then(|value| value.to_str().ok()).is_some_and(|media_type| {
        media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
    });
    if is_text {
        let bytes = fields::read(request.into_body(), fields::LIMIT).await?;
        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
        return if text.trim().is_empty() {
            Err(FieldError::required("key").into())
        } else {
            Ok(text)
        };
    }
    let mut fields = Fields::from_request(request, app).await?;
    let key = fields.string("key");
    fields.finish()?;
    Ok(Zeroizing::new(key.unwrap_or_default()))
}
