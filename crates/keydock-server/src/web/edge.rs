//! The frame around every request: its name, its canonical address, what is counted and logged, and
//! how an error is written down.
//!
//! One service does all of it, because what a verified request costs is mostly what is put around it.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
        uri::PathAndQuery,
    },
};
use futures_util::{FutureExt as _, future::BoxFuture};
use tower::Service;
use uuid::Uuid;

use super::{REQUEST_ID, problem};
use crate::{App, Error, telemetry::Metrics};

/// Wraps the routes of the application.
pub fn edge<S>(app: &App, routes: S) -> Edge<S> {
    Edge { routes, metrics: Arc::clone(app.metrics()), secure: app.config().is_secure() }
}

/// The outermost service.
#[derive(Clone, Debug)]
pub struct Edge<S> {
    routes: S,
    metrics: Arc<Metrics>,
    secure: bool,
}

/// The error that a handler answered with, on its way out.
#[derive(Clone, Debug)]
pub(super) struct Carried(pub(super) Arc<Error>);

impl<S, B> Service<Request<B>> for Edge<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let began = Instant::now();
        let id = name(request.headers_mut());
        canonicalize(&mut request);
        let asked = Asked::about(&request, id, self.secure);
        let metrics = Arc::clone(&self.metrics);
        let answer = self.routes.call(request);
        Box::pin(async move {
            let answer = AssertUnwindSafe(answer).catch_unwind().await;
            let mut response = match answer {
                Ok(Ok(response)) => response,
                Err(panic) => panicked(panic.as_ref()),
            };
            if let Some(Carried(error)) = response.extensions_mut().remove() {
                response = problem::write(&error, &asked, response);
            }
            finish(response.headers_mut(), &asked);
            metrics.count(asked.surface, response.status(), began.elapsed());
            asked.log(response.status(), began);
            Ok(response)
        })
    }
}

/// What must be known of a request after its handler has consumed it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: HeaderValue,
    pub(super) method: Method,
    pub(super) surface: Surface,
    pub(super) wants_problem: bool,
    pub(super) uri: Uri,
    secure: bool,
}

/// Which part of the product answers; errors look different on each (CONTRACT 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `/api/v1/…`
    Platform,
    /// `/deployment/…`
    Deployment,
    /// `/health`, `/metrics`, `/docs`.
    Operations,
    /// Pages.
    Console,
}

impl Surface {
    fn of(path: &str) -> Self {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        match first {
            "api" => Self::Platform,
            "deployment" => Self::Deployment,
            "health" | "metrics" | "docs" => Self::Operations,
            _ => Self::Console,
        }
    }
}

impl Asked {
    fn about<B>(request: &Request<B>, id: HeaderValue, secure: bool) -> Self {
        let accept = request.headers().get(header::ACCEPT).map(HeaderValue::as_bytes);
        let wants_problem = accept.is_some_and(|accept| {
            accept.windows(problem::MEDIA_TYPE.len()).any(|w| w == problem::MEDIA_TYPE.as_bytes())
        });
        Self {
            id,
            method: request.method().clone(),
            surface: Surface::of(request.uri().path()),
            wants_problem,
            uri: request.uri().clone(),
            secure,
        }
    }

    /// One line a request; the query is left out, since clients put all sorts of things there.
    fn log(&self, status: StatusCode, began: Instant) {
        let quiet = status.is_success() && self.method == Method::GET;
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (method, path) = (self.method.as_str(), self.uri.path());
        let (id, status) = (self.id.to_str().unwrap_or_default(), status.as_u16());
        if quiet {
            tracing::debug!(request.id = id, method, path, status, micros, "answered");
        } else {
            tracing::info!(request.id = id, method, path, status, micros, "answered");
        }
    }
}

/// Takes the client's name for the request if it has a decent one, or gives it one.
fn name(headers: &mut HeaderMap) -> HeaderValue {
    let decent = |id: &HeaderValue| {
        let bytes = id.as_bytes();
        (1..=128).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b))
    };
    if let Some(id) = headers.get(REQUEST_ID).filter(|id| decent(id)) {
        return id.clone();
    }
    let mut text = Uuid::encode_buffer();
    let uuid = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let text = uuid.hyphenated().encode_lower(&mut text);
    let id = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"));
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// Routes end in a slash under the tenant and deployment prefixes and nowhere else; both forms are
/// served and nothing is redirected, since a redirected POST loses its body (CONTRACT 9.2).
fn canonicalize<B>(request: &mut Request<B>) {
    let path = request.uri().path();
    let with_slash = path.starts_with("/api/v1/unstract/") || path.starts_with("/deployment/");
    let corrected = match (with_slash, path.ends_with('/')) {
        (true, false) => format!("{path}/"),
        (false, true) if path.len() > 1 => path.trim_end_matches('/').to_owned(),
        _ => return,
    };
    let target = match request.uri().query() {
        Some(query) => format!("{corrected}?{query}"),
        None => corrected,
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(target) = PathAndQuery::try_from(target) {
        parts.path_and_query = Some(target);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Response<Body> {
    let words = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    axum::response::IntoResponse::into_response(Error::internal(format!(
        "a handler panicked: {words}"
    )))
}

const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
const HSTS: (HeaderName, HeaderValue) =
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

fn finish(headers: &mut HeaderMap, asked: &Asked) {
    headers.insert(REQUEST_ID, asked.id.clone());
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    if asked.secure {
        headers.insert(HSTS.0, HSTS.1);
    }
    // Everything here is for one caller; only assets say otherwise, and say it themselves.
    headers.entry(super::NO_STORE.0).or_insert(super::NO_STORE.1);
}
