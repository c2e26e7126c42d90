//! The frame around every request: its name, its canonical address, what is counted and logged, and
//! how an error is written down.
//!
//! One service does all of it, because what a verified request costs is mostly what is put around it.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
        uri::PathAndQuery,
    },
    response::IntoResponse as _,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use keydock_core::{organizations::OrgName, secret::SecretKey};
use tower::Service;
use uuid::{Uuid, Variant, Version};

use super::{Arrival, Head, Notes, REQUEST_ID, client_address, problem};
use crate::{
    App, Error, audit_log, forward_auth, platform_keys,
    refusals::{Refused, Whose},
};

/// Wraps the routes of the application.
pub fn edge<S>(app: &App, routes: S) -> Edge<S> {
    Edge { routes, app: app.clone() }
}

/// The outermost service.
#[derive(Clone, Debug)]
pub struct Edge<S> {
    routes: S,
    app: App,
}

/// The error that a handler answered with, on its way out.
#[derive(Clone, Debug)]
pub(super) struct Carried(pub(super) Arc<Error>);

/// An answer: made at once, or being made.
#[expect(missing_debug_implementations, reason = "a future has nothing to show")]
pub enum Answer {
    /// Made without a route.
    AtOnce(Option<Response<Body>>),
    /// By a route.
    Making(BoxFuture<'static, Response<Body>>),
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::AtOnce(answer) => {
                answer.take().map_or(Poll::Pending, |made| Poll::Ready(Ok(made)))
            }
            Self::Making(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

impl<S> Edge<S> {
    /// Answers a request that came from `peer`.
    pub fn answer<B>(&self, peer: IpAddr, mut request: Request<B>) -> Answer
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone,
        S::Future: Send + 'static,
    {
        let at = Instant::now();
        let id = name(request.headers());
        canonicalize(&mut request);
        let notes = Notes::default();
        let mut arrival = Arrival { id, peer: peer.to_canonical(), at, is_again: false, notes };
        if let Some(mut response) = self.answer_at_once(&request, &arrival) {
            response.headers_mut().extend(arrival.notes.fields().iter().cloned());
            let is_refused = response.extensions().get::<Carried>().is_some();
            let sender = is_refused.then(|| Sender::of(&request, &arrival, &self.app));
            // Nothing but the answer needs them any more.
            let asked = Asked::taken_from(&mut request, arrival.id);
            return Answer::AtOnce(Some(close(&self.app, asked, at, response, sender)));
        }
        let asked = Asked::about(&request, arrival.id.clone());
        arrival.notes = Notes::of_a_route();
        let sender = Sender::of(&request, &arrival, &self.app);
        request.extensions_mut().insert(arrival);
        let app = self.app.clone();
        // A service that has been asked whether it is ready may differ from its clones; routes do not.
        let answer = self.routes.clone().call(request);
        Answer::Making(Box::pin(async move {
            let answer = AssertUnwindSafe(answer).catch_unwind().await;
            let mut response = match answer {
                Ok(Ok(response)) => response,
                Err(panic) => panicked(panic.as_ref()),
            };
            let carried = response.extensions().get::<Carried>().cloned();
            record_refusal(&app, &asked, carried).await;
            response.headers_mut().extend(sender.notes.fields().iter().cloned());
            close(&app, asked, at, response, Some(sender))
        }))
    }

    /// Answers what needs no route.
    fn answer_at_once<B>(&self, request: &Request<B>, arrival: &Arrival) -> Option<Response<Body>> {
        let (uri, headers) = (request.uri(), request.headers());
        if is_nonsense(uri.path()) {
            return Some(Error::NotFound { what: "Object" }.into_response());
        }
        let head = Head { uri, headers, arrival: Some(arrival) };
        platform_keys::api::whoami_at_once(request.method(), head, &self.app)
            .or_else(|| forward_auth::api::answer_at_once(request.method(), head, &self.app))
    }
}

/// Whether a path says what no text of ours can: it names nothing.
// A deployment answers in its own words, see `Called`.
fn is_nonsense(path: &str) -> bool {
    path.contains('%')
        && !path.starts_with("/deployment/")
        && percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .map_or(true, |path| path.contains('\0'))
}

/// Writes down that somebody reached for what an admin may do.
async fn record_refusal(app: &App, asked: &Asked, carried: Option<Carried>) {
    let Some(Carried(error)) = carried else { return };
    if let Error::Forbidden { by: Some(by), .. } = error.as_ref() {
        let path = shown(app, asked.uri.path());
        audit_log::record_refused(app, by, asked.method.as_str(), &path, "forbidden").await;
    }
}

/// Does to an answer what is done to every answer.
fn close(
    app: &App,
    asked: Asked,
    at: Instant,
    mut response: Response<Body>,
    sender: Option<Sender>,
) -> Response<Body> {
    if let Some(Carried(error)) = response.extensions_mut().remove() {
        if let Some((told, sender)) = problem::refusal(&error).zip(sender) {
            sender.note_refusal(app, &asked, &error, told);
        }
        response = problem::write(&error, &asked, response);
    }
    let took = at.elapsed();
    app.metrics().count(asked.surface, response.status(), took);
    asked.log(app, response.status(), took);
    finish(response.headers_mut(), asked, app.config().is_secure());
    response
}

/// For those who know the peer as axum does: tests.
impl<S, B> Service<Request<B>> for Edge<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip());
        self.answer(peer, request)
    }
}

