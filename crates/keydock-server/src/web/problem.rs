//! How an [`Error`] looks over HTTP (CONTRACT 9.1, RFC 9457, RFC 6750).

mod dialects;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::edge::{Asked, Carried, Surface};
use crate::{Error, access::Refusal};

/// Holds the stable code of an error where the body of the answer has no place for it.
const CODE: HeaderName = HeaderName::from_static("x-keydock-error");

/// The media type of RFC 9457, sent to those who ask for it.
pub const MEDIA_TYPE: &str = "application/problem+json";

impl IntoResponse for Error {
    /// An empty answer that carries the error to the edge, which knows how the client wants it.
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = describe(&self).status;
        response.extensions_mut().insert(Carried(Arc::new(self)));
        response
    }
}

/// What is told of a refusal.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) reason: String,
}

/// What is told of an error, if it is one that admins ask about: why somebody may not.
pub(super) fn refusal(error: &Error) -> Option<Told> {
    let is_refusal = match error {
        Error::Refused(refusal) => !matches!(refusal, Refusal::WrongPassword),
        Error::Forbidden { .. } | Error::Csrf { .. } | Error::TooMany { .. } => true,
        _ => false,
    };
    let Description { status, code, .. } = describe(error);
    is_refusal.then(|| Told { status, code, reason: detail(error) })
}

/// What is always the same about an error.
struct Description {
    status: StatusCode,
    /// Ours, stable, for programs.
    code: &'static str,
    /// The `errors[].code` of the wire.
    wire: &'static str,
    title: &'static str,
}

/// The whole mapping, on one screen. No wildcard: a new variant must choose.
fn describe(error: &Error) -> Description {
    use StatusCode as S;
    let (status, code, wire, title) = match error {
        Error::Refused(refusal) => return describe_refusal(refusal),
        Error::Forbidden { .. } => {
            (S::FORBIDDEN, "forbidden", "permission_denied", "Not permitted")
        }
        Error::Csrf { .. } => (S::FORBIDDEN, "csrf", "permission_denied", "Forged request refused"),
        Error::NotFound { .. } | Error::NoSuch { .. } => {
            (S::NOT_FOUND, "not_found", "not_found", "Not found")
        }
        Error::NoSuchPage => (S::NOT_FOUND, "no_such_page", "not_found", "No such page"),
        Error::Invalid(_) => (S::BAD_REQUEST, "invalid", "invalid", "Invalid request"),
        Error::MissingField { .. } => (S::BAD_REQUEST, "invalid", "required", "Field missing"),
        Error::Malformed { .. } => (S::BAD_REQUEST, "malformed", "parse_error", "Malformed body"),
        Error::UnsupportedMediaType { .. } => (
            S::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "unsupported_media_type",
            "Unsupported media type",
        ),
        Error::TooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "too_large", "error", "Body too large"),
        Error::TooSlow => (S::REQUEST_TIMEOUT, "too_slow", "error", "Body too slow"),
        Error::KeyLimit => (S::FORBIDDEN, "key_limit", "error", "Both slots are taken"),
        Error::AlreadyExists { .. } => (S::BAD_REQUEST, "already_exists", "error", "Name taken"),
        Error::LastAdmin => (S::FORBIDDEN, "last_admin", "error", "Last admin"),
        Error::Conflict { .. } => (S::CONFLICT, "conflict", "error", "Conflict"),
        Error::TokenRefused { .. } => (S::BAD_REQUEST, "token_refused", "error", "Token not taken"),
        Error::TooMany { .. } => (S::TOO_MANY_REQUESTS, "too_many_requests", "error", "Too many"),
        Error::Unavailable { .. } => {
            (S::SERVICE_UNAVAILABLE, "unavailable", "error", "Unavailable")
        }
        Error::MethodNotAllowed { .. } => (
            S::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "method_not_allowed",
            "Method not allowed",
        ),
        Error::Internal(_) => (S::INTERNAL_SERVER_ERROR, "internal", "error", "Our fault"),
    };
    Description { status, code, wire, title }
}

