//! Whether the server is there, and what it counts (CONTRACT 9.5).

use std::time::Duration;

use axum::{extract::State, http::header, response::IntoResponse};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, Error, Result};

/// The routes that watch over a server.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
}

/// Tell whether the server can work
///
/// The same as `/health/ready`.
#[utoipa::path(
    get,
    path = "/health",
    tag = "Operations",
    responses((status = 200, body = String), (status = 503))
)]
async fn health(State(app): State<App>) -> Result<&'static str> {
    check(&app).await
}

/// Tell whether the process is alive
#[utoipa::path(get, path = "/health/live", tag = "Operations", responses((status = 200, body = String)))]
async fn live() -> &'static str {
    "OK"
}

/// Tell whether the server can work
///
/// It can if it knows the keys and its database answers.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "Operations",
    responses((status = 200, body = String), (status = 503))
)]
async fn ready(State(app): State<App>) -> Result<&'static str> {
    check(&app).await
}

async fn check(app: &App) -> Result<&'static str> {
    let unavailable =
        |detail| Error::Unavailable { detail, retry_after: Duration::from_secs(1), source: None };
    if !app.keyring().is_trusted() {
        return Err(unavailable("The keys could not be read from the database lately."));
    }
    let answered = tokio::time::timeout(Duration::from_secs(2), app.db().ping()).await;
    match answered {
        Ok(Ok(())) => Ok("OK"),
        Ok(Err(_)) | Err(_) => Err(unavailable("The database does not answer.")),
    }
}

/// Show what is counted
///
/// In the text format of Prometheus. No series carries a key, a name or an identifier.
#[utoipa::path(get, path = "/metrics", tag = "Operations", responses((status = 200, body = String)))]
async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics().render())
}