/// Who sent a request, and what was learnt of them.
struct Sender {
    ip: IpAddr,
    agent: Option<HeaderValue>,
    notes: Notes,
}

impl Sender {
    fn of<B>(request: &Request<B>, arrival: &Arrival, app: &App) -> Self {
        let (uri, headers) = (request.uri(), request.headers());
        let head = Head { uri, headers, arrival: Some(arrival) };
        Self {
            ip: client_address(head, app.config()),
            agent: headers.get(header::USER_AGENT).cloned(),
            notes: arrival.notes.clone(),
        }
    }

    /// Has it written down that the request was refused, for the admins of the organization.
    fn note_refusal(self, app: &App, asked: &Asked, error: &Error, told: problem::Told) {
        let of_error = match error {
            Error::Refused(refusal) => refusal.genuine(),
            _ => None,
        };
        let key = of_error.or(self.notes.key()).cloned();
        let path = asked.uri.path();
        let org = match &key {
            Some(key) => Whose::Number(key.org),
            None => match named_org(path) {
                Some(name) => Whose::Named(name.to_owned()),
                None => return,
            },
        };
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let agent = self.agent.as_ref().map(text).unwrap_or_default();
        app.refusals().add(Refused {
            org,
            request_id: text(&asked.id),
            at: app.db().clock().now(),
            status: told.status.as_u16(),
            code: told.code.to_owned(),
            reason: told.reason,
            method: asked.method.as_str().to_owned(),
            path: shown(app, path).chars().take(500).collect(),
            key,
            ip: self.ip,
            agent: agent.chars().take(200).collect(),
        });
    }
}

/// The organization that a path names.
fn named_org(path: &str) -> Option<&str> {
    let rest =
        path.strip_prefix("/api/v1/unstract/").or_else(|| path.strip_prefix("/deployment/api/"))?;
    rest.split('/').next().filter(|name| name.parse::<OrgName>().is_ok())
}

/// What must be known of a request after its handler has consumed it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: HeaderValue,
    pub(super) method: Method,
    pub(super) surface: Surface,
    pub(super) wants_problem: bool,
    pub(super) uri: Uri,
}

/// Which part of the product answers; errors look different on each (CONTRACT 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `/api/v1/…`
    Platform,
    /// `/deployment/…`
    Deployment,
    /// `/cache`, `/usage` and the other addresses of the SDK.
    Sdk,
    /// `/introspect` and `/revoke`.
    Tokens,
    /// `/forward-auth`
    Gateway,
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
            "platform_details"
            | "cache"
            | "usage"
            | "page-usage"
            | "ping"
            | "adapter_instance"
            | "custom_tool_instance"
            | "agentic_tool_instance"
            | "llm_profile_instance" => Self::Sdk,
            "introspect" | "revoke" => Self::Tokens,
            "forward-auth" => Self::Gateway,
            "health" | "metrics" | "docs" => Self::Operations,
            _ => Self::Console,
        }
    }
}