fn describe_refusal(refusal: &Refusal) -> Description {
    let status = match refusal {
        Refusal::Anonymous
        | Refusal::WrongPassword
        | Refusal::MalformedKey
        | Refusal::UnknownKey
        | Refusal::Canary(_)
        | Refusal::Inactive(_)
        | Refusal::Dormant(_)
        | Refusal::RotatedOut(_)
        | Refusal::Expired(_)
        | Refusal::WrongKind { .. }
        | Refusal::OtherDeployment => StatusCode::UNAUTHORIZED,
        Refusal::KeyMissing
        | Refusal::OtherOrganizationSession
        | Refusal::OtherOrganization
        | Refusal::Address { .. }
        | Refusal::Tier { .. } => StatusCode::FORBIDDEN,
        Refusal::SeveralCredentials | Refusal::MalformedOrganization | Refusal::KeyInUrl => {
            StatusCode::BAD_REQUEST
        }
        Refusal::Guessing { .. } | Refusal::RateLimited { .. } | Refusal::QuotaExhausted { .. } => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Refusal::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    Description { status, code: refusal.code(), wire: "error", title: "Refused" }
}

/// Writes the error into the answer that carried it.
pub(super) fn write(error: &Error, asked: &Asked, carrier: Response<Body>) -> Response<Body> {
    let description = describe(error);
    let request_id = asked.id.to_str().unwrap_or_default();
    if let Error::Internal(source) | Error::Unavailable { source: Some(source), .. } = error {
        // The one place where the failure of a request is logged.
        let source = source.as_ref() as &dyn std::error::Error;
        tracing::error!(request.id = request_id, error = source, "request failed");
    }
    let (media_type, body) = body(error, &description, asked);
    let (mut parts, _) = carrier.into_parts();
    // The router measured the empty answer.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    for (name, value) in headers(error, &description, asked.surface) {
        parts.headers.insert(name, value);
    }
    let body = if asked.method == Method::HEAD { Body::empty() } else { Body::from(body) };
    Response::from_parts(parts, body)
}

/// The media type of the answer, and the answer, as the client wants it.
fn body(error: &Error, description: &Description, asked: &Asked) -> (&'static str, String) {
    let (media_type, mut body) = match asked.surface {
        _ if asked.wants_problem => (MEDIA_TYPE, problem(error, description)),
        Surface::Sdk => return dialects::sdk(error, description, asked),
        Surface::Tokens => ("application/json", dialects::oauth(error, description)),
        Surface::Platform
        | Surface::Deployment
        | Surface::Gateway
        | Surface::Operations
        | Surface::Console => ("application/json", envelope(error, description, asked.surface)),
    };
    body.insert("code".to_owned(), description.code.into());
    body.insert("request_id".to_owned(), asked.id.to_str().unwrap_or_default().into());
    body.insert("docs".to_owned(), docs(description.code).into());
    (media_type, Value::Object(body).to_string())
}

fn docs(code: &str) -> String {
    format!("/docs#error-{code}")
}

/// The envelope of the wire, or the bare message of its authentication layer.
fn envelope(error: &Error, description: &Description, surface: Surface) -> Map<String, Value> {
    let mut body = Map::new();
    if let Error::MissingField { .. } = error {
        body.insert("message".to_owned(), "validation error".into());
        body.insert("errors".to_owned(), "Mandatory fields missing".into());
        body.insert("detail".to_owned(), detail(error).into());
        return body;
    }
    if let Error::TokenRefused { error, description } = error {
        body.insert("error".to_owned(), (*error).into());
        body.insert("error_description".to_owned(), description.as_str().into());
        return body;
    }
    if let Error::Refused(refusal) = error
        && surface != Surface::Deployment
        && !matches!(refusal, Refusal::WrongPassword)
    {
        body.insert("message".to_owned(), refusal.message().into());
        body.insert("detail".to_owned(), refusal.detail().into());
        return body;
    }
    let family = match error {
        Error::Invalid(_) => "validation_error",
        _ if description.status.is_server_error() => "server_error",
        _ => "client_error",
    };
    body.insert("type".to_owned(), family.into());
    body.insert("errors".to_owned(), errors(error, description).into());
    body
}

