//! `/forward-auth`, by any method, and `/forward-auth/ext-authz/…`

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    response::{IntoResponse as _, Response},
    routing::MethodRouter,
};
use keydock_core::text::ApiName;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Demand, Shown, confirm_deployment, identity};
use crate::{
    App, Error, Result,
    access::{Presented, Refusal, charge, charge_at_once, confirm_header, refuse_key_in_query},
    deployments::directory::Named,
    web::Head,
};

/// Where gateways ask.
const PATH: &str = "/forward-auth";

/// What Envoy puts in front of the address of its client.
const EXT_AUTHZ: &str = "/forward-auth/ext-authz";

/// A demand of a gateway that cannot put it into an address.
const REQUIRE: &str = "x-keydock-require";

/// Where gateways say which method their client used: nginx; Traefik and Caddy.
const METHODS: [&str; 2] = ["x-original-method", "x-forwarded-method"];

/// Where they say which address it asked for.
const ADDRESSES: [&str; 4] =
    ["x-original-uri", "x-original-url", "x-forwarded-uri", "x-envoy-original-path"];

/// What a request of a gateway is about: the address that its client asked for, as far as it says so.
pub(crate) fn asked_for(head: Head<'_>) -> Option<&str> {
    let rest = head.uri.path().strip_prefix(PATH)?;
    let behind = rest.strip_prefix("/ext-authz").filter(|rest| !rest.is_empty());
    let told = ADDRESSES.iter().find_map(|name| head.headers.get(*name));
    told.and_then(|address| address.to_str().ok()).or(behind)
}

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    let any = || MethodRouter::new().fallback(ask);
    OpenApiRouter::new()
        .routes(routes!(forward_auth))
        .route(PATH, any())
        .route(EXT_AUTHZ, any())
        .route(&format!("{EXT_AUTHZ}/{{*path}}"), any())
}

/// Answer a gateway
///
/// Whether a request may pass, by the key in its `Authorization`. By any method; the original method and
/// address are read from `X-Original-Method` and `X-Original-URI`, or `X-Forwarded-Method` and
/// `X-Forwarded-Uri`. Envoy asks `/forward-auth/ext-authz` with the original address behind it, and
/// demands in the header `X-Keydock-Require`, in the form of a query.
#[utoipa::path(
    get,
    path = "/forward-auth",
    tag = "Gateways",
    params(
        ("kind" = Option<String>, Query, description = "`platform`, `platform_api`, `deployment`, `org_deployment`, or several with commas"),
        ("org" = Option<String>, Query, description = "The organization"),
        ("deployment" = Option<String>, Query, description = "The deployment that the key must open"),
        ("tier" = Option<String>, Query, description = "The least tier, whatever the method"),
    ),
    responses(
        (status = 200, description = "It may pass", headers(
            ("X-Keydock-Organization" = String, description = "The organization of the key"),
            ("X-Keydock-Key-Id" = String, description = "The key"),
            ("X-Keydock-Key-Name" = String, description = "What people call it, percent-encoded; empty for keys of one deployment"),
            ("X-Keydock-Key-Kind" = String, description = "One of the words that `kind` takes"),
            ("X-Keydock-Permission" = String, description = "`read`, `read_write` or `full_access`; `execute` for keys of deployments"),
        )),
        (status = 400, description = "A key in the address, more than one credential, or a demand that is not understood"),
        (status = 401, description = "No key, or one that does not open this"),
        (status = 403, description = "A key of another organization, of too low a tier, or bound to other addresses"),
        (status = 429, description = "Too many unknown keys came from this address, or the key has reached a limit"),
        (status = 503, description = "Keys cannot be verified at the moment"),
    )
)]
async fn forward_auth(state: State<App>, request: Request) -> Result<HeaderMap> {
    ask(state, request).await
}

/// What is asked, as far as it can be said without looking at a key.
struct Asked {
    demands: Vec<Demand>,
}