impl Asked {
    fn about<B>(request: &Request<B>, id: HeaderValue) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self::of(request.headers(), id, method, uri)
    }

    /// The same of a request that is not needed any more.
    fn taken_from<B>(request: &mut Request<B>, id: HeaderValue) -> Self {
        let method = std::mem::take(request.method_mut());
        let uri = std::mem::take(request.uri_mut());
        Self::of(request.headers(), id, method, uri)
    }

    fn of(headers: &HeaderMap, id: HeaderValue, method: Method, uri: Uri) -> Self {
        let accept = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
        let wants_problem = accept.is_some_and(|accept| {
            accept.windows(problem::MEDIA_TYPE.len()).any(|w| w == problem::MEDIA_TYPE.as_bytes())
        });
        Self { id, method, surface: Surface::of(uri.path()), wants_problem, uri }
    }

    /// One line a request; the query is left out, since clients put all sorts of things there.
    ///
    /// What is asked often, and who is not known, is told only to those who want to hear it: guessing
    /// must not cost more than asking. Refusals are counted, and kept where admins find them.
    fn log(&self, app: &App, status: StatusCode, took: Duration) {
        let is_asked_by_a_gateway = self.surface == Surface::Gateway;
        let is_usual = status.is_success() && (self.method == Method::GET || is_asked_by_a_gateway);
        let is_quiet = is_usual || status == StatusCode::UNAUTHORIZED;
        // Not made where nobody reads it: verifying a key costs less.
        let path = || match self.uri.path() {
            // What stands behind it is the address of something else.
            _ if is_asked_by_a_gateway => "/forward-auth".to_owned(),
            path => shown(app, path),
        };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let method = self.method.as_str();
        let (id, status) = (self.id.to_str().unwrap_or_default(), status.as_u16());
        if is_quiet {
            tracing::debug!(request.id = id, method, path = path(), status, micros, "answered");
        } else {
            tracing::info!(request.id = id, method, path = path(), status, micros, "answered");
        }
    }
}

/// The path as it may stand in a line: without keys, since a key looks like an identifier and some
/// take it for one (VER-04), and without anything that a terminal would obey (AUD-03).
fn shown(app: &App, path: &str) -> String {
    let is_key = |segment: &str| {
        let key = SecretKey::parse(segment);
        key.is_ok_and(|key| app.knows(&key))
    };
    let segments = path.split('/').map(|segment| if is_key(segment) { "[key]" } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    percent_encoding::utf8_percent_encode(&path, percent_encoding::CONTROLS).to_string()
}

/// Takes the client's name for the request if it has a decent one, or gives it one.
fn name(headers: &HeaderMap) -> HeaderValue {
    let decent = |id: &HeaderValue| {
        let bytes = id.as_bytes();
        (1..=128).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b))
    };
    if let Some(id) = headers.get(REQUEST_ID).filter(|id| decent(id)) {
        return id.clone();
    }
    let mut text = Uuid::encode_buffer();
    // Has to be unique, not secret.
    let uuid = uuid::Builder::from_u128(fastrand::u128(..)).with_version(Version::Random);
    let text = uuid.with_variant(Variant::RFC4122).as_uuid().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"))
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
    Error::internal(format!("a handler panicked: {words}")).into_response()
}

const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
const HSTS: (HeaderName, HeaderValue) =
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

fn finish(headers: &mut HeaderMap, asked: Asked, secure: bool) {
    headers.insert(REQUEST_ID, asked.id);
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    if secure {
        headers.insert(HSTS.0, HSTS.1);
    }
    // Everything here is for one caller; only assets say otherwise, and say it themselves.
    headers.entry(super::NO_STORE.0).or_insert(super::NO_STORE.1);
}