fn errors(error: &Error, description: &Description) -> Vec<Value> {
    match error {
        Error::Invalid(fields) => fields
            .iter()
            .map(|field| json!({"code": field.code, "detail": field.detail, "attr": field.attr}))
            .collect(),
        _ => vec![json!({"code": description.wire, "detail": detail(error), "attr": null})],
    }
}

fn problem(error: &Error, description: &Description) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("type".to_owned(), docs(description.code).into());
    body.insert("title".to_owned(), description.title.into());
    body.insert("status".to_owned(), description.status.as_u16().into());
    body.insert("detail".to_owned(), detail(error).into());
    if let Error::Invalid(fields) = error {
        let errors = fields.iter().map(|field| {
            let pointer = format!("/{}", field.attr.replace('.', "/"));
            json!({"pointer": pointer, "code": field.code, "detail": field.detail})
        });
        body.insert("errors".to_owned(), errors.collect::<Vec<_>>().into());
    }
    body
}

/// What the client is told in words.
fn detail(error: &Error) -> String {
    match error {
        Error::Refused(refusal) => match refusal {
            Refusal::KeyMissing => refusal.message(),
            // On the deployment surface the first word is the one people know (CONTRACT 5.2).
            Refusal::UnknownKey | Refusal::Canary(_) | Refusal::MalformedKey => {
                format!("Unauthorized. {}", refusal.detail())
            }
            _ => format!("{}. {}", refusal.message(), refusal.detail()),
        },
        Error::Internal(_) => "Server Error (500). Give the request_id to whoever runs this \
                               server; the reason is in its log."
            .to_owned(),
        Error::NotFound { what: "Object" } => "Not found.".to_owned(),
        error => error.to_string(),
    }
}

fn headers(
    error: &Error,
    description: &Description,
    surface: Surface,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    let wait = match error {
        Error::TooMany { retry_after, .. } | Error::Unavailable { retry_after, .. } => {
            Some(*retry_after)
        }
        Error::Refused(
            Refusal::Guessing { retry_after }
            | Refusal::RateLimited { retry_after, .. }
            | Refusal::QuotaExhausted { retry_after, .. },
        ) => Some(*retry_after),
        Error::Refused(Refusal::KeysUnavailable) => Some(std::time::Duration::from_secs(1)),
        _ => None,
    };
    if let Some(wait) = wait {
        headers.push((header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait).max(1))));
    }
    if matches!(surface, Surface::Sdk | Surface::Gateway) {
        headers.push((CODE, HeaderValue::from_static(description.code)));
    }
    let unauthorized = description.status == StatusCode::UNAUTHORIZED;
    if let Error::Refused(refusal) = error
        && let Some(challenge) = challenge(refusal)
        && (unauthorized
            || surface == Surface::Deployment
            || matches!(refusal, Refusal::Tier { .. }))
        && let Ok(value) = HeaderValue::from_str(&challenge)
    {
        headers.push((header::WWW_AUTHENTICATE, value));
    }
    headers
}