impl Asked {
    fn of(head: Head<'_>) -> Result<Self> {
        let query = head.uri.query().unwrap_or_default();
        refuse_key_in_query(query, |_, _| true)?;
        // Behind the prefix of Envoy the query is its client's.
        let own = if head.uri.path() == PATH { query } else { "" };
        let mut demands = vec![Demand::parse(own)?];
        for value in head.headers.get_all(REQUIRE) {
            // Words that no demand consists of are refused like those of the address.
            demands.push(Demand::parse(value.to_str().unwrap_or("?"))?);
        }
        let addresses = ADDRESSES.iter().flat_map(|name| head.headers.get_all(*name));
        for address in addresses {
            let address = String::from_utf8_lossy(address.as_bytes());
            let query = address.split_once('?').map_or("", |(_, query)| query);
            refuse_key_in_query(query.split('#').next().unwrap_or_default(), |_, _| true)?;
        }
        Ok(Self { demands })
    }

    fn deployments(&self) -> impl Iterator<Item = &ApiName> {
        self.demands.iter().filter_map(Demand::deployment)
    }

    /// The headers for a key that is what is demanded; `named` is what the names of the demanded
    /// deployments mean.
    fn judge(
        &self,
        key: Shown<'_>,
        named: &[Option<Named>],
        method: &Method,
        head: Head<'_>,
    ) -> Result<HeaderMap> {
        confirm_header(head.headers, key.org())?;
        for demand in &self.demands {
            let told = METHODS.iter().flat_map(|name| head.headers.get_all(*name));
            let methods = told.map(header::HeaderValue::as_bytes);
            demand.confirm(key, methods.chain([method.as_str().as_bytes()]))?;
        }
        for named in named {
            confirm_deployment(key, *named)?;
        }
        Ok(identity(key))
    }
}

fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    match Presented::in_headers(headers)? {
        Presented::Token(token) => Ok(token),
        Presented::Nothing | Presented::NotAKey => Err(Refusal::Anonymous),
    }
}

/// Answers in front of the router and without a database, unless the name of a deployment has to be
/// looked up: gateways ask this before everything else.
pub(crate) fn answer_at_once(method: &Method, head: Head<'_>, app: &App) -> Option<Response> {
    let rest = head.uri.path().strip_prefix(PATH)?;
    if !rest.is_empty() && head.uri.path() != EXT_AUTHZ && !rest.starts_with("/ext-authz/") {
        return None;
    }
    try_at_once(method, head, app)
        .transpose()
        .map(|answer| answer.map_or_else(Error::into_response, HeaderMap::into_response))
        .map(empty)
}

fn try_at_once(method: &Method, head: Head<'_>, app: &App) -> Result<Option<HeaderMap>> {
    let asked = Asked::of(head)?;
    let told = app.verify_token_then(token(head.headers)?, head, |seen, _| {
        let key = Shown::from(seen);
        let known = |name| app.deployment_names().recall(key.org(), name).map(Some);
        let named: Option<Vec<_>> = asked.deployments().map(known).collect();
        // Reading a name, as spending of a quota, takes more than a look.
        let named = named?;
        let judge = || {
            let told = asked.judge(key, &named, method, head)?;
            charge_at_once(seen, head, app).map(|charged| charged.map(|()| told)).transpose()
        };
        let judged = judge();
        if judged.is_err() {
            head.note_refused(|| seen.genuine());
        }
        judged.transpose()
    })?;
    told.transpose()
}

/// The same with a database at hand.
async fn ask(State(app): State<App>, request: Request) -> Result<HeaderMap> {
    let (mut parts, _unread) = request.into_parts();
    let head = Head::of(&parts);
    let asked = Asked::of(head)?;
    let key = app.verify_token(token(head.headers)?, head)?.verified;
    let mut named = Vec::new();
    for name in asked.deployments() {
        named.push(app.deployment_names().find(&app, &key.org, name).await?);
    }
    let told = asked.judge(Shown::from(&key), &named, &parts.method, head)?;
    charge(&key, &mut parts, &app).await?;
    Ok(told)
}

/// Says that there is no body: a gateway that expects one closes the connection instead of using it
/// again.
fn empty(mut answer: Response) -> Response {
    if answer.status().is_success() {
        answer.headers_mut().insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("0"));
    }
    answer
}