/// Rounded up: who waits this long does not come too early.
pub(crate) fn whole_seconds(wait: std::time::Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The challenge of RFC 6750, section 3; without an error where no credential was sent.
fn challenge(refusal: &Refusal) -> Option<String> {
    let error = match refusal {
        Refusal::Anonymous | Refusal::WrongPassword | Refusal::KeyMissing => None,
        Refusal::Tier { method, .. } => {
            let scope = if method == "DELETE" { "full_access" } else { "read_write" };
            return Some(format!(
                r#"Bearer realm="keydock", error="insufficient_scope", scope="{scope}""#
            ));
        }
        Refusal::SeveralCredentials | Refusal::KeyInUrl | Refusal::MalformedOrganization => {
            Some("invalid_request")
        }
        Refusal::MalformedKey
        | Refusal::UnknownKey
        | Refusal::Canary(_)
        | Refusal::Inactive(_)
        | Refusal::Dormant(_)
        | Refusal::RotatedOut(_)
        | Refusal::Expired(_)
        | Refusal::WrongKind { .. }
        | Refusal::OtherDeployment => Some("invalid_token"),
        Refusal::OtherOrganizationSession
        | Refusal::OtherOrganization
        | Refusal::Address { .. }
        | Refusal::Guessing { .. }
        | Refusal::RateLimited { .. }
        | Refusal::QuotaExhausted { .. }
        | Refusal::KeysUnavailable => return None,
    };
    let Some(error) = error else { return Some(r#"Bearer realm="keydock""#.to_owned()) };
    let description: String = refusal
        .detail()
        .chars()
        .filter(|c| matches!(c, ' '..='~') && !r#""\"#.contains(*c))
        .collect();
    Some(format!(r#"Bearer realm="keydock", error="{error}", error_description="{description}""#))
}

/// Every stable code, for the page that explains them.
pub fn codes() -> &'static [(&'static str, &'static str)] {
    &[
        ("unauthenticated", "Neither a session nor a key came with the request."),
        ("wrong_password", "Somebody signed in with a wrong name or password."),
        ("key_missing", "The endpoint takes a key and none was sent."),
        ("session_of_other_organization", "The session is for another organization than the URL."),
        ("several_credentials", "More than one credential was sent with one request."),
        (
            "organization_header_malformed",
            "X-Organization-Id does not hold an organization's name.",
        ),
        ("key_in_url", "A key was sent in the address, where logs keep it."),
        ("key_malformed", "The token has not the form of any key."),
        ("key_unknown", "The token has the form of a key and is none that works here."),
        ("too_many_unknown_keys", "Too many unknown keys came from one address."),
        ("key_inactive", "The key is genuine and switched off."),
        ("key_expired", "The key is genuine and its time is over."),
        ("key_address", "The key is genuine and bound to other addresses."),
        ("rate_limited", "The key was used too often in a short time."),
        ("quota_exhausted", "The key has used up what it has for this period."),
        ("key_rotated_out", "The secret was replaced and its overlap is over."),
        ("key_kind", "The key is genuine and of a kind that this endpoint does not take."),
        ("key_of_other_organization", "The key belongs to another organization."),
        ("key_of_other_deployment", "The deployment key opens another deployment."),
        ("insufficient_scope", "The tier of the key does not allow the method."),
        ("keys_unavailable", "The server lost touch with its database."),
        ("forbidden", "The caller is known and may not do this."),
        ("csrf", "A change from a browser came without its token, or from another site."),
        ("not_found", "It does not exist, or the caller may not know that it does."),
        ("no_such_page", "The list has fewer pages."),
        ("invalid", "Fields of the request are wrong; each is named."),
        ("malformed", "The body is not in the format that it claims."),
        ("unsupported_media_type", "The endpoint does not read this format."),
        ("too_large", "The body is larger than the server accepts."),
        ("too_slow", "The body did not arrive in time."),
        ("key_limit", "The organization has two platform keys already."),
        ("already_exists", "The name is taken."),
        ("last_admin", "An organization keeps at least one admin."),
        ("token_refused", "A token that was offered in exchange for one of ours is not taken."),
        ("conflict", "Somebody changed the same thing at the same time."),
        ("too_many_requests", "A limit was reached; Retry-After says for how long."),
        ("unavailable", "Part of the server is away; the request may work later."),
        ("method_not_allowed", "The endpoint does not know this method."),
        ("internal", "A fault of the server; its log has the reason under the request id."),
    ]
}
